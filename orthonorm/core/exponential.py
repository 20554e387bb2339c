r"""The exponential of a general square matrix, and its Frechet derivative.

Scaling and squaring, :math:`e^A = (e^{A / 2^s})^{2^s}`, with the Taylor polynomial of degree 16 for
the inner exponential, evaluated in six matrix products by the scheme of Paterson and Stockmeyer
(1973). The derivative is the same program run on *dual matrices*: pairs (value, tangent) whose
product obeys the product rule.

References
----------
.. [1] M. S. Paterson, L. J. Stockmeyer, "On the number of nonscalar multiplications necessary to
   evaluate polynomials", SIAM J. Comput. 2 (1973).
.. [2] A. H. Al-Mohy, N. J. Higham, "A new scaling and squaring algorithm for the matrix
   exponential", SIAM J. Matrix Anal. Appl. 31 (2009).
.. [3] A. H. Al-Mohy, N. J. Higham, "Computing the Frechet derivative of the matrix exponential, with
   an application to condition number estimation", SIAM J. Matrix Anal. Appl. 30 (2009).
"""
import math
from typing import Any

import numpy as np

from .matrices import as_matrices

DEGREE = 16


class Dual:
    """A stack of matrices with a tangent: what forward-mode differentiation computes with.

    Parameters
    ----------
    value, tangent : ndarray, shape (N, n, n)
    """

    def __init__(self, value: np.ndarray, tangent: np.ndarray):
        self.value, self.tangent = value, tangent

    def __matmul__(self, other: "Dual") -> "Dual":
        return Dual(self.value @ other.value,
                    self.value @ other.tangent + self.tangent @ other.value)

    def __add__(self, other: "Dual") -> "Dual":
        return Dual(self.value + other.value, self.tangent + other.tangent)

    def __mul__(self, scale: Any) -> "Dual":
        return Dual(self.value * scale, self.tangent * scale)

    def __getitem__(self, index: Any) -> "Dual":
        return Dual(self.value[index], self.tangent[index])

    def __setitem__(self, index: Any, new: "Dual") -> None:
        self.value[index], self.tangent[index] = new.value, new.tangent


def expm(A: Any) -> np.ndarray:
    r"""Compute the matrix exponential :math:`e^A = \sum_j A^j / j!`.

    Parameters
    ----------
    A : array_like, shape (..., n, n)
        float32, float64, complex64 or complex128.

    Returns
    -------
    ndarray, shape (..., n, n)
        Of the dtype of `A`.

    Raises
    ------
    TypeError, ValueError
        If `A` is not a finite square matrix, or stack of them, of a supported dtype.

    Notes
    -----
    Scaling and squaring with a Taylor polynomial [1]_; the number of squarings comes from the norms
    of :math:`A^3` and :math:`A^4` [2]_.

    References
    ----------
    .. [1] M. S. Paterson, L. J. Stockmeyer, SIAM J. Comput. 2 (1973).
    .. [2] A. H. Al-Mohy, N. J. Higham, SIAM J. Matrix Anal. Appl. 31 (2009).

    Examples
    --------
    >>> expm(np.array([[0.0, -np.pi / 2], [np.pi / 2, 0.0]])).round(12) + 0.0
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    A = _as_square(A, "A")
    return _scale_and_square(_as_one_stack(A)).reshape(A.shape)


def expm_frechet(A: Any, E: Any) -> np.ndarray:
    r"""Compute the Frechet derivative of the matrix exponential at `A` in the direction `E`.

    .. math:: L(A, E) = \lim_{h \to 0} \frac{e^{A + hE} - e^A}{h}
                      = \int_0^1 e^{(1-t)A} E e^{tA} \, dt

    Its adjoint with respect to the inner product :math:`\operatorname{Re tr}(X^H Y)` is the
    derivative at the conjugate transpose: :math:`L(A, \cdot)^* = L(A^H, \cdot)`.

    Parameters
    ----------
    A, E : array_like, shape (..., n, n)
        float32, float64, complex64 or complex128; the same shape. E is converted to the dtype of A.

    Returns
    -------
    ndarray, shape (..., n, n)
        Of the dtype of `A`.

    Raises
    ------
    TypeError, ValueError
        If either is not a finite square matrix, or stack of them, of a supported dtype; if their
        shapes differ; if A is real and E complex.

    References
    ----------
    .. [1] A. H. Al-Mohy, N. J. Higham, SIAM J. Matrix Anal. Appl. 30 (2009).

    Examples
    --------
    >>> expm_frechet(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    A, E = _as_square(A, "A"), _as_square(E, "E")
    if A.shape != E.shape:
        raise ValueError(f"E must have the shape of A, {A.shape}, got {E.shape}")
    dual = Dual(_as_one_stack(A), _as_one_stack(E.astype(A.dtype, casting="same_kind", copy=False)))
    return _scale_and_square(dual).tangent.reshape(A.shape)


def _as_square(A: Any, name: str) -> np.ndarray:
    A = as_matrices(A, name)
    if A.shape[-1] != A.shape[-2]:
        raise ValueError(f"{name} must be square, got shape {A.shape}")
    return A


def _as_one_stack(A: np.ndarray) -> np.ndarray:
    return A.reshape(math.prod(A.shape[:-2]), *A.shape[-2:])


def _scale_and_square(A: Any) -> Any:
    """Exponentiate a stack (N, n, n) of matrices, or a Dual of such stacks."""
    values = A.value if isinstance(A, Dual) else A
    if values.size == 0:
        return A
    # First to 1-norm below 1, so that no power over- or underflows.
    unit = np.maximum(np.frexp(_norm1(values))[1], 0)
    A = A * _power_of_two(-unit, values.dtype)
    A2 = A @ A
    A3 = A2 @ A
    A4 = A2 @ A2
    v3, v4 = (A3.value, A4.value) if isinstance(A, Dual) else (A3, A4)
    # ||A^j|| <= alpha^j for every j >= 6, and alpha is much smaller than ||A|| for skew matrices.
    alpha = np.maximum(_norm1(v3) ** (1 / 3), _norm1(v4) ** (1 / 4)) / _theta(values.dtype)
    squarings = np.maximum(np.maximum(np.frexp(alpha)[1], -8) + unit, 0)
    scale = _power_of_two(unit - squarings, values.dtype)
    F = _taylor(A * scale, A2 * scale**2, A3 * scale**3, A4 * scale**4)
    for done in range(squarings.max()):
        active = squarings > done
        if active.all():
            F = F @ F
        else:
            F[active] = F[active] @ F[active]
    return F


def _taylor(A: Any, A2: Any, A3: Any, A4: Any) -> Any:
    """Evaluate sum_j A^j / j! for j = 0..16: Horner's rule in A4 over cubic polynomials in A."""
    c = [1 / math.factorial(j) for j in range(DEGREE + 1)]
    P = A4 * c[16]
    for j in (12, 8, 4, 0):
        P = P + A * c[j + 1] + A2 * c[j + 2] + A3 * c[j + 3]
        diagonal = np.einsum("...ii->...i", P.value if isinstance(P, Dual) else P)
        diagonal += c[j]
        if j:
            P = P @ A4
    return P


def _theta(dtype: np.dtype) -> float:
    """Return the norm up to which the truncated Taylor series is exact to rounding.

    The first term left out, theta^17 / 17!, is half an ulp of theta.
    """
    unit_roundoff = float(np.finfo(dtype).eps) / 2
    return (unit_roundoff * math.factorial(DEGREE + 1)) ** (1 / DEGREE)


def _norm1(A: np.ndarray) -> np.ndarray:
    return np.abs(A).sum(axis=-2).max(axis=-1)


def _power_of_two(exponent: np.ndarray, dtype: np.dtype) -> np.ndarray:
    real = np.finfo(dtype).dtype
    return np.ldexp(np.ones((), real), exponent)[:, None, None]
