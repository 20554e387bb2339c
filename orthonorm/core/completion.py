r"""Completing an orthonormal frame to a square orthogonal matrix, without storing the square."""
from typing import Any

import numpy as np

from .matrices import H, as_matrices
from .reflectors import CompactWY, factor, reflectors


def completion(Q: np.ndarray) -> CompactWY:
    r"""Find k reflectors whose product has an orthonormal frame as its first k columns.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k), n >= k
        Orthonormal columns.

    Returns
    -------
    CompactWY

    Notes
    -----
    LAPACK's ``geqrf`` factors :math:`Q = H_1 \cdots H_k R`. R is diagonal for an orthonormal Q, with
    the signs of :class:`.reflectors.CompactWY`.

    Examples
    --------
    >>> Q = np.array([[0.6], [0.0], [0.8]])
    >>> (completion(Q) @ np.array([[1.0], [0.0], [0.0]])).round(12)
    array([[0.6],
           [0. ],
           [0.8]])
    """
    factored, tau = factor(Q)
    R = np.diagonal(factored, axis1=-2, axis2=-1).real
    return CompactWY(reflectors(factored), tau, np.where(R < 0, -1, 1).astype(R.dtype))


def complete(Q: Any) -> np.ndarray:
    r"""Complete an orthonormal frame to a square orthogonal matrix.

    Parameters
    ----------
    Q : array_like, shape (..., n, k), n >= k
        float32, float64, complex64 or complex128, with orthonormal columns.

    Returns
    -------
    ndarray, shape (..., n, n)
        Of the dtype of `Q`. Its first k columns are Q; the others are those of the product of the k
        Householder reflectors that the QR factorisation of Q takes [1]_.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is not finite, not a matrix or stack of them, wide, or its columns are far from
        orthonormal.

    Notes
    -----
    Definition: Q beside ``qr(Q, mode="complete")[0][:, k:]``, which ``tests/core/test_completion.py``
    compares with. Here the reflectors are applied to those columns of the identity only, in blocks.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., 2013, section 5.1.6.

    Examples
    --------
    >>> complete(np.array([[0.6], [0.8]])).round(12)
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    """
    Q = as_matrices(Q, "Q")
    n, k = Q.shape[-2:]
    if n < k or not is_orthonormal(Q, tolerance=1e-3):
        raise ValueError(f"Q must have orthonormal columns, got one without, of shape {Q.shape}")
    others = np.broadcast_to(np.eye(n, dtype=Q.dtype)[:, k:], Q.shape[:-1] + (n - k,))
    return np.concatenate((Q, completion(Q) @ others), axis=-1)


def is_orthonormal(Q: np.ndarray, tolerance: float | None = None) -> bool:
    """Tell whether the columns are orthonormal.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k)
    tolerance : float, optional
        The largest error of an entry of Q^H Q. Default: 10 n eps.

    Returns
    -------
    bool
    """
    n, k = Q.shape[-2:]
    if tolerance is None:
        tolerance = 10 * n * np.finfo(Q.dtype).eps
    error = np.abs(H(Q) @ Q - np.eye(k, dtype=Q.dtype))
    return bool(np.max(error, initial=0) <= tolerance)
