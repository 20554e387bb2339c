"""Right programs, which the judge must not accuse: PyTorch's own functions, and the maps in JAX."""
