r"""The primitives of convolution: one trilinear form.

The form connects an input x, a kernel w and an output y,

.. math:: T(x, w, y) = \sum_{n, o, c, p, k} y_{n o p} \, w_{o c k} \, x_{n, c, s p + d k - l},

with n the sample, o and c the channels, p and k the position in the output and in the kernel (indices
with one entry for each dimension of space), s the stride, d the dilation and l the padding; x is zero
outside of its positions. Its three partial derivatives are the convolution (with respect to y), the
transposed convolution (x) and the gradient of the kernel (w). Each is linear in the two arguments left,
so the three primitives below are each other's derivatives, to any order. Each is one product of
matrices: what every position in the output sees becomes a column, for as many samples at once as the
cache holds.
"""
import functools
import itertools
import math
from typing import Any, Iterator, NamedTuple

import numpy as np
from autograd.extend import defjvp, defvjp, primitive

from ...gradients.bookkeeping import quick
from ...gradients.rules import cast, namespace

Ints = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]

CHUNK = 2**18  # entries of the columns that are made at once


class Geometry(NamedTuple):
    """How the positions of input, kernel and output belong together.

    Attributes
    ----------
    size, kernel, output : tuple of int
        For each dimension of space: extent of the input, the kernel and the output.
    stride, dilation, padding : tuple of int
        The steps s and d, and l, of the module's docstring.
    groups : int
        The channels of input and output are split into so many groups, connected one to one.
    """

    size: Ints
    kernel: Ints
    output: Ints
    stride: Ints
    dilation: Ints
    padding: Ints
    groups: int


@primitive
def correlate(x: Any, w: Any, b: Any, at: Geometry) -> Any:
    """Return y + b, shape (N, O, *output), of x, (N, C, *size), and w, (O, C / groups, *kernel)."""
    kernels = _grouped(w, at)
    y = np.empty((len(x), *kernels.shape[:2], math.prod(at.output)), x.dtype)
    for samples, columns in _columns(x, at):
        np.matmul(kernels, columns, out=y[samples])
    return _with_bias(y.reshape(len(x), len(w), *at.output), b)


@primitive
def correlate_transposed(y: Any, w: Any, b: Any, at: Geometry) -> Any:
    """Return x + b of y and w: each y is spread over the window that `correlate` reads it from."""
    n, channels, kernels = len(y), w.shape[1] * at.groups, np.swapaxes(_grouped(w, at), 1, 2)
    y = y.reshape(n, at.groups, len(w) // at.groups, math.prod(at.output))
    x = np.empty((n, channels, *at.size), y.dtype)
    length, extent, inner, reached = _layout(at, n, channels)
    padded = np.empty((length, channels, *extent), y.dtype)
    by_position, matrices = _empty_columns(at, length, channels, y.dtype)
    for samples in _chunks(n, length):
        count = samples.stop - samples.start
        np.matmul(kernels, y[samples], out=matrices[:count])
        target = padded[:count]
        target[...] = 0
        for position, places in reached:
            met = target[:, :, *places]
            met += by_position[:count, :, *position]
        x[samples] = target[:, :, *inner]
    return _with_bias(x, b)


@primitive
def correlate_kernel(x: Any, y: Any, at: Geometry) -> Any:
    """Return w of x and y: how much each kernel position of each channel pair takes part in y."""
    n, outputs, per_group = len(y), y.shape[1], x.shape[1] // at.groups
    rows = y.reshape(n, at.groups, outputs // at.groups, math.prod(at.output)).swapaxes(2, 3)
    w = np.zeros((at.groups, per_group * math.prod(at.kernel), outputs // at.groups), y.dtype)
    for samples, columns in _columns(x, at):
        w += (columns @ rows[samples]).sum(axis=0)
    return np.ascontiguousarray(w.swapaxes(1, 2)).reshape(outputs, per_group, *at.kernel)


def _columns(x: Any, at: Geometry) -> Iterator[tuple[slice, Any]]:
    """Yield samples, and what their output positions see, (n, groups, C / groups * kernel, P)."""
    n, channels = x.shape[:2]
    length, extent, inner, _ = _layout(at, n, channels)
    padded = np.zeros((length, channels, *extent), x.dtype)
    along = padded.strides[2:]
    strides = (*padded.strides[:2], *map(math.prod, zip(along, at.dilation)),
               *map(math.prod, zip(along, at.stride)))
    windows = np.ndarray((length, channels, *at.kernel, *at.output), x.dtype, padded, 0, strides)
    by_position, matrices = _empty_columns(at, length, channels, x.dtype)
    for samples in _chunks(n, length):
        count = samples.stop - samples.start
        padded[:count, :, *inner] = x[samples]
        np.copyto(by_position[:count], windows[:count])
        yield samples, matrices[:count]


def _empty_columns(at: Geometry, length: int, channels: int, dtype: Any) -> tuple[Any, Any]:
    """Return an array for columns, seen by kernel and output positions, and as matrices."""
    rows, positions = channels * math.prod(at.kernel), math.prod(at.output)
    # Rows a large power of two apart would have the same places in the cache.
    spare = 16 if positions % 256 == 0 else 0
    columns = np.empty((length, rows, positions + spare), dtype)[:, :, :positions]
    return (columns.reshape(length, channels, *at.kernel, *at.output),
            columns.reshape(length, at.groups, rows // at.groups, positions))


def _chunks(n: int, length: int) -> Iterator[slice]:
    return (slice(start, min(start + length, n)) for start in range(0, n, length))


@functools.lru_cache(1000)
def _layout(at: Geometry, n: int, channels: int) -> tuple:
    """Return how the input is laid out with its padding.

    Returns
    -------
    length : int
        How many samples are taken at once.
    extent : tuple of int
        Of the input with the zeros around it that windows reach, or more.
    inner : tuple of slice
        Where in it the input is.
    reached : list of (tuple of int, tuple of slice)
        For each position in the kernel, where in it the output positions meet it.
    """
    columns = channels * math.prod(at.kernel) * math.prod(at.output)
    extent = tuple(max(low + size, s * (p - 1) + d * (k - 1) + 1) for low, size, s, p, d, k in zip(
        at.padding, at.size, at.stride, at.output, at.dilation, at.kernel))
    inner = tuple(slice(low, low + size) for low, size in zip(at.padding, at.size))
    reached = [(position, tuple(slice(d * k, d * k + s * (p - 1) + 1, s) for k, d, s, p
                                in zip(position, at.dilation, at.stride, at.output)))
               for position in itertools.product(*map(range, at.kernel))]
    return max(1, min(n, CHUNK // max(1, columns))), extent, inner, reached


def _grouped(w: Any, at: Geometry) -> Any:
    """Bring (O, C / groups, *kernel) to (groups, O / groups, C / groups * kernel)."""
    return w.reshape(at.groups, len(w) // at.groups, math.prod(w.shape[1:]))


def _with_bias(y: Any, b: Any) -> Any:
    if b is not None:
        y += b.reshape(-1, *(y.ndim - 2) * (1,))
    return y


# -- derivatives -------------------------------------------------------------------------------------

def _of_bias(g: Any) -> Any:
    xp = namespace(g)
    return xp.sum(xp.sum(g.reshape(*g.shape[:2], math.prod(g.shape[2:])), axis=2), axis=0)


@primitive
def _bias_alone(b: Any, shape: Ints) -> Any:
    return np.zeros(shape, b.dtype) + b.reshape(-1, *(len(shape) - 2) * (1,))


defvjp(_bias_alone, lambda y, b, shape: _of_bias, argnums=(0,))
defjvp(_bias_alone, "same")

# autograd's gradient of a complex function is the plain transpose: nothing is conjugated.
defvjp(
    correlate,
    lambda y, x, w, b, at: lambda g: correlate_transposed(cast(g, y.dtype), w, None, at),
    lambda y, x, w, b, at: lambda g: correlate_kernel(x, cast(g, y.dtype), at),
    lambda y, x, w, b, at: lambda g: _of_bias(cast(g, y.dtype)),
)
defvjp(
    correlate_transposed,
    lambda x, y, w, b, at: lambda g: correlate(cast(g, x.dtype), w, None, at),
    lambda x, y, w, b, at: lambda g: correlate_kernel(cast(g, x.dtype), y, at),
    lambda x, y, w, b, at: lambda g: _of_bias(cast(g, x.dtype)),
)
defvjp(
    correlate_kernel,
    lambda w, x, y, at: lambda g: correlate_transposed(y, cast(g, w.dtype), None, at),
    lambda w, x, y, at: lambda g: correlate(x, cast(g, w.dtype), None, at),
)
for _convolution in (correlate, correlate_transposed):
    defjvp(_convolution,
           functools.partial(lambda f, dx, y, x, w, b, at: f(dx, w, None, at), _convolution),
           functools.partial(lambda f, dw, y, x, w, b, at: f(x, dw, None, at), _convolution),
           lambda db, y, x, w, b, at: _bias_alone(db, y.shape))
defjvp(correlate_kernel, "same", "same")
correlate, correlate_transposed, correlate_kernel = map(
    quick, (correlate, correlate_transposed, correlate_kernel))
