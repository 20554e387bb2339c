r"""The primitives of convolution: one trilinear form, and zero padding.

The form connects an input x, a kernel w and an output y,

.. math:: T(x, w, y) = \sum_{n, o, c, p, k} y_{n o p} \, w_{o c k} \, x_{n, c, s p + d k},

with n the sample, o and c the channels, p and k the position in the output and in the kernel (indices
with one entry for each dimension of space), s the stride and d the dilation. Its three partial
derivatives are the convolution (with respect to y), the transposed convolution (x) and the gradient
of the kernel (w). Each is linear in the two arguments left, so the three primitives below are each
other's derivatives, to any order. Zero padding is a linear map apart, whose transpose is cropping.
"""
import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from numpy.lib.stride_tricks import as_strided

from ...gradients.rules import cast

Ints = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]


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
    n, channels = x.shape[:2]
    columns = _windows(x, at).reshape(n, at.groups, _row_length(w), math.prod(at.output))
    return (_grouped(w, at) @ columns).reshape(n, len(w), *at.output)


@primitive
def correlate_transposed(y: Any, w: Any, at: Geometry) -> Any:
    """Return x of y and w: each y is spread over the window that `correlate` reads it from."""
    n, per_group = len(y), w.shape[1]
    columns = np.swapaxes(_grouped(w, at), 1, 2) @ y.reshape(
        n, at.groups, len(w) // at.groups, math.prod(at.output))
    windows = columns.reshape(n, at.groups * per_group, *at.kernel, *at.output)
    x = np.zeros((n, at.groups * per_group, *at.size), windows.dtype)
    for position in itertools.product(*map(range, at.kernel)):
        reached = tuple(slice(d * k, d * k + s * (p - 1) + 1, s) for k, d, s, p
                        in zip(position, at.dilation, at.stride, at.output))
        x[:, :, *reached] += windows[:, :, *position]
    return x


@primitive
def correlate_kernel(x: Any, y: Any, at: Geometry) -> Any:
    """Return w of x and y: how much each kernel position of each channel pair takes part in y."""
    n, outputs, per_group = len(y), y.shape[1], x.shape[1] // at.groups
    positions = n * math.prod(at.output)
    # The samples move to the positions here: one matrix product sums over both.
    columns = np.moveaxis(_windows(x, at), 0, 1 + len(at.kernel)).reshape(
        at.groups, per_group * math.prod(at.kernel), positions)
    rows = np.swapaxes(y, 0, 1).reshape(at.groups, outputs // at.groups, positions)
    w = rows @ np.swapaxes(columns, 1, 2)
    return w.reshape(outputs, per_group, *at.kernel)


def _windows(x: Any, at: Geometry) -> Any:
    """View x as what each output position sees: shape (N, C, *kernel, *output)."""
    by_position = x.strides[2:]
    strides = (*x.strides[:2], *map(math.prod, zip(by_position, at.dilation)),
               *map(math.prod, zip(by_position, at.stride)))
    return as_strided(x, (*x.shape[:2], *at.kernel, *at.output), strides, writeable=False)


def _grouped(w: Any, at: Geometry) -> Any:
    """Bring (O, C / groups, *kernel) to (groups, O / groups, C / groups * kernel)."""
    return w.reshape(at.groups, len(w) // at.groups, _row_length(w))


def _row_length(w: Any) -> int:
    return math.prod(w.shape[1:])


# autograd's gradient of a complex function is the plain transpose: nothing is conjugated.
defvjp(
    correlate,
    lambda y, x, w, at: lambda g: correlate_transposed(cast(g, y.dtype), w, at),
    lambda y, x, w, at: lambda g: correlate_kernel(x, cast(g, y.dtype), at),
)
defvjp(
    correlate_transposed,
    lambda x, y, w, at: lambda g: correlate(cast(g, x.dtype), w, at),
    lambda x, y, w, at: lambda g: correlate_kernel(cast(g, x.dtype), y, at),
)
defvjp(
    correlate_kernel,
    lambda w, x, y, at: lambda g: correlate_transposed(y, cast(g, w.dtype), at),
    lambda w, x, y, at: lambda g: correlate(x, cast(g, w.dtype), at),
)
for _bilinear in (correlate, correlate_transposed, correlate_kernel):
    defjvp(_bilinear, "same", "same")


@primitive
def pad(x: Any, widths: Widths) -> Any:
    """Put zeros before and after the entries of each dimension of space."""
    sizes = (low + size + high for size, (low, high) in zip(x.shape[2:], widths))
    padded = np.zeros((*x.shape[:2], *sizes), x.dtype)
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
