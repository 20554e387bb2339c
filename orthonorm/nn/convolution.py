"""Convolution layers, and transposed ones."""
import math
from typing import Any, Callable

import numpy as np

from . import functional as F
from . import init
from .functional.arrays import as_size
from .functional.convolution import padding_widths, per_dimension
from .functional.padding import MODES, pad_with
from .layers import has_bias
from .module import Module
from .parameter import Parameter


class _Convolution(Module):
    """What all six layers share; the subclasses name the function and the dimensions of space."""

    transposed = False
    ndim: int
    function: Callable
    padding: Any
    output_padding: Any

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
                 padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = True,
                 padding_mode: str = "zeros", *, dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        modes = ("zeros",) if self.transposed else ("zeros", *MODES)
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {', '.join(modes)}, got {padding_mode!r}")
        self.padding_mode = padding_mode
        if groups < 1:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if as_size(name, channels) % groups:
                raise ValueError(f"{name} must be divisible by groups, got {channels} and {groups}")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = per_dimension(self.ndim, "kernel_size", kernel_size, least=1)
        self.stride = per_dimension(self.ndim, "stride", stride, least=1)
        self.dilation = per_dimension(self.ndim, "dilation", dilation, least=1)
        self.output_padding = self.ndim * (0,)
        if isinstance(padding, str) and not self.transposed:
            if padding not in ("same", "valid"):
                raise ValueError(f"padding must be numbers, 'same' or 'valid', got {padding!r}")
            if padding == "same" and self.stride != self.ndim * (1,):
                raise ValueError("padding='same' is not supported for strided convolutions, got "
                                 f"stride={self.stride}")
            self.padding = padding
        else:
            self.padding = per_dimension(self.ndim, "padding", padding, least=0)
        rows, columns = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        shape = (rows, columns // groups, *self.kernel_size)
        fan_in = math.prod(shape[1:])  # PyTorch's reckoning, for the transposed layers too
        bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
        rng = np.random.default_rng(rng)
        self.weight = init.uniform_(Parameter(np.empty(shape, dtype)), -bound, bound, rng=rng)
        self.register_parameter("bias", init.uniform_(
            Parameter(np.empty(out_channels, dtype)), -bound, bound, rng=rng) if bias else None)

    def forward(self, input: Any) -> Any:
        """Convolve an array of shape (N, in_channels, ...), or (in_channels, ...) without a batch."""
        padding = self.padding
        if self.padding_mode != "zeros":
            widths = padding_widths(self.ndim, padding, self.stride, self.dilation, self.kernel_size)
            input, padding = pad_with(input, widths, self.padding_mode), 0
        return self.function(input, self.weight, self.bias, self.stride, padding, self.dilation,
                             self.groups)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        parts = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}",
                 f"stride={self.stride}"]
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            if getattr(self, name) != self.ndim * (usual,):
                parts.append(f"{name}={getattr(self, name)}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if not has_bias(self):
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _TransposedConvolution(_Convolution):
    transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1,
                 padding: Any = 0, output_padding: Any = 0, groups: int = 1, bias: bool = True,
                 dilation: Any = 1, padding_mode: str = "zeros", *, dtype: Any = np.float64,
                 rng: Any = None):
        super().__init__(in_channels, out_channels, kernel_size, stride, padding, dilation, groups,
                         bias, padding_mode, dtype=dtype, rng=rng)
        self.output_padding = per_dimension(self.ndim, "output_padding", output_padding, least=0)

    def forward(self, input: Any) -> Any:
        """Map an array of shape (N, in_channels, ...), or (in_channels, ...) without a batch."""
        return self.function(input, self.weight, self.bias, self.stride, self.padding,
                             self.output_padding, self.groups, self.dilation)


class Conv1d(_Convolution):
    r"""Convolve over one dimension of space with trained kernels: :func:`.functional.conv1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple of int
    stride, padding, dilation, groups
        As for :func:`.functional.conv1d`; `padding` may be "same" or "valid".
    bias : bool
        Whether a number is added for each output channel.
    padding_mode : {"zeros", "circular", "reflect", "replicate"}
        What is put beside the input: zeros, its other end, its mirror image without the last entry,
        or its last entry.
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (out_channels, in_channels / groups, kernel_size)
        Starts uniform on :math:`\pm 1 / \sqrt{n}`, n the number of entries of one kernel,
        in_channels / groups times its size.
    bias : array, shape (out_channels,), or None
        Starts likewise.

    Raises
    ------
    ValueError
        If `groups` is not positive or does not divide the channels, or `padding` is another string, or
        is "same" and the stride not 1, or `padding_mode` is another.
    RuntimeError, TypeError
        If another number is out of range, or not an integer; when called, if the input is too small
        for `padding_mode`.

    Examples
    --------
    >>> layer = Conv1d(4, 6, 3, padding=1, rng=0)
    >>> layer
    Conv1d(4, 6, kernel_size=(3,), stride=(1,), padding=(1,))
    >>> layer(np.ones((2, 4, 10))).shape
    (2, 6, 10)
    """

    ndim = 1
    function = staticmethod(F.conv1d)


class Conv2d(_Convolution):
    """Convolve over two dimensions of space, as :class:`Conv1d` does over one.

    The sizes are one number for both dimensions, or a tuple of two.

    Examples
    --------
    >>> layer = Conv2d(4, 6, (3, 5), stride=2, bias=False, rng=0)
    >>> layer
    Conv2d(4, 6, kernel_size=(3, 5), stride=(2, 2), bias=False)
    >>> layer(np.ones((2, 4, 9, 9))).shape
    (2, 6, 4, 3)
    """

    ndim = 2
    function = staticmethod(F.conv2d)


class Conv3d(_Convolution):
    """Convolve over three dimensions of space, as :class:`Conv1d` does over one.

    The sizes are one number for all dimensions, or a tuple of three.

    Examples
    --------
    >>> Conv3d(4, 6, 3, padding="same", rng=0)(np.ones((2, 4, 5, 5, 5))).shape
    (2, 6, 5, 5, 5)
    """

    ndim = 3
    function = staticmethod(F.conv3d)


class ConvTranspose1d(_TransposedConvolution):
    r"""Transpose a convolution with trained kernels: :func:`.functional.conv_transpose1d`.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size : int or tuple of int
    stride, padding, output_padding, groups, dilation
        As for :func:`.functional.conv_transpose1d`.
    bias : bool
        Whether a number is added for each output channel.
    padding_mode : {"zeros"}
    dtype : dtype, optional
        float64 by default; float32, complex64 and complex128 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight : array, shape (in_channels, out_channels / groups, kernel_size)
        Starts uniform on :math:`\pm 1 / \sqrt{n}`, n = out_channels / groups times the kernel's size.
    bias : array, shape (out_channels,), or None
        Starts likewise.

    Raises
    ------
    ValueError
        If `groups` is not positive or does not divide the channels, or `padding_mode` is another.
    RuntimeError, TypeError
        If another number is out of range, or not an integer.

    Examples
    --------
    >>> layer = ConvTranspose1d(6, 4, 3, stride=2, rng=0)
    >>> layer
    ConvTranspose1d(6, 4, kernel_size=(3,), stride=(2,))
    >>> layer(np.ones((2, 6, 4))).shape
    (2, 4, 9)
    """

    ndim = 1
    function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_TransposedConvolution):
    """Transpose a convolution over two dimensions, as :class:`ConvTranspose1d` does one over one.

    Examples
    --------
    >>> ConvTranspose2d(6, 4, 3, stride=2, output_padding=1, rng=0)(np.ones((2, 6, 4, 5))).shape
    (2, 4, 10, 12)
    """

    ndim = 2
    function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_TransposedConvolution):
    """Transpose a convolution over three dimensions, as :class:`ConvTranspose1d` does one over one.

    Examples
    --------
    >>> ConvTranspose3d(6, 4, 2, rng=0)(np.ones((2, 6, 4, 4, 4))).shape
    (2, 4, 5, 5, 5)
    """

    ndim = 3
    function = staticmethod(F.conv_transpose3d)
