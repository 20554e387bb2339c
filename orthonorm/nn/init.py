"""Start values, written into an array or parameter in place.

Every function returns the `tensor` it was given. A weight that a parametrization computes cannot be
written into: PyTorch loses what is written there, here it raises ValueError.
"""
import math
from typing import Any

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from .. import core
from ..core.matrices import check_dtype
from .parameter import Parameter

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_",
    "ones_", "orthogonal_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, *, rng: Any = None) -> Any:
    """Draw from the uniform distribution on [a, b]; real and imaginary part alike.

    Parameters
    ----------
    tensor : ndarray or Parameter
        float32, float64, complex64 or complex128.
    a, b : float
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` cannot be written into.
    TypeError
        If it is neither array nor parameter, or of another dtype.
    RuntimeError
        If a > b.

    Examples
    --------
    >>> uniform_(np.zeros(3), -1, 1, rng=0)
    array([ 0.27392337, -0.46042657, -0.91805295])
    """
    array = _writable(tensor)
    if a > b:
        raise RuntimeError(f"uniform_ needs a <= b, got a={a} and b={b}")
    rng = np.random.default_rng(rng)
    x = rng.uniform(a, b, array.shape)
    array[...] = x + 1j * rng.uniform(a, b, array.shape) if np.iscomplexobj(array) else x
    return tensor


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, *, rng: Any = None) -> Any:
    """Draw from a normal distribution; real and imaginary part share its variance.

    Parameters
    ----------
    tensor : ndarray or Parameter
        float32, float64, complex64 or complex128.
    mean, std : float
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError, TypeError
        As :func:`uniform_`.
    RuntimeError
        If `std` is negative.

    Examples
    --------
    >>> normal_(np.zeros(3), rng=0)
    array([ 0.12573022, -0.13210486,  0.64042265])
    """
    array = _writable(tensor)
    if std < 0:
        raise RuntimeError(f"normal_ needs std >= 0, got {std}")
    rng = np.random.default_rng(rng)
    if np.iscomplexobj(array):
        part = std / math.sqrt(2)
        array[...] = mean + rng.normal(0, part, array.shape) + 1j * rng.normal(0, part, array.shape)
    else:
        array[...] = rng.normal(mean, std, array.shape)
    return tensor


def trunc_normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0,
                  *, rng: Any = None) -> Any:
    r"""Draw from a normal distribution restricted to [a, b].

    Parameters
    ----------
    tensor : ndarray or Parameter
        float32 or float64.
    mean, std : float
        Of the normal distribution, not of what is drawn.
    a, b : float
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError, TypeError
        As :func:`uniform_`; also if `tensor` is complex.
    RuntimeError
        If `std` is not positive, or a > b.

    Notes
    -----
    The inverse of the distribution function at a uniform u, :math:`\Phi^{-1}((1 - u) \Phi(\alpha) +
    u \Phi(\beta))` with :math:`\alpha = (a - mean) / std` and :math:`\beta` likewise. It runs in
    logarithms and in the left tail, so that it is right however far [a, b] is from the mean. (PyTorch
    rejects and draws again, and warns of a mean outside of [a, b].)

    Examples
    --------
    >>> trunc_normal_(np.zeros(3), a=5.0, b=6.0, rng=0).round(3)
    array([5.086, 5.245, 5.571])
    """
    array = _writable(tensor)
    if np.iscomplexobj(array):
        raise TypeError(f"trunc_normal_ needs a real tensor, got {array.dtype}")
    if not std > 0 or not a <= b:
        raise RuntimeError(f"trunc_normal_ needs std > 0 and a <= b, got std={std}, a={a} and b={b}")
    alpha, beta = (a - mean) / std, (b - mean) / std
    left, right = (alpha, beta) if alpha + beta < 0 else (-beta, -alpha)
    u = np.random.default_rng(rng).random(array.shape)
    with np.errstate(divide="ignore"):
        z = ndtri_exp(np.logaddexp(np.log1p(-u) + log_ndtr(left), np.log(u) + log_ndtr(right)))
    array[...] = np.clip(mean + std * (z if alpha + beta < 0 else -z), a, b)
    return tensor


def constant_(tensor: Any, val: float) -> Any:
    """Fill with one value.

    Parameters
    ----------
    tensor : ndarray or Parameter
        float32, float64, complex64 or complex128.
    val : float

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError, TypeError
        As :func:`uniform_`.

    Examples
    --------
    >>> constant_(np.empty(3), 0.5)
    array([0.5, 0.5, 0.5])
    """
    _writable(tensor)[...] = val
    return tensor


def zeros_(tensor: Any) -> Any:
    """Fill with zeros; see :func:`constant_`."""
    return constant_(tensor, 0)


def ones_(tensor: Any) -> Any:
    """Fill with ones; see :func:`constant_`."""
    return constant_(tensor, 1)


def eye_(tensor: Any) -> Any:
    """Make a matrix the identity, or the part of it that a matrix that is not square holds.

    Parameters
    ----------
    tensor : ndarray or Parameter, shape (n, k)

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` has not two dimensions, or cannot be written into.
    TypeError
        As :func:`uniform_`.

    Examples
    --------
    >>> eye_(np.empty((2, 3)))
    array([[1., 0., 0.],
           [0., 1., 0.]])
    """
    array = _writable(tensor)
    if array.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {array.shape}")
    array[...] = np.eye(*array.shape)
    return tensor


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """Make a convolution kernel the one that keeps as many channels as it can unchanged.

    Parameters
    ----------
    tensor : ndarray or Parameter, shape (out_channels, in_channels / groups, *kernel_size)
        With one to three dimensions of space.
    groups : int
        Each group keeps its first channels.

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` has not 3 to 5 dimensions, `groups` does not divide the output channels, or
        `tensor` cannot be written into.
    TypeError
        As :func:`uniform_`.

    Examples
    --------
    >>> dirac_(np.empty((2, 1, 3)))
    array([[[0., 1., 0.]],
           [[0., 0., 0.]]])
    """
    array = _writable(tensor)
    if array.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got {array.shape}")
    outputs, inputs, *kernel = array.shape
    if groups < 1 or outputs % groups:
        raise ValueError(f"dim 0 must be divisible by groups, got {outputs} and groups={groups}")
    array[...] = 0
    centre = tuple(size // 2 for size in kernel)
    for first in range(0, outputs, max(outputs // groups, 1)):
        for channel in range(min(outputs // groups, inputs)):
            array[first + channel, channel, *centre] = 1
    return tensor


def orthogonal_(tensor: Any, gain: float = 1.0, *, start: str = "haar", rng: Any = None) -> Any:
    r"""Draw a matrix with orthonormal columns, or rows if there are fewer; or take the nearest one.

    Parameters
    ----------
    tensor : ndarray or Parameter, shape (n, ...)
        Read as a matrix of n rows; float32, float64, complex64 or complex128 (unitary).
    gain : float
        Multiplies the matrix.
    start : {"haar", "nearest"}
        "haar" draws from the Haar measure (:func:`orthonorm.core.haar`). "nearest" takes the polar
        factor of what `tensor` holds (:func:`orthonorm.core.polar`): no orthogonal matrix is nearer.
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions, or cannot be written into; if `start` is not one of
        the two, or is "nearest" to what is not finite.
    TypeError
        As :func:`uniform_`.

    Notes
    -----
    The use for networks is from [1]_. PyTorch has no argument `start`: it draws.

    References
    ----------
    .. [1] A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
       learning in deep linear neural networks", 2013, arXiv:1312.6120.

    Examples
    --------
    >>> Q = orthogonal_(np.empty((4, 3)), rng=0)
    >>> bool(np.linalg.norm(Q.T @ Q - np.eye(3)) < 1e-14)
    True
    >>> orthogonal_(np.array([[3.0, -4.0], [4.0, 3.0]]), start="nearest").round(12)
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    """
    array = _writable(tensor)
    if array.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got {array.shape}")
    if start not in ("haar", "nearest"):
        raise ValueError(f'start has to be "haar" or "nearest". Got: {start}')
    if array.size:
        shape = len(array), array.size // len(array)
        haar = start == "haar"
        Q = core.haar(shape, array.dtype, rng) if haar else core.polar(array.reshape(shape))
        array[...] = gain * Q.reshape(array.shape)
    return tensor


def kaiming_uniform_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                     *, rng: Any = None) -> Any:
    r"""Draw from the uniform distribution on :math:`\pm \mathrm{gain} \sqrt{3 / \mathrm{fan}}`.

    Parameters
    ----------
    tensor : ndarray or Parameter, shape (out, in, *kernel_size)
    a : float
        Slope of the leaky ReLU behind the layer.
    mode : {"fan_in", "fan_out"}
        What keeps its variance: the signal forwards or the gradient backwards. The fans are the numbers
        of inputs of an output, and of outputs of an input.
    nonlinearity : str
        See :func:`calculate_gain`.
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions or cannot be written into, or `mode` or
        `nonlinearity` is unknown.
    TypeError
        As :func:`uniform_`.

    References
    ----------
    .. [1] K. He, X. Zhang, S. Ren, J. Sun, "Delving deep into rectifiers: surpassing human-level
       performance on ImageNet classification", ICCV 2015.

    Examples
    --------
    >>> bool(np.abs(kaiming_uniform_(np.empty((5, 6)), rng=0)).max() < 1)
    True
    """
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, rng=rng)


def kaiming_normal_(tensor: Any, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu",
                    *, rng: Any = None) -> Any:
    r"""Draw from the normal distribution of deviation :math:`\mathrm{gain} / \sqrt{\mathrm{fan}}`.

    Parameters, errors and source are those of :func:`kaiming_uniform_`.
    """
    return normal_(tensor, 0, _kaiming_std(tensor, a, mode, nonlinearity), rng=rng)


def xavier_uniform_(tensor: Any, gain: float = 1.0, *, rng: Any = None) -> Any:
    r"""Draw uniformly from :math:`\pm \mathrm{gain} \sqrt{6 / (\mathrm{fan\_in} + \mathrm{fan\_out})}`.

    Parameters
    ----------
    tensor : ndarray or Parameter, shape (out, in, *kernel_size)
    gain : float
        See :func:`calculate_gain`.
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray or Parameter
        `tensor`.

    Raises
    ------
    ValueError
        If `tensor` has fewer than two dimensions, or cannot be written into.
    TypeError
        As :func:`uniform_`.

    References
    ----------
    .. [1] X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
       networks", AISTATS 2010.

    Examples
    --------
    >>> bool(np.abs(xavier_uniform_(np.empty((3, 3)), rng=0)).max() < 1)
    True
    """
    bound = math.sqrt(3) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, rng=rng)


def xavier_normal_(tensor: Any, gain: float = 1.0, *, rng: Any = None) -> Any:
    r"""Draw normally, with :math:`\mathrm{gain} \sqrt{2 / (\mathrm{fan\_in} + \mathrm{fan\_out})}`.

    Parameters, errors and source are those of :func:`xavier_uniform_`.
    """
    return normal_(tensor, 0, _xavier_std(tensor, gain), rng=rng)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor that makes up for what a nonlinearity does to the variance.

    Parameters
    ----------
    nonlinearity : str
        "linear", "conv1d" to "conv3d", "conv_transpose1d" to "conv_transpose3d", "sigmoid", "tanh",
        "relu", "leaky_relu" or "selu".
    param : float, optional
        Negative slope of "leaky_relu"; 0.01 by default.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If `nonlinearity` is unknown, or `param` no number.

    Examples
    --------
    >>> calculate_gain("relu") == math.sqrt(2)
    True
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {slope} not a valid number")
        return math.sqrt(2 / (1 + slope**2))
    gains = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    gains |= dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
                            "conv_transpose2d", "conv_transpose3d", "sigmoid"), 1.0)
    if nonlinearity not in gains:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return gains[nonlinearity]


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    shape = _writable(tensor).shape
    # As in PyTorch, a vector has no fans, but an empty one needs none.
    fans = dict(zip(("fan_in", "fan_out"), (1, 1) if 0 in shape else _fans(tensor)))
    if mode not in fans:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(fans)}")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fans[mode], 1))


def _xavier_std(tensor: Any, gain: float) -> float:
    return gain * math.sqrt(2 / max(sum(_fans(tensor)), 1))


def _fans(tensor: Any) -> tuple[int, int]:
    shape = _writable(tensor).shape
    if len(shape) < 2:
        raise ValueError(
            "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got "
            f"{shape}")
    positions = math.prod(shape[2:])
    return shape[1] * positions, shape[0] * positions


def _writable(tensor: Any) -> np.ndarray:
    array = tensor.data if isinstance(tensor, Parameter) else tensor
    if not isinstance(array, np.ndarray):
        raise TypeError(f"tensor must be an array or a Parameter, got {type(array).__name__}")
    check_dtype(array, "tensor")
    if not array.flags.writeable:
        raise ValueError(
            "tensor is read-only. If it is a parametrized weight, it is computed each time it is read: "
            "initialise it before it is parametrized, or assign to it, module.weight = value")
    return array
