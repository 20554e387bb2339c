r"""Functions of each entry alone.

autograd's own rules do not serve here: that of tanh overflows (it divides by cosh^2), and that of
``where`` turns float32 gradients into float64.
"""
import math
from typing import Any, Callable

import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive
from scipy import special

from ...gradients import stop_gradient
from ...gradients.bookkeeping import quick
from .arrays import as_array, as_float, keep

__all__ = ["gelu", "leaky_relu", "relu", "sigmoid", "softplus", "tanh"]


def _entrywise(function: Callable, derivative: Callable) -> Callable:
    """Make a primitive y = function(x, ...) with dy/dx = derivative(y, x, ...), differentiable too.

    What overflows in either on the way to a finite answer is nothing to warn of.
    """
    quiet = np.errstate(over="ignore", invalid="ignore")
    f, derivative = primitive(quiet(function)), quiet(derivative)
    defvjp(f, lambda y, x, *args: lambda g: g * derivative(y, x, *args), argnums=(0,))
    defjvp(f, lambda g, y, x, *args: g * derivative(y, x, *args), argnums=(0,))
    return quick(f)


def relu(input: Any) -> Any:
    """Apply max(x, 0), with derivative 0 at 0 and 1 at NaN as in PyTorch.

    Parameters
    ----------
    input : array

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    NotImplementedError
        If `input` is complex.

    Examples
    --------
    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    x = as_array(input)
    value = stop_gradient(x)
    if value.dtype.kind == "c":  # NumPy compares complex numbers too
        raise NotImplementedError(f"input must be real, got dtype {value.dtype}")
    return keep(x, ~(value <= 0))


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    """Apply x where x > 0 and `negative_slope` x elsewhere, 0 included.

    Parameters
    ----------
    input : array
    negative_slope : float

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Examples
    --------
    >>> leaky_relu(np.array([-1.0, 0.0, 2.0]), 0.1)
    array([-0.1,  0. ,  2. ])
    """
    return _leaky_relu(as_float(input), float(negative_slope))


_leaky_relu = _entrywise(lambda x, slope: np.where(x > 0, x, slope * x),
                         lambda y, x, slope: np.where(x > 0, 1, slope).astype(y.dtype))


def tanh(input: Any) -> Any:
    """Apply the hyperbolic tangent.

    Parameters
    ----------
    input : array

    Returns
    -------
    array, of the shape of `input`

    Examples
    --------
    >>> tanh(np.array([0.0, np.inf]))
    array([0., 1.])
    """
    return _tanh(input)


_tanh = _entrywise(np.tanh, lambda y, x: 1 - y * y)


def sigmoid(input: Any) -> Any:
    r"""Apply the logistic function :math:`\sigma(x) = 1 / (1 + e^{-x})`.

    Parameters
    ----------
    input : array of float

    Returns
    -------
    array, of the shape of `input`

    Notes
    -----
    The derivative is computed as :math:`\sigma(x) \, \sigma(-x)`, which loses no digits for large x.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    return _sigmoid(input)


_sigmoid: Callable = _entrywise(special.expit, lambda y, x: y * _sigmoid(-x))


def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    r"""Apply :math:`\log(1 + e^{\beta x}) / \beta`, a smooth max(x, 0).

    Parameters
    ----------
    input : array of float
    beta : float
        The larger, the sharper the bend.
    threshold : float
        Where :math:`\beta x` is larger, x itself is returned, as PyTorch does.

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Examples
    --------
    >>> softplus(np.array([-1e4, 0.0, 1e4]))
    array([0.00000000e+00, 6.93147181e-01, 1.00000000e+04])
    """
    return _softplus(as_float(input), float(beta), float(threshold))


def _softplus_derivative(y: Any, x: Any, beta: float, threshold: float) -> Any:
    linear = beta * x > threshold
    return linear + np.logical_not(linear) * _sigmoid(beta * x)


_softplus = _entrywise(
    lambda x, beta, threshold: np.where(beta * x > threshold, x, log1p_exp(beta * x) / beta),
    _softplus_derivative)

# log(1 + e^x), for large |x| too.
log1p_exp: Callable = _entrywise(lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
                                 lambda y, x: _sigmoid(x))


def gelu(input: Any, approximate: str = "none") -> Any:
    r"""Apply the Gaussian error linear unit :math:`x \, \Phi(x)`.

    Parameters
    ----------
    input : array of float
    approximate : {"none", "tanh"}
        Whether :math:`\Phi`, the distribution function of the normal distribution, is replaced by
        :math:`\frac12 (1 + \tanh(\sqrt{2/\pi} \, (x + 0.044715 \, x^3)))`.

    Returns
    -------
    array, of the shape of `input`

    Raises
    ------
    RuntimeError
        If `approximate` is neither.
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Notes
    -----
    At minus infinity it is NaN, as in PyTorch. Finite x have finite derivatives, where PyTorch's
    overflow to NaN.

    References
    ----------
    .. [1] D. Hendrycks, K. Gimpel, "Gaussian error linear units (GELUs)", 2016, arXiv:1606.08415.

    Examples
    --------
    >>> gelu(np.array([-1.0, 0.0, 1.0]))
    array([-0.15865525,  0.        ,  0.84134475])
    """
    x = as_float(input)
    if approximate == "none":
        return _gelu(x)
    if approximate == "tanh":
        return x * _tanh_cdf(x)
    raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")


_normal_density = _entrywise(lambda x: np.exp(-x * x / 2) / math.sqrt(2 * math.pi),
                             lambda y, x: -x * y)
_normal_cdf = _entrywise(special.ndtr, lambda y, x: _normal_density(x))
_gelu = _entrywise(lambda x: x * special.ndtr(x), lambda y, x: _normal_cdf(x) + x * _normal_density(x))


def _tanh_cdf(x: Any) -> Any:
    # (1 + tanh(z)) / 2 is sigmoid(2 z), without cancellation. From |x| = 25 on it is 0 or 1 in double
    # precision, and the cube of a large x overflows.
    x = np.clip(x, -25, 25)
    return sigmoid(math.sqrt(8 / math.pi) * (x + 0.044715 * x * x * x))
