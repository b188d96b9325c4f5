"""Simplices, balls and their projections, class moments. Tensors in, tensors out."""
