r"""Rules of the exponential map."""
import autograd.numpy as np
from autograd.extend import primitive

from .. import core
from ..core.matrix_exp import balance
from .exponential import expm, expm_frechet
from .rules import (
    H, block2, define, on_tall, rows, skew_blocks, skew_blocks_adjoint, stop_gradient,
)


_matrix_exp = primitive(core.matrix_exp)


def matrix_exp(X):
    r"""Differentiable :func:`orthonorm.core.matrix_exp`.

    Parameters
    ----------
    X : array or autograd tracer, shape (..., n, k)

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.matrix_exp`.

    Notes
    -----
    Square: :math:`Q = e^\Omega`, so :math:`\bar\Omega = L(\Omega^H, \bar Q)`.

    Tall, with :math:`F = e^M`, :math:`M = [[\Omega, -S/s], [s I, 0]]`, :math:`S = B^H B` and
    :math:`Q = [F_{11}; B F_{21} / s]`:

    .. math:: \bar F = \begin{pmatrix} \bar Q_1 & 0 \\ B^H \bar Q_2 / s & 0 \end{pmatrix}, \quad
              \bar M = L(M^H, \bar F), \quad \bar\Omega = \bar M_{11}, \quad
              \bar S = -\bar M_{12} / s, \quad
              \bar B = \bar Q_2 F_{21}^H / s + B (\bar S + \bar S^H).

    Nothing divides by a norm or a singular value of B, so the gradient is exact at B = 0 too. The
    result does not depend on s, which is a constant to the derivative.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(matrix_exp)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    return on_tall(_matrix_exp, X)


def matrix_exp_adjoint(Q, X, Qbar):
    n, k = X.shape[-2:]
    Omega, B = skew_blocks(X)
    if 2 * k >= n:
        Abar = expm_frechet(H(_skew_matrix(Omega, B)), _pad_columns(Qbar, n))
        return skew_blocks_adjoint(Abar[..., :k, :k], Abar[..., k:, :k] - H(Abar[..., :k, k:]))
    M, s = _balanced_matrix(Omega, B)
    F21 = expm(M)[..., k:, :k]
    Q1bar, Q2bar = Qbar[..., :k, :], Qbar[..., k:, :]
    Mbar = expm_frechet(H(M), _pad_columns(rows(Q1bar, H(B) @ Q2bar / s), 2 * k))
    Sbar = -Mbar[..., :k, k:] / s
    Bbar = Q2bar @ H(F21) / s + B @ (Sbar + H(Sbar))
    return skew_blocks_adjoint(Mbar[..., :k, :k], Bbar)


def matrix_exp_tangent(Q, X, dX):
    n, k = X.shape[-2:]
    Omega, B = skew_blocks(X)
    dOmega, dB = skew_blocks(dX)
    if 2 * k >= n:
        return expm_frechet(_skew_matrix(Omega, B), _skew_matrix(dOmega, dB))[..., :k]
    M, s = _balanced_matrix(Omega, B)
    dS = H(dB) @ B + H(B) @ dB
    zero = np.zeros_like(stop_gradient(dS))
    dF = expm_frechet(M, block2(dOmega, -dS / s, zero, zero))
    dQ2 = (dB @ expm(M)[..., k:, :k] + B @ dF[..., k:, :k]) / s
    return rows(dF[..., :k, :k], dQ2)


def _skew_matrix(Omega, B):
    zero = np.zeros(B.shape[:-1] + B.shape[-2:-1], B.dtype)
    return block2(Omega, -H(B), B, zero)


def _balanced_matrix(Omega, B):
    S = H(B) @ B
    s = balance(stop_gradient(S))
    zero = np.zeros_like(stop_gradient(S))
    return block2(Omega, -S / s, s * np.eye(S.shape[-1], dtype=S.dtype) + zero, zero), s


def _pad_columns(A, m):
    zero = np.zeros(A.shape[:-1] + (m - A.shape[-1],), A.dtype)
    return np.concatenate((A, zero), axis=-1)


define(_matrix_exp, adjoint=matrix_exp_adjoint, tangent=matrix_exp_tangent)
