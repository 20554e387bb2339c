"""Inverses of small matrices, and triangular systems.

NumPy and SciPy each bring their own OpenBLAS, with its own threads. Those of one stay busy for a while
after a product, and the other's wait for them. So SciPy's BLAS and LAPACK are called in this package
for pieces only that are too small for threads; for larger ones NumPy's are, even where they do more
operations.
"""
import functools
from typing import Any

import numpy as np
import scipy.linalg

from .matrices import H


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
    """Invert upper triangular matrices of up to 64 columns (LAPACK ``trtri``); see above on threads.

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

    By NumPy's general solver, whose elimination finds U already done: for its threads, not by SciPy's
    ``trtrs``.

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
