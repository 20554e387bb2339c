r"""Rules of the exponential map."""
import numpy as np
from autograd.extend import primitive
from autograd.tracer import isbox

from ..core.matrices import as_matrices
from ..core.matrix_exp import exponential_of, first_columns
from .exponential import expm, frechet, frechet_adjoint
from .rules import (
    H, block2, columns, define, on_tall, plain, rows, skew_blocks, skew_blocks_adjoint,
)


@primitive
def _matrix_exp(X, exponential, s):
    return first_columns(X, exponential, s)


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
    return on_tall(_matrix_exp_of_tall, X)


def _matrix_exp_of_tall(X):
    return _matrix_exp(X, *exponential_of(as_matrices(plain(X), "X")))


def matrix_exp_adjoint(Q, X, exponential, s, Qbar):
    n, k = X.shape[-2:]
    A = _exponent(X, s, Qbar)
    if 2 * k >= n:
        Abar = frechet_adjoint(A, exponential, _pad_columns(Qbar, n))
        if n == k:
            return skew_blocks_adjoint(Abar, X[..., k:, :])
        return skew_blocks_adjoint(Abar[..., :k, :k], Abar[..., k:, :k] - H(Abar[..., :k, k:]))
    B, Q1bar, Q2bar = X[..., k:, :], Qbar[..., :k, :], Qbar[..., k:, :]
    F21 = _value(A, exponential)[..., k:, :k]
    Mbar = frechet_adjoint(A, exponential, _pad_columns(rows(Q1bar, H(B) @ Q2bar / s), 2 * k))
    Sbar = -Mbar[..., :k, k:] / s
    Bbar = Q2bar @ (H(F21) / s) + B @ (Sbar + H(Sbar))
    return skew_blocks_adjoint(Mbar[..., :k, :k], Bbar)


def matrix_exp_tangent(Q, X, exponential, s, dX):
    n, k = X.shape[-2:]
    A = _exponent(X, s, dX)
    dOmega, dB = skew_blocks(dX)
    if 2 * k >= n:
        return frechet(A, exponential, _skew_matrix(dOmega, dB))[..., :k]
    B = X[..., k:, :]
    dS = H(dB) @ B + H(B) @ dB
    zero = np.zeros_like(plain(dS))
    dF = frechet(A, exponential, block2(dOmega, -dS / s, zero, zero))
    dQ2 = (dB @ _value(A, exponential)[..., k:, :k] + B @ dF[..., k:, :k]) / s
    return rows(dF[..., :k, :k], dQ2)


def _exponent(X, s, direction):
    """Return A or M as a differentiable function of X where a rule is to be differentiated itself."""
    if not isbox(X) and not isbox(direction):
        return None
    n, k = X.shape[-2:]
    Omega, B = skew_blocks(X)
    if 2 * k >= n:
        return _skew_matrix(Omega, B)
    S = H(B) @ B
    zero = np.zeros(S.shape, S.dtype)
    return block2(Omega, -S / s, s * np.eye(k, dtype=S.dtype) + zero, zero)


def _value(A, exponential):
    return expm(A) if isbox(A) else exponential.value


def _skew_matrix(Omega, B):
    zero = np.zeros(B.shape[:-1] + B.shape[-2:-1], B.dtype)
    return block2(Omega, -H(B), B, zero)


def _pad_columns(A, m):
    return columns(A, np.zeros((*A.shape[:-1], m - A.shape[-1]), A.dtype)) if A.shape[-1] < m else A


define(_matrix_exp, adjoint=matrix_exp_adjoint, tangent=matrix_exp_tangent)
