"""PyTorch's orthogonal, spectral-norm and weight-norm parametrizations in NumPy."""
