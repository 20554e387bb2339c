r"""Rules of the compact WY product of reflectors, and of the way back from a frame to them.

=========================================  ===========================================================
where                                      what runs backwards
=========================================  ===========================================================
n > k                                      V-bar by products with G and with W = T V1^T
n = k, single precision, a long reflector  the same, V and T in double precision
n = k otherwise, also with a base          V-bar from K, the skew part of Q^T Q-bar: fewer products
=========================================  ===========================================================

A reflector is long if its tau is below ``TAU_OF_LONG``.
"""
import functools

import numpy as np
from autograd.extend import primitive
from autograd.tracer import isbox

from .. import core
from ..core.householder import as_real_matrices, product_of_reflectors
from ..core.reflectors import triangle
from .base import check_base
from .orthonormalize import orthonormalize
from .rules import any_shape, cast, mT, register, rows, stop_gradient, tril, triu
from .triangular import solve_upper, solve_upper_adjoint

TAU_OF_LONG = 2 / 300**2  # a reflector v with a smaller tau = 2 / |v|^2 is long


@primitive
def _householder(X, product):
    return product.frame()


@any_shape
def householder(X):
    r"""Differentiable :func:`orthonorm.core.householder`.

    Parameters
    ----------
    X : array or autograd tracer, shape (..., n, k)
        Real. No gradient flows to its diagonal, which only its signs are read of.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.householder`.

    Notes
    -----
    :math:`Q = (E - V W) \operatorname{diag}(d)` with :math:`W = T V_1^T` and
    :math:`T^{-1} = \operatorname{half}(V^T V)`, where half keeps the strict upper triangle and half
    of the diagonal. From :math:`T^{-1} W = V_1^T`,

    .. math:: \dot W = T \left( \dot V_1^T -
              \operatorname{half}(\dot V^T V + V^T \dot V) W \right),

    and backwards, with :math:`G = \bar Q \operatorname{diag}(d)` and -R the gradient of the right-hand
    side :math:`V_1^T`,

    .. math:: \bar W &= -V^T G, \quad R = -T^T \bar W, \quad C = \operatorname{half}(R W^T), \quad
              \bar V = V (C + C^T) - G W^T - \begin{pmatrix} R^T \\ 0 \end{pmatrix}, \\
              \bar X &= \operatorname{tril}(\bar V, -1).

    (The definition, one reflector at a time: :func:`orthonorm.core.definitions.householder_vjp`.)

    Where Q is square, fewer products do. Every change of the orthogonal
    :math:`P = I - V T V^T` is P times a skew matrix, so that the gradient depends on G by
    :math:`K = P^T G - G^T P` only. :math:`T^{-1} + T^{-T} = V^T V` makes :math:`A = V T^T` equal to
    :math:`-P^T V T`, and with it the terms above become

    .. math:: K = \operatorname{diag}(d) (Q^T \bar Q - \bar Q^T Q) \operatorname{diag}(d), \qquad
              \bar V = V \operatorname{tril}(A^T K A, -1) - K A.

    (:func:`base_times_householder` has the same K, as its base cancels.)

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(householder)(np.array([[-1.0], [0.0]]))[1, 0]
    array([[0.],
           [2.]])
    """
    return _householder(X, _product_of_reflectors(X))


def _product_of_reflectors(X):
    return product_of_reflectors(as_real_matrices(stop_gradient(X), "X"))


def _factors(X, product):
    """Return V and T: those of the value, unless a rule is to be differentiated itself.

    They are in double precision where a reflector is long, for T multiplies the error of V^T G.
    """
    if not isbox(X):
        if X.dtype == float or np.min(product.tau, initial=1) > TAU_OF_LONG:
            return product.V, product.T
        V = product.V.astype(float)
        return V, triangle(V, product.tau)
    V = tril(X, -1) + np.eye(*X.shape[-2:], dtype=X.dtype)
    identity = np.broadcast_to(np.eye(X.shape[-1], dtype=X.dtype), product.T.shape)
    return V, solve_upper(half(mT(V) @ V), identity)


def half(M):
    """Return the strict upper triangle and half of the diagonal of each matrix of a stack."""
    return M * _half_mask(M.shape[-1], M.dtype)


@functools.lru_cache(maxsize=4)
def _half_mask(k, dtype):
    return np.triu(np.ones((k, k), dtype), 1) + np.eye(k, dtype=dtype) / 2


def _householder_adjoint(Q, X, product, Qbar, base=None):
    """Return Xbar, given the gradient of Q; with a constant `base`, that of Q = base householder(X)."""
    V, T = _factors(X, product)
    n, k = X.shape[-2:]
    d = product.signs[..., None, :]
    if n == k and V.dtype == Q.dtype:
        N = mT(Q) @ Qbar
        K = (N - mT(N)) * (mT(d) * d)
        A = V @ mT(T)
        KA = K @ A
        return tril(V @ tril(mT(A) @ KA, -1) - KA, -1)
    # Instead of G = Qbar diag(d), the small matrices beside it are multiplied by the signs.
    Qbar = Qbar if base is None else mT(base) @ Qbar
    W = T @ mT(V[..., :k, :])
    R = mT(T) @ (mT(V) @ Qbar * d)
    C = half(R @ mT(W))
    Vbar = V @ (C + mT(C))
    Vbar -= Qbar @ mT(W * d)
    if isbox(Vbar):
        Vbar = rows(Vbar[..., :k, :] - mT(R), Vbar[..., k:, :])
    else:
        Vbar[..., :k, :] -= mT(R)
    return tril(Vbar, -1)


def _householder_tangent(Q, X, product, dX):
    V, T = _factors(X, product)
    k = X.shape[-1]
    dV = tril(dX, -1)
    dGram = mT(dV) @ V
    W = T @ mT(V[..., :k, :])
    dW = T @ (mT(dV[..., :k, :]) - half(dGram + mT(dGram)) @ W)
    return -(dV @ W + V @ dW) * product.signs[..., None, :]


register(_householder, adjoint=_householder_adjoint, tangent=_householder_tangent)


def base_times_householder(base, X):
    """Multiply :func:`householder` of square matrices by a constant from the left.

    The reflectors are applied to the base, which takes fewer operations than to make the product of
    them first.

    Parameters
    ----------
    base : ndarray, shape (..., n, n)
    X : array or autograd tracer, shape (..., n, n)

    Returns
    -------
    array or autograd tracer, shape (..., n, n)

    Raises
    ------
    ValueError
        If the shapes are not the same.
    """
    check_base(base, X)
    return _base_times_householder(X, _product_of_reflectors(X), base)


@primitive
def _base_times_householder(X, product, base):
    return product.multiply_from_right(base)


register(
    _base_times_householder,
    adjoint=lambda Q, X, product, base, Qbar: _householder_adjoint(Q, X, product, Qbar, base),
    tangent=lambda Q, X, product, base, dX: base @ _householder_tangent(Q, X, product, dX),
)


@primitive
def _reflectors_of_frame(Q):
    """Return V - E, the reflectors of an orthonormal frame below the diagonal."""
    return np.tril(core.householder_inverse(Q), -1)


@any_shape
def householder_inverse(Q):
    r"""Differentiable :func:`orthonorm.core.householder_inverse`.

    Parameters
    ----------
    Q : array or autograd tracer, shape (..., n, k)
        Real; of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.householder_inverse`.
    numpy.linalg.LinAlgError
        On differentiating, if `Q` is rank-deficient.

    Notes
    -----
    For an orthonormal frame, :math:`E - Q \operatorname{diag}(d) = V U` with U = T V_1^T upper
    triangular: V is the unit lower trapezoidal factor of an LU factorisation without pivoting [1]_.
    With :math:`M = E - Q \operatorname{diag}(d)` and :math:`N = \dot M U^{-1}`,

    .. math:: K = V_1^{-1} N_1, \qquad \dot V = N - V \operatorname{triu}(K),

    and backwards :math:`\bar N = \bar V - [V_1^{-H} \operatorname{triu}(V^H \bar V); 0]`,
    :math:`\bar M = \bar N U^{-H}`. A matrix that is not orthonormal goes through
    :func:`orthonormalize` first.

    References
    ----------
    .. [1] G. Ballard, J. Demmel, L. Grigori, M. Jacquelin, N. Knight, H. D. Nguyen, "Reconstructing
       Householder vectors from tall-skinny QR", J. Parallel Distrib. Comput. 85 (2015).

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(lambda Q: householder(householder_inverse(Q)))(np.array([[0.6], [0.8]]))[..., 0, 0]
    array([[ 0.64],
           [-0.48]])
    """
    X = core.householder_inverse(stop_gradient(Q))
    frame = orthonormalize(Q)
    # Above the diagonal stands LAPACK's R, whose rows have the signs of its diagonal. Where there was
    # nothing to reflect, householder() turns the sign that X holds.
    signs = np.diagonal(X, axis1=-2, axis2=-1)[..., None]
    reflects = np.any(tril(X, -1), axis=-2)[..., None]
    R = mT(frame) @ Q * signs * np.where(reflects, 1, -1).astype(X.dtype)
    above = rows(triu(R, 1), np.zeros_like(X[..., X.shape[-1]:, :]))
    reflectors = cast(_reflectors_of_frame(frame), X.dtype)
    return reflectors + X * np.eye(*X.shape[-2:], dtype=X.dtype) + cast(above, X.dtype)


def _LU_of_frame(X, Q):
    """Return V, triangular U and the signs d of the factorisation E - Q diag(d) = V U."""
    k = Q.shape[-1]
    E = np.eye(*Q.shape[-2:], dtype=Q.dtype)
    V = X + E
    signs = np.diagonal(core.householder_inverse(stop_gradient(Q)), axis1=-2, axis2=-1)[..., None, :]
    U = solve_upper(half(mT(V) @ V), mT(V[..., :k, :]))
    return V, U, signs


def _reflectors_adjoint(X, Q, Xbar):
    n, k = Q.shape[-2:]
    V, U, signs = _LU_of_frame(X, Q)
    Vbar = tril(Xbar, -1)
    top = solve_upper(mT(V[..., :k, :]), triu(mT(V) @ Vbar))
    zero = np.zeros(Q.shape[:-2] + (n - k, k), Q.dtype)
    Nbar = Vbar - rows(top, zero)
    return -mT(solve_upper(U, mT(Nbar))) * signs


def _reflectors_tangent(X, Q, dQ):
    k = Q.shape[-1]
    V, U, signs = _LU_of_frame(X, Q)
    N = mT(solve_upper_adjoint(U, -mT(dQ * signs)))
    K = solve_upper_adjoint(mT(V[..., :k, :]), N[..., :k, :])
    return tril(N - V @ triu(K), -1)


register(_reflectors_of_frame, adjoint=_reflectors_adjoint, tangent=_reflectors_tangent)
