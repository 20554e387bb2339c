r"""Rules of the Cayley map."""
import numpy as np
from autograd.extend import primitive

from .. import core
from ..core.cayley import cayley_inverse_of_frame, check_reached
from .orthonormalize import orthonormalize
from .rules import (
    H, cast, define, on_tall, plain, rows, skew_blocks, skew_blocks_adjoint, tril,
)


_cayley = primitive(core.cayley)


def cayley(X):
    r"""Differentiable :func:`orthonorm.core.cayley`.

    Parameters
    ----------
    X : array or autograd tracer, shape (..., n, k)

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.cayley`.

    Notes
    -----
    With :math:`S = I - \Omega/2 + B^H B / 4`, :math:`Y = S^{-1}` and :math:`Q = [2Y - I; B Y]`, the
    answer itself holds :math:`Y = (Q_1 + I) / 2`, and no system is solved:

    .. math:: \dot Y &= -Y \dot S Y \\
              \bar Y &= 2 \bar Q_1 + B^H \bar Q_2, \qquad \bar S = -Y^H \bar Y Y^H, \\
              \bar\Omega &= -\bar S / 2, \qquad
              \bar B = \bar Q_2 Y^H + B (\bar S + \bar S^H) / 4
                      = \bar Q_2 Y^H - B (\bar\Omega + \bar\Omega^H) / 2.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(cayley)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    return on_tall(_cayley, X)


def _cayley_adjoint(Q, X, Qbar):
    n, k = X.shape[-2:]
    YH = H(_cayley_Y(Q))
    Z, B, Q2bar = Qbar[..., :k, :], X[..., k:, :], Qbar[..., k:, :]
    if n > k:
        Z = Z + H(B) @ Q2bar / 2
    Omegabar = YH @ Z @ YH
    return skew_blocks_adjoint(Omegabar, Q2bar @ YH - B @ ((Omegabar + H(Omegabar)) / 2))


def _cayley_tangent(Q, X, dX):
    B = X[..., X.shape[-1]:, :]
    dOmega, dB = skew_blocks(dX)
    Y = _cayley_Y(Q)
    dS = -dOmega / 2 + (H(dB) @ B + H(B) @ dB) / 4
    dY = -Y @ dS @ Y
    return rows(2 * dY, dB @ Y + B @ dY)


def _cayley_Y(Q):
    k = Q.shape[-1]
    return (Q[..., :k, :] + np.eye(k, dtype=Q.dtype)) / 2


define(_cayley, adjoint=_cayley_adjoint, tangent=_cayley_tangent)


_cayley_inverse = primitive(cayley_inverse_of_frame)


def cayley_inverse(Q):
    r"""Differentiable :func:`orthonorm.core.cayley_inverse`.

    Parameters
    ----------
    Q : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.cayley_inverse`.
    numpy.linalg.LinAlgError
        On differentiating, if `Q` is rank-deficient.

    Notes
    -----
    From :math:`S = 2 (Q_1 + I)^{-1}`, :math:`B = Q_2 S` and :math:`\Omega = S^H - S`, with
    :math:`S = I - \Omega / 2 + B^H B / 4` at hand in the answer,

    .. math:: \dot S &= -S \dot Q_1 S / 2, \qquad
              \dot B = (\dot Q_2 - B \dot Q_1 / 2) S, \qquad
              \dot\Omega = \dot S^H - \dot S, \\
              \bar Q_2 &= \bar B S^H, \qquad
              \bar Q_1 = S^H (\bar\Omega - \bar\Omega^H) S^H / 2 - B^H \bar Q_2 / 2.

    The lower triangle of X is that of Omega, with half of its diagonal. A matrix that is not
    orthonormal goes through :func:`orthonormalize` first.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(lambda Q: cayley(cayley_inverse(Q)))(np.array([[0.6], [0.8]]))[..., 0, 0].round(12)
    array([[ 0.64],
           [-0.48]])
    """
    return on_tall(_inverse, Q)


def _inverse(Q):
    frame = orthonormalize(cast(Q, np.result_type(Q.dtype, np.float64)))
    X = cast(_cayley_inverse(frame), Q.dtype)
    check_reached(plain(X), plain(frame))
    return X


def _inverse_parts(X):
    Omega, B = skew_blocks(X)
    return B, np.eye(X.shape[-1], dtype=X.dtype) - Omega / 2 + H(B) @ B / 4


def _inverse_adjoint(X, Q, Xbar):
    k = X.shape[-1]
    B, S = _inverse_parts(X)
    Omegabar = _halve_diagonal(Xbar[..., :k, :])
    Omegabar = (Omegabar - H(Omegabar)) / 2
    Q2bar = Xbar[..., k:, :] @ H(S)
    return rows(H(S) @ Omegabar @ H(S) - H(B) @ Q2bar / 2, Q2bar)


def _inverse_tangent(X, Q, dQ):
    k = X.shape[-1]
    B, S = _inverse_parts(X)
    dQ1, dQ2 = dQ[..., :k, :], dQ[..., k:, :]
    dB = (dQ2 - B @ dQ1 / 2) @ S
    dOmega = S @ dQ1 @ S
    return rows(_halve_diagonal((dOmega - H(dOmega)) / 2), dB)


def _halve_diagonal(Omega):
    return tril(Omega) - np.eye(Omega.shape[-1], dtype=Omega.dtype) * Omega / 2


define(_cayley_inverse, adjoint=_inverse_adjoint, tangent=_inverse_tangent)
