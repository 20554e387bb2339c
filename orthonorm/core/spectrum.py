r"""Functions of :math:`\mathrm{ad}: M \mapsto Z M - M Z` for a skew-Hermitian matrix Z.

With :math:`Z = U \operatorname{diag}(i\theta) U^H`, a function f of ad multiplies the (j, l) entry of
:math:`U^H M U` by :math:`f(i\theta_j - i\theta_l)`.
"""
from typing import NamedTuple

import numpy as np

from .matrices import H
from .skew import skew_part


class Spectrum(NamedTuple):
    r"""A skew-Hermitian matrix Z, diagonalised, whose leading block is k x k.

    Attributes
    ----------
    theta : ndarray, shape (m,)
        Z has the eigenvalues i theta.
    U : ndarray, shape (m, m)
        Its eigenvectors.
    k : int
    real : bool
        Whether Z is real.
    """

    theta: np.ndarray
    U: np.ndarray
    k: int
    real: bool

    @classmethod
    def of(cls, Z: np.ndarray, k: int) -> "Spectrum":
        """Diagonalise Z, of shape (m, m)."""
        return cls(*np.linalg.eigh(-1j * Z), k, not np.iscomplexobj(Z))

    @property
    def differences(self) -> np.ndarray:
        """The eigenvalues of ad / i, m x m."""
        return self.theta[:, None] - self.theta

    def apply(self, values: np.ndarray, M: np.ndarray) -> np.ndarray:
        """Apply the function of ad with these values at its eigenvalues to a skew-Hermitian M."""
        return self._as_real(self.U @ (values * (H(self.U) @ M @ self.U)) @ H(self.U))

    def function_of_Z(self, values: np.ndarray) -> np.ndarray:
        """Return the function of Z with these values at its eigenvalues."""
        return self._as_real((self.U * values) @ H(self.U))

    def _as_real(self, M: np.ndarray) -> np.ndarray:
        return M.real if self.real else M

    def inverse_derivative(self) -> np.ndarray:
        r"""Return the values of :math:`\psi(z) = z / (1 - e^{-z})`.

        :math:`\psi(\mathrm{ad})` is the derivative of :math:`\log(e^Z K)` with respect to K at the
        identity, and :math:`\psi(i\varphi) = \frac\varphi2 \cot\frac\varphi2 + \frac{i\varphi}2`.
        """
        return _half_cotangent(self.differences) + 0.5j * self.differences

    def solve(self, C: np.ndarray, tolerance: float) -> np.ndarray:
        r"""Solve :math:`J(\Gamma) = C` by conjugate gradients.

        J is the lower right block of :math:`\frac{\mathrm{ad}}{2i} \cot \frac{\mathrm{ad}}{2i}` of
        diag(0, Gamma). It is self-adjoint, and at most the identity.

        Parameters
        ----------
        C : ndarray, shape (m - k, m - k)
            Skew-Hermitian.
        tolerance : float
            Of the residual, relative to the norm of C.

        Returns
        -------
        ndarray, shape (m - k, m - k)
            Skew-Hermitian. Where J turns out not to be positive definite, what was found so far plus a
            step of norm 1 along the direction that shows it.
        """
        values, U2 = _half_cotangent(self.differences), self.U[self.k:]
        goal = tolerance * np.linalg.norm(C)
        Gamma, residual, direction = np.zeros_like(C), C, C
        square = _inner(residual, residual)
        for _ in range(2 * C.size):
            if np.sqrt(square) <= goal:
                break
            # Near pairs of eigenvalues -1 the cotangent multiplies the rounding error of what is not
            # skew by a large number.
            J = skew_part(self._as_real(U2 @ (values * (H(U2) @ direction @ U2)) @ H(U2)))
            curvature = _inner(direction, J)
            if curvature <= 0:
                return Gamma + direction / np.linalg.norm(direction)
            step = square / curvature
            Gamma, residual = Gamma + step * direction, residual - step * J
            square, before = _inner(residual, residual), square
            direction = residual + square / before * direction
        return Gamma


def _half_cotangent(phi: np.ndarray) -> np.ndarray:
    r"""Return :math:`\frac\varphi2 \cot\frac\varphi2`, 1 at zero."""
    half = phi / 2
    zero = half == 0
    return np.where(zero, 1.0, half / np.tan(np.where(zero, 1.0, half)))


def _inner(A: np.ndarray, B: np.ndarray) -> float:
    return float(np.vdot(A, B).real)
