r"""The linear map that a convolution is: its matrix, its singular values, bounds of its norm."""
import itertools
import math
from typing import Any

import numpy as np
import scipy.fft

from .bounds import UNIT_ROUNDOFF, Bounds, ScaledBounds, bounds_and_vector, outward, scaled
from .matrices import as_matrices

Ints = tuple[int, ...]


def convolution_matrix(kernel: Any, input_size: Any, stride: Any = 1, padding: Any = 0,
                       dilation: Any = 1, groups: int = 1, padding_mode: str = "zeros") -> np.ndarray:
    r"""Write a convolution as the dense matrix that maps flattened inputs to flattened outputs.

    It has as many entries as input and output have together, multiplied: for small cases, to see and
    to test. The matrix of a transposed convolution is the transpose of one of these.

    Parameters
    ----------
    kernel : array_like, shape (out_channels, in_channels / groups, *kernel_size)
        With any number of dimensions of space.
    input_size : int or tuple of int
        Size of the input in space.
    stride, padding, dilation : int or tuple of int
        As for :func:`orthonorm.nn.functional.conv1d`; one number for all dimensions of space, or one
        each. `padding` may be "same".
    groups : int
    padding_mode : {"zeros", "circular"}
        What the input is continued by.

    Returns
    -------
    ndarray, shape (out_channels * prod(output_size), in_channels * prod(input_size))

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or the dilated kernel larger than the padded input.

    Notes
    -----
    Definition: column j is the convolution of the j-th unit input; ``tests/core/test_convolution.py``
    multiplies inputs by the matrix and compares with ``nn.functional``.

    Row (o, p) and column (c, q) meet in the sum of the kernel's entries at those k for which the
    output position p sees the input position q,

    .. math:: q = s p + d k - \mathrm{padding} \quad (\bmod\ n \text{ if circular}),

    s being the stride, d the dilation, n the input size.

    Examples
    --------
    >>> convolution_matrix([[[1.0, 2.0, 3.0]]], 4, padding=1)
    array([[2., 3., 0., 0.],
           [1., 2., 3., 0.],
           [0., 1., 2., 3.],
           [0., 0., 1., 2.]])
    >>> convolution_matrix([[[1.0, 2.0, 3.0]]], 4, padding=1, padding_mode="circular")
    array([[2., 3., 0., 1.],
           [1., 2., 3., 0.],
           [0., 1., 2., 3.],
           [3., 0., 1., 2.]])
    """
    kernel, size, dilation = _as_kernel(kernel, input_size, dilation, groups)
    stride = _per_dimension("stride", stride, len(size), 1)
    spread = tuple(d * (k - 1) for d, k in zip(dilation, kernel.shape[2:]))
    if isinstance(padding, str) and padding == "same":
        before, total = tuple(s // 2 for s in spread), spread
    else:
        before = _per_dimension("padding", padding, len(size), 0)
        total = tuple(2 * p for p in before)
    output = tuple((n + t - reach - 1) // s + 1 for n, t, reach, s in zip(size, total, spread, stride))
    if padding_mode not in ("zeros", "circular") or min(output) < 1:
        raise ValueError(
            'padding_mode must be "zeros" or "circular", and the dilated kernel be at most as large as '
            f"the padded input; got padding_mode={padding_mode!r}, shape {kernel.shape}, "
            f"dilation={dilation}, input_size={size}, padding={padding}")
    outputs, per_group = len(kernel) // groups, kernel.shape[1]
    A = np.zeros((groups, outputs, *output, groups, per_group, *size), kernel.dtype)
    for p in itertools.product(*map(range, output)):
        for k in itertools.product(*map(range, kernel.shape[2:])):
            q = tuple(s * i + d * j - b for i, j, s, d, b in zip(p, k, stride, dilation, before))
            if padding_mode == "circular":
                q = tuple(i % n for i, n in zip(q, size))
            if all(0 <= i < n for i, n in zip(q, size)):
                for g in range(groups):
                    A[g, :, *p, g, :, *q] += kernel[g * outputs:(g + 1) * outputs, :, *k]
    return A.reshape(len(kernel) * math.prod(output), groups * per_group * math.prod(size))


def circular_convolution_singular_values(kernel: Any, input_size: Any, dilation: Any = 1,
                                         groups: int = 1) -> np.ndarray:
    r"""Compute all singular values of a convolution with stride 1 and circular padding.

    Parameters
    ----------
    kernel : array_like, shape (out_channels, in_channels / groups, *kernel_size)
        float32, float64, complex64 or complex128, with any number of dimensions of space.
    input_size : int or tuple of int
        Size of the input in space, which is that of the output.
    dilation : int or tuple of int
        Distance between neighbours in the kernel.
    groups : int
        The channels are split into as many groups, each with its own part of the kernel.

    Returns
    -------
    ndarray, shape (*input_size, min(out_channels, in_channels))
        Of the real dtype of `kernel`: for each frequency its singular values, largest first. Together
        they are those of the map, with their multiplicities; `max` gives its norm. Infinite where they
        are out of the dtype's range.

    Raises
    ------
    TypeError, ValueError
        If `kernel` is not finite or of an unsupported dtype, or larger than the input when dilated; if
        `groups` does not divide the output channels.

    Notes
    -----
    Definition: ``svd(convolution_matrix(..., padding_mode="circular"), compute_uv=False)``, which
    ``tests/core/test_convolution.py`` compares with. Here no such matrix is made: the Fourier
    transform, which is unitary but for a factor, makes the map block diagonal [1]_. The block of
    frequency f is

    .. math:: T_f = \sum_k e^{-2 \pi i \sum_j f_j d_j k_j / n_j} \, W_{:, :, k},

    d being the dilation: out_channels x in_channels, so that a fast transform and small singular value
    decompositions do for a matrix of out_channels in_channels n^2D entries, D the dimensions of space.
    Each group has such a block of its own. The position of the kernel, which differs with the way of
    padding, only changes the phases.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. M. Long, "The singular values of convolutional layers", ICLR 2019.

    Examples
    --------
    >>> blur = np.full((1, 1, 2), 0.5)
    >>> circular_convolution_singular_values(blur, 4)[:, 0].round(4)  # |cos(pi f / 4)|
    array([1.    , 0.7071, 0.    , 0.7071])
    """
    kernel, size, dilation = _as_kernel(kernel, input_size, dilation, groups)
    _check_fits(kernel, size, dilation)
    W, exponent = scaled(kernel.reshape(1, -1).astype(np.result_type(kernel, np.float64)))
    dilated = np.zeros((*kernel.shape[:2], *size), kernel.dtype)
    dilated[:, :, *(slice(0, d * k, d) for d, k in zip(dilation, kernel.shape[2:]))] = W.reshape(
        kernel.shape)
    blocks = scipy.fft.fftn(dilated, axes=range(2, kernel.ndim))
    blocks = blocks.reshape(groups, -1, *blocks.shape[1:])
    s = np.linalg.svd(np.moveaxis(blocks, (0, 1, 2), (-3, -2, -1)), compute_uv=False)
    with np.errstate(over="ignore", under="ignore"):
        return np.sort(np.ldexp(s, exponent).reshape(*size, -1))[..., ::-1]


def circular_convolution_norm_bounds(kernel: Any, input_size: Any, n_iterations: int = 10,
                                     dilation: Any = 1, groups: int = 1) -> Bounds:
    r"""Enclose the norm of a convolution with stride 1 and circular padding, with certainty.

    The upper bound holds for zero padding, of any width, and for any stride too, if `input_size` is
    the input's size and that of the dilated kernel less 1: such a convolution is the circular one on
    inputs that end in zeros, of whose outputs some are left out.

    Parameters
    ----------
    kernel : array_like, shape (out_channels, in_channels / groups, *kernel_size)
        float32, float64, complex64 or complex128, with any number of dimensions of space.
    input_size : int or tuple of int
        Size of the input in space, which is that of the output.
    n_iterations : int
        As for :func:`spectral_norm_bounds`.
    dilation : int or tuple of int
    groups : int
        As for :func:`circular_convolution_singular_values`.

    Returns
    -------
    lower, upper : scalar
        Of the real dtype of `kernel`.

    Raises
    ------
    TypeError, ValueError
        As :func:`circular_convolution_singular_values`; if `n_iterations` is not positive.

    Notes
    -----
    Definition: two numbers around the largest of :func:`circular_convolution_singular_values`, with
    which ``tests/core/test_convolution.py`` compares.

    The largest of the bounds of the blocks of :func:`circular_convolution_singular_values` [1]_, by
    :func:`spectral_norm_bounds`. For a real kernel the frequencies f and -f have conjugate blocks,
    and one of the two is enough. The blocks are summed by the definition, whose error is known:
    with K entries of the kernel and D dimensions of space,

    .. math:: \|\Delta T_f\|_F \le (\gamma_{3K} + \eta) \sum_k \|W_{:, :, k}\|_F, \qquad
              \eta = (7 (D^2 + 3 D) + 6) u,

    :math:`\eta` being the error of the exponentials, from angles that are multiples of 2 pi / n_d
    added up, and a sine and cosine right to 2 units in the last place.

    References
    ----------
    .. [1] B. Delattre, Q. Barthelemy, A. Araujo, A. Allauzen, "Efficient bound of Lipschitz constant
       for convolutional layers by Gram iteration", ICML 2023.

    Examples
    --------
    >>> kernel = np.random.default_rng(0).standard_normal((16, 3, 3, 3))
    >>> lower, upper = circular_convolution_norm_bounds(kernel, (32, 32))
    >>> exact = circular_convolution_singular_values(kernel, (32, 32)).max()
    >>> bool(lower <= exact <= upper), bool(upper - lower < 1e-2)
    (True, True)

    A bound for zero padding, on inputs of 32 x 32:

    >>> bool(circular_convolution_norm_bounds(kernel, (34, 34)).upper < 1.01 * upper)
    True
    """
    bounds = enclosed_blocks(kernel, input_size, n_iterations, dilation, groups)[0]
    return outward(bounds, np.asarray(kernel).real.dtype)


def enclosed_blocks(kernel: Any, input_size: Any, n_iterations: int, dilation: Any,
                    groups: int) -> tuple[ScaledBounds, list[tuple[int, np.ndarray, np.ndarray]]]:
    """Return the bounds before their conversion to the dtype, and which block each is from.

    Parameters
    ----------
    kernel, input_size, n_iterations, dilation, groups
        As for :func:`circular_convolution_norm_bounds`.

    Returns
    -------
    bounds : ScaledBounds
    origins : list of (group, exponentials, v)
        For each bound: its group; the complex exponentials of its frequency, shape
        (prod(kernel_size),); the vector that :func:`.bounds.bounds_and_vector` returns of its block.
    """
    kernel, size, dilation = _as_kernel(kernel, input_size, dilation, groups)
    _check_fits(kernel, size, dilation)
    positions = math.prod(kernel.shape[2:])
    W = np.moveaxis(kernel, (0, 1), (-2, -1)).reshape(positions, -1)
    W, exponent = scaled(W.astype(np.result_type(W, np.float64)))
    E = _exponentials(size, kernel.shape[2:], dilation, half=not np.iscomplexobj(kernel))
    blocks = (E @ W).reshape(-1, len(kernel) // groups, kernel.shape[1])  # the group changes faster
    of_blocks, v = bounds_and_vector(blocks, n_iterations)
    each = outward(of_blocks, np.float64)
    at = [int(np.argmax(each.lower)), int(np.argmax(each.upper))]
    n_dims = len(size)
    error = 1.1 * UNIT_ROUNDOFF * (3 * positions + 7 * (n_dims**2 + 3 * n_dims) + 6) * np.sum(
        np.linalg.norm(W, axis=-1))
    lower = np.nextafter(np.maximum(each.lower[at[0]] - error, 0), 0)
    upper = np.nextafter(each.upper[at[1]] + error, np.inf) * np.any(W)
    origins = [(i % groups, E[i // groups], v[i]) for i in at]
    return ScaledBounds(lower, upper, exponent), origins


def _exponentials(size: Ints, kernel_size: Ints, dilation: Ints, half: bool) -> np.ndarray:
    """Return exp(-2 pi i f d k / n): a row for each frequency, a column for each kernel position."""
    counts = [*size[:-1], size[-1] // 2 + 1] if half else size
    turns = np.zeros((*counts, *kernel_size))
    for j, (n, k, d) in enumerate(zip(size, kernel_size, dilation)):
        products = np.outer(np.arange(counts[j]), d * np.arange(k)) % n / n
        shape = [1] * turns.ndim
        shape[j], shape[len(size) + j] = products.shape
        turns += products.reshape(shape)
    return np.exp(-2j * np.pi * turns).reshape(math.prod(counts), -1)


# -- checks -------------------------------------------------------------------------------------------

def _as_kernel(kernel: Any, input_size: Any, dilation: Any,
               groups: Any) -> tuple[np.ndarray, Ints, Ints]:
    """Check what all functions here take; return the kernel, and size and dilation as tuples."""
    kernel = np.asarray(kernel)
    if kernel.ndim < 3 or 0 in kernel.shape:
        raise ValueError("kernel must have shape (out_channels, in_channels / groups, *kernel_size) "
                         f"and not be empty, got {kernel.shape}")
    as_matrices(kernel, "kernel")
    if len(kernel) % _per_dimension("groups", groups, 1, 1)[0]:
        raise ValueError(f"groups must divide the {len(kernel)} output channels, got {groups}")
    n_dims = kernel.ndim - 2
    return (kernel, _per_dimension("input_size", input_size, n_dims, 1),
            _per_dimension("dilation", dilation, n_dims, 1))


def _check_fits(kernel: np.ndarray, size: Ints, dilation: Ints) -> None:
    if any(d * (k - 1) >= n for k, n, d in zip(kernel.shape[2:], size, dilation)):
        raise ValueError("the dilated kernel must not be larger than the input, got kernel size "
                         f"{kernel.shape[2:]}, dilation {dilation} and input_size {size}")


def _per_dimension(name: str, value: Any, ndim: int, least: int) -> Ints:
    """Return one number for each dimension of space, all of them `value` if it is a single one.

    Parameters
    ----------
    name : str
        What the error message calls it.
    value : int or tuple of int
    ndim : int
    least : int
        The smallest allowed.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If it is something else.
    """
    values = np.atleast_1d(value)
    if (values.shape not in ((1,), (ndim,)) or not np.issubdtype(values.dtype, np.integer)
            or values.min() < least):
        raise ValueError(f"{name} must be an integer of at least {least}, or {ndim} of them, "
                         f"got {value!r}")
    return tuple(int(n) for n in np.broadcast_to(values, ndim))
