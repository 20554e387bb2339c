r"""The linear map that a convolution is: its matrix, its singular values, bounds of its norm."""
import itertools
import math
from typing import Any

import numpy as np
import scipy.fft

from .bounds import UNIT_ROUNDOFF, Bounds, bounds_and_vector, outward, scaled
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
        If an argument is out of range, or the kernel larger than the padded input.

    Notes
    -----
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
    kernel, size = _as_kernel(kernel, input_size)
    stride, dilation = (_per_dimension(name, value, len(size), 1)
                        for name, value in (("stride", stride), ("dilation", dilation)))
    spread = tuple(d * (k - 1) for d, k in zip(dilation, kernel.shape[2:]))
    if isinstance(padding, str) and padding == "same":
        before, total = tuple(s // 2 for s in spread), spread
    else:
        before = _per_dimension("padding", padding, len(size), 0)
        total = tuple(2 * p for p in before)
    output = tuple((n + t - reach - 1) // s + 1 for n, t, reach, s in zip(size, total, spread, stride))
    if padding_mode not in ("zeros", "circular") or min(output) < 1 or len(kernel) % groups:
        raise ValueError(
            'padding_mode must be "zeros" or "circular", groups divide the output channels, and the '
            f"kernel be at most as large as the padded input; got padding_mode={padding_mode!r}, "
            f"groups={groups}, shape {kernel.shape}, input_size={size}, padding={padding}")
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


def circular_convolution_singular_values(kernel: Any, input_size: Any) -> np.ndarray:
    r"""Compute all singular values of a convolution with stride 1 and circular padding.

    Parameters
    ----------
    kernel : array_like, shape (out_channels, in_channels, *kernel_size)
        float32, float64, complex64 or complex128, with any number of dimensions of space.
    input_size : int or tuple of int
        Size of the input in space, which is that of the output.

    Returns
    -------
    ndarray, shape (*input_size, min(out_channels, in_channels))
        Of the real dtype of `kernel`: for each frequency its singular values, largest first. Together
        they are those of the map, with their multiplicities; `max` gives its norm.

    Raises
    ------
    TypeError, ValueError
        If `kernel` is not finite or of an unsupported dtype, or larger than the input.

    Notes
    -----
    The Fourier transform, which is unitary but for a factor, makes the map block diagonal [1]_. The
    block of frequency f is

    .. math:: T_f = \sum_k e^{-2 \pi i \sum_d f_d k_d / n_d} \, W_{:, :, k},

    out_channels x in_channels, so that a fast transform and small singular value decompositions do
    for a matrix of out_channels in_channels n^2d entries. The position of the kernel, which differs
    with the way of padding, only changes the phases.

    References
    ----------
    .. [1] H. Sedghi, V. Gupta, P. M. Long, "The singular values of convolutional layers", ICLR 2019.

    Examples
    --------
    >>> blur = np.full((1, 1, 2), 0.5)
    >>> circular_convolution_singular_values(blur, 4)[:, 0].round(4)  # |cos(pi f / 4)|
    array([1.    , 0.7071, 0.    , 0.7071])
    """
    kernel, size = _as_kernel(kernel, input_size)
    _check_fits(kernel, size)
    blocks = scipy.fft.fftn(kernel, s=size, axes=range(2, kernel.ndim))
    blocks = np.moveaxis(blocks, (0, 1), (-2, -1))
    return np.linalg.svd(blocks, compute_uv=False)


def circular_convolution_norm_bounds(kernel: Any, input_size: Any, n_iterations: int = 10) -> Bounds:
    r"""Enclose the norm of a convolution with stride 1 and circular padding, with certainty.

    The upper bound holds for zero padding, of any width, and for any stride too, if `input_size` is
    the input's size and that of the kernel less 1: such a convolution is the circular one on inputs
    that end in zeros, of whose outputs some are left out. (For dilation, put zeros into the kernel.)

    Parameters
    ----------
    kernel : array_like, shape (out_channels, in_channels, *kernel_size)
        float32, float64, complex64 or complex128, with any number of dimensions of space.
    input_size : int or tuple of int
        Size of the input in space, which is that of the output.
    n_iterations : int
        As for :func:`spectral_norm_bounds`.

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
    return enclosed_blocks(kernel, input_size, n_iterations)[0]


def enclosed_blocks(kernel: Any, input_size: Any,
                    n_iterations: int) -> tuple[Bounds, list[tuple[np.ndarray, np.ndarray]]]:
    """Return the bounds, and which block each is from.

    Parameters
    ----------
    kernel, input_size, n_iterations
        As for :func:`circular_convolution_norm_bounds`.

    Returns
    -------
    bounds : Bounds
    origins : list of (exponentials, v)
        For each bound: the complex exponentials of its frequency, shape (prod(kernel_size),), and the
        vector that :func:`.bounds.bounds_and_vector` returns of its block.
    """
    kernel, size = _as_kernel(kernel, input_size)
    _check_fits(kernel, size)
    channels, positions = kernel.shape[:2], math.prod(kernel.shape[2:])
    W = np.moveaxis(kernel, (0, 1), (-2, -1)).reshape(positions, -1)
    W, exponent = scaled(W.astype(np.result_type(W, np.float64)))
    E = _exponentials(size, kernel.shape[2:], half=not np.iscomplexobj(kernel))
    blocks, v = bounds_and_vector((E @ W).reshape(-1, *channels), n_iterations)
    at = [int(np.argmax(blocks.lower)), int(np.argmax(blocks.upper))]
    n_dims = len(size)
    error = 1.1 * UNIT_ROUNDOFF * (3 * positions + 7 * (n_dims**2 + 3 * n_dims) + 6) * np.sum(
        np.linalg.norm(W, axis=-1))
    lower = np.nextafter(np.maximum(blocks.lower[at[0]] - error, 0), 0)
    upper = np.nextafter(blocks.upper[at[1]] + error, np.inf) * np.any(W)
    return outward(lower, upper, exponent, kernel.real.dtype), [(E[i], v[i]) for i in at]


def _exponentials(size: Ints, kernel_size: Ints, half: bool) -> np.ndarray:
    """Return exp(-2 pi i f k / n): a row for each frequency, a column for each kernel position."""
    counts = [*size[:-1], size[-1] // 2 + 1] if half else size
    turns = np.zeros((*counts, *kernel_size))
    for d, (n, k) in enumerate(zip(size, kernel_size)):
        products = np.outer(np.arange(counts[d]), np.arange(k)) % n / n
        shape = [1] * turns.ndim
        shape[d], shape[len(size) + d] = products.shape
        turns += products.reshape(shape)
    return np.exp(-2j * np.pi * turns).reshape(math.prod(counts), -1)


# -- checks -------------------------------------------------------------------------------------------

def _as_kernel(kernel: Any, input_size: Any) -> tuple[np.ndarray, Ints]:
    kernel = np.asarray(kernel)
    if kernel.ndim < 3 or 0 in kernel.shape:
        raise ValueError("kernel must have shape (out_channels, in_channels, *kernel_size) and not be "
                         f"empty, got {kernel.shape}")
    as_matrices(kernel, "kernel")
    return kernel, _per_dimension("input_size", input_size, kernel.ndim - 2, 1)


def _check_fits(kernel: np.ndarray, size: Ints) -> None:
    if any(k > n for k, n in zip(kernel.shape[2:], size)):
        raise ValueError(f"the kernel must not be larger than the input, got kernel size "
                         f"{kernel.shape[2:]} and input_size {size}")


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
