"""Layers with weights: Linear and Embedding; and Identity."""
import math
from typing import Any

import numpy as np

from . import functional as F
from .module import Module
from .parameter import Parameter


class Identity(Module):
    """Return the input as it is.

    Parameters
    ----------
    *args, **kwargs
        Ignored, as in PyTorch.

    Examples
    --------
    >>> Identity()(3.0)
    3.0
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Any) -> Any:
        """Return `input`."""
        return input


class Linear(Module):
    r"""Apply :math:`y = x W^T + b`.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last dimension of input and output.
    bias : bool
        Whether there is a b.
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (out_features, in_features)
        Starts uniform on :math:`\pm 1 / \sqrt{\mathrm{in\_features}}`.
    bias : array, shape (out_features,), or None
        Starts likewise.

    Examples
    --------
    >>> layer = Linear(20, 40, rng=0)
    >>> layer
    Linear(in_features=20, out_features=40, bias=True)
    >>> layer(np.ones((3, 20))).shape
    (3, 40)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *,
                 dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        rng = np.random.default_rng(rng)
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = Parameter(_uniform((out_features, in_features), bound, dtype, rng))
        self.register_parameter(
            "bias", Parameter(_uniform((out_features,), bound, dtype, rng)) if bias else None)

    def forward(self, input: Any) -> Any:
        """Map an array of shape (..., in_features) to one of shape (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        has_bias = self._parameters.get("bias", "parametrized") is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={has_bias}"


class Embedding(Module):
    """A table of vectors, looked up by index.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of vectors, and their length.
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (num_embeddings, embedding_dim)
        Starts as standard normal.

    Examples
    --------
    >>> layer = Embedding(10, 3, rng=0)
    >>> layer
    Embedding(10, 3)
    >>> layer(np.array([1, 5])).shape
    (2, 3)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, *, dtype: Any = np.float64,
                 rng: Any = None):
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        rng = np.random.default_rng(rng)
        self.weight = Parameter(_normal((num_embeddings, embedding_dim), 1.0, dtype, rng))

    def forward(self, input: Any) -> Any:
        """Map an array of indices of any shape to the array of their vectors."""
        return F.embedding(input, self.weight)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


def _uniform(shape: tuple[int, ...], bound: float, dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Draw from the uniform distribution on [-bound, bound]; real and imaginary part alike."""
    x = rng.uniform(-bound, bound, shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.uniform(-bound, bound, shape)
    return x.astype(dtype)


def _normal(shape: tuple[int, ...], std: float, dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Draw from the normal distribution of variance std^2, shared by real and imaginary part."""
    if np.issubdtype(dtype, np.complexfloating):
        half = std / math.sqrt(2)
        return (rng.normal(0, half, shape) + 1j * rng.normal(0, half, shape)).astype(dtype)
    return rng.normal(0, std, shape).astype(dtype)
