r"""Rules of the Cayley map."""
import numpy as np
from autograd.extend import defjvp, defvjp, primitive

from ..core.cayley import cayley_given, is_large, resolvent, schur_complement
from ..core.matrices import as_matrices
from .rules import (
    H, cast, conj, define, on_tall, plain, rows, skew_blocks, skew_blocks_adjoint,
)


_cayley = primitive(cayley_given)
_resolvent = primitive(resolvent)


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

    Where S is large (:func:`orthonorm.core.cayley.is_large`), Y is too small to be had from Q. With
    :math:`K = (I - A/2)^{-1} E`, from Q = 2K - E,

    .. math:: \dot Q &= (I - A/2)^{-1} \dot A K, \qquad
              J = (I + A/2)^{-1} \bar Q, \qquad \bar A = J K^H, \\
              \bar B &= J_2 K_1^H - K_2 J_1^H, \qquad \bar\Omega = J_1 K_1^H.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(cayley)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    return on_tall(_cayley_of_tall, X)


def _cayley_of_tall(X):
    return _cayley(X, schur_complement(as_matrices(plain(X), "X")))


def _cayley_adjoint(Q, X, S, Qbar):
    if is_large(S):
        return _product_adjoint(_resolvent(-X, Qbar), _resolvent(X, _E(X)))
    n, k = X.shape[-2:]
    YH = H(_cayley_Y(Q))
    Z, B, Q2bar = Qbar[..., :k, :], X[..., k:, :], Qbar[..., k:, :]
    if n > k:
        Z = Z + H(B) @ Q2bar / 2
    Omegabar = YH @ Z @ YH
    return skew_blocks_adjoint(Omegabar, Q2bar @ YH - B @ ((Omegabar + H(Omegabar)) / 2))


def _cayley_tangent(Q, X, S, dX):
    if is_large(S):
        return _resolvent(X, _product(dX, _resolvent(X, _E(X))))
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


def _E(X):
    return np.broadcast_to(np.eye(*X.shape[-2:], dtype=X.dtype), X.shape)


def _product(X, K):
    """Multiply by the matrix A that X stands for."""
    k = X.shape[-1]
    Omega, B = skew_blocks(X)
    K1, K2 = K[..., :k, :], K[..., k:, :]
    return rows(Omega @ K1 - H(B) @ K2, B @ K1)


def _product_adjoint(J, K):
    """Pull the gradient J K^H of A back to X."""
    k = J.shape[-1]
    J1, J2, K1, K2 = J[..., :k, :], J[..., k:, :], K[..., :k, :], K[..., k:, :]
    return skew_blocks_adjoint(J1 @ H(K1), J2 @ H(K1) - K2 @ H(J1))


# J = (I - A/2)^-1 G: dJ = (I - A/2)^-1 (dG + dA J / 2).
defvjp(
    _resolvent,
    lambda J, X, G: lambda g: conj(
        _product_adjoint(_resolvent(-X, cast(conj(g), J.dtype)), J) / 2),
    lambda J, X, G: lambda g: conj(_resolvent(-X, cast(conj(g), J.dtype))),
)
defjvp(
    _resolvent,
    lambda dX, J, X, G: _resolvent(X, _product(cast(dX, J.dtype), J) / 2),
    lambda dG, J, X, G: _resolvent(X, cast(dG, J.dtype)),
)
