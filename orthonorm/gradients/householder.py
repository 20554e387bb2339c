r"""Rules of the compact WY product of reflectors, and of the way back from a frame to them."""
import autograd.numpy as np
from autograd.extend import primitive

from .. import core
from ..core.householder import as_real_matrices, upper_half
from ..core.householder import product_of_reflectors as core_product_of_reflectors
from .orthonormalize import orthonormalize
from .rules import H, cast, define, mT, on_tall, rows, stop_gradient, tril
from .triangular import solve_upper, solve_upper_adjoint


product_of_reflectors = primitive(core_product_of_reflectors)


def householder(X):
    r"""Differentiable :func:`orthonorm.core.householder`.

    Parameters
    ----------
    X : array or autograd tracer, shape (..., n, k)
        Real. No gradient flows to its diagonal, the signs.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.householder`.

    Notes
    -----
    The signs are constants. The product of the reflectors is :math:`P = E - V W` with
    :math:`W = T V_1^H` and :math:`T^{-1} = \operatorname{half}(V^H V)`, where half keeps the strict
    upper triangle and half of the diagonal. From :math:`T^{-1} W = V_1^H`,

    .. math:: \dot W = T \left( \dot V_1^H -
              \operatorname{half}(\dot V^H V + V^H \dot V) W \right),

    and backwards, with R the gradient of the right-hand side :math:`V_1^H`,

    .. math:: \bar W = -V^H \bar P, \quad R = T^H \bar W, \quad C = \operatorname{half}(-R W^H),
              \quad
              \bar V = -\bar P W^H + \begin{pmatrix} R^H \\ 0 \end{pmatrix} + V (C + C^H).

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(householder)(np.array([[-1.0], [0.0]]))[1, 0]
    array([[0.],
           [2.]])
    """
    as_real_matrices(stop_gradient(X), "X")
    return on_tall(_householder, X)


def _householder(X):
    signs = np.trunc(np.diagonal(stop_gradient(X), axis1=-2, axis2=-1))[..., None, :]
    return product_of_reflectors(X) * signs


def _product_parts(X):
    k = X.shape[-1]
    V = tril(X, -1) + np.eye(*X.shape[-2:], dtype=X.dtype)
    half = upper_half(stop_gradient(V))
    inverse_T = (H(V) @ V) * half
    W = solve_upper(inverse_T, H(V[..., :k, :]))
    return V, W, inverse_T, half


def _product_adjoint(P, X, Pbar):
    n, k = X.shape[-2:]
    V, W, inverse_T, half = _product_parts(X)
    R = solve_upper_adjoint(inverse_T, -H(V) @ Pbar)
    C = (-R @ H(W)) * half
    zero = np.zeros(X.shape[:-2] + (n - k, k), X.dtype)
    Vbar = -Pbar @ H(W) + rows(H(R), zero) + V @ (C + H(C))
    return tril(Vbar, -1)


def _product_tangent(P, X, dX):
    k = X.shape[-1]
    V, W, inverse_T, half = _product_parts(X)
    dV = tril(dX, -1)
    dGram = H(dV) @ V
    dW = solve_upper(inverse_T, H(dV[..., :k, :]) - ((dGram + H(dGram)) * half) @ W)
    return -(dV @ W + V @ dW)


define(product_of_reflectors, adjoint=_product_adjoint, tangent=_product_tangent)


@primitive
def _reflectors_of_frame(Q):
    """Return V - E, the reflectors of an orthonormal frame below the diagonal."""
    return np.tril(core.householder_inverse(Q), -1)


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
    if np.ndim(Q) >= 2 and Q.shape[-2] < Q.shape[-1]:
        return mT(householder_inverse(mT(Q)))
    X = core.householder_inverse(stop_gradient(Q))
    frame = orthonormalize(Q)
    # Above the diagonal stands LAPACK's R, whose rows have the signs of its diagonal. Where there was
    # nothing to reflect, householder() turns the sign that X holds.
    signs = np.diagonal(X, axis1=-2, axis2=-1)[..., None]
    reflects = np.any(tril(X, -1), axis=-2)[..., None]
    R = mT(frame) @ Q * signs * np.where(reflects, 1, -1).astype(X.dtype)
    above = np.concatenate((np.triu(R, 1), np.zeros_like(X[..., X.shape[-1]:, :])), axis=-2)
    reflectors = cast(_reflectors_of_frame(frame), X.dtype)
    return reflectors + X * np.eye(*X.shape[-2:], dtype=X.dtype) + cast(above, X.dtype)


def _LU_of_frame(X, Q):
    """Return V, triangular U and the signs d of the factorisation E - Q diag(d) = V U."""
    k = Q.shape[-1]
    E = np.eye(*Q.shape[-2:], dtype=Q.dtype)
    V = X + E
    signs = np.diagonal(core.householder_inverse(stop_gradient(Q)), axis1=-2, axis2=-1)[..., None, :]
    half = upper_half(stop_gradient(Q))
    U = solve_upper((mT(V) @ V) * half, mT(V[..., :k, :]))
    return V, U, signs


def _reflectors_adjoint(X, Q, Xbar):
    n, k = Q.shape[-2:]
    V, U, signs = _LU_of_frame(X, Q)
    Vbar = tril(Xbar, -1)
    top = solve_upper(mT(V[..., :k, :]), np.triu(mT(V) @ Vbar))
    zero = np.zeros(Q.shape[:-2] + (n - k, k), Q.dtype)
    Nbar = Vbar - rows(top, zero)
    return -mT(solve_upper(U, mT(Nbar))) * signs


def _reflectors_tangent(X, Q, dQ):
    k = Q.shape[-1]
    V, U, signs = _LU_of_frame(X, Q)
    N = mT(solve_upper_adjoint(U, -mT(dQ * signs)))
    K = solve_upper_adjoint(mT(V[..., :k, :]), N[..., :k, :])
    return tril(N - V @ np.triu(K), -1)


define(_reflectors_of_frame, adjoint=_reflectors_adjoint, tangent=_reflectors_tangent)
