"""Linear and bilinear maps, tables, and normalisation over a layer."""
import math
from typing import Any

import autograd.numpy as np
import numpy
from autograd.extend import defjvp, defvjp_argnums, primitive

from ...gradients import stop_gradient
from ...gradients.bookkeeping import quick
from ...gradients.rules import cast, namespace
from .arrays import as_array, as_float, as_int, check_bias, keep, to_common_dtype

__all__ = ["bilinear", "embedding", "layer_norm", "linear"]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    r"""Apply :math:`y = x W^T + b`.

    Parameters
    ----------
    input : array, shape (..., in_features)
    weight : array, shape (out_features, in_features)
        Or of shape (in_features,): then `bias` is a number and the last dimension goes.
    bias : array, shape (out_features,), optional
        Or a single number, of shape () or (1,).

    Returns
    -------
    array, shape (..., out_features)

    Raises
    ------
    RuntimeError
        If the shapes do not fit.

    Examples
    --------
    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    x, W = as_array(input), as_array(weight)
    x_shape, shape = stop_gradient(x).shape, stop_gradient(W).shape
    if len(shape) not in (1, 2):
        raise RuntimeError(f"weight must have one or two dimensions, got shape {shape}")
    if x_shape[-1:] != shape[-1:]:
        raise RuntimeError(f"input must have {shape[-1]} entries in its last dimension, as weight of "
                           f"shape {shape} has, got shape {x_shape}")
    of_bias = shape[:-1] if bias is None else numpy.shape(stop_gradient(bias))
    if of_bias in ((), (1,)) and of_bias != shape[:-1]:
        bias = bias + np.zeros(shape[:-1], np.result_type(stop_gradient(bias)))
    check_bias(bias, shape[:-1])
    if len(shape) == 1:
        y = np.matmul(x, W)
        return y if bias is None else y + bias
    if bias is None:
        return _affine(*to_common_dtype(x, W), None)
    return _affine(*to_common_dtype(x, W, bias))


@primitive
def _affine(x: Any, W: Any, b: Any) -> Any:
    y = _rows(x) @ W.T
    if b is not None:
        y += b
    return y.reshape(*x.shape[:-1], len(W))


def _affine_vjp(argnums: tuple, y: Any, args: tuple, kwargs: dict) -> Any:
    """The gradients are g W, g^T x and the sum of g: of the same form, but for the last."""
    x, W, b = args

    def gradient(i: int, g: Any) -> Any:
        if i == 0:
            return _affine(g, W.T, None)
        return _affine(_rows(g).T, _rows(x).T, None) if i == 1 else namespace(g).sum(_rows(g), axis=0)

    def pull(g: Any) -> list:
        g = cast(g, y.dtype)
        return [gradient(i, g) for i in argnums]
    return pull


def _rows(x: Any) -> Any:
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


defvjp_argnums(_affine, _affine_vjp)
defjvp(_affine,
       lambda dx, y, x, W, b: _affine(dx, W, None),
       lambda dW, y, x, W, b: _affine(x, dW, None),
       lambda db, y, x, W, b: db + numpy.zeros(y.shape, y.dtype))
_affine = quick(_affine)


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    r"""Apply :math:`y_o = x_1^T W_o \, x_2 + b_o`.

    Parameters
    ----------
    input1 : array, shape (..., in1_features)
    input2 : array, shape (..., in2_features)
        All dimensions but the last are those of `input1`.
    weight : array, shape (out_features, in1_features, in2_features)
    bias : array, shape (out_features,), optional

    Returns
    -------
    array, shape (..., out_features)

    Raises
    ------
    RuntimeError
        If the shapes do not fit.

    Examples
    --------
    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.array([[[1.0], [10.0]]]))
    array([63.])
    """
    x1, x2, W = as_array(input1), as_array(input2), as_array(weight)
    if W.ndim != 3 or x1.shape != (*x2.shape[:-1], W.shape[1]) or x2.shape[-1:] != W.shape[2:]:
        raise RuntimeError(
            "input1, input2 and weight must have shapes (..., n), (..., m) and (out_features, n, m), "
            f"got {x1.shape}, {x2.shape} and {W.shape}")
    check_bias(bias, W.shape[:1])
    outputs, n, m = W.shape
    lead = x1.shape[:-1]
    rows = math.prod(lead)
    x1_W = np.reshape(x1, (rows, n)) @ np.reshape(np.swapaxes(W, 0, 1), (n, outputs * m))
    y = np.reshape(x1_W, (rows, outputs, m)) @ np.reshape(x2, (rows, m, 1))
    y = np.reshape(y, (*lead, outputs))
    return y if bias is None else y + bias


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Look up rows of a table.

    Parameters
    ----------
    input : array of int, any shape
        Indices from 0 to num_embeddings - 1.
    weight : array, shape (num_embeddings, embedding_dim)
    padding_idx : int, optional
        The row that no gradient reaches; a negative one counts from the end.

    Returns
    -------
    array, shape (*input.shape, embedding_dim)

    Raises
    ------
    TypeError
        If the indices are not integers.
    RuntimeError
        If `weight` has not two dimensions.
    IndexError
        If an index is out of range; negative ones are, as in PyTorch.
    AssertionError
        If `padding_idx` is out of range.

    Examples
    --------
    >>> embedding(np.array([1, 1, 0]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 4.],
           [3., 4.],
           [1., 2.]])
    """
    index = np.asarray(input)
    if index.dtype.kind not in "iu":
        raise TypeError(f"input must hold integer indices, got dtype {index.dtype}")
    if weight.ndim != 2:
        raise RuntimeError(f"weight must have two dimensions, got shape {weight.shape}")
    if index.size and not (0 <= index.min() and index.max() < weight.shape[0]):
        raise IndexError(
            f"input must hold indices from 0 to {weight.shape[0] - 1}, "
            f"got {index.min()} to {index.max()}"
        )
    rows = weight[index]
    if padding_idx is None:
        return rows
    trained = (index != row_number(padding_idx, len(weight)))[..., None]
    return keep(rows, trained) + keep(stop_gradient(rows), np.logical_not(trained))


def row_number(padding_idx: int, num_embeddings: int) -> int:
    """Return `padding_idx` counted from the start, or raise PyTorch's error, AssertionError."""
    if not -num_embeddings <= as_int("padding_idx", padding_idx) < num_embeddings:
        raise AssertionError(f"padding_idx must be within num_embeddings, {num_embeddings}, got "
                             f"{padding_idx}")
    return padding_idx % num_embeddings


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None,
               eps: float = 1e-5) -> Any:
    r"""Bring the entries of each sample to mean 0 and variance 1, then scale and shift each.

    Parameters
    ----------
    input : array, shape (..., *normalized_shape)
    normalized_shape : tuple of int
        The last dimensions, over which mean and variance are taken.
    weight, bias : array, shape normalized_shape, optional
        Scale and shift.
    eps : float
        Added to the variance.

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    RuntimeError
        If the shapes do not fit, or `normalized_shape` is empty.
    TypeError
        If `normalized_shape` is not a tuple or list of int.
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Notes
    -----
    .. math:: y = w \, \frac{x - \mathrm{mean}(x)}{\sqrt{\mathrm{var}(x) + \epsilon}} + b

    with the variance of the sample itself (divided by n, not n - 1). Each sample is divided by a power
    of two first, so that its squares stay in the range: PyTorch's y is zero, then NaN, from entries
    of 5e18 on in float32, and of 5e153 in float64.

    References
    ----------
    .. [1] J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization", 2016, arXiv:1607.06450.

    Examples
    --------
    >>> layer_norm(np.array([[1.0, 3.0], [10.0, 14.0]]), (2,), eps=0.0)
    array([[-1.,  1.],
           [-1.,  1.]])
    """
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(f"normalized_shape must be a tuple of int, got {normalized_shape!r}")
    x, shape = as_float(input), tuple(as_int("normalized_shape", size) for size in normalized_shape)
    if not shape or x.shape[-len(shape):] != shape:
        raise RuntimeError("input must have shape (..., *normalized_shape), the latter not empty, got "
                           f"shape {x.shape} and normalized_shape={shape}")
    for name, array in (("weight", weight), ("bias", bias)):
        if array is not None and np.shape(array) != shape:
            raise RuntimeError(f"{name} must have the shape normalized_shape={shape}, got "
                               f"{np.shape(array)}")
    axes, n = tuple(range(-len(shape), 0)), max(math.prod(shape), 1)
    c = _scales(stop_gradient(x), axes, float(eps))
    x = x / c
    deviation = x - np.sum(x, axis=axes, keepdims=True) / n
    # The mean is off by the rounding of large entries; the deviations, small, tell by how much.
    deviation = deviation - np.sum(stop_gradient(deviation), axis=axes, keepdims=True) / n
    variance = np.sum(deviation * deviation, axis=axes, keepdims=True) / n
    y = deviation / np.sqrt(variance + float(eps) / c / c)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def _scales(x: Any, axes: tuple[int, ...], eps: float) -> Any:
    """Return a power of two for each sample, near its largest entry or the root of `eps`."""
    largest = np.max(np.abs(x), axis=axes, keepdims=True, initial=math.sqrt(eps))
    exponent = np.frexp(np.where(largest == 0, 1, largest))[1] - 1
    return np.ldexp(x.dtype.type(1), exponent)
