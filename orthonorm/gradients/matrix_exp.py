r"""Rules of the exponential map.

==========================================  ==========================================================
where                                       what runs backwards
==========================================  ==========================================================
n <= 2k                                     the derivative of :class:`.Exponential` at A
n > 2k                                      the same at the compressed A, and a term for what leaves the
                                            range of P
n > 2k, a rule being differentiated itself  the same of a form with B^H B in the place of R
==========================================  ==========================================================
"""
import numpy as np
from autograd.extend import primitive
from autograd.tracer import isbox

from ..core.exponential import Exponential
from ..core.matrices import as_matrices
from ..core.matrix_exp import compressed_skew_matrix, first_columns
from .exponential import expm, expm_frechet, frechet, frechet_adjoint
from .rules import (
    H, any_shape, block2, cast, columns, register, rows, skew_adjoint, skew_blocks,
    skew_blocks_adjoint, stop_gradient,
)


@any_shape
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
    Where n <= 2k, Q is the first k columns of :math:`e^A`, and with E those of the identity

    .. math:: \dot Q = L(A, \dot A) E, \qquad \bar A = L(A^H, \bar Q E^H), \qquad
              \bar\Omega = \bar A_{11}, \qquad \bar B = \bar A_{21} - \bar A_{12}^H, \qquad
              \bar X = \begin{pmatrix} \operatorname{tril}(\bar\Omega - \bar\Omega^H) \\
                        \bar B \end{pmatrix},

    L being the Frechet derivative (:func:`.expm_frechet`). This is the definition,
    :func:`orthonorm.core.definitions.matrix_exp_vjp`, for any n and k.

    Where n > 2k, :math:`B = P R`, :math:`F = e^A` for the compressed
    :math:`A = [[\Omega, -R^H], [R, 0]]`, and :math:`Q = [F_{11}; P F_{21}]`. A tangent of B has a part
    in the range of P, which moves R, and a part N orthogonal to it. Along N the exponential of the
    n x n matrix moves by :math:`N \Phi` with :math:`\Phi = (\int_0^1 e^{tA} dt)_{11}`, since A vanishes
    on N:

    .. math:: \dot R &= P^H \dot B, \qquad \dot F = L(A, \dot A), \qquad
              \dot Q = \begin{pmatrix} \dot F_{11} \\
                  P \dot F_{21} + (\dot B - P \dot R) \Phi \end{pmatrix}, \\
              \bar A &= L\left( A^H, \begin{pmatrix} \bar Q_1 & 0 \\ P^H \bar Q_2 & 0 \end{pmatrix}
                  \right), \qquad \bar\Omega = \bar A_{11}, \qquad
              \bar B = P (\bar A_{21} - \bar A_{12}^H) + (I - P P^H) \bar Q_2 \Phi^H,

    and :math:`\bar X` from these two as before.

    P and R are not differentiated: they could not be where B is rank-deficient, as at B = 0, where
    training starts. Rules that are to be differentiated themselves are those of another form,

    .. math:: M = [[\Omega, -S/s], [s I, 0]], \qquad S = B^H B, \qquad F = e^M, \qquad
              Q = [F_{11}; B F_{21} / s],

    which is smooth in B, and loses digits only where B is ill-conditioned. The result does not depend
    on s, a power of two near the norm of B. All rules run in the precision that the value took inside.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(matrix_exp)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    return _matrix_exp(X, *exponential_of(as_matrices(stop_gradient(X), "X")))


def exponential_of(X):
    """Exponentiate :func:`.compressed_skew_matrix` of the array X: return what the rules take of it."""
    A, P, norm = compressed_skew_matrix(X)
    return Exponential(A), P, norm


@primitive
def _matrix_exp(X, exponential, P, norm):
    return first_columns(X, exponential.value, P, norm)


def matrix_exp_adjoint(Q, X, exponential, P, norm, Qbar):
    """Return Xbar, given Q, X, :func:`exponential_of` X, and Qbar."""
    n, k = X.shape[-2:]
    X, Qbar = cast(X, P.dtype), cast(Qbar, P.dtype)
    if 2 * k >= n:
        A = _skew_matrix(*skew_blocks(X)) if isbox(X) or isbox(Qbar) else None
        Abar = frechet_adjoint(A, exponential, _pad_columns(Qbar, n))
        if n == k:
            return skew_adjoint(Abar)
        return skew_blocks_adjoint(Abar[..., :k, :k], Abar[..., k:, :k] - H(Abar[..., :k, k:]))
    if isbox(X) or isbox(Qbar):
        return _gram_adjoint(X, Qbar)
    Q2bar = Qbar[..., k:, :]
    inside = H(P) @ Q2bar
    Abar = exponential.derivative(_pad_columns(rows(Qbar[..., :k, :], inside), 2 * k), adjoint=True)
    PhiH = H(exponential.integral(k)[..., :k, :])
    Rbar = Abar[..., k:, :k] - H(Abar[..., :k, k:])
    return skew_blocks_adjoint(Abar[..., :k, :k], P @ (Rbar - inside @ PhiH) + Q2bar @ PhiH)


def matrix_exp_tangent(Q, X, exponential, P, norm, dX):
    """Return dQ, given Q, X, :func:`exponential_of` X, and dX."""
    n, k = X.shape[-2:]
    X, dX = cast(X, P.dtype), cast(dX, P.dtype)
    dOmega, dB = skew_blocks(dX)
    if 2 * k >= n:
        A = _skew_matrix(*skew_blocks(X)) if isbox(X) or isbox(dX) else None
        return frechet(A, exponential, _skew_matrix(dOmega, dB))[..., :k]
    if isbox(X) or isbox(dX):
        return _gram_tangent(X, dX)
    dR = H(P) @ dB
    dF = exponential.derivative(_skew_matrix(dOmega, dR))[..., :k]
    Phi = exponential.integral(k)[..., :k, :]
    return rows(dF[..., :k, :], P @ (dF[..., k:, :] - dR @ Phi) + dB @ Phi)


def _gram_adjoint(X, Qbar):
    k = X.shape[-1]
    M, s = _balanced_matrix(X)
    B, Q1bar, Q2bar = X[..., k:, :], Qbar[..., :k, :], Qbar[..., k:, :]
    Mbar = expm_frechet(H(M), _pad_columns(rows(Q1bar, H(B) @ Q2bar / s), 2 * k))
    Sbar = -Mbar[..., :k, k:] / s
    Bbar = Q2bar @ (H(expm(M)[..., k:, :k]) / s) + B @ (Sbar + H(Sbar))
    return skew_blocks_adjoint(Mbar[..., :k, :k], Bbar)


def _gram_tangent(X, dX):
    k = X.shape[-1]
    M, s = _balanced_matrix(X)
    B, (dOmega, dB) = X[..., k:, :], skew_blocks(dX)
    dS = H(dB) @ B + H(B) @ dB
    zero = np.zeros_like(stop_gradient(dS))
    dF = expm_frechet(M, block2(dOmega, -dS / s, zero, zero))
    return rows(dF[..., :k, :k], (dB @ expm(M)[..., k:, :k] + B @ dF[..., k:, :k]) / s)


def _balanced_matrix(X):
    Omega, B = skew_blocks(X)
    S = H(B) @ B
    s = balance(stop_gradient(S))
    zero = np.zeros_like(stop_gradient(S))
    return block2(Omega, -S / s, s * np.eye(S.shape[-1], dtype=S.dtype) + zero, zero), s


def balance(S):
    r"""Return the power of two next to :math:`\sqrt{\|S\|_1}`, and 1 where S is zero.

    Parameters
    ----------
    S : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., 1, 1)
    """
    norm = np.abs(S).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True, initial=0)
    return np.ldexp(np.ones_like(norm), np.frexp(np.sqrt(norm))[1])


def _skew_matrix(Omega, B):
    zero = np.zeros(B.shape[:-1] + B.shape[-2:-1], B.dtype)
    return block2(Omega, -H(B), B, zero)


def _pad_columns(A, m):
    return columns(A, np.zeros((*A.shape[:-1], m - A.shape[-1]), A.dtype)) if A.shape[-1] < m else A


register(_matrix_exp, adjoint=matrix_exp_adjoint, tangent=matrix_exp_tangent)
