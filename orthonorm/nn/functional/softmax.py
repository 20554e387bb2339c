"""The softmax and its logarithm."""
from typing import Any

import autograd.numpy as np

from ...gradients import stop_gradient
from .arrays import as_float, as_int

__all__ = ["log_softmax", "softmax"]


def softmax(input: Any, dim: int) -> Any:
    r"""Return :math:`e^{x_i} / \sum_j e^{x_j}` along a dimension.

    Parameters
    ----------
    input : array of float
    dim : int
        The dimension that is summed to 1. PyTorch's default, which it warns of, is not offered.

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    IndexError
        If there is no such dimension.
    TypeError
        If `dim` is not an integer.
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Examples
    --------
    >>> softmax(np.log([[1.0, 3.0]]), 1)
    array([[0.25, 0.75]])
    """
    powers = np.exp(_from_the_largest(input, dim))
    return powers / np.sum(powers, axis=dim, keepdims=True)


def log_softmax(input: Any, dim: int) -> Any:
    r"""Return :math:`x_i - \log \sum_j e^{x_j}` along a dimension.

    Parameters
    ----------
    input : array of float
    dim : int
        As for :func:`softmax`.

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    IndexError
        If there is no such dimension.
    TypeError
        If `dim` is not an integer.
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Examples
    --------
    >>> log_softmax(np.array([0.0, 1e4]), 0)
    array([-10000.,      0.])
    """
    x = _from_the_largest(input, dim)
    return x - np.log(np.sum(np.exp(x), axis=dim, keepdims=True)) if x.size else x


def _from_the_largest(input: Any, dim: int) -> Any:
    """Subtract the largest entry, so that nothing overflows."""
    x = as_float(input)
    return x - stop_gradient(x).max(axis=as_int("dim", dim), keepdims=True, initial=-np.inf)
