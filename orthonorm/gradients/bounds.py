r"""Rules of the bounds of the largest singular value."""
import math

import autograd.numpy as np
from autograd.extend import primitive

from ..core.bounds import Bounds, bounds_and_vector, outward
from ..core.convolution import enclosed_blocks
from .rules import H, cast, conj, namespace, register, stop_gradient


def spectral_norm_bounds(W, n_iterations=10):
    r"""Differentiable :func:`orthonorm.core.spectral_norm_bounds`.

    Parameters
    ----------
    W : array or autograd tracer, shape (..., m, n)
    n_iterations : int

    Returns
    -------
    lower, upper : array or autograd tracer, shape (...)
        The values of :func:`orthonorm.core.spectral_norm_bounds`, to the bit.

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.spectral_norm_bounds`.

    Notes
    -----
    The upper bound is the Schatten norm of order p = 2^(T+1) and an allowance for rounding, the lower
    one :math:`\|W v\| / \|v\|` less another. Both norms are homogeneous, f(c W) = c f(W) for c > 0,
    and the gradient of such a function is known when its direction N is:
    :math:`\nabla f = f N / \langle N, W \rangle`, because :math:`\langle \nabla f, W \rangle = f`. The
    directions are

    .. math:: N_{\mathrm{upper}} = W (W^H W)^{p/2 - 1}, \qquad N_{\mathrm{lower}} = W v v^H.

    The allowances are treated as proportional to the bounds, and v, as power iteration's vectors, as
    a constant. With growing T both gradients tend to :math:`u_1 v_1^H` where
    :math:`\sigma_1 > \sigma_2`; that of the upper bound exists where :math:`\sigma_1 = \sigma_2` too,
    and its share of several singular vectors is smooth. At W = 0 both are set to 0.

    A gradient of a homogeneous function is the same at c W: it is computed at W divided by a power of
    two, with every power of :math:`W^H W` divided by its norm, so that nothing leaves the range.

    References
    ----------
    .. [1] B. Delattre, Q. Barthelemy, A. Araujo, A. Allauzen, "Efficient bound of Lipschitz constant
       for convolutional layers by Gram iteration", ICML 2023, section 4.2.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda W: spectral_norm_bounds(W).upper)(np.diag([2.0, 2.0, 1.0])).round(4)
    array([[0.5002, 0.    , 0.    ],
           [0.    , 0.5002, 0.    ],
           [0.    , 0.    , 0.    ]])
    """
    W = W if hasattr(W, "dtype") else np.array(W)
    bounds, v = bounds_and_vector(stop_gradient(W), n_iterations)
    values = outward(bounds, stop_gradient(W).real.dtype)
    return Bounds(
        _homogeneous(W, values.lower, bounds.lower, bounds.exponent, _projection(v)),
        _homogeneous(W, values.upper, bounds.upper, bounds.exponent, _power(n_iterations)))


def circular_convolution_norm_bounds(kernel, input_size, n_iterations=10, dilation=1, groups=1):
    r"""Differentiable :func:`orthonorm.core.circular_convolution_norm_bounds`.

    Parameters
    ----------
    kernel : array or autograd tracer, shape (out_channels, in_channels / groups, *kernel_size)
    input_size : int or tuple of int
    n_iterations : int
    dilation : int or tuple of int
    groups : int

    Returns
    -------
    lower, upper : scalar or autograd tracer
        The values of :func:`orthonorm.core.circular_convolution_norm_bounds`, to the bit.

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.circular_convolution_norm_bounds`.

    Notes
    -----
    Each bound is that of one frequency's block, a linear function :math:`T = A W` of the kernel: its
    direction is :math:`A^*` of that which :func:`spectral_norm_bounds` has at T. The error of the
    block's entries is treated as proportional too. As with any maximum, where two frequencies tie the
    derivative is that of one.

    References
    ----------
    .. [1] B. Delattre, Q. Barthelemy, A. Araujo, A. Allauzen, "Efficient bound of Lipschitz constant
       for convolutional layers by Gram iteration", ICML 2023.

    Examples
    --------
    >>> from autograd import grad
    >>> blur = np.full((1, 1, 2), 0.5)  # the norm is the sum of the entries
    >>> grad(lambda kernel: circular_convolution_norm_bounds(kernel, 4).upper)(blur).round(12)
    array([[[1., 1.]]])
    """
    kernel = kernel if hasattr(kernel, "dtype") else np.array(kernel)
    bounds, origins = enclosed_blocks(stop_gradient(kernel), input_size, n_iterations, dilation, groups)
    values = outward(bounds, stop_gradient(kernel).real.dtype)
    (group, e, v), (group_of_upper, e_of_upper, _) = origins
    shape = (len(kernel) // groups, kernel.shape[1])

    def part(group):
        return np.reshape(kernel[group * shape[0]:(group + 1) * shape[0]], (math.prod(shape), -1))
    return Bounds(
        _homogeneous(part(group), values.lower, bounds.lower, bounds.exponent,
                     _of_block(_projection(v), shape, e)),
        _homogeneous(part(group_of_upper), values.upper, bounds.upper, bounds.exponent,
                     _of_block(_power(n_iterations), shape, e_of_upper)))


# -- directions of gradients, as functions of the scaled matrix or kernel -----------------------------

def _of_fewer_columns(direction):
    """Extend a direction of tall matrices to wide ones by the conjugate transpose, of the same norm."""
    return lambda X: H(direction(H(X))) if np.shape(X)[-2] < np.shape(X)[-1] else direction(X)


def _projection(v):
    return _of_fewer_columns(lambda X: (X @ v) @ H(v))


def _power(n_iterations):
    def direction(X):
        G = N = X
        for _ in range(n_iterations):  # multiplies by G, G^2, G^4, ...: 2^T - 1 times in all
            G = _unit(H(G) @ G)
            N = _unit(N @ G)
        return N
    return _of_fewer_columns(direction)


def _of_block(direction, shape, exponentials):
    """Pull the direction at a frequency's block back to the kernel, of a row for each two channels."""
    def pulled_back(X):
        block = np.reshape(np.dot(X + 0j, exponentials), shape)
        N = np.reshape(direction(block), (-1, 1)) * np.conj(exponentials)
        return N if np.iscomplexobj(X) else np.real(N)
    return pulled_back


def _unit(A):
    """Divide each matrix by its Frobenius norm, zero by 1."""
    xp = namespace(A)
    squares = xp.sum(xp.real(conj(A) * A), axis=(-2, -1), keepdims=True)
    return A / xp.sqrt(squares + (stop_gradient(squares) == 0))


# -- the rule ------------------------------------------------------------------------------------------

@primitive
def _homogeneous(W, value, scaled, exponent, direction):
    """Return `value`: that of a homogeneous function whose gradient has the direction of a function.

    `scaled` is the function's value at W / 2^exponent, where nothing is out of the range.
    """
    return value


def _gradient(W, scaled, exponent, direction):
    X = cast(W, np.result_type(W.dtype, np.float64))
    for part in (exponent // 2, exponent - exponent // 2):  # 2^-exponent itself may be out of the range
        X = X * np.ldexp(1.0, -part)[..., None, None]
    N = direction(X)
    along = np.sum(np.real(conj(N) * X), axis=(-2, -1))
    along = along + (stop_gradient(along) == 0)
    f = _homogeneous(X, scaled, scaled, np.zeros_like(exponent), direction)
    return N * np.reshape(f / along, (*np.shape(exponent), 1, 1))


def _adjoint(value, W, _, scaled, exponent, direction, fbar):
    gradient = _gradient(W, scaled, exponent, direction)
    return cast(np.reshape(fbar, (*np.shape(exponent), 1, 1)) * gradient, W.dtype)


def _tangent(value, W, _, scaled, exponent, direction, dW):
    gradient = _gradient(W, scaled, exponent, direction)
    return cast(np.sum(np.real(conj(gradient) * dW), axis=(-2, -1)), value.dtype)


register(_homogeneous, adjoint=_adjoint, tangent=_tangent)
