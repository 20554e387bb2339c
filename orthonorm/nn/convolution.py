r"""Convolutions in one to three dimensions, by matrix products.

Everything rests on one trilinear form of an input x, a kernel w and an output y,

.. math:: T(x, w, y) = \sum_{n, o, c, p, k} y_{n o p} \, w_{o c k} \, x_{n, c, s p + d k},

with n the sample, o and c the channels, p and k the position in the output and in the kernel (indices
with one entry for each dimension of space), s the stride and d the dilation. Its three partial
derivatives are the convolution (with respect to y), the transposed convolution (x) and the gradient
of the kernel (w). Each is linear in the two arguments left, so the three primitives below are each
other's derivatives, to any order. Zero padding is a linear map apart, whose transpose is cropping.
"""
import itertools
import math
import operator
from typing import Any, NamedTuple

import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive
from numpy.lib.stride_tricks import as_strided

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

Ints = tuple[int, ...]


# -- the trilinear form -------------------------------------------------------------------------------

class Geometry(NamedTuple):
    """How the positions of input, kernel and output belong together.

    Attributes
    ----------
    size, kernel, stride, dilation : tuple of int
        For each dimension of space: extent of the (padded) input, extent of the kernel, and the
        steps s and d of the module's docstring.
    groups : int
        The channels of input and output are split into so many groups, connected one to one.
    """

    size: Ints
    kernel: Ints
    stride: Ints
    dilation: Ints
    groups: int

    @property
    def output(self) -> Ints:
        """Extent of the output."""
        return tuple((size - d * (k - 1) - 1) // s + 1
                     for size, k, s, d in zip(self.size, self.kernel, self.stride, self.dilation))


@primitive
def correlate(x: Any, w: Any, at: Geometry) -> Any:
    """Return y, shape (N, O, *output), of x, shape (N, C, *size), and w, (O, C / groups, *kernel)."""
    kernels = w.reshape(at.groups, w.shape[0] // at.groups, -1)
    return _samples_first(kernels @ _windows(x, at), len(x), at.output)


@primitive
def correlate_transposed(y: Any, w: Any, at: Geometry) -> Any:
    """Return x of y and w: each y is spread over the window that `correlate` reads it from."""
    kernels = w.reshape(at.groups, w.shape[0] // at.groups, -1)
    windows = np.swapaxes(kernels, 1, 2) @ _channels_first(y, at.groups)
    windows = windows.reshape(at.groups, w.shape[1], *at.kernel, len(y), *at.output)
    x = np.zeros((at.groups, w.shape[1], len(y), *at.size), windows.dtype)
    for position in itertools.product(*map(range, at.kernel)):
        reached = tuple(slice(d * k, d * k + s * (p - 1) + 1, s) for k, d, s, p
                        in zip(position, at.dilation, at.stride, at.output))
        x[:, :, :, *reached] += windows[:, :, *position]
    return _samples_first(x, len(y), at.size)


@primitive
def correlate_kernel(x: Any, y: Any, at: Geometry) -> Any:
    """Return w of x and y: how much each kernel position of each channel pair takes part in y."""
    w = _channels_first(y, at.groups) @ np.swapaxes(_windows(x, at), 1, 2)
    return w.reshape(y.shape[1], x.shape[1] // at.groups, *at.kernel)


def _windows(x: Any, at: Geometry) -> Any:
    """Copy what each output position sees into a matrix (groups, C / groups * kernel, N * output)."""
    (n, channels), (by_sample, by_channel, *by_position) = x.shape[:2], x.strides
    per_group = channels // at.groups
    shape = (at.groups, per_group, *at.kernel, n, *at.output)
    strides = (by_channel * per_group, by_channel, *map(math.prod, zip(by_position, at.dilation)),
               by_sample, *map(math.prod, zip(by_position, at.stride)))
    windows = as_strided(x, shape, strides, writeable=False)
    return windows.reshape(at.groups, per_group * math.prod(at.kernel), n * math.prod(at.output))


def _channels_first(y: Any, groups: int) -> Any:
    """Bring (N, O, *positions) to (groups, O / groups, N * positions)."""
    n, channels, *positions = y.shape
    y = np.swapaxes(y.reshape(n, channels, math.prod(positions)), 0, 1)
    return y.reshape(groups, channels // groups, n * math.prod(positions))


def _samples_first(y: Any, n: int, positions: Ints) -> Any:
    """Bring (groups, O / groups, N * positions) to (N, O, *positions)."""
    channels = y.shape[0] * y.shape[1]
    return np.ascontiguousarray(np.swapaxes(y.reshape(channels, n, *positions), 0, 1))


# autograd's gradient of a complex function is the plain transpose: nothing is conjugated.
defvjp(
    correlate,
    lambda y, x, w, at: lambda g: correlate_transposed(g, w, at),
    lambda y, x, w, at: lambda g: correlate_kernel(x, g, at),
)
defvjp(
    correlate_transposed,
    lambda x, y, w, at: lambda g: correlate(g, w, at),
    lambda x, y, w, at: lambda g: correlate_kernel(g, y, at),
)
defvjp(
    correlate_kernel,
    lambda w, x, y, at: lambda g: correlate_transposed(y, g, at),
    lambda w, x, y, at: lambda g: correlate(x, g, at),
)
for _bilinear in (correlate, correlate_transposed, correlate_kernel):
    defjvp(_bilinear, "same", "same")


# -- padding ------------------------------------------------------------------------------------------

Widths = tuple[tuple[int, int], ...]


@primitive
def pad(x: Any, widths: Widths) -> Any:
    """Put zeros before and after the entries of each dimension of space."""
    positions = zip(x.shape[2:], widths)
    padded = np.zeros(x.shape[:2] + tuple(low + size + high for size, (low, high) in positions), x.dtype)
    padded[_inner(padded, widths)] = x
    return padded


@primitive
def crop(x: Any, widths: Widths) -> Any:
    """Take entries away at both ends of each dimension of space."""
    return x[_inner(x, widths)]


def _inner(x: Any, widths: Widths) -> tuple:
    return (..., *(slice(low, size - high) for size, (low, high) in zip(x.shape[2:], widths)))


defvjp(pad, lambda ans, x, widths: lambda g: crop(g, widths), argnums=(0,))
defvjp(crop, lambda ans, x, widths: lambda g: pad(g, widths), argnums=(0,))
defjvp(pad, "same")
defjvp(crop, "same")


# -- the public functions -----------------------------------------------------------------------------

def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    r"""Convolve over one dimension of space.

    Parameters
    ----------
    input : array, shape (N, in_channels, L) or (in_channels, L)
    weight : array, shape (out_channels, in_channels / groups, kernel_size)
    bias : array, shape (out_channels,), optional
    stride : int or tuple of int
        Step from one window to the next.
    padding : int, tuple of int, "valid" or "same"
        Number of zeros at both ends; "valid" is none, "same" as many as keep the size, the odd one
        at the far end.
    dilation : int or tuple of int
        Step between the entries that a kernel meets.
    groups : int
        Output channels of a group see the input channels of that group only.

    Returns
    -------
    array, shape (N, out_channels, L') or (out_channels, L')
        Of the common dtype of `input` and `weight`.

    Raises
    ------
    RuntimeError
        If shapes do not fit, a number is out of range, or padding is "same" and the stride not 1.
    TypeError
        If `stride`, `padding`, `dilation` or `groups` are not integers.

    Notes
    -----
    As everywhere in deep learning, the kernel is not reversed:

    .. math:: y_{n o p} = b_o + \sum_{c, k} w_{o c k} \, x_{n, c, s p + d k - \mathrm{padding}},
              \qquad L' = \left\lfloor \frac{L + 2\,\mathrm{padding} - d (K - 1) - 1}{s}
              \right\rfloor + 1.

    The windows are copied side by side into a matrix that BLAS multiplies with the kernels [1]_.

    References
    ----------
    .. [1] K. Chellapilla, S. Puri, P. Simard, "High performance convolutional neural networks for
       document processing", 10th International Workshop on Frontiers in Handwriting Recognition (2006).

    Examples
    --------
    >>> conv1d(np.array([[1.0, 2.0, 4.0, 8.0]]), np.array([[[-1.0, 1.0]]]))
    array([[1., 2., 4.]])
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    """Convolve over two dimensions of space, as :func:`conv1d` does over one.

    Parameters
    ----------
    input : array, shape (N, in_channels, H, W) or (in_channels, H, W)
    weight : array, shape (out_channels, in_channels / groups, *kernel_size)
    bias : array, shape (out_channels,), optional
    stride, padding, dilation, groups
        As for :func:`conv1d`; one number for both dimensions, or a tuple of two.

    Returns
    -------
    array, shape (N, out_channels, H', W') or (out_channels, H', W')

    Raises
    ------
    RuntimeError, TypeError
        As :func:`conv1d`.

    Examples
    --------
    >>> x = np.array([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    >>> conv2d(x, np.ones((1, 1, 2, 2)))
    array([[[12., 16.]]])
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
           dilation: Any = 1, groups: int = 1) -> Any:
    """Convolve over three dimensions of space, as :func:`conv1d` does over one.

    Parameters
    ----------
    input : array, shape (N, in_channels, D, H, W) or (in_channels, D, H, W)
    weight : array, shape (out_channels, in_channels / groups, *kernel_size)
    bias : array, shape (out_channels,), optional
    stride, padding, dilation, groups
        As for :func:`conv1d`; one number for all dimensions, or a tuple of three.

    Returns
    -------
    array, shape (N, out_channels, D', H', W') or (out_channels, D', H', W')

    Raises
    ------
    RuntimeError, TypeError
        As :func:`conv1d`.

    Examples
    --------
    >>> conv3d(np.ones((2, 3, 4, 5)), np.ones((1, 2, 3, 3, 3))).shape
    (1, 1, 2, 3)
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    r"""Apply the transpose of the linear map :func:`conv1d`.

    Parameters
    ----------
    input : array, shape (N, in_channels, L) or (in_channels, L)
    weight : array, shape (in_channels, out_channels / groups, kernel_size)
    bias : array, shape (out_channels,), optional
    stride, padding, dilation, groups
        Those of the convolution whose transpose this is; `padding` is a number.
    output_padding : int or tuple of int
        Entries added at the far end: with a stride s, s sizes are mapped to one by the convolution.
        Smaller than `stride` or `dilation`.

    Returns
    -------
    array, shape (N, out_channels, L') or (out_channels, L')
        Of the common dtype of `input` and `weight`.

    Raises
    ------
    RuntimeError
        If shapes do not fit, or a number is out of range.
    TypeError
        If `stride`, `padding`, `output_padding`, `dilation` or `groups` are not integers.

    Notes
    -----
    Each entry of the input adds its multiple of the kernel to the output,

    .. math:: y_{n o q} = b_o + \sum_{c, p, k:\; s p + d k - \mathrm{padding} = q} w_{c o k} x_{n c p},
              \qquad L' = s (L - 1) - 2\,\mathrm{padding} + d (K - 1) + \mathrm{output\_padding} + 1.

    References
    ----------
    .. [1] V. Dumoulin, F. Visin, "A guide to convolution arithmetic for deep learning", 2016,
       arXiv:1603.07285, chapter 4.

    Examples
    --------
    >>> conv_transpose1d(np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0, 3.0]]]), stride=2)
    array([[ 1.,  2., 13., 20., 30.]])
    """
    return _convolve_transposed(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """Apply the transpose of the linear map :func:`conv2d`.

    Parameters
    ----------
    input : array, shape (N, in_channels, H, W) or (in_channels, H, W)
    weight : array, shape (in_channels, out_channels / groups, *kernel_size)
    bias : array, shape (out_channels,), optional
    stride, padding, output_padding, groups, dilation
        As for :func:`conv_transpose1d`; one number for both dimensions, or a tuple of two.

    Returns
    -------
    array, shape (N, out_channels, H', W') or (out_channels, H', W')

    Raises
    ------
    RuntimeError, TypeError
        As :func:`conv_transpose1d`.

    Examples
    --------
    >>> conv_transpose2d(np.array([[[1.0, 2.0]]]), np.array([[[[1.0, 1.0], [0.0, 5.0]]]]))
    array([[[ 1.,  3.,  2.],
            [ 0.,  5., 10.]]])
    """
    return _convolve_transposed(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
                     output_padding: Any = 0, groups: int = 1, dilation: Any = 1) -> Any:
    """Apply the transpose of the linear map :func:`conv3d`.

    Parameters
    ----------
    input : array, shape (N, in_channels, D, H, W) or (in_channels, D, H, W)
    weight : array, shape (in_channels, out_channels / groups, *kernel_size)
    bias : array, shape (out_channels,), optional
    stride, padding, output_padding, groups, dilation
        As for :func:`conv_transpose1d`; one number for all dimensions, or a tuple of three.

    Returns
    -------
    array, shape (N, out_channels, D', H', W') or (out_channels, D', H', W')

    Raises
    ------
    RuntimeError, TypeError
        As :func:`conv_transpose1d`.

    Examples
    --------
    >>> conv_transpose3d(np.ones((2, 3, 4, 5)), np.ones((2, 1, 3, 3, 3)), stride=2).shape
    (1, 7, 9, 11)
    """
    return _convolve_transposed(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _convolve(ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
              groups: int) -> Any:
    _check_shapes(ndim, input, weight, groups)
    kernel = weight.shape[2:]
    stride = _per_dimension(ndim, "stride", stride, least=1)
    dilation = _per_dimension(ndim, "dilation", dilation, least=1)
    widths = _widths(ndim, padding, stride, dilation, kernel)
    out_channels, per_group = weight.shape[:2]
    if input.shape[-ndim - 1] != per_group * groups:
        raise RuntimeError(f"input must have {per_group * groups} channels, as weight of shape "
                           f"{weight.shape} with groups={groups} has, got shape {input.shape}")
    _check_bias(bias, out_channels)
    x, w = _promoted(_batched(ndim, input), weight)
    if any(map(any, widths)):
        x = pad(x, widths)
    at = Geometry(x.shape[2:], kernel, stride, dilation, groups)
    if min(at.output) < 1:
        raise RuntimeError(f"the kernel of size {kernel} with dilation {dilation} is larger than the "
                           f"input, of size {at.size} with its padding")
    return _finished(ndim, correlate(x, w, at), bias, input)


def _convolve_transposed(ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any,
                         output_padding: Any, groups: int, dilation: Any) -> Any:
    _check_shapes(ndim, input, weight, groups)
    stride = _per_dimension(ndim, "stride", stride, least=1)
    dilation = _per_dimension(ndim, "dilation", dilation, least=1)
    padding = _per_dimension(ndim, "padding", padding, least=0)
    extra = _per_dimension(ndim, "output_padding", output_padding, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError("output_padding must be smaller than either stride or dilation, got "
                           f"output_padding={extra}, stride={stride}, dilation={dilation}")
    in_channels, per_group, *kernel = weight.shape
    if input.shape[-ndim - 1] != in_channels:
        raise RuntimeError(f"input must have {in_channels} channels, as weight of shape {weight.shape} "
                           f"has, got shape {input.shape}")
    _check_bias(bias, per_group * groups)
    size = tuple(s * (p - 1) + d * (k - 1) + 1 + e for p, k, s, d, e
                 in zip(input.shape[-ndim:], kernel, stride, dilation, extra))
    if any(length <= 2 * cut for length, cut in zip(size, padding)):
        raise RuntimeError(f"padding {padding} leaves nothing of the output, of size {size} without it")
    y, w = _promoted(_batched(ndim, input), weight)
    x = correlate_transposed(y, w, Geometry(size, tuple(kernel), stride, dilation, groups))
    if any(padding):
        x = crop(x, tuple(zip(padding, padding)))
    return _finished(ndim, x, bias, input)


def _batched(ndim: int, input: Any) -> Any:
    return input if input.ndim == ndim + 2 else np.reshape(input, (1, *input.shape))


def _promoted(x: Any, w: Any) -> tuple[Any, Any]:
    """Bring both to their common dtype, by a sum that autograd knows how to go back through."""
    if x.dtype == w.dtype:
        return x, w
    zero = np.zeros(1, np.result_type(x.dtype, w.dtype))
    return x + zero, w + zero


def _finished(ndim: int, y: Any, bias: Any, input: Any) -> Any:
    if bias is not None:
        y = y + np.reshape(bias, (-1, *ndim * (1,)))
    return y if input.ndim == ndim + 2 else np.reshape(y, y.shape[1:])


# -- checks -------------------------------------------------------------------------------------------

def _check_shapes(ndim: int, input: Any, weight: Any, groups: int) -> None:
    if weight.ndim != ndim + 2 or 0 in (weight.shape[0], *weight.shape[2:]):
        raise RuntimeError(f"weight must have {ndim + 2} dimensions, channels and kernel not empty, got "
                           f"shape {weight.shape}")
    if input.ndim not in (ndim + 1, ndim + 2):
        raise RuntimeError(f"input must have {ndim + 2} dimensions, or {ndim + 1} without those of the "
                           f"batch, got shape {input.shape}")
    if _as_int("groups", groups) < 1:
        raise RuntimeError(f"groups must be at least 1, got {groups}")
    if weight.shape[0] % groups:
        raise RuntimeError(f"groups={groups} must divide the {weight.shape[0]} channels that weight has "
                           "as its first dimension")


def _check_bias(bias: Any, out_channels: int) -> None:
    if bias is not None and np.shape(bias) != (out_channels,):
        raise RuntimeError(f"bias must have shape ({out_channels},), got {np.shape(bias)}")


def _widths(ndim: int, padding: Any, stride: Ints, dilation: Ints, kernel: Ints) -> Widths:
    if not isinstance(padding, str):
        padding = _per_dimension(ndim, "padding", padding, least=0)
        return tuple(zip(padding, padding))
    if padding == "valid":
        return ndim * ((0, 0),)
    if padding != "same":
        raise RuntimeError(f'padding must be a number, "same" or "valid", got "{padding}"')
    if stride != ndim * (1,):
        raise RuntimeError(f"padding='same' is not supported for strided convolutions, got {stride}")
    totals = (d * (k - 1) for d, k in zip(dilation, kernel))
    return tuple((total // 2, total - total // 2) for total in totals)


def _per_dimension(ndim: int, name: str, value: Any, least: int) -> Ints:
    values = tuple(_as_int(name, v) for v in (value if isinstance(value, (tuple, list)) else [value]))
    if len(values) == 1:
        values *= ndim
    if len(values) != ndim:
        raise RuntimeError(f"{name} must be one number or {ndim}, got {value}")
    if min(values) < least:
        raise RuntimeError(f"{name} must be at least {least}, got {value}")
    return values


def _as_int(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None
