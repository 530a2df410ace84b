"""The features of a frozen base: which engine computes them, and their cache."""
