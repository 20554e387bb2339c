"""Convolutions and their transposes, in one to three dimensions."""
from typing import Any

from ...gradients import stop_gradient
from ...gradients.bookkeeping import reshape
from .arrays import as_array, as_int, check_bias, to_common_dtype
from .trilinear import Geometry, Ints, Widths, correlate, correlate_transposed

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


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
    >>> import numpy as np
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
    >>> import numpy as np
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
    >>> import numpy as np
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
    >>> import numpy as np
    >>> conv_transpose1d(np.array([[1.0, 10.0]]), np.array([[[1.0, 2.0, 3.0]]]), stride=2)
    array([[ 1.,  2., 13., 20., 30.]])
    """
    return _convolve_transposed(1, input, weight, bias, stride, padding, output_padding, groups,
                                dilation)


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
    >>> import numpy as np
    >>> conv_transpose2d(np.array([[[1.0, 2.0]]]), np.array([[[[1.0, 1.0], [0.0, 5.0]]]]))
    array([[[ 1.,  3.,  2.],
            [ 0.,  5., 10.]]])
    """
    return _convolve_transposed(2, input, weight, bias, stride, padding, output_padding, groups,
                                dilation)


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
    >>> import numpy as np
    >>> conv_transpose3d(np.ones((2, 3, 4, 5)), np.ones((2, 1, 3, 3, 3)), stride=2).shape
    (1, 7, 9, 11)
    """
    return _convolve_transposed(3, input, weight, bias, stride, padding, output_padding, groups,
                                dilation)


def _convolve(ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
              groups: int) -> Any:
    input, weight = as_array(input), as_array(weight)
    given, shape = stop_gradient(input).shape, stop_gradient(weight).shape
    _check_shapes(ndim, given, shape, groups)
    kernel = shape[2:]
    stride = per_dimension(ndim, "stride", stride, least=1)
    dilation = per_dimension(ndim, "dilation", dilation, least=1)
    widths = padding_widths(ndim, padding, stride, dilation, kernel)
    out_channels, per_group = shape[:2]
    if given[-ndim - 1] != per_group * groups:
        raise RuntimeError(f"input must have {per_group * groups} channels, as weight of shape "
                           f"{shape} with groups={groups} has, got shape {given}")
    check_bias(bias, (out_channels,))
    size = given[-ndim:]
    output = tuple((length + low + high - d * (k - 1) - 1) // s + 1 for length, (low, high), d, k, s
                   in zip(size, widths, dilation, kernel, stride))
    if min(output) < 1:
        padded = tuple(length + low + high for length, (low, high) in zip(size, widths))
        raise RuntimeError(f"the kernel of size {kernel} with dilation {dilation} is larger than the "
                           f"input, of size {padded} with its padding")
    at = Geometry(size, kernel, output, stride, dilation, tuple(low for low, _ in widths), groups)
    return _applied(correlate, ndim, input, weight, bias, at)


def _convolve_transposed(ndim: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any,
                         output_padding: Any, groups: int, dilation: Any) -> Any:
    input, weight = as_array(input), as_array(weight)
    given, shape = stop_gradient(input).shape, stop_gradient(weight).shape
    _check_shapes(ndim, given, shape, groups)
    stride = per_dimension(ndim, "stride", stride, least=1)
    dilation = per_dimension(ndim, "dilation", dilation, least=1)
    padding = per_dimension(ndim, "padding", padding, least=0)
    extra = per_dimension(ndim, "output_padding", output_padding, least=0)
    if any(e >= max(s, d) for e, s, d in zip(extra, stride, dilation)):
        raise RuntimeError("output_padding must be smaller than either stride or dilation, got "
                           f"output_padding={extra}, stride={stride}, dilation={dilation}")
    in_channels, per_group, *kernel = shape
    if given[-ndim - 1] != in_channels:
        raise RuntimeError(f"input must have {in_channels} channels, as weight of shape "
                           f"{shape} has, got shape {given}")
    check_bias(bias, (per_group * groups,))
    extent = given[-ndim:]
    whole = tuple(s * (p - 1) + d * (k - 1) + 1
                  for p, k, s, d in zip(extent, kernel, stride, dilation))
    size = tuple(length + e - 2 * cut for length, e, cut in zip(whole, extra, padding))
    if min(size) < 1:
        raise RuntimeError(f"padding={padding} leaves nothing of the output, of size {whole} without")
    at = Geometry(size, tuple(kernel), extent, stride, dilation, padding, groups)
    return _applied(correlate_transposed, ndim, input, weight, bias, at)


def _applied(function: Any, ndim: int, input: Any, weight: Any, bias: Any, at: Geometry) -> Any:
    batched = input.ndim == ndim + 2
    x = input if batched else reshape(input, (1, *input.shape))
    if bias is None:
        x, w = to_common_dtype(x, weight)
    else:
        x, w, bias = to_common_dtype(x, weight, bias)
    y = function(x, w, bias, at)
    return y if batched else reshape(y, y.shape[1:])


# -- checks -------------------------------------------------------------------------------------------

def _check_shapes(ndim: int, input: Ints, weight: Ints, groups: int) -> None:
    if len(weight) != ndim + 2 or 0 in (weight[0], *weight[2:]):
        raise RuntimeError(f"weight must have {ndim + 2} dimensions, channels and kernel not empty, "
                           f"got shape {weight}")
    if len(input) not in (ndim + 1, ndim + 2) or 0 in input[-ndim:]:
        raise RuntimeError(f"input must have {ndim + 2} dimensions, or {ndim + 1} without that of the "
                           f"batch, those of space not empty, got shape {input}")
    if as_int("groups", groups) < 1:
        raise RuntimeError(f"groups must be at least 1, got {groups}")
    if weight[0] % groups:
        raise RuntimeError(f"groups={groups} must divide the {weight[0]} channels that weight "
                           "has as its first dimension")


def padding_widths(ndim: int, padding: Any, stride: Ints, dilation: Ints, kernel: Ints) -> Widths:
    """Return how much is put before and after each dimension of space."""
    if not isinstance(padding, str):
        padding = per_dimension(ndim, "padding", padding, least=0)
        return tuple(zip(padding, padding))
    if padding == "valid":
        return ndim * ((0, 0),)
    if padding != "same":
        raise RuntimeError(f'padding must be a number, "same" or "valid", got "{padding}"')
    if stride != ndim * (1,):
        raise RuntimeError(f"padding='same' is not supported for strided convolutions, got {stride}")
    totals = (d * (k - 1) for d, k in zip(dilation, kernel))
    return tuple((total // 2, total - total // 2) for total in totals)


def per_dimension(ndim: int, name: str, value: Any, least: int) -> Ints:
    """Return one number for each dimension of space, all of them `value` if it is a single one.

    Parameters
    ----------
    ndim : int
    name : str
        What the error message calls it.
    value : int or tuple of int
    least : int
        The smallest allowed.

    Raises
    ------
    TypeError
        If there is something else than integers.
    RuntimeError
        If there is another number of them, or one is too small.
    """
    values = tuple(as_int(name, v) for v in (value if isinstance(value, (tuple, list)) else [value]))
    if len(values) == 1:
        values *= ndim
    if len(values) != ndim:
        raise RuntimeError(f"{name} must be one number or {ndim}, got {value}")
    if min(values) < least:
        raise RuntimeError(f"{name} must be at least {least}, got {value}")
    return values
