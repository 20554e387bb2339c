r"""Rules of the Cayley map, of its product with a square base, and of its inverse.

===========================  =========================================================================
where                        what runs backwards
===========================  =========================================================================
S is not :func:`.is_large`   products with the k x k matrix Y, which the answer holds
and there is a square base   the same, and the base cancels: :func:`base_times_cayley`
S is :func:`.is_large`       two systems in double precision: :func:`.resolvent`
===========================  =========================================================================
"""
import functools

import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import isbox

from ..core.cayley import (
    cayley_given, cayley_inverse_of_frame, check_reached, is_large, resolvent, schur_complement,
    square_block,
)
from ..core.inverses import inverse_accretive
from ..core.matrices import as_matrices
from .base import check_base, multiply
from .orthonormalize import orthonormalize
from .rules import (
    H, any_shape, cast, conj, double, register, rows, skew_adjoint, skew_blocks,
    skew_blocks_adjoint, stop_gradient, tril,
)


_cayley = primitive(cayley_given)
_resolvent = primitive(resolvent)


@any_shape
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
                      = \bar Q_2 Y^H - B (\bar\Omega + \bar\Omega^H) / 2, \\
              \bar X &= \begin{pmatrix} \operatorname{tril}(\bar\Omega - \bar\Omega^H) \\
                        \bar B \end{pmatrix},

    the last line because :math:`\Omega = L_1 - L_1^H` and :math:`B = L_2`, L the lower triangle of X.
    (The definition, n x n: :func:`orthonorm.core.definitions.cayley_vjp`.)

    Where S is large (:func:`orthonorm.core.cayley.is_large`), Y is too small to be had from Q. With
    :math:`K = (I - A/2)^{-1} E`, from Q = 2K - E,

    .. math:: \dot Q &= (I - A/2)^{-1} \dot A K, \qquad
              J = (I + A/2)^{-1} \bar Q, \qquad \bar A = J K^H, \\
              \bar B &= J_2 K_1^H - K_2 J_1^H, \qquad \bar\Omega = J_1 K_1^H,

    and :math:`\bar X` from them as above. All of this is in double precision: on the null space of A,
    which odd n and tall X have, J and K do not shrink as A grows while the gradient does, and what is
    large cancels.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(cayley)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    S = schur_complement(as_matrices(stop_gradient(X), "X"))
    return _cayley(X, S, is_large(S))


def _cayley_adjoint(Q, X, S, large, Qbar):
    if large:
        X, Qbar = double(X), double(Qbar)
        return _product_adjoint(_resolvent(-X, Qbar), _resolvent(X, _E(X)))
    n, k = X.shape[-2:]
    YH = H(_cayley_Y(Q))
    if n == k:
        return skew_adjoint(YH @ Qbar @ YH)
    Q1bar, B, Q2bar = Qbar[..., :k, :], X[..., k:, :], Qbar[..., k:, :]
    Omegabar = YH @ (Q1bar + H(B) @ Q2bar / 2) @ YH
    return skew_blocks_adjoint(Omegabar, Q2bar @ YH - B @ ((Omegabar + H(Omegabar)) / 2))


def _cayley_tangent(Q, X, S, large, dX):
    if large:
        X, dX = double(X), double(dX)
        return _resolvent(X, _product(dX, _resolvent(X, _E(X))))
    B = X[..., X.shape[-1]:, :]
    dOmega, dB = skew_blocks(dX)
    Y = _cayley_Y(Q)
    dS = -dOmega / 2 + (H(dB) @ B + H(B) @ dB) / 4
    dY = -Y @ dS @ Y
    return rows(2 * dY, dB @ Y + B @ dY)


def _cayley_Y(Q):
    k = Q.shape[-1]
    return (Q[..., :k, :] + _identity(k, Q.dtype)) / 2


@functools.lru_cache(maxsize=4)
def _identity(k, dtype):
    return np.eye(k, dtype=dtype)


register(_cayley, adjoint=_cayley_adjoint, tangent=_cayley_tangent)


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


def base_times_cayley(base, X):
    r"""Multiply :func:`cayley` of square matrices by a constant from the left.

    Parameters
    ----------
    base : ndarray, shape (..., n, n)
    X : array or autograd tracer, shape (..., n, n)

    Returns
    -------
    array or autograd tracer, shape (..., n, n)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.cayley`; ValueError if the shapes are not the same.

    Notes
    -----
    Backwards the base cancels: with :math:`P = \mathrm{base} \, Q`, and :math:`Y^H Q = Y` for the
    :math:`Y = (Q + I) / 2` of :func:`cayley`,

    .. math:: \bar\Omega = Y^H \bar Q Y^H = Y (Q^H \bar Q) Y^H, \qquad Q^H \bar Q = P^H \bar P, \qquad
              \bar X = \operatorname{tril}(\bar\Omega - \bar\Omega^H).

    Examples
    --------
    >>> from autograd import jacobian
    >>> J = np.array([[0.0, -1.0], [1.0, 0.0]])
    >>> jacobian(lambda X: base_times_cayley(J, X))(np.zeros((2, 2)))[0, 0]
    array([[ 0.,  0.],
           [-1.,  0.]])
    """
    check_base(base, X)
    S = schur_complement(as_matrices(stop_gradient(X), "X"))
    if is_large(S):
        return multiply(base, _cayley(X, S, True))
    return _base_times_cayley(X, inverse_accretive(S), base)


@primitive
def _base_times_cayley(X, Y, base):
    return base @ square_block(Y)


def _traced_Y(X, Y):
    """Return the value Y, or Y as a function of X where a rule is to be differentiated itself."""
    return _cayley_Y(cayley(X)) if isbox(X) else Y


def _base_times_cayley_adjoint(P, X, Y, base, Pbar):
    Y = _traced_Y(X, Y)
    return skew_adjoint(Y @ (H(P) @ Pbar) @ H(Y))


def _base_times_cayley_tangent(P, X, Y, base, dX):
    Y = _traced_Y(X, Y)
    return base @ Y @ skew_blocks(dX)[0] @ Y


register(_base_times_cayley, adjoint=_base_times_cayley_adjoint, tangent=_base_times_cayley_tangent)


_cayley_inverse = primitive(cayley_inverse_of_frame)


@any_shape
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

    X has the lower triangle of :math:`\Omega`, with half of its diagonal, above B: so has
    :math:`\bar\Omega` that of :math:`\bar X`, and :math:`\bar B` is the rest of it. A matrix that is
    not orthonormal goes through :func:`orthonormalize` first.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(lambda Q: cayley(cayley_inverse(Q)))(np.array([[0.6], [0.8]]))[..., 0, 0].round(12)
    array([[ 0.64],
           [-0.48]])
    """
    as_matrices(stop_gradient(Q), "Q")
    frame = orthonormalize(double(Q))
    X = cast(_cayley_inverse(frame), Q.dtype)
    check_reached(stop_gradient(X), stop_gradient(frame))
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


register(_cayley_inverse, adjoint=_inverse_adjoint, tangent=_inverse_tangent)
