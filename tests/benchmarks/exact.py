r"""The maps and their gradients to 50 digits, or in double precision for larger matrices.

Nothing here knows the formulas of the package. The exponential and the Cayley map are functions of
an n x n skew-symmetric matrix A, whose eigenvalues are imaginary: with :math:`A = U \Lambda U^H`,

.. math:: f(A) = U f(\Lambda) U^H, \qquad
          \operatorname{D} f(A)^*[G] = U \left( \overline{f[\lambda_i, \lambda_j]} \circ
          (U^H G U) \right) U^H,

where :math:`f[\lambda, \mu]` is the divided difference (Daleckii and Krein, 1965). The Householder
product is taken, and differentiated, one reflector at a time. tests/test_accuracy.py holds all of it
against the definitions in tests/truth.py and their numerical derivatives.
"""
from typing import Any, Callable

import mpmath
import numpy as np

DIGITS = 50

Truth = tuple[np.ndarray, np.ndarray]


class Double:
    """Double precision: what float32 answers are judged by where 50 digits take too long."""

    @staticmethod
    def array(A: np.ndarray) -> np.ndarray:
        return A.astype(np.float64)

    @staticmethod
    def eigh(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.linalg.eigh(A)

    @staticmethod
    def exp(z: np.ndarray) -> np.ndarray:
        return np.exp(z)

    @staticmethod
    def sinc(x: np.ndarray) -> np.ndarray:
        return np.sinc(x / np.pi)

    @staticmethod
    def real(A: np.ndarray) -> np.ndarray:
        return A.real


class Digits50:
    """Arrays of mpmath numbers; the caller sets the precision."""

    @staticmethod
    def array(A: np.ndarray) -> np.ndarray:
        return np.vectorize(mpmath.mpf, otypes=[object])(A.astype(float))

    @staticmethod
    def eigh(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = mpmath.eighe(mpmath.matrix(A.tolist()))
        return np.array(list(values)), np.array(vectors.tolist())

    exp = staticmethod(np.vectorize(mpmath.exp, otypes=[object]))
    sinc = staticmethod(np.vectorize(mpmath.sinc, otypes=[object]))
    real = staticmethod(np.vectorize(mpmath.re, otypes=[object]))


def exact(name: str, X: np.ndarray, C: np.ndarray, precise: bool = True) -> Truth:
    r"""Compute a map and the gradient of :math:`\langle C, Q \rangle` with respect to X.

    Parameters
    ----------
    name : {"matrix_exp", "cayley", "householder"}
    X, C : ndarray, shape (n, k), n >= k
        Real.
    precise : bool
        50 digits; otherwise double precision.

    Returns
    -------
    Q, gradient : ndarray, shape (n, k)
        Of mpmath numbers where `precise`.
    """
    arithmetic: Any = Digits50 if precise else Double
    with mpmath.workdps(DIGITS):
        X, C = arithmetic.array(X), arithmetic.array(C)
        if name == "householder":
            return _householder(X, C)
        functions = {"matrix_exp": (_exp, _exp_difference), "cayley": (_cayley, _cayley_difference)}
        return _of_skew_matrix(X, C, *functions[name], arithmetic)


def _of_skew_matrix(X: np.ndarray, C: np.ndarray, f: Callable, difference: Callable,
                    arithmetic: Any) -> Truth:
    n, k = X.shape
    A, G = np.zeros((n, n), X.dtype), np.zeros((n, n), X.dtype)
    A[:, :k] = np.tril(X, -1)
    A = A - A.T
    G[:, :k] = C
    imaginary, U = arithmetic.eigh(A * -1j)
    UH = U.conj().T
    Q = arithmetic.real((U * f(imaginary, arithmetic)) @ UH)
    differences = difference(imaginary[:, None], imaginary[None, :], arithmetic)
    Abar = arithmetic.real(U @ (differences.conj() * (UH @ G @ U)) @ UH)
    return Q[:, :k], np.tril((Abar - Abar.T)[:, :k], -1)


def _exp(a: np.ndarray, arithmetic: Any) -> np.ndarray:
    return arithmetic.exp(1j * a)


def _exp_difference(a: np.ndarray, b: np.ndarray, arithmetic: Any) -> np.ndarray:
    """Divide e^{ia} - e^{ib} by ia - ib, without cancellation."""
    return arithmetic.exp(0.5j * (a + b)) * arithmetic.sinc((a - b) / 2)


def _cayley(a: np.ndarray, arithmetic: Any) -> np.ndarray:
    return (1 + 0.5j * a) / (1 - 0.5j * a)


def _cayley_difference(a: np.ndarray, b: np.ndarray, arithmetic: Any) -> np.ndarray:
    return 1 / ((1 - 0.5j * a) * (1 - 0.5j * b))


def _householder(X: np.ndarray, C: np.ndarray) -> Truth:
    n, k = X.shape
    E = np.eye(n, k).astype(X.dtype)
    signs = np.copysign(1, np.diagonal(X).astype(float))
    V = np.tril(X, -1) + E
    squares = (V * V).sum(axis=0)

    def reflect(j: int, Z: np.ndarray) -> np.ndarray:
        return Z - 2 / squares[j] * np.outer(V[:, j], V[:, j] @ Z)

    # right = H_j+1 ... H_k E and left = H_j-1 ... H_1 C diag(signs) on both sides of each reflector
    right = [E]
    for j in reversed(range(k)):
        right.append(reflect(j, right[-1]))
    Q = right.pop() * signs
    left, gradient = C * signs, np.zeros_like(X)
    for j in range(k):
        v, tau, Z = V[:, j], 2 / squares[j], right.pop()
        vl, vz = v @ left, v @ Z
        gradient[:, j] = -tau * (left @ vz + Z @ vl) + tau**2 * (vl @ vz) * v
        left = reflect(j, left)
    return Q, np.tril(gradient, -1)


def relative_error(actual: np.ndarray, truth: np.ndarray) -> float:
    """Return the Frobenius norm of the difference, relative to that of the truth."""
    with mpmath.workdps(DIGITS):
        difference = (Digits50.array(actual) if truth.dtype == object else actual) - truth
        squares = (difference**2).sum() / ((truth**2).sum() or 1)
        return float(squares) ** 0.5
