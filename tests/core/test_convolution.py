"""Convolutions as linear maps: the dense matrix against the layers' code, the rest against it."""
import numpy as np
import pytest

from orthonorm.core import (
    circular_convolution_norm_bounds, circular_convolution_singular_values, convolution_matrix,
    spectral_norm_bounds,
)
from orthonorm.nn import functional as F
from tests.core.test_bounds import encloses
from tests.helpers import assert_within, dtypes, eps, sample

CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}

# kernel, size of the input, and what else is given
CONVOLUTIONS = [
    ((2, 3, 3), 5, {}),
    ((3, 2, 3), 7, {"stride": 2, "padding": 1}),
    ((1, 1, 1), 1, {}),
    ((2, 2, 2), 4, {"padding": "same"}),
    ((4, 1, 3), 6, {"groups": 2, "padding": 3}),
    ((2, 2, 3), 9, {"dilation": 3, "padding": "same"}),
    ((2, 3, 2, 3), (4, 5), {"stride": (1, 2), "padding": (0, 2)}),
    ((4, 2, 2, 2), (5, 3), {"groups": 2, "dilation": (2, 1), "stride": (2, 1)}),
    ((2, 2, 3, 2), (4, 4), {"padding": "same"}),
    ((2, 1, 2, 1, 2), (3, 2, 3), {"stride": 2, "padding": (0, 1, 1)}),
]

# kernel, size of the input, and what else is given
CIRCULAR = [
    ((2, 3, 3), 5, {}), ((3, 2, 2), 4, {}), ((1, 1, 4), 4, {}), ((2, 2, 3, 2), (4, 3), {}),
    ((3, 1, 2, 2), (2, 5), {}), ((2, 2, 2, 1, 2), (3, 2, 2), {}), ((1, 2, 1), 1, {}),
    ((2, 3, 3), 5, {"dilation": 2}), ((4, 3, 2), 4, {"groups": 2}), ((3, 1, 2), 3, {"groups": 3}),
    ((6, 1, 2, 3), (5, 4), {"groups": 3, "dilation": (4, 1)}),
]

every_circular = pytest.mark.parametrize("shape, size, options", CIRCULAR, ids=str)


def circular_matrix(kernel, size, **options):
    return convolution_matrix(kernel, size, padding="same", padding_mode="circular", **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape, size, options", CONVOLUTIONS, ids=str)
def test_the_matrix_times_an_input_is_the_layers_output(shape, size, options, dtype):
    kernel, ndim = sample(shape, dtype), len(shape) - 2
    size_of_each = size if ndim > 1 else (size,)
    x = sample((shape[1] * options.get("groups", 1), *size_of_each), dtype, 1)
    y = CONVOLVE[ndim](x, kernel, **options)
    A = convolution_matrix(kernel, size, **options)
    assert A.dtype == dtype and A.shape == (y.size, x.size)
    assert_within(A @ x.ravel(), y.ravel(), 50 * eps(dtype))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_circular_matrix_sees_the_input_repeated(stride):
    kernel, x = sample((2, 3, 3, 2)), sample((3, 4, 5), seed=1)
    A = convolution_matrix(kernel, (4, 5), stride, (1, 2), padding_mode="circular")
    repeated = np.pad(x, ((0, 0), (1, 1), (2, 2)), mode="wrap")
    assert_within(A @ x.ravel(), F.conv2d(repeated, kernel, stride=stride).ravel(), 1e-13)


@pytest.mark.parametrize("options, message", [
    ({"stride": 0}, "^stride must be an integer of at least 1"),
    ({"dilation": (1, 1)}, "^dilation must be an integer .* or 1 of them, got \\(1, 1\\)"),
    ({"padding": -1}, "^padding must be an integer of at least 0"),
    ({"padding": 0.5}, "^padding must be an integer"),
    ({"padding_mode": "reflect"}, "^padding_mode must be .*got padding_mode='reflect'"),
    ({"groups": 3}, "^groups must divide the 2 output channels, got 3"),
    ({"groups": 0}, "^groups must be an integer of at least 1"),
    ({"dilation": 3}, "at most as large as the padded input")], ids=str)
def test_bad_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        convolution_matrix(np.ones((2, 1, 3)), 6, **options)


@pytest.mark.parametrize("function", [convolution_matrix, circular_convolution_singular_values,
                                      circular_convolution_norm_bounds])
@pytest.mark.parametrize("kernel, size, error, message", [
    (np.ones((2, 2)), 3, ValueError, "^kernel must have shape"),
    (np.ones((0, 2, 2)), 3, ValueError, "^kernel must .*not be empty, got \\(0, 2, 2\\)"),
    (np.ones((2, 2, 2), int), 3, TypeError, "^kernel must have dtype"),
    (np.full((2, 2, 2), np.nan), 3, ValueError, "^kernel must be finite"),
    (np.ones((2, 2, 2)), (3, 3), ValueError, "^input_size must be an integer .* or 1 of them"),
    (np.ones((2, 2, 2)), 0, ValueError, "^input_size must be an integer of at least 1"),
    (np.ones((2, 2, 2)), "3", ValueError, "^input_size must be an integer"),
    (np.ones((2, 2, 4)), 3, ValueError, "kernel .* larger|at most as large")], ids=str)
def test_bad_kernels_and_sizes_raise(function, kernel, size, error, message):
    with pytest.raises(error, match=message):
        function(kernel, size)


@pytest.mark.parametrize("function", [circular_convolution_singular_values,
                                      circular_convolution_norm_bounds])
@pytest.mark.parametrize("options, message", [
    ({"groups": 3}, "^groups must divide the 4 output channels, got 3"),
    ({"groups": 1.0}, "^groups must be an integer"),
    ({"dilation": (1, 2)}, "^dilation must be an integer of at least 1, or 1 of them"),
    ({"dilation": 2}, r"^the dilated kernel .*got kernel size \(3,\), dilation \(2,\) and .* \(4,\)"),
], ids=str)
def test_bad_options_of_circular_convolutions_raise(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(np.ones((4, 1, 3)), 4, **options)


@dtypes
@every_circular
def test_singular_values_are_those_of_the_matrix(shape, size, options, dtype):
    kernel = sample(shape, dtype)
    actual = circular_convolution_singular_values(kernel, size, **options)
    assert actual.dtype == kernel.real.dtype
    inputs = shape[1] * options.get("groups", 1)
    assert actual.shape == (*np.atleast_1d(size), min(shape[0], inputs))
    assert np.all(actual[..., 1:] <= actual[..., :-1])
    A = circular_matrix(kernel, size, **options).astype(np.result_type(dtype, np.float64))
    expected = np.linalg.svd(A, compute_uv=False)[:actual.size]
    assert_within(np.sort(actual.ravel())[::-1], expected, 20 * eps(dtype) * expected[0])


@dtypes
def test_singular_values_at_the_ends_of_the_range(dtype):
    """Sums and squares of the entries leave it; the singular values do not, or are infinite."""
    kernel, limits = sample((2, 3, 2), dtype), np.finfo(dtype)
    expected = circular_convolution_singular_values(kernel, 4)
    for exponent in (limits.maxexp - 4, limits.minexp + 4):
        scaled = kernel * limits.dtype.type(2)**exponent
        actual = circular_convolution_singular_values(scaled, 4)
        # Powers of two change nothing: all that is lost is what is subnormal.
        np.testing.assert_array_equal(actual, np.ldexp(expected, exponent))


@dtypes
def test_only_singular_values_out_of_the_range_are_infinite(dtype):
    c = 0.6 * np.finfo(dtype).max
    actual = circular_convolution_singular_values(np.full((1, 1, 2), c, dtype), 4)[:, 0]
    assert_within(actual[1:] / c, [2**0.5, 0, 2**0.5], 4 * eps(dtype))
    assert actual[0] == np.inf


def test_singular_values_do_not_depend_on_the_place_of_the_kernel():
    kernel = sample((2, 2, 3))
    A = convolution_matrix(kernel, 5, padding=1, padding_mode="circular")
    expected = np.linalg.svd(A, compute_uv=False)
    actual = circular_convolution_singular_values(kernel, 5)
    assert_within(np.sort(actual.ravel())[::-1], expected, 1e-13)


@dtypes
@every_circular
def test_bounds_enclose_the_norm_of_the_matrix(shape, size, options, dtype):
    for seed in range(2):
        kernel = sample(shape, dtype, seed)
        bounds = circular_convolution_norm_bounds(kernel, size, **options)
        assert type(bounds.lower) is type(bounds.upper) is kernel.real.dtype.type
        exact = np.linalg.norm(circular_matrix(kernel, size, **options).astype(complex), 2)
        assert bounds.lower * (1 - 1e-14) <= exact <= bounds.upper * (1 + 1e-14)
        assert bounds.upper / bounds.lower - 1 <= 0.001


@pytest.mark.parametrize("kernel, size", [
    (np.full((1, 1, 2), 0.1), 4),
    (np.full((1, 1, 3, 3), 1 / 3), (3, 4)),
    (np.full((2, 1, 2), 0.7), 7),
    (np.array([[[0.1, -0.1]]]), 6),
    (np.array([[[1.0, 0.0]]]), 5),
    (np.array([[[0.3j, 0.1]]]), 4),
    (sample((2, 2, 2)), 3),
    (sample((2, 1, 2), np.complex128), 3),
    (np.full((1, 1, 2), 0.1, np.float32), 4),
    (1e200 * sample((1, 2, 2)), 3),
    (1e-200 * sample((1, 2, 2)), 3),
    (1e307 * sample((1, 2, 2)), 3),
    (1e-310 * sample((1, 2, 2)), 3),
], ids=range(13))
def test_bounds_enclose_the_norm_in_exact_arithmetic(kernel, size):
    bounds = circular_convolution_norm_bounds(kernel, size)
    assert encloses(bounds, circular_matrix(kernel, size)) == (True, True)


def test_errors_of_many_terms_are_counted():
    """The norm is the sum of the entries, all equal, 64 x 64 of them."""
    for c in np.arange(0.05, 1, 0.05):
        lower, upper = circular_convolution_norm_bounds(np.full((1, 1, 64, 64), c), (64, 64))
        assert lower <= 4096 * np.longdouble(c) <= upper
        assert upper / lower - 1 < 1e-10


@pytest.mark.parametrize("size", [(1,), (40,), (3, 4), (2, 2, 3)], ids=str)
def test_the_bounds_allow_for_the_error_of_the_sum_of_the_blocks(size):
    """By gamma_3K + eta, and some ulps of the bounds that all blocks, [[1]], have anyway."""
    kernel = np.zeros((1, 1, *size))
    kernel[(0, 0, *(0 for _ in size))] = 1
    K, D = kernel.size, len(size)
    allowed = (3 * K + 7 * (D**2 + 3 * D) + 6) * eps(float) / 2
    bounds, block = circular_convolution_norm_bounds(kernel, size), spectral_norm_bounds(np.eye(1))
    for error in (block.lower - bounds.lower, bounds.upper - block.upper):
        assert allowed <= error <= 1.1 * allowed + 4 * eps(float)


@pytest.mark.parametrize("shape, size, options", [
    ((3, 2, 3), (6,), {"padding": 1}), ((3, 2, 3), (6,), {"padding": 5}), ((2, 2, 4), (4,), {}),
    ((3, 2, 3), (6,), {"padding": 2, "stride": 2}),
    ((2, 3, 3, 2), (4, 5), {"padding": 2, "stride": (1, 2)}),
    ((4, 2, 3), (6,), {"padding": 2, "dilation": 2, "groups": 2}),
    ((2, 2, 3), (3,), {"padding": "same"})], ids=str)
def test_the_upper_bound_holds_for_zero_padding(shape, size, options):
    for seed in range(5):
        kernel = sample(shape, seed=seed)
        shared = {key: options[key] for key in ("dilation", "groups") if key in options}
        wider = tuple(n + shared.get("dilation", 1) * (k - 1) for n, k in zip(size, shape[2:]))
        norm = np.linalg.norm(convolution_matrix(kernel, size, **options), 2)
        upper = circular_convolution_norm_bounds(kernel, wider, **shared).upper
        assert norm <= upper
        if options.get("stride", 1) == 1:
            assert upper <= 2 * norm


@dtypes
def test_zero_kernels_are_exact(dtype):
    assert circular_convolution_norm_bounds(np.zeros((2, 3, 2), dtype), 4) == (0, 0)


def test_no_iterations_raise():
    with pytest.raises(ValueError, match="^n_iterations must be positive, got 0"):
        circular_convolution_norm_bounds(np.ones((1, 1, 1)), 1, 0)


def test_a_complex_kernel_has_other_norms_at_negative_frequencies():
    """Half the frequencies are enough for real kernels only."""
    kernel = np.array([[[1.0, 1j]]])  # |1 + i exp(-2 pi i f / 4)| = 2 at f = 1, 0 at f = 3
    assert_within(circular_convolution_singular_values(kernel, 4)[:, 0], [2**0.5, 2, 2**0.5, 0], 1e-15)
    assert circular_convolution_norm_bounds(np.conj(kernel), 4).lower > 1.99
