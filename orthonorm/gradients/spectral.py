r"""Rules of spectral normalisation."""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

from .. import core
from .rules import cast, conj, stop_gradient


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


_spectral_normalize = primitive(core.spectral_normalize)


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
    return _spectral_normalize(W, u, v)


def _sigma(W, u, v):
    # A zero weight is divided by the constant 1.
    return np.conj(u) @ (W @ v) if np.any(stop_gradient(W)) else 1


def _spectral_normalize_vjp(P, W, u, v):
    def vjp(g):
        Pbar = cast(conj(g), P.dtype)
        along = np.sum(conj(P) * Pbar)
        Wbar = (Pbar - along * np.outer(u, np.conj(v))) / conj(_sigma(W, u, v))
        return conj(Wbar)
    return vjp


def _spectral_normalize_jvp(dW, P, W, u, v):
    return (dW - (np.conj(u) @ (dW @ v)) * P) / _sigma(W, u, v)


defvjp(_spectral_normalize, _spectral_normalize_vjp)
defjvp(_spectral_normalize, _spectral_normalize_jvp)
