"""Thin adapters for other libraries' loops; each module needs its library, which is an extra of the same name."""
