r"""The exponential of a general square matrix, and its Frechet derivative.

:class:`Exponential` is scaling and squaring, :math:`e^A = (e^{A / 2^s})^{2^s}`, with the Taylor
polynomial of degree 16 for the inner exponential, evaluated in six matrix products by the scheme of
Paterson and Stockmeyer (1973). The derivative is the derivative of that program, by the product rule,
product by product.

================================================  ========================
what is wanted                                    what runs
================================================  ========================
:func:`expm` of one small matrix (its Notes)      :func:`scipy.linalg.expm`
:func:`expm` of any other, and of stacks          :class:`Exponential`
:func:`expm_frechet`, the rules in ``gradients``  :class:`Exponential`
================================================  ========================

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
import scipy.linalg

from .matrices import H, as_matrices

DEGREE = 16
# Row j holds the coefficients of A^(4 j), ..., A^(4 j + 3): those of a cubic polynomial times A^(4 j).
CUBICS = np.array([1 / math.factorial(j) for j in range(DEGREE)]).reshape(4, 4)
INTEGRAL_CUBICS = np.array([1 / math.factorial(j + 1) for j in range(DEGREE)]).reshape(4, 4)


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
    Definition: ``scipy.linalg.expm(A)`` (:func:`.definitions.expm`). It is called where it is faster
    and exact to rounding: for one matrix in double precision with at most 32 rows and a 1-norm of at
    most 2. Above that norm SciPy takes a Pade approximant of degree 13, which loses up to three digits
    on small matrices (SciPy 1.17). Other matrices, and stacks, take scaling and squaring with a Taylor
    polynomial [1]_; the number of squarings comes from the norms of :math:`A^3` and :math:`A^4` [2]_.

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
    A = as_square(A, "A")
    if A.ndim == 2 and 0 < len(A) <= 32 and A.dtype in (np.float64, np.complex128) and _norm1(A) <= 2:
        return scipy.linalg.expm(A)
    return Exponential(A).value


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

    Notes
    -----
    Definition: the upper right block of ``expm([[A, E], [0, A]])`` (:func:`.definitions.expm_frechet`),
    a matrix of twice the size. Here :class:`Exponential` is differentiated step by step instead.

    References
    ----------
    .. [1] A. H. Al-Mohy, N. J. Higham, SIAM J. Matrix Anal. Appl. 30 (2009).

    Examples
    --------
    >>> expm_frechet(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    A, E = as_square(A, "A"), as_square(E, "E")
    if A.shape != E.shape:
        raise ValueError(f"E must have the shape of A, {A.shape}, got {E.shape}")
    return Exponential(A).derivative(E.astype(A.dtype, casting="same_kind", copy=False))


def as_square(A: Any, name: str) -> np.ndarray:
    """Check as :func:`.as_matrices` does, and raise ValueError if the matrices are not square."""
    A = as_matrices(A, name)
    if A.shape[-1] != A.shape[-2]:
        raise ValueError(f"{name} must be square, got shape {A.shape}")
    return A


class Exponential:
    r"""The exponential of a matrix, with the intermediate matrices that its derivative takes.

    Parameters
    ----------
    A : ndarray, shape (..., n, n)
        Finite, of a supported dtype.

    Attributes
    ----------
    value : ndarray, shape (..., n, n)
        :math:`e^A`.

    Notes
    -----
    With A scaled to norm 1 at most, and :math:`\theta` the scale that is left to do, the program is

    .. math:: P_3 &= C_3 + A^4 \theta^4 / 16!, \qquad P_{j-1} = P_j A^4 \theta^4 + C_{j-1}, \qquad
              C_j = \sum_{i=0}^3 \frac{(A \theta)^i}{(4 j + i)!}, \\
              F_0 &= P_0, \qquad F_{i+1} = F_i^2.
    """

    def __init__(self, A: np.ndarray):
        self.shape = A.shape
        A = A.reshape(math.prod(A.shape[:-2]), *A.shape[-2:])
        # First to 1-norm below 1, so that no power over- or underflows.
        unit = np.maximum(np.frexp(_norm1(A))[1], 0)
        self.unit = _power_of_two(-unit, A.dtype)
        self.powers = powers = np.empty((len(A), 3, *A.shape[1:]), A.dtype)  # A, A^2, A^3
        np.multiply(A, self.unit, out=powers[:, 0])
        np.matmul(powers[:, 0], powers[:, 0], out=powers[:, 1])
        np.matmul(powers[:, 1], powers[:, 0], out=powers[:, 2])
        A4 = powers[:, 1] @ powers[:, 1]
        # ||A^j|| <= alpha^j for every j >= 6, and alpha is much smaller than ||A|| for skew matrices.
        alpha = np.maximum(_norm1(powers[:, 2]) ** (1 / 3), _norm1(A4) ** (1 / 4)) / _theta(A.dtype)
        squarings = np.maximum(np.maximum(np.frexp(alpha)[1], -8) + unit, 0)
        self.scale = _power_of_two(unit - squarings, A.dtype)
        self.A4 = A4 * self.scale**4
        C = self._cubics(powers, CUBICS)
        np.einsum("...ii->...i", C)[...] += CUBICS[:, :1]
        P = self.A4 * A.dtype.type(1 / math.factorial(DEGREE))
        P += C[:, 3]
        self.P = []
        for j in (2, 1, 0):
            self.P.append(P)
            P = P @ self.A4
            P += C[:, j]
        self.squared = []  # F_i, and which matrices of the stack are to be squared then
        for done in range(squarings.max(initial=0)):
            active = squarings > done if squarings.min() <= done else slice(None)
            self.squared.append((active, P[active]))
            P = _replaced(P, active, P[active] @ P[active])
        self.value = P.reshape(self.shape)

    def derivative(self, E: np.ndarray, adjoint: bool = False) -> np.ndarray:
        """Return L(A, E), of the shape of `E`; or L(A^H, E), which is its adjoint."""
        value = H if adjoint else (lambda M: M)
        A, A2 = value(self.powers[:, 0]), value(self.powers[:, 1])
        A4 = value(self.A4)
        powers = np.empty_like(self.powers)  # the derivatives of A, A^2, A^3
        dA, dA2, dA3 = (powers[:, i] for i in range(3))
        np.multiply(E.reshape(dA.shape), self.unit, out=dA)
        dA2[...] = A @ dA + dA @ A
        dA3[...] = A2 @ dA + dA2 @ A
        dA4 = A2 @ dA2 + dA2 @ A2
        dA4 *= self.scale**4
        dC = self._cubics(powers, CUBICS)
        dP = dA4 * E.dtype.type(1 / math.factorial(DEGREE))
        dP += dC[:, 3]
        for j, P in zip((2, 1, 0), self.P):
            dP = dP @ A4
            dP += value(P) @ dA4
            dP += dC[:, j]
        for active, F in self.squared:
            F, dF = value(F), dP[active]
            dP = _replaced(dP, active, F @ dF + dF @ F)
        return dP.reshape(self.shape)

    def integral(self, k: int) -> np.ndarray:
        r"""Return the first k columns of :math:`\int_0^1 e^{tA} dt = \sum_j A^j / (j + 1)!`.

        From those of A, :math:`\varphi(A)`, follow :math:`\varphi(2A) = (e^A + I) \varphi(A) / 2`.
        """
        C = self._cubics(self.powers, INTEGRAL_CUBICS)
        np.einsum("...ii->...i", C)[...] += INTEGRAL_CUBICS[:, :1]
        C = C[..., :k]
        phi = self.A4[..., :k] * self.A4.dtype.type(1 / math.factorial(DEGREE + 1)) + C[:, 3]
        for j in (2, 1, 0):
            phi = self.A4 @ phi + C[:, j]
        for active, F in self.squared:
            phi = _replaced(phi, active, (phi[active] + F @ phi[active]) / 2)
        return phi.reshape(*self.shape[:-1], k)

    def _cubics(self, powers: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Combine a stack (N, 3, n, n) to the N times 4 cubic polynomials, without their constants."""
        N, _, n, _ = powers.shape
        scaled = (coefficients[:, 1:] * self.scale**np.arange(1, 4)).astype(powers.dtype)
        return (scaled @ powers.reshape(N, 3, n * n)).reshape(N, 4, n, n)


def _replaced(stack: np.ndarray, active: Any, new: np.ndarray) -> np.ndarray:
    if isinstance(active, slice):
        return new
    stack = stack.copy()
    stack[active] = new
    return stack


def _theta(dtype: np.dtype) -> float:
    """Return the norm up to which the truncated Taylor series is exact to rounding.

    The first term left out, theta^17 / 17!, is half an ulp of theta.
    """
    unit_roundoff = float(np.finfo(dtype).eps) / 2
    return (unit_roundoff * math.factorial(DEGREE + 1)) ** (1 / DEGREE)


def _norm1(A: np.ndarray) -> np.ndarray:
    return np.abs(A).sum(axis=-2).max(axis=-1, initial=0)


def _power_of_two(exponent: np.ndarray, dtype: np.dtype) -> np.ndarray:
    real = np.finfo(dtype).dtype
    return np.ldexp(np.ones((), real), exponent)[:, None, None]
