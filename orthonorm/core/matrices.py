"""Stacks of matrices: checking them, transposing them, and splitting them as the maps need.

Every function of :mod:`orthonorm.core` takes arrays of shape ``(..., n, k)``: a matrix, or any
number of them stacked along leading (batch) dimensions.
"""
import functools
from typing import Any, Callable

import numpy as np
import scipy.linalg

from .tall_qr import tall_qr

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
    X = np.asarray(X)
    check_dtype(X, name)
    if X.ndim < 2:
        raise ValueError(
            f"{name} must be a matrix or a stack of matrices (..., n, k), got shape {X.shape}"
        )
    return check_finite(X, name)


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


def on_tall(name: str) -> Callable[[Callable], Callable]:
    """Extend a map of tall matrices to wide ones by ``f(X) = f(X^T)^T``, and check its input.

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
        def any_shape(X: Any) -> np.ndarray:
            X = as_matrices(X, name)
            n, k = X.shape[-2:]
            return mT(tall_map(mT(X))) if n < k else tall_map(X)
        return any_shape
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


def skew_blocks(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Split the lower triangle of a tall `X` into the two blocks of a skew-Hermitian matrix.

    With :math:`L = \operatorname{tril}(X)`, :math:`L_1` its top k rows and :math:`L_2` the rest,

    .. math:: \Omega = L_1 - L_1^H, \qquad B = L_2, \qquad
              A = \begin{pmatrix} \Omega & -B^H \\ B & 0 \end{pmatrix}.

    A is what PyTorch exponentiates or Cayley-transforms. It is n x n, but its rank is at most 2k,
    and nothing here builds it unless n is close to k.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Examples
    --------
    >>> Omega, B = skew_blocks(np.array([[1.0, 9.0], [2.0, 3.0], [4.0, 5.0]]))
    >>> Omega
    array([[ 0., -2.],
           [ 2.,  0.]])
    >>> B
    array([[4., 5.]])
    """
    k = X.shape[-1]
    L1 = tril(X[..., :k, :])
    return L1 - H(L1), X[..., k:, :]


def from_skew_blocks(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Return the lower triangular `X` that :func:`skew_blocks` splits into these two blocks.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
        Skew-Hermitian. Only its lower triangle is read, half of its diagonal.
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    ndarray, shape (..., n, k)

    Examples
    --------
    >>> from_skew_blocks(np.array([[0.0, -2.0], [2.0, 0.0]]), np.array([[4.0, 5.0]]))
    array([[0., 0.],
           [2., 0.],
           [4., 5.]])
    """
    L1 = np.tril(Omega)
    i = np.arange(Omega.shape[-1])
    L1[..., i, i] /= 2
    return np.concatenate([L1, B], axis=-2)


def skew_part(M: np.ndarray) -> np.ndarray:
    r"""Return :math:`(M - M^H) / 2` of each matrix of a stack.

    Parameters
    ----------
    M : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    return M / 2 - H(M) / 2


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


def add_to_diagonal(A: np.ndarray, x: float) -> None:
    """Add a number to the diagonal of each matrix of a stack, in place.

    Parameters
    ----------
    A : ndarray, shape (..., k, k)
    x : float
    """
    np.einsum("...ii->...i", A)[...] += x


def skew_matrix(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Assemble the n x n matrix :math:`A = [[\Omega, -B^H], [B, 0]]`.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    ndarray, shape (..., n, n)
    """
    if not B.shape[-2]:
        return Omega
    n, k = B.shape[-2] + B.shape[-1], B.shape[-1]
    A = np.zeros((*B.shape[:-2], n, n), B.dtype)
    A[..., :k, :k], A[..., :k, k:], A[..., k:, :k] = Omega, -H(B), B
    return A


def compressed(Omega: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Bring A to at most 2k rows by an orthonormal change of the last n - k coordinates.

    With :math:`B = P R`, P orthonormal,

    .. math:: A = \begin{pmatrix} I & \\ & P \end{pmatrix}
                  \begin{pmatrix} \Omega & -R^H \\ R & 0 \end{pmatrix}
                  \begin{pmatrix} I & \\ & P^H \end{pmatrix}.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    A : ndarray, shape (..., k + m, k + m), m = min(k, n - k)
        The matrix in the middle.
    P : ndarray, shape (..., n - k, m)
    """
    rest, k = B.shape[-2:]
    if rest <= k:
        return skew_matrix(Omega, B), np.eye(rest, dtype=B.dtype)
    P, R = tall_qr(B)
    return skew_matrix(Omega, R), P


def inverse(S: np.ndarray) -> np.ndarray:
    """Invert each matrix of a stack by LU factorisation (LAPACK ``getrf`` and ``getri``).

    Parameters
    ----------
    S : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., k, k)

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is singular.
    """
    if S.ndim > 2 or not S.size:
        return np.linalg.inv(S)
    # 2-4 times faster than NumPy's
    LU, pivots, singular = lapack("getrf", S.dtype)(S)
    if singular:
        raise np.linalg.LinAlgError("Singular matrix")
    return lapack("getri", S.dtype)(LU, pivots, lwork=64 * len(S), overwrite_lu=True)[0]


@functools.cache
def lapack(name: str, dtype: np.dtype) -> Any:
    """Return a function of LAPACK for a dtype: SciPy's search takes longer than a small matrix."""
    return scipy.linalg.get_lapack_funcs(name, dtype=dtype)


def inverse_accretive(S: np.ndarray) -> np.ndarray:
    r"""Invert matrices whose Hermitian part is at least the identity, by block elimination.

    Parameters
    ----------
    S : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., k, k)

    Notes
    -----
    With S = [[A, B], [C, D]] and the Schur complement :math:`Z = D - C A^{-1} B`,

    .. math:: S^{-1} = \begin{pmatrix} A^{-1} + A^{-1} B Z^{-1} C A^{-1} & -A^{-1} B Z^{-1} \\
                                       -Z^{-1} C A^{-1} & Z^{-1} \end{pmatrix},

    and A and Z are of the same kind as S, so that no pivoting is needed: the entries of Z are at most
    :math:`\|S\| + \|S\|^2` [1]_. For a moderate norm of S this loses nothing against LAPACK, and is
    twice as fast, for it consists of matrix products.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Unsymmetric positive definite linear systems", Linear Algebra
       Appl. 28 (1979).
    """
    k = S.shape[-1]
    if k <= (64 if S.ndim == 2 else 8):
        return inverse(S)
    h = k // 2
    A, B, C, D = S[..., :h, :h], S[..., :h, h:], S[..., h:, :h], S[..., h:, h:]
    A_inverse = inverse_accretive(A)
    C_A, A_B = C @ A_inverse, A_inverse @ B
    Z_inverse = inverse_accretive(D - C @ A_B)
    Y = np.empty_like(S)
    Y[..., h:, h:] = Z_inverse
    Y[..., h:, :h] = -(Z_inverse @ C_A)
    Y[..., :h, h:] = -(A_B @ Z_inverse)
    Y[..., :h, :h] = A_inverse - A_B @ Y[..., h:, :h]
    return Y


def inverse_upper(U: np.ndarray) -> np.ndarray:
    """Invert upper triangular matrices of up to 64 columns (LAPACK ``trtri``).

    For more SciPy's OpenBLAS would use threads, which would wait for those of NumPy's: they stay busy
    for a while after a product.

    Parameters
    ----------
    U : ndarray, shape (..., k, k)
        Zero below the diagonal, and not on it.

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    return lapack("trtri", U.dtype)(U)[0] if U.ndim == 2 and U.size else np.linalg.inv(U)


def solve_upper(U: np.ndarray, B: np.ndarray, adjoint: bool = False) -> np.ndarray:
    r"""Solve :math:`U X = B`, or :math:`U^H X = B`, for upper triangular `U`.

    By NumPy's general solver, whose elimination finds U already done. LAPACK's ``trtrs`` would take
    fewer operations, in SciPy's OpenBLAS, whose threads would wait for those of NumPy's.

    Parameters
    ----------
    U : ndarray, shape (..., k, k)
        Only its upper triangle is read.
    B : ndarray, shape (..., k, m)
    adjoint : bool
        Solve with the conjugate transpose of `U` instead.

    Returns
    -------
    ndarray, shape (..., k, m)

    Raises
    ------
    numpy.linalg.LinAlgError
        If `U` has a zero on its diagonal.
    """
    U = np.triu(U)
    if adjoint:  # upper triangular where all is read backwards
        return np.linalg.solve(H(U)[..., ::-1, ::-1], B[..., ::-1, :])[..., ::-1, :]
    return np.linalg.solve(U, B)
