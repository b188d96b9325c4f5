"""The claims of the theory (docs/theory.md), each a number predicted, and the same number solved or trained for."""
