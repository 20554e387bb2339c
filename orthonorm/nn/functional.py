"""Stateless layers: functions of arrays that autograd differentiates."""
from typing import Any

import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

__all__ = ["embedding", "linear", "relu", "tanh"]


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    r"""Apply :math:`y = x W^T + b`.

    Parameters
    ----------
    input : array, shape (..., in_features)
    weight : array, shape (out_features, in_features)
    bias : array, shape (out_features,), optional

    Returns
    -------
    array, shape (..., out_features)

    Examples
    --------
    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    output = np.matmul(input, np.transpose(weight))
    return output if bias is None else output + bias


def embedding(input: Any, weight: Any) -> Any:
    """Look up rows of a table.

    Parameters
    ----------
    input : array of int, any shape
        Indices from 0 to num_embeddings - 1.
    weight : array, shape (num_embeddings, embedding_dim)

    Returns
    -------
    array, shape (*input.shape, embedding_dim)

    Raises
    ------
    TypeError
        If the indices are not integers.
    IndexError
        If an index is out of range; negative ones are, as in PyTorch.

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
    if index.size and not (0 <= index.min() and index.max() < weight.shape[0]):
        raise IndexError(
            f"input must hold indices from 0 to {weight.shape[0] - 1}, "
            f"got {index.min()} to {index.max()}"
        )
    return weight[index]


def relu(input: Any) -> Any:
    """Apply max(x, 0), with derivative 0 at 0 as in PyTorch.

    Parameters
    ----------
    input : array

    Returns
    -------
    array, of the shape of `input`

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return _relu(input)


@primitive
def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


defvjp(_relu, lambda ans, x: lambda g: g * (x > 0))
defjvp(_relu, lambda g, ans, x: g * (x > 0))


def tanh(input: Any) -> Any:
    """Apply the hyperbolic tangent.

    Parameters
    ----------
    input : array

    Returns
    -------
    array, of the shape of `input`

    Examples
    --------
    >>> tanh(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    return np.tanh(input)
