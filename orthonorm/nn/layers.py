"""Linear and bilinear layers, tables, layer normalisation; and Identity and Flatten."""
import math
from typing import Any

import numpy as np

from ..gradients.bookkeeping import reshape
from . import functional as F
from . import init
from .functional.arrays import as_size
from .functional.linear import row_number
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

    Raises
    ------
    TypeError, RuntimeError
        If a size is not an integer, or negative; RuntimeError when called, if the shapes do not fit.

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
        self.in_features = as_size("in_features", in_features)
        self.out_features = as_size("out_features", out_features)
        shape = (self.out_features, self.in_features)
        rng = np.random.default_rng(rng)
        bound = 1 / math.sqrt(in_features) if in_features else 0.0
        self.weight = _uniform(shape, bound, dtype, rng)
        self.register_parameter("bias", _uniform(shape[:1], bound, dtype, rng) if bias else None)

    def forward(self, input: Any) -> Any:
        """Map an array of shape (..., in_features) to one of shape (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return (f"in_features={self.in_features}, out_features={self.out_features}, "
                f"bias={has_bias(self)}")


class Bilinear(Module):
    r"""Apply :math:`y_o = x_1^T W_o \, x_2 + b_o`.

    Parameters
    ----------
    in1_features, in2_features, out_features : int
        Sizes of the last dimension of the two inputs and of the output.
    bias : bool
        Whether there is a b.
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (out_features, in1_features, in2_features)
        Starts uniform on :math:`\pm 1 / \sqrt{\mathrm{in1\_features}}`.
    bias : array, shape (out_features,), or None
        Starts likewise.

    Raises
    ------
    ValueError
        If `in1_features` is not positive.
    TypeError, RuntimeError
        If a size is not an integer, or another one negative; RuntimeError when called, if the shapes
        do not fit.

    Examples
    --------
    >>> layer = Bilinear(3, 4, 5, rng=0)
    >>> layer
    Bilinear(in1_features=3, in2_features=4, out_features=5, bias=True)
    >>> layer(np.ones((2, 3)), np.ones((2, 4))).shape
    (2, 5)
    """

    def __init__(self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, *,
                 dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got {in1_features}")
        self.in1_features = as_size("in1_features", in1_features)
        self.in2_features = as_size("in2_features", in2_features)
        self.out_features = as_size("out_features", out_features)
        shape = (self.out_features, self.in1_features, self.in2_features)
        rng = np.random.default_rng(rng)
        bound = 1 / math.sqrt(in1_features)
        self.weight = _uniform(shape, bound, dtype, rng)
        self.register_parameter("bias", _uniform(shape[:1], bound, dtype, rng) if bias else None)

    def forward(self, input1: Any, input2: Any) -> Any:
        """Map arrays of shapes (..., in1_features), (..., in2_features) to (..., out_features)."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return (f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
                f"out_features={self.out_features}, bias={has_bias(self)}")


class Embedding(Module):
    """A table of vectors, looked up by index.

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        Number of vectors, and their length.
    padding_idx : int, optional
        The vector that is not trained; a negative one counts from the end.
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (num_embeddings, embedding_dim)
        Starts as standard normal, and as zeros at `padding_idx`.

    Raises
    ------
    TypeError, RuntimeError
        If a size is not an integer, or negative.
    AssertionError
        If `padding_idx` is out of range.

    Examples
    --------
    >>> layer = Embedding(10, 3, rng=0)
    >>> layer
    Embedding(10, 3)
    >>> layer(np.array([1, 5])).shape
    (2, 3)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None, *,
                 dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        self.num_embeddings = as_size("num_embeddings", num_embeddings)
        self.embedding_dim = as_size("embedding_dim", embedding_dim)
        self.padding_idx = None if padding_idx is None else row_number(padding_idx, num_embeddings)
        shape = (self.num_embeddings, self.embedding_dim)
        self.weight = init.normal_(Parameter(np.empty(shape, dtype)), rng=rng)
        if self.padding_idx is not None:
            self.weight[self.padding_idx] = 0

    def forward(self, input: Any) -> Any:
        """Map an array of indices of any shape to the array of their vectors."""
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        shown = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{shown}"


class LayerNorm(Module):
    """Bring the entries of each sample to mean 0 and variance 1, then scale and shift each.

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The last dimensions of the input, over which mean and variance are taken.
    eps : float
        Added to the variance.
    elementwise_affine : bool
        Whether there is a scale.
    bias : bool
        Whether there is a shift too.
    dtype : dtype, optional
        float64 by default; float32 also.

    Attributes
    ----------
    weight : array, shape normalized_shape, or None
        The scale; starts as ones.
    bias : array, shape normalized_shape, or None
        The shift; starts as zeros.

    Raises
    ------
    TypeError, RuntimeError
        If a length is not an integer, or negative; RuntimeError when called, if the shapes do not fit.

    Examples
    --------
    >>> layer = LayerNorm(2)
    >>> layer
    LayerNorm((2,), eps=1e-05, elementwise_affine=True, bias=True)
    >>> layer(np.array([100.0, 300.0])).round(6)
    array([-1.,  1.])
    """

    def __init__(self, normalized_shape: Any, eps: float = 1e-5, elementwise_affine: bool = True,
                 bias: bool = True, *, dtype: Any = np.float64):
        super().__init__()
        lengths = (normalized_shape,) if np.ndim(normalized_shape) == 0 else normalized_shape
        self.normalized_shape = tuple(as_size("normalized_shape", n) for n in lengths)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self.register_parameter(
            "weight", Parameter(np.ones(self.normalized_shape, dtype)) if elementwise_affine else None)
        self.register_parameter(
            "bias", Parameter(np.zeros(self.normalized_shape, dtype)) if elementwise_affine and bias
            else None)

    def forward(self, input: Any) -> Any:
        """Map an array of shape (..., *normalized_shape) to one of its shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return (f"{self.normalized_shape}, eps={self.eps}, "
                f"elementwise_affine={self.elementwise_affine}, bias={has_bias(self)}")


class Flatten(Module):
    """Merge neighbouring dimensions into one.

    Parameters
    ----------
    start_dim, end_dim : int
        First and last dimension to merge; negative numbers count from the end.

    Raises
    ------
    IndexError
        When called, if there is no such dimension.
    RuntimeError
        When called, if the last comes before the first.

    Examples
    --------
    >>> Flatten()(np.ones((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Any) -> Any:
        """Return the entries of `input` in the same order."""
        shape, ndim = input.shape, max(input.ndim, 1)
        for name, dim in (("start_dim", self.start_dim), ("end_dim", self.end_dim)):
            if not -ndim <= dim < ndim:
                raise IndexError(f"{name} must be from {-ndim} to {ndim - 1}, got {dim}")
        start, end = self.start_dim % ndim, self.end_dim % ndim
        if start > end:
            raise RuntimeError(f"start_dim must not come after end_dim, got {self.start_dim} and "
                               f"{self.end_dim} for {ndim} dimensions")
        return reshape(input, (*shape[:start], math.prod(shape[start:end + 1]), *shape[end + 1:]))

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


def has_bias(layer: Module) -> bool:
    """Return whether a layer has a bias, plain or parametrized, without computing it."""
    return layer._parameters.get("bias", "parametrized") is not None


def _uniform(shape: tuple[int, ...], bound: float, dtype: Any, rng: np.random.Generator) -> Parameter:
    return init.uniform_(Parameter(np.empty(shape, dtype)), -bound, bound, rng=rng)
