r"""Rules of the bounds of the largest singular value."""
import autograd.numpy as np
from autograd.extend import primitive

from ..core.bounds import Bounds, bounds_and_vector
from ..core.convolution import enclosed_blocks
from .rules import H, cast, conj, define, stop_gradient


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
    return Bounds(_lower(W, bounds, v), _upper(W, bounds, n_iterations))


def circular_convolution_norm_bounds(kernel, input_size, n_iterations=10):
    r"""Differentiable :func:`orthonorm.core.circular_convolution_norm_bounds`.

    Parameters
    ----------
    kernel : array or autograd tracer, shape (out_channels, in_channels, *kernel_size)
    input_size : int or tuple of int
    n_iterations : int

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
    Each bound is that of one frequency's block, a linear function of the kernel; the rule for the
    block is that of :func:`spectral_norm_bounds`, and the error of the block's entries is treated as
    proportional too. As with any maximum, where two frequencies tie the derivative is that of one.

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
    bounds, origins = enclosed_blocks(stop_gradient(kernel), input_size, n_iterations)
    (exponentials, v), (exponentials_of_upper, _) = origins
    return Bounds(_lower(_block(kernel, exponentials), bounds, v),
                  _upper(_block(kernel, exponentials_of_upper), bounds, n_iterations))


def _block(kernel, exponentials):
    exponentials = exponentials.astype(np.result_type(kernel.dtype, np.complex64))
    kernel = kernel + 0j  # backwards, autograd takes the real part
    return np.dot(np.reshape(kernel, (*np.shape(kernel)[:2], -1)), exponentials)


def _lower(W, bounds, v):
    return _homogeneous(_tall(W), bounds.lower, bounds.upper, lambda X: (X @ v) @ H(v))


def _upper(W, bounds, n_iterations):
    def direction(X):
        G = H(X) @ X
        for _ in range(n_iterations):  # multiplies by G, G^2, G^4, ...: 2^T - 1 times in all
            X, G = X @ G, G @ G
        return X
    return _homogeneous(_tall(W), bounds.upper, bounds.upper, direction)


def _tall(W):
    return H(W) if np.shape(W)[-2] < np.shape(W)[-1] else W


@primitive
def _homogeneous(W, value, scale, direction):
    """Return `value`: that of a homogeneous function whose gradient has the direction of a function.

    `direction` is called with W / scale, of norm near 1, so that its powers stay in the range.
    """
    return value


def _gradient(f, W, scale, direction):
    scale = np.array(scale, np.float64)[..., None, None]
    scale = scale + (scale == 0)
    X = cast(W, np.result_type(W.dtype, np.float64)) / scale
    N = direction(X)
    along = np.sum(np.real(conj(N) * X), axis=(-2, -1), keepdims=True)
    along = along + (stop_gradient(along) == 0)
    return np.reshape(f, np.shape(scale)) / scale * N / along


def _adjoint(f, W, value, scale, direction, fbar):
    gradient = _gradient(f, W, scale, direction)
    return cast(np.reshape(fbar, (*np.shape(value), 1, 1)) * gradient, W.dtype)


def _tangent(f, W, value, scale, direction, dW):
    gradient = _gradient(f, W, scale, direction)
    return cast(np.sum(np.real(conj(gradient) * dW), axis=(-2, -1)), f.dtype)


define(_homogeneous, adjoint=_adjoint, tangent=_tangent)
