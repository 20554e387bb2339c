r"""Rules of spectral normalisation."""
import functools

import numpy as np
from autograd.extend import primitive
from autograd.tracer import isbox
from scipy.linalg import get_blas_funcs

from .. import core
from ..core.spectral import as_triple, estimate_sigma, power_of_two
from .bookkeeping import quick
from .rules import conj, namespace, register, stop_gradient


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
    >>> grad(lambda W: (power_iteration(W, u, v)[0] @ W).sum())(np.diag([2.0, 1.0]))
    array([[1., 1.],
           [0., 0.]])
    """
    values = map(stop_gradient, (W, u, v))
    return core.power_iteration(*values, n_power_iterations=n_power_iterations, eps=eps)


def to_usual_scale(W):
    """Divide an array of very large or small norm by a power of two, which is exact.

    Parameters
    ----------
    W : array or autograd tracer

    Returns
    -------
    array or autograd tracer
        `W` itself unless its norm is far from 1.
    """
    c = power_of_two(stop_gradient(W))
    return W if c is None else W / c


@primitive
def _divide(W, u, v, sigma):
    return W / sigma


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
                             {\overline{\sigma}},

    which is also the definition, :func:`orthonorm.core.definitions.spectral_normalize_vjp`.

    References
    ----------
    .. [1] T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR 2018, equation 12.

    Examples
    --------
    >>> from autograd import grad
    >>> u, v = np.array([1.0, 0.0]), np.array([1.0, 0.0])
    >>> grad(lambda W: spectral_normalize(W, u, v).sum())(np.diag([4.0, 2.0]))
    array([[-0.125,  0.25 ],
           [ 0.25 ,  0.25 ]])
    """
    W = W if isbox(W) else np.asarray(W)
    value, u, v = as_triple(*map(stop_gradient, (W, u, v)))
    sigma = estimate_sigma(value, u, v)
    c = power_of_two(sigma)  # second derivatives divide by the square of sigma
    return _divide(W, u, v, sigma) if c is None else _divide(W / c, u, v, sigma / c)


def _sigma(W, u, v, sigma):
    """Return sigma as a function of W, where a rule is to be differentiated itself."""
    # A zero weight is divided by the constant 1.
    return conj(u) @ (W @ v) if isbox(W) and np.any(stop_gradient(W)) else sigma


def _spectral_adjoint(P, W, u, v, sigma, Pbar):
    sigma = _sigma(W, u, v, sigma)
    xp = namespace(P, Pbar)
    along = np.vdot(P, Pbar) if xp is np else xp.sum(conj(P) * Pbar)
    return _add_outer(Pbar / conj(sigma), u * (-along / conj(sigma)), conj(v))


def _add_outer(A, x, y):
    """Add the matrix x y^T: where nothing is traced in place, in pieces too small for BLAS's threads.

    (:mod:`orthonorm.core.inverses` says why.)
    """
    if isbox(A) or isbox(x) or not A.size:  # which BLAS refuses
        return A + x[:, None] * y
    A = np.ascontiguousarray(A)
    height = max(1, 8192 // max(1, len(y)))
    for i in range(0, len(A), height):
        _ger(A.dtype)(1, y, x[i:i + height], a=A[i:i + height].T, overwrite_a=True)
    return A


@functools.cache
def _ger(dtype):
    return get_blas_funcs("geru" if dtype.kind == "c" else "ger", dtype=dtype)


def _spectral_tangent(P, W, u, v, sigma, dW):
    return (dW - (conj(u) @ (dW @ v)) * P) / _sigma(W, u, v, sigma)


register(_divide, adjoint=_spectral_adjoint, tangent=_spectral_tangent)
_divide = quick(_divide)
