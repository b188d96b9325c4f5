"""Floor 0: simplices, balls and their projections, class moments. Tensors in, tensors out."""
