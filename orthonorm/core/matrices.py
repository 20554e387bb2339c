"""Stacks of matrices: checking them, transposing them, and what else NumPy lacks or does slowly.

Every function of :mod:`orthonorm.core` takes arrays of shape ``(..., n, k)``: a matrix, or any
number of them stacked along leading (batch) dimensions.
"""
import functools
from typing import Any, Callable

import numpy as np

DTYPES = tuple(map(np.dtype, (np.float32, np.float64, np.complex64, np.complex128)))


def as_matrices(X: Any, name: str = "X") -> np.ndarray:
    """Check that `X` is a finite matrix, or a stack of them, of a supported dtype.

    Parameters
    ----------
    X : array_like, shape (..., n, k)
        The candidate.
    name : str
        What the error messages call it.

    Returns
    -------
    ndarray, shape (..., n, k)
        `X` itself where it is an array already.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `X` has fewer than two dimensions, or an entry is NaN or infinite.

    Examples
    --------
    >>> as_matrices([[1.0, 2.0]]).shape
    (1, 2)
    >>> as_matrices([[1, 2]], name="W")
    Traceback (most recent call last):
    ...
    TypeError: W must have dtype float32, float64, complex64 or complex128, got int64
    """
    X = as_array(X, name)
    check_dtype(X, name)
    if X.ndim < 2:
        raise ValueError(
            f"{name} must be a matrix or a stack of matrices (..., n, k), got shape {X.shape}"
        )
    return check_finite(X, name)


def as_array(x: Any, name: str) -> np.ndarray:
    """Return `x` as an array, or raise TypeError, which says what to do with a tensor of PyTorch.

    Parameters
    ----------
    x : array_like
    name : str
        What the error message calls it.

    Returns
    -------
    ndarray
        `x` itself where it is an array already.
    """
    try:
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:  # NumPy's, and PyTorch's
        hint = " (of a tensor: x.detach().cpu().numpy(), after .float() if it is bfloat16)"
        raise TypeError(f"{name} cannot be converted to an array: {error}"
                        f"{hint if is_of_torch(x) else ''}") from error


def is_of_torch(x: Any) -> bool:
    """Tell whether something is PyTorch's, without importing PyTorch."""
    return type(x).__module__.partition(".")[0] == "torch"


def check_finite(X: np.ndarray, name: str) -> np.ndarray:
    """Return `X`, or raise ValueError if an entry is NaN or infinite.

    Parameters
    ----------
    X : ndarray
    name : str
        What the error message calls it.

    Returns
    -------
    ndarray
    """
    finite = np.isfinite(X)
    if not finite.all():
        bad = X.size - np.count_nonzero(finite)
        raise ValueError(f"{name} must be finite, got {bad} NaN or infinite of {X.size} entries")
    return X


def check_dtype(X: np.ndarray, name: str) -> None:
    """Raise TypeError unless `X` is of one of the four supported dtypes.

    Parameters
    ----------
    X : ndarray
    name : str
        What the error message calls it.
    """
    if X.dtype not in DTYPES:
        raise TypeError(
            f"{name} must have dtype float32, float64, complex64 or complex128, got {X.dtype}"
        )


def mT(A: np.ndarray) -> np.ndarray:
    """Transpose each matrix of a stack, without conjugation.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)

    Returns
    -------
    ndarray, shape (..., k, n)
        A view of `A`.
    """
    return A.mT


def H(A: np.ndarray) -> np.ndarray:
    """Return the conjugate transpose of each matrix of a stack.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)

    Returns
    -------
    ndarray, shape (..., k, n)
        A view where `A` is real.
    """
    return mT(A.conj() if A.dtype.kind == "c" else A)


def any_shape(name: str) -> Callable[[Callable], Callable]:
    """Check the argument of a function of tall matrices, and extend it to wide ones: f(X) = f(X^T)^T.

    The transpose is the plain one for complex matrices too, as in PyTorch.

    Parameters
    ----------
    name : str
        What error messages call the matrix.

    Returns
    -------
    callable
        A decorator for functions that take and return arrays of shape (..., n, k), n >= k.
    """
    def decorate(tall_map: Callable[[np.ndarray], np.ndarray]) -> Callable[[Any], np.ndarray]:
        @functools.wraps(tall_map)
        def of_any_shape(X: Any) -> np.ndarray:
            X = as_matrices(X, name)
            n, k = X.shape[-2:]
            return mT(tall_map(mT(X))) if n < k else tall_map(X)
        return of_any_shape
    return decorate


def tril(A: np.ndarray, diagonal: int = 0) -> np.ndarray:
    """Return the lower triangle of each matrix of a stack: `numpy.tril` with the mask remembered.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)
    diagonal : int
        The last diagonal to keep, 0 or -1.

    Returns
    -------
    ndarray, shape (..., n, k)
        A copy.
    """
    k = A.shape[-1]
    A = A.copy()
    np.copyto(A[..., :k, :], 0, where=_above(k, diagonal)[:A.shape[-2]])
    return A


@functools.lru_cache(maxsize=8)
def _above(k: int, diagonal: int) -> np.ndarray:
    return ~np.tri(k, k, diagonal, dtype=bool)


def sum_of_squares(A: np.ndarray) -> np.ndarray:
    """Return the squared Frobenius norm of each matrix of a stack, in double precision.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)

    Returns
    -------
    ndarray, shape (...)
        Infinite where it overflows.
    """
    n, k = A.shape[-2:]
    entries = A.reshape(*A.shape[:-2], n * k).astype(np.result_type(A, np.float64), copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.vecdot(entries, entries).real


def add_to_diagonal(A: np.ndarray, x: Any) -> None:
    """Add numbers to the diagonal of each matrix of a stack, in place.

    Parameters
    ----------
    A : ndarray, shape (..., k, k)
    x : float or ndarray, shape (..., k)
    """
    np.einsum("...ii->...i", A)[...] += x
