r"""The core maps as autograd primitives: their values, and how they are differentiated.

Every name here is a function of :mod:`orthonorm.core` that `autograd
<https://github.com/HIPS/autograd>`_ can differentiate, in reverse and in forward mode, to any
order. For each map f there are two rules, with their derivations:

* the *tangent* :math:`\dot Q = Df(X)[\dot X]`, for forward mode;
* the *adjoint* :math:`\bar X = Df(X)^*[\bar Q]`, for reverse mode, with respect to the inner product
  :math:`\langle X, Y \rangle = \operatorname{Re} \operatorname{tr}(X^H Y)`.

So :math:`\langle \bar Q, \dot Q \rangle = \langle \bar X, \dot X \rangle` for all tangents. The rules
are written with :mod:`autograd.numpy`, and are differentiable in turn.

For complex matrices the adjoint above is PyTorch's convention: the gradient is the direction of
steepest ascent. autograd's own convention is its complex conjugate, so what is registered is
:math:`g \mapsto \overline{\mathrm{adjoint}(\bar g)}`, and ``autograd.grad`` of a function of these
maps is the conjugate of what PyTorch returns. :func:`orthonorm.func.value_and_grad` returns
PyTorch's.

A dot over a name stands for a tangent, a bar for an adjoint; in the code they are ``dQ`` and
``Qbar``.
"""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, notrace_primitive, primitive
from autograd.tracer import getval

from . import core
from .core.householder import upper_half
from .core.matrices import solve_upper as _core_solve_upper
from .core.matrix_exp import balance

__all__ = [
    "cayley", "expm", "expm_frechet", "householder", "householder_inverse", "matrix_exp",
    "orthonormalize", "power_iteration", "spectral_normalize", "stop_gradient",
]


# ---------------------------------------------------------------------------------------------------
# Small tools
# ---------------------------------------------------------------------------------------------------

def stop_gradient(x):
    """Return the value of `x`, a constant to every derivative being taken.

    Parameters
    ----------
    x : array_like or autograd tracer

    Returns
    -------
    array_like
        `x` itself, or the array inside the tracer.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return getval(x)


def mT(A):
    """Transpose each matrix of a stack, without conjugation."""
    return np.swapaxes(A, -1, -2)


def conj(A):
    """Return the complex conjugate of `A`; `A` itself where it is real."""
    return np.conj(A) if np.iscomplexobj(A) else A


def H(A):
    """Return the conjugate transpose of each matrix of a stack."""
    return mT(conj(A))


def tril(A, k=0):
    """Return the lower triangle of each matrix of a stack."""
    return np.tril(A, k)


def rows(*blocks):
    """Stack blocks on top of each other."""
    return np.concatenate(blocks, axis=-2)


def block2(A, B, C, D):
    """Assemble ``[[A, B], [C, D]]``."""
    return rows(np.concatenate((A, B), axis=-1), np.concatenate((C, D), axis=-1))


@primitive
def cast(x, dtype):
    """Convert `x` to `dtype`; its derivatives are converted to theirs."""
    return x.astype(dtype, copy=False)


@notrace_primitive
def dtype_of(x):
    """Return the dtype of an array or tracer."""
    return x.dtype


defvjp(cast, lambda ans, x, dtype: lambda g: cast(g, dtype_of(x)), argnums=(0,))
defjvp(cast, lambda g, ans, x, dtype: cast(g, dtype_of(ans)), argnums=(0,))


def define(fun, *, adjoint, tangent):
    """Register the two rules of a primitive of one array.

    Parameters
    ----------
    fun : autograd primitive
        ``Q = fun(X)``.
    adjoint : callable
        ``adjoint(Q, X, Qbar)`` -> Xbar.
    tangent : callable
        ``tangent(Q, X, dX)`` -> dQ.
    """
    defvjp(fun, lambda Q, X: lambda g: conj(adjoint(Q, X, cast(conj(g), dtype_of(Q)))))
    defjvp(fun, lambda dX, Q, X: tangent(Q, X, cast(dX, dtype_of(X))))


def on_tall(tall_map, X):
    """Apply a primitive of tall matrices to a wide one by ``f(X) = f(X^T)^T``."""
    shape = np.shape(X)
    wide = len(shape) >= 2 and shape[-2] < shape[-1]
    return mT(tall_map(mT(X))) if wide else tall_map(X)


def skew_blocks(X):
    """Split the lower triangle of a tall X as :func:`orthonorm.core.matrices.skew_blocks` does."""
    k = X.shape[-1]
    L1 = tril(X[..., :k, :])
    return L1 - H(L1), X[..., k:, :]


def skew_blocks_adjoint(Omegabar, Bbar):
    r"""Pull gradients of the blocks back to X: :math:`\bar L_1 = \bar\Omega - \bar\Omega^H`."""
    return rows(tril(Omegabar - H(Omegabar)), Bbar)


# ---------------------------------------------------------------------------------------------------
# The exponential of a general matrix
# ---------------------------------------------------------------------------------------------------

expm = primitive(core.expm)
expm_frechet = primitive(core.expm_frechet)


def _second_frechet(A, E, D):
    r"""The derivative of L(A, E) when A moves along D, read off a block-triangular exponential.

    L at :math:`[[A, D], [0, A]]` in the direction :math:`[[E, 0], [0, E]]` has it as its upper right
    block [1]_. It is symmetric in E and D.

    References
    ----------
    .. [1] N. J. Higham, S. D. Relton, "Higher order Frechet derivatives of matrix functions and the
       level-2 condition number", SIAM J. Matrix Anal. Appl. 35 (2014).
    """
    n = A.shape[-1]
    zero = np.zeros_like(stop_gradient(A))
    return expm_frechet(block2(A, D, zero, A), block2(E, zero, zero, E))[..., :n, n:]


# L(A, .) is linear, and its adjoint is L(A^H, .) (Al-Mohy & Higham 2009). The second derivative
# D -> L2(A; E, D) is linear too; its adjoint is L2(A^H; E^H, .), as reversing the words of the power
# series of the exponential shows.
define(
    expm,
    adjoint=lambda F, A, Fbar: expm_frechet(H(A), Fbar),
    tangent=lambda F, A, dA: expm_frechet(A, dA),
)
defvjp(
    expm_frechet,
    lambda L, A, E: lambda g: _second_frechet(mT(A), mT(E), g),
    lambda L, A, E: lambda g: expm_frechet(mT(A), g),
)
defjvp(
    expm_frechet,
    lambda dA, L, A, E: _second_frechet(A, E, dA),
    lambda dE, L, A, E: expm_frechet(A, dE),
)


# ---------------------------------------------------------------------------------------------------
# Matrix exponential of a skew-Hermitian matrix
# ---------------------------------------------------------------------------------------------------

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


def _matrix_exp_adjoint(Q, X, Qbar):
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


def _matrix_exp_tangent(Q, X, dX):
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


define(_matrix_exp, adjoint=_matrix_exp_adjoint, tangent=_matrix_exp_tangent)


# ---------------------------------------------------------------------------------------------------
# Cayley
# ---------------------------------------------------------------------------------------------------

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
              \bar B &= \bar Q_2 Y^H + B (\bar S + \bar S^H) / 4, \qquad
              \bar\Omega = -\bar S / 2.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(cayley)(np.zeros((2, 2)))[1, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    return on_tall(_cayley, X)


def _cayley_adjoint(Q, X, Qbar):
    k = X.shape[-1]
    B = X[..., k:, :]
    YH = H(_cayley_Y(Q))
    Q1bar, Q2bar = Qbar[..., :k, :], Qbar[..., k:, :]
    Sbar = -YH @ (2 * Q1bar + H(B) @ Q2bar) @ YH
    Bbar = Q2bar @ YH + B @ (Sbar + H(Sbar)) / 4
    return skew_blocks_adjoint(-Sbar / 2, Bbar)


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


# ---------------------------------------------------------------------------------------------------
# Householder
# ---------------------------------------------------------------------------------------------------

_householder = primitive(core.householder)


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
    :math:`Q = (E - V W) \operatorname{diag}(d)` with :math:`W = T V_1^T` and
    :math:`T^{-1} = \operatorname{half}(V^T V)`, where half keeps the strict upper triangle and half
    of the diagonal. From :math:`T^{-1} W = V_1^T`,

    .. math:: \dot W = T \left( \dot V_1^T -
              \operatorname{half}(\dot V^T V + V^T \dot V) W \right),

    and backwards, with :math:`G = \bar Q \operatorname{diag}(d)` and R the gradient of the right-hand
    side :math:`V_1^T`,

    .. math:: \bar W = -V^T G, \quad R = T^T \bar W, \quad C = \operatorname{half}(-R W^T), \quad
              \bar V = -G W^T + \begin{pmatrix} R^T \\ 0 \end{pmatrix} + V (C + C^T).

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(householder)(np.array([[-1.0], [0.0]]))[1, 0]
    array([[0.],
           [2.]])
    """
    return on_tall(_householder, X)


def _householder_parts(X):
    k = X.shape[-1]
    V = tril(X, -1) + np.eye(*X.shape[-2:], dtype=X.dtype)
    half = upper_half(stop_gradient(V))
    inverse_T = (mT(V) @ V) * half
    W = solve_upper(inverse_T, mT(V[..., :k, :]))
    signs = np.trunc(np.diagonal(stop_gradient(X), axis1=-2, axis2=-1))[..., None, :]
    return V, W, inverse_T, half, signs


def _householder_adjoint(Q, X, Qbar):
    n, k = X.shape[-2:]
    V, W, inverse_T, half, signs = _householder_parts(X)
    G = Qbar * signs
    R = solve_upper_adjoint(inverse_T, -mT(V) @ G)
    C = (-R @ mT(W)) * half
    zero = np.zeros(X.shape[:-2] + (n - k, k), X.dtype)
    Vbar = -G @ mT(W) + rows(mT(R), zero) + V @ (C + mT(C))
    return tril(Vbar, -1)


def _householder_tangent(Q, X, dX):
    k = X.shape[-1]
    V, W, inverse_T, half, signs = _householder_parts(X)
    dV = tril(dX, -1)
    dGram = mT(dV) @ V
    dW = solve_upper(inverse_T, mT(dV[..., :k, :]) - ((dGram + mT(dGram)) * half) @ W)
    return -(dV @ W + V @ dW) * signs


define(_householder, adjoint=_householder_adjoint, tangent=_householder_tangent)


# ---------------------------------------------------------------------------------------------------
# Triangular systems, which the Householder and QR rules solve
# ---------------------------------------------------------------------------------------------------

@primitive
def solve_upper(U, B):
    """Solve ``U X = B`` for upper triangular `U`, differentiably."""
    return _core_solve_upper(U, B)


@primitive
def solve_upper_adjoint(U, B):
    """Solve ``U^H X = B`` for upper triangular `U`, differentiably."""
    return _core_solve_upper(U, B, adjoint=True)


# From U X = B: U dX = dB - dU X; backwards Bbar = U^-H Xbar and Ubar = -Bbar X^H, its upper triangle.
defvjp(
    solve_upper,
    lambda X, U, B: lambda g: conj(np.triu(-solve_upper_adjoint(U, conj(g)) @ H(X))),
    lambda X, U, B: lambda g: conj(solve_upper_adjoint(U, conj(g))),
)
defjvp(
    solve_upper,
    lambda dU, X, U, B: -solve_upper(U, np.triu(dU) @ X),
    lambda dB, X, U, B: solve_upper(U, dB),
)
# From U^H X = B: U^H dX = dB - dU^H X; backwards Bbar = U^-1 Xbar and Ubar = -X Bbar^H.
defvjp(
    solve_upper_adjoint,
    lambda X, U, B: lambda g: conj(np.triu(-X @ H(solve_upper(U, conj(g))))),
    lambda X, U, B: lambda g: conj(solve_upper(U, conj(g))),
)
defjvp(
    solve_upper_adjoint,
    lambda dU, X, U, B: -solve_upper_adjoint(U, H(np.triu(dU)) @ X),
    lambda dB, X, U, B: solve_upper_adjoint(U, dB),
)


# ---------------------------------------------------------------------------------------------------
# QR, and the way back from a frame to its reflectors
# ---------------------------------------------------------------------------------------------------

_orthonormalize = primitive(core.orthonormalize)


def orthonormalize(A):
    r"""Differentiable :func:`orthonorm.core.orthonormalize`.

    Parameters
    ----------
    A : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.orthonormalize`.
    numpy.linalg.LinAlgError
        On differentiating, if `A` is rank-deficient.

    Notes
    -----
    From A = QR, with :math:`N = \dot A R^{-1}` and :math:`C = Q^H N`,

    .. math:: \dot Q = N - Q \operatorname{up}(C), \qquad
              \operatorname{up}(C) = \operatorname{triu}(C, 1) + \operatorname{tril}(C, -1)^H
              + \operatorname{Re} \operatorname{diag}(C),

    where up(C) :math:`= \dot R R^{-1}` is what makes :math:`Q^H \dot Q` skew-Hermitian with C's
    lower triangle. Backwards [1]_,

    .. math:: \bar A = (\bar Q - Q \operatorname{up}^*(Q^H \bar Q)) R^{-H}, \qquad
              \operatorname{up}^*(Z) = \operatorname{triu}(Z, 1) + \operatorname{tril}(Z^H, -1)
              + \operatorname{Re} \operatorname{diag}(Z).

    References
    ----------
    .. [1] S. F. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with
       application in optimum experimental design", 2010, arXiv:1001.1654.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda A: orthonormalize(A)[0, 0])(np.array([[3.0], [4.0]]))
    array([[ 0.128],
           [-0.096]])
    """
    return on_tall(_orthonormalize, A)


def _real_diagonal(Z):
    return np.real(Z) * np.eye(Z.shape[-1], dtype=dtype_of(np.real(stop_gradient(Z))))


def _orthonormalize_adjoint(Q, A, Qbar):
    R = np.triu(H(Q) @ A)
    Z = H(Q) @ Qbar
    upper = np.triu(Z, 1) + tril(H(Z), -1) + _real_diagonal(Z)
    return H(solve_upper(R, H(Qbar - Q @ upper)))


def _orthonormalize_tangent(Q, A, dA):
    R = np.triu(H(Q) @ A)
    N = H(solve_upper_adjoint(R, H(dA)))
    C = H(Q) @ N
    return N - Q @ (np.triu(C, 1) + H(tril(C, -1)) + _real_diagonal(C))


define(_orthonormalize, adjoint=_orthonormalize_adjoint, tangent=_orthonormalize_tangent)


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
    return _reflectors_of_frame(frame) + X * np.eye(*X.shape[-2:], dtype=X.dtype) + above


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


# ---------------------------------------------------------------------------------------------------
# Spectral normalisation
# ---------------------------------------------------------------------------------------------------

def power_iteration(W, u, v, n_power_iterations=1, eps=1e-12):
    r"""Run :func:`orthonorm.core.power_iteration` on the values of `W`: the result is a constant.

    The singular vectors are estimates that training carries along, not functions of the weight to be
    differentiated through: the derivative of :math:`\sigma = u^H W v` with exact u and v does not
    depend on theirs.

    Parameters
    ----------
    W : array or autograd tracer, shape (h, w)
    u : array, shape (h,)
    v : array, shape (w,)
    n_power_iterations : int
    eps : float

    Returns
    -------
    u : ndarray, shape (h,)
    v : ndarray, shape (w,)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.power_iteration`.

    Examples
    --------
    >>> from autograd import grad
    >>> u, v = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    >>> grad(lambda W: np.sum(power_iteration(W, u, v)[0] @ W))(np.diag([2.0, 1.0]))
    array([[1., 1.],
           [0., 0.]])
    """
    values = map(stop_gradient, (W, u, v))
    return core.power_iteration(*values, n_power_iterations=n_power_iterations, eps=eps)


@primitive
def spectral_normalize(W, u, v):
    r"""Differentiable :func:`orthonorm.core.spectral_normalize`.

    Parameters
    ----------
    W : array or autograd tracer, shape (h, w)
    u : array, shape (h,)
    v : array, shape (w,)
        Constants to every derivative.

    Returns
    -------
    array or autograd tracer, shape (h, w)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.spectral_normalize`.

    Notes
    -----
    With :math:`\sigma = u^H W v` and :math:`P = W / \sigma`,

    .. math:: \dot P = \frac{\dot W - (u^H \dot W v) P}{\sigma}, \qquad
              \bar W = \frac{\bar P - \left(\sum_{ij} \overline{P_{ij}} \bar P_{ij}\right) u v^H}
                             {\overline{\sigma}}.

    References
    ----------
    .. [1] T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR 2018, equation 12.

    Examples
    --------
    >>> from autograd import grad
    >>> u, v = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    >>> grad(lambda W: np.sum(spectral_normalize(W, u, v)))(np.diag([4.0, 2.0]))
    array([[-0.125,  0.25 ],
           [ 0.25 ,  0.25 ]])
    """
    return core.spectral_normalize(W, u, v)


def _sigma(W, u, v):
    # A zero weight is divided by the constant 1.
    return np.conj(u) @ (W @ v) if np.any(stop_gradient(W)) else 1


def _spectral_normalize_vjp(P, W, u, v):
    def vjp(g):
        Pbar = cast(conj(g), dtype_of(P))
        along = np.sum(conj(P) * Pbar)
        Wbar = (Pbar - along * np.outer(u, np.conj(v))) / conj(_sigma(W, u, v))
        return conj(Wbar)
    return vjp


def _spectral_normalize_jvp(dW, P, W, u, v):
    return (dW - (np.conj(u) @ (dW @ v)) * P) / _sigma(W, u, v)


defvjp(spectral_normalize, _spectral_normalize_vjp)
defjvp(spectral_normalize, _spectral_normalize_jvp)
