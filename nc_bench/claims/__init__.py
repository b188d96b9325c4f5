"""Floor 4: the claims of the theory, each a number that is predicted and the same number solved or trained for."""
