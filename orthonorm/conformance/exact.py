"""The maps in 60 decimal digits, by their definitions, to judge an inverse by the map of its answer.

An answer of :func:`orthonorm.core.cayley_inverse` and its kin is one of many that are right, so it is
not compared with another: its exact frame is compared with the frame that was asked for.

The arithmetic is Python's :mod:`decimal`, in NumPy arrays of objects. A complex matrix A + iB is
calculated with as the real one [[A, -B], [B, A]]: sums, products and inverses of these are those of the
complex matrices, and the transpose is the conjugate transpose.
"""
import decimal
import math
from decimal import Decimal

import numpy as np

DIGITS = 60
Parts = tuple[np.ndarray, np.ndarray]  # the real and the imaginary part, arrays of Decimal


def distance_of_map(map_name: str, X: np.ndarray, Q: np.ndarray) -> float:
    """Return the Frobenius norm of map(X) - Q.

    Parameters
    ----------
    map_name : str
        "matrix_exp", "cayley", "householder" or "unitary_householder".
    X : ndarray (..., n, k)
        All entries finite.
    Q : ndarray (..., n, k)

    Returns
    -------
    float
        Exact but for its own rounding; infinity where X has no frame, or is so large that its own
        rounding makes its exponential arbitrary.

    Notes
    -----
    What is lost of the 60 digits are those of the condition number of I - A/2: 32, for ||A|| = 1e16.
    """
    total = 0.0
    with decimal.localcontext(prec=DIGITS):
        for index in np.ndindex(X.shape[:-2]):
            try:
                re, im = frame(map_name, X[index])
            except (decimal.DecimalException, OverflowError):
                return math.inf
            total = math.hypot(total, norm(re - exactly(Q[index].real), im - exactly(Q[index].imag)))
    return total


def distance_from_orthonormal(Q: np.ndarray) -> float:
    """Return the Frobenius norm of Q^H Q - I, of Q Q^H - I where Q is wide, of a whole stack.

    Parameters
    ----------
    Q : ndarray (..., n, k)
        All entries finite.

    Returns
    -------
    float
        Exact but for its own rounding.
    """
    total = 0.0
    with decimal.localcontext(prec=DIGITS):
        for index in np.ndindex(Q.shape[:-2]):
            A = Q[index].T if Q.shape[-2] < Q.shape[-1] else Q[index]  # the plain transpose: as good
            k = A.shape[1]
            A = embedded(A, np.isrealobj(A))
            gram = A.T @ A - identity(A.shape[1])
            total = math.hypot(total, norm(gram[:k]))
    return total


def norm(*parts: np.ndarray) -> float:
    """Return the Frobenius norm of a matrix in parts."""
    return float(sum((np.sum(x * x) for x in parts if x.size), Decimal(0)).sqrt())


def frame(map_name: str, X: np.ndarray) -> Parts:
    """Return the frame (n, k) of one matrix X, real and imaginary part."""
    if X.shape[0] < X.shape[1]:
        re, im = frame(map_name, X.T)
        return re.T, im.T
    return {"matrix_exp": matrix_exp, "cayley": cayley, "householder": householder,
            "unitary_householder": householder}[map_name](X)


def matrix_exp(X: np.ndarray) -> Parts:
    """Return exp(A) E by the Taylor series of exp(A / 2^s), squared s times."""
    A = skew(X)
    norm = float(max(abs(A).sum(axis=0), default=0))
    if norm * np.finfo(X.dtype).eps > 1:
        raise OverflowError
    squarings = max(0, math.frexp(norm)[1] + 6)
    A = A / 2**squarings
    F = term = identity(len(A))
    for i in range(1, 22):  # (2^-6)^22 / 22! = 2e-61
        term = term @ A / i
        F = F + term
    for _ in range(squarings):
        F = F @ F
    return first_columns(F, X)


def cayley(X: np.ndarray) -> Parts:
    """Return (I - A/2)^-1 (I + A/2) E by elimination.

    No pivots are sought: the Hermitian part of I - A/2 is I, so no pivot is small.
    """
    A = skew(X)
    n, half = len(A), A / 2
    M = np.concatenate([identity(n) - half, identity(n) + half], axis=1)
    for i in range(n):
        M[i] = M[i] / M[i, i]
        others = M[:, i:i + 1].copy()
        others[i] = Decimal(0)
        M = M - others * M[i]
    return first_columns(M[:, n:], X)


def householder(X: np.ndarray) -> Parts:
    """Return H_1 ... H_k E diag(d), d the signs or phases of the diagonal; the last H comes first."""
    n, k = X.shape
    real = np.isrealobj(X)
    E = np.eye(n, k)
    L = np.tril(X, -1) + E
    d = np.diagonal(X)
    Q = embedded(E, real)
    for j in reversed(range(k)):
        v = embedded(L[:, j:j + 1], real)
        Q = Q - v @ (v.T @ Q) * (2 / (v.T @ v)[0, 0])
    phases = embedded(np.diag(np.copysign(1, d) if real else d), real)
    length = np.sum(phases * phases, axis=0)
    return first_columns(Q @ phases / np.array([x.sqrt() for x in length], dtype=object), X)


def skew(X: np.ndarray) -> np.ndarray:
    """Return A = L - L^H, L the lower triangle of X in the first columns of an n x n zero matrix."""
    n, k = X.shape
    L = np.zeros((n, n), X.dtype)
    L[:, :k] = np.tril(X)
    A = embedded(L, np.isrealobj(X))
    return A - A.T


def embedded(A: np.ndarray, real: bool) -> np.ndarray:
    """Return A itself if it is meant to be real, else [[Re A, -Im A], [Im A, Re A]]."""
    if real:
        return exactly(A)
    re, im = exactly(np.real(A)), exactly(np.imag(A))
    return np.concatenate([np.concatenate([re, -im], axis=1), np.concatenate([im, re], axis=1)])


def first_columns(F: np.ndarray, X: np.ndarray) -> Parts:
    """Take from a real or embedded matrix the first columns, as many as X has."""
    n, k = X.shape
    return F[:n, :k], exactly(np.zeros((n, k))) if np.isrealobj(X) else F[n:, :k]


def identity(n: int) -> np.ndarray:
    """Return the n x n identity."""
    return exactly(np.eye(n))


def exactly(A: np.ndarray) -> np.ndarray:
    """Return the floating-point numbers of A as Decimals, without rounding."""
    return np.array([Decimal(float(x)) for x in A.ravel()], dtype=object).reshape(A.shape)
