r"""Rules of the Cayley map."""
import numpy as np
from autograd.extend import primitive

from .. import core
from .rules import H, define, on_tall, rows, skew_blocks, skew_blocks_adjoint


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
