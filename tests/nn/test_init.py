"""Start values: distributions, what is written where, what is refused."""
import math

import numpy as np
import pytest
from scipy import stats

from orthonorm import core, nn
from orthonorm.func import functional_call
from orthonorm.nn import init
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm
from tests.helpers import (
    DTYPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex, sample,
)

SHAPE = (60, 20, 2, 3)  # 120 inputs of an output, 360 outputs of an input
LEAKY = math.sqrt(2 / (1 + 0.3**2))

# Function with its arguments, and the distribution of what it draws.
RANDOM = {
    "uniform_": ((), stats.uniform(0, 1)),
    "uniform_ -2 to 3": ((-2, 3), stats.uniform(-2, 5)),
    "normal_": ((), stats.norm()),
    "normal_ 3, 0.5": ((3, 0.5), stats.norm(3, 0.5)),
    "kaiming_uniform_": ((), stats.uniform(-math.sqrt(6 / 120), 2 * math.sqrt(6 / 120))),
    "kaiming_uniform_ leaky, fan_out": (
        (0.3, "fan_out"),
        stats.uniform(-LEAKY * math.sqrt(3 / 360), 2 * LEAKY * math.sqrt(3 / 360))),
    "kaiming_normal_": ((), stats.norm(0, math.sqrt(2 / 120))),
    "kaiming_normal_ tanh": ((0, "fan_out", "tanh"), stats.norm(0, 5 / 3 / math.sqrt(360))),
    "xavier_uniform_": ((), stats.uniform(-math.sqrt(6 / 480), 2 * math.sqrt(6 / 480))),
    "xavier_uniform_ 2": ((2.0,), stats.uniform(-2 * math.sqrt(6 / 480), 4 * math.sqrt(6 / 480))),
    "xavier_normal_": ((), stats.norm(0, math.sqrt(2 / 480))),
    "xavier_normal_ 3": ((3.0,), stats.norm(0, 3 * math.sqrt(2 / 480))),
}
random = pytest.mark.parametrize("name", RANDOM)


def drawn(name, dtype=np.float64, rng=0):
    array = np.empty(SHAPE, dtype)
    getattr(init, name.split()[0])(array, *RANDOM[name][0], rng=rng)
    return array


@random
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distributions(name, dtype):
    """Of 7200 draws, that the variance is 10 % off would be seen."""
    distribution, x = RANDOM[name][1], drawn(name, dtype)
    assert stats.kstest(x.ravel(), distribution.cdf).pvalue > 1e-3
    assert abs(x.var() / distribution.var() - 1) < 0.06
    low, high = distribution.support()
    assert dtype(low) <= x.min() and x.max() <= dtype(high)


@pytest.mark.parametrize("mean, std, a, b", [
    (0.0, 1.0, -2.0, 2.0), (0.0, 0.02, -2.0, 2.0), (0.0, 1.0, 5.0, 6.0), (0.0, 1.0, -40.0, -39.0),
    (3.0, 2.0, -math.inf, 1.0), (-1.0, 0.5, 0.0, math.inf), (1.0, 1.0, 1.0, 1.0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_truncated_normal_distributions(mean, std, a, b, dtype):
    x = init.trunc_normal_(np.empty(7200, dtype), mean, std, a, b, rng=0)
    assert dtype(a) <= x.min() and x.max() <= dtype(b)
    if a < b:
        exact = stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
        assert stats.kstest(x.astype(float), exact.cdf).pvalue > 1e-3


@random
def test_complex_parts(name):
    """Uniform parts are each as a real number would be; normal ones share the variance."""
    distribution, z = RANDOM[name][1], drawn(name, np.complex128)
    share = math.sqrt(2) if "normal" in name else 1
    mean = distribution.mean() * ("uniform_" in name)
    real = (z.real - distribution.mean()) * share + distribution.mean()
    imaginary = (z.imag - mean) * share + distribution.mean()
    for part in (real, imaginary):
        assert stats.kstest(part.ravel(), distribution.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(z.real.ravel(), z.imag.ravel())[0, 1]) < 0.05


@random
def test_rng_decides(name):
    assert_identical(drawn(name, rng=1), drawn(name, rng=1))
    assert_identical(drawn(name, rng=1), drawn(name, rng=np.random.default_rng(1)))
    assert not np.array_equal(drawn(name, rng=1), drawn(name, rng=2))
    before = np.random.get_state()[1].copy()
    drawn(name, rng=None)
    assert np.array_equal(np.random.get_state()[1], before)


# -- orthogonal_ -------------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize(
    "shape", [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (4, 3, 2), (8, 2, 3), (3, 0)], ids=str)
def test_orthogonal(shape, dtype):
    Q = init.orthogonal_(np.empty(shape, dtype), rng=0)
    assert Q.dtype == dtype
    assert gram_error(Q.reshape(len(Q), -1) if Q.size else Q) < 20 * eps(dtype)
    assert_identical(init.orthogonal_(np.empty(shape, dtype), 3.0, rng=0), 3 * Q)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (8, 2, 3), (3, 0)], ids=str)
def test_orthogonal_nearest_is_the_polar_factor_of_the_matrix_of_rows(shape, dtype):
    W = sample(shape, dtype)
    Q = init.orthogonal_(W.copy(), 2.0, start="nearest")
    assert Q.dtype == dtype
    expected = core.polar(W.reshape(len(W), -1)) if W.size else W
    assert_within(Q, 2 * expected.reshape(shape), 10 * eps(dtype))


def test_orthogonal_of_what_is_not_finite_changes_nothing():
    W = np.array([[np.nan, 1.0], [2.0, 3.0]])
    with pytest.raises(ValueError, match="must be finite"):
        init.orthogonal_(W, start="nearest")
    assert W[1, 1] == 3
    with pytest.raises(ValueError, match='^start has to be "haar" or "nearest". Got: torus'):
        init.orthogonal_(W, start="torus")


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_orthogonal_is_haar(dtype):
    """The trace of k x k Haar matrices has mean 0 and E|tr|^2 = 1; rows look like columns.

    The first entry squared has a beta distribution. Of a QR without the sign rule, LAPACK's, the
    diagonal is mostly negative.
    """
    rng, k, count = np.random.default_rng(0), 4, 4000
    Q = np.array([init.orthogonal_(np.empty((k, k), dtype), rng=rng) for _ in range(count)])
    traces = np.trace(Q, axis1=1, axis2=2)
    assert abs(traces.mean()) < 4 / math.sqrt(count)
    assert abs(np.mean(np.abs(traces)**2) - 1) < 0.1
    parts = (1, k - 1) if is_complex(dtype) else (1 / 2, (k - 1) / 2)
    for row, column in ((0, 0), (0, k - 1), (k - 1, 0), (k - 1, k - 1)):
        squares = np.abs(Q[:, row, column])**2
        assert stats.kstest(squares, stats.beta(*parts).cdf).pvalue > 1e-3
        if not is_complex(dtype):
            assert abs(np.mean(np.sign(Q[:, row, column]))) < 4 / math.sqrt(count)
    # The eigenvalues' angles of unitary matrices are uniform, each pair of them repels.
    if is_complex(dtype):
        angles = np.angle(np.linalg.eigvals(Q))
        assert stats.kstest(angles[:, 0], stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-3


# -- fixed values ------------------------------------------------------------------------------------

@dtypes
def test_constants(dtype):
    for function, arguments, value in ((init.zeros_, (), 0), (init.ones_, (), 1),
                                       (init.constant_, (0.25,), 0.25)):
        assert_identical(function(np.full((2, 3), 7, dtype), *arguments), np.full((2, 3), value, dtype))


@dtypes
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (0, 2)])
def test_eye(shape, dtype):
    assert_identical(init.eye_(np.full(shape, 7, dtype)), np.eye(*shape, dtype=dtype))


@pytest.mark.parametrize("layer, groups", [
    (nn.Conv1d(3, 3, 3, padding="same", bias=False), 1), (nn.Conv1d(4, 4, 5, padding=2, bias=False), 1),
    (nn.Conv2d(4, 4, (3, 1), padding="same", groups=2, bias=False), 2),
    (nn.Conv3d(2, 2, 3, padding=1, groups=2, bias=False), 2)])
def test_dirac_keeps_the_channels(layer, groups):
    init.dirac_(layer.weight, groups)
    x = np.random.default_rng(0).standard_normal((2, layer.in_channels, *layer.ndim * (5,)))
    assert_identical(layer(x), x)


def test_dirac_with_more_or_fewer_outputs():
    more = init.dirac_(np.full((5, 2, 3), 7.0))
    assert np.array_equal(more[:, :, 1], np.eye(5, 2)) and not more[:, :, [0, 2]].any()
    fewer = init.dirac_(np.full((2, 5, 4), 7.0))
    assert np.array_equal(fewer[:, :, 2], np.eye(2, 5)) and np.count_nonzero(fewer) == 2


@pytest.mark.parametrize("name, gain", [
    ("linear", 1), ("conv1d", 1), ("conv2d", 1), ("conv3d", 1), ("conv_transpose1d", 1),
    ("conv_transpose2d", 1), ("conv_transpose3d", 1), ("sigmoid", 1), ("tanh", 5 / 3),
    ("relu", math.sqrt(2)), ("selu", 0.75), ("leaky_relu", math.sqrt(2 / 1.0001))])
def test_gains(name, gain):
    assert init.calculate_gain(name) == gain


def test_gain_of_a_slope():
    assert init.calculate_gain("leaky_relu", 2) == math.sqrt(2 / 5)
    assert init.calculate_gain("tanh", 2) == 5 / 3


# -- where it is written -----------------------------------------------------------------------------

EVERY = [(name, ()) for name in init.__all__ if name not in ("calculate_gain", "constant_", "dirac_")]
EVERY += [("constant_", (2.0,)), ("dirac_", ())]
every = pytest.mark.parametrize("name, arguments", EVERY)


def array_for(name, dtype=np.float64):
    return np.full((4, 3, 2) if name == "dirac_" else (4, 3), 7, dtype)


@every
def test_writes_in_place_and_returns_what_it_got(name, arguments):
    function, array = getattr(init, name), array_for(name)
    parameter = nn.Parameter(array)
    assert function(parameter, *arguments) is parameter
    assert parameter.data is array and not np.any(array == 7)
    assert function(array, *arguments) is array
    layer = nn.Conv1d(3, 4, 2) if name == "dirac_" else nn.Linear(3, 4)
    layer.weight[...] = 7
    function(layer.weight, *arguments)
    assert not np.any(layer.weight == 7)


@every
def test_views_are_written_through(name, arguments):
    base = np.full((8, *array_for(name).shape[1:]), 7.0)
    getattr(init, name)(base[::2], *arguments)
    assert not np.any(base[::2] == 7) and np.all(base[1::2] == 7)


@every
@pytest.mark.parametrize("parametrize", [orthogonal, spectral_norm])
def test_computed_weights_are_refused(name, arguments, parametrize):
    layer = nn.Conv1d(3, 4, 2, rng=0) if name == "dirac_" else nn.Linear(3, 4, rng=0)
    parametrize(layer, rng=0).eval()
    before = layer.weight.copy()
    with pytest.raises(ValueError, match="tensor is read-only. If it is a parametrized weight"):
        getattr(init, name)(layer.weight, *arguments)
    assert_identical(layer.weight, before)


@every
def test_other_things_are_refused(name, arguments):
    function = getattr(init, name)
    with pytest.raises(TypeError, match="tensor must be an array or a Parameter, got list"):
        function([[1.0]], *arguments)
    with pytest.raises(TypeError, match="tensor must be an array or a Parameter, got NoneType"):
        function(None, *arguments)
    with pytest.raises(TypeError, match="must have dtype float32, float64, complex64 or complex128"):
        function(array_for(name, int), *arguments)


def test_a_tracer_is_refused():
    from autograd import grad

    class Initialising(nn.Linear):
        def forward(self, x):
            init.zeros_(self.weight)
            return super().forward(x)

    layer = Initialising(2, 1, bias=False)
    with pytest.raises(TypeError, match="tensor must be an array or a Parameter, got ArrayBox"):
        grad(lambda w: functional_call(layer, {"weight": w}, np.ones(2))[0])(np.ones((1, 2)))


ONE, TWO, THREE = np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2, 2))
ERRORS = [
    (init.uniform_, (ONE, 2, 1), RuntimeError, "uniform_ needs a <= b, got a=2 and b=1"),
    (init.normal_, (ONE, 0, -1), RuntimeError, "normal_ needs std >= 0, got -1"),
    (init.trunc_normal_, (ONE, 0, 0), RuntimeError, "trunc_normal_ needs std > 0.* got std=0"),
    (init.trunc_normal_, (ONE, 0, 1, 2, 1), RuntimeError, "got std=1, a=2 and b=1"),
    (init.trunc_normal_, (np.zeros(2, complex),), TypeError, "needs a real tensor, got complex128"),
    (init.eye_, (ONE,), ValueError, "Only tensors with 2 dimensions are supported"),
    (init.eye_, (THREE,), ValueError, "Only tensors with 2 dimensions are supported"),
    (init.dirac_, (TWO,), ValueError, "Only tensors with 3, 4, or 5 dimensions are supported"),
    (init.dirac_, (THREE, 2), ValueError, "dim 0 must be divisible by groups, got 3 and groups=2"),
    (init.dirac_, (THREE, 0), ValueError, "dim 0 must be divisible by groups"),
    (init.orthogonal_, (ONE,), ValueError, "Only tensors with 2 or more dimensions are supported"),
    (init.kaiming_uniform_, (ONE,), ValueError, "Fan in and fan out can not be computed"),
    (init.xavier_normal_, (ONE,), ValueError, "Fan in and fan out can not be computed"),
    (init.kaiming_normal_, (TWO, 0, "fan"), ValueError, "Mode fan not supported, please use one of"),
    (init.kaiming_normal_, (TWO, 0, "fan_in", "gelu"), ValueError, "Unsupported nonlinearity gelu"),
    (init.calculate_gain, ("gelu",), ValueError, "Unsupported nonlinearity gelu"),
    (init.calculate_gain, ("leaky_relu", "x"), ValueError, "negative_slope x not a valid number"),
    (init.calculate_gain, ("leaky_relu", True), ValueError, "negative_slope True not a valid number"),
]


@pytest.mark.parametrize("function, arguments, error, message", ERRORS)
def test_errors(function, arguments, error, message):
    with pytest.raises(error, match=message):
        function(*arguments)
    assert not any(np.any(a) for a in arguments if isinstance(a, np.ndarray))


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_empty_tensors_stay(name, arguments, dtype):
    shape = (0, 3, 2) if name == "dirac_" else (0, 3)
    if name == "trunc_normal_":
        dtype = dtype(0).real.dtype
    assert getattr(init, name)(np.empty(shape, dtype), *arguments).shape == shape
