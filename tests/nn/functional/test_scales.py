"""Values and gradients of every function at the ends of the range, against many digits.

What squares, exponentiates or sums can overflow on the way to an answer that does not. The truth is the
formula in mpmath, whose exponents have no end; its gradient, differences of steps too small to matter.
"""
import autograd.numpy as np
import mpmath
import pytest
from autograd import grad, make_jvp

from orthonorm.nn import functional as F
from tests.helpers import assert_identical, assert_within, eps, real_dtypes, sample

SCALES = ([("float32", 10.0**i) for i in (-38, -19, -5, 0, 1, 5, 19, 38)]
          + [("float64", 10.0**i) for i in (-300, -154, -20, 0, 1, 20, 154, 300)])
N = 6
TARGET = [0.5, 0.25, 0.25, 0.0, 0.0, 1.0]
PROBABILITIES = [0.5, 0.25, 0.25, 0.0, 0.0, 0.0]
CLASS = np.array(2)


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def softplus(x):
    return mpmath.log1p(mpmath.exp(-abs(x))) + max(x, 0)


def log_softmax(xs):
    total = mpmath.log(sum(mpmath.exp(x - max(xs)) for x in xs))
    return [x - max(xs) - total for x in xs]


def gelu(x, cdf):
    return x * cdf(x) if abs(x) < 100 else max(x, mpmath.mpf(0))


def tanh_cdf(x):
    return (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf(0.044715) * x**3))) / 2


def layer_norm(xs, epsilon):
    mean = sum(xs) / N
    variance = sum((x - mean)**2 for x in xs) / N
    return [(x - mean) / mpmath.sqrt(variance + epsilon) for x in xs]


def entrywise(f):
    return lambda xs: [f(x) for x in xs]


def smoothed(xs):
    log_p = log_softmax(xs)
    return [-(3 * log_p[CLASS] + sum(log_p) / N) / 4]


# name: (the function, what it is)
FUNCTIONS = {
    "relu": (F.relu, entrywise(lambda x: max(x, 0))),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.25), entrywise(lambda x: max(x, x / 4))),
    "tanh": (F.tanh, entrywise(mpmath.tanh)),
    "sigmoid": (F.sigmoid, entrywise(sigmoid)),
    "softplus": (lambda x: F.softplus(x, 2), entrywise(lambda x: softplus(2 * x) / 2)),
    "gelu": (F.gelu, entrywise(lambda x: gelu(x, mpmath.ncdf))),
    "gelu, tanh": (lambda x: F.gelu(x, "tanh"), entrywise(lambda x: gelu(x, tanh_cdf))),
    "softmax": (lambda x: F.softmax(x, 0), lambda xs: [mpmath.exp(x) for x in log_softmax(xs)]),
    "log_softmax": (lambda x: F.log_softmax(x, 0), log_softmax),
    "layer_norm": (lambda x: F.layer_norm(x, (N,)), lambda xs: layer_norm(xs, mpmath.mpf(1e-5))),
    "layer_norm, eps 0": (lambda x: F.layer_norm(x, (N,), eps=0.0), lambda xs: layer_norm(xs, 0)),
    "layer_norm, eps 1e20": (lambda x: F.layer_norm(x, (N,), eps=1e20),
                             lambda xs: layer_norm(xs, mpmath.mpf(1e20))),
    "mse_loss": (lambda x: F.mse_loss(x, 0 * x), lambda xs: [sum(x**2 for x in xs) / N]),
    "cross_entropy": (lambda x: F.cross_entropy(x, CLASS), lambda xs: [-log_softmax(xs)[CLASS]]),
    "cross_entropy, smoothed": (lambda x: F.cross_entropy(x, CLASS, label_smoothing=0.25), smoothed),
    "cross_entropy, probabilities": (
        lambda x: F.cross_entropy(x, np.array(PROBABILITIES, x.dtype)),
        lambda xs: [-sum(p * y for p, y in zip(PROBABILITIES, log_softmax(xs)))]),
    "binary_cross_entropy_with_logits": (
        lambda x: F.binary_cross_entropy_with_logits(x, np.array(TARGET, x.dtype)),
        lambda xs: [sum(t * softplus(-x) + (1 - t) * softplus(x) for t, x in zip(TARGET, xs)) / N]),
    "linear": (lambda x: F.linear(x, np.ones((1, N), x.dtype)), lambda xs: [sum(xs)]),
    "bilinear": (lambda x: F.bilinear(x, np.ones(1, x.dtype), np.ones((1, N, 1), x.dtype)),
                 lambda xs: [sum(xs)]),
    "embedding": (lambda x: F.embedding(np.array([0]), x[None]), lambda xs: xs),
    "conv1d": (lambda x: F.conv1d(x[None], np.ones((1, 1, N), x.dtype)), lambda xs: [sum(xs)]),
    "conv_transpose1d": (lambda x: F.conv_transpose1d(x[None], np.ones((1, 1, 1), x.dtype)),
                         lambda xs: xs),
}


def slope(f, xs, i, C):
    """Differentiate sum(C f) by one entry."""
    h = max(map(abs, xs)) * mpmath.mpf(10)**-40
    up, down = (f([x + sign * h * (i == j) for j, x in enumerate(xs)]) for sign in (1, -1))
    return sum(c * (a - b) for c, a, b in zip(C, up, down)) / (2 * h)


def assert_true(actual, exact, dtype):
    """To 64 eps of the largest entry, or of the smallest number; beyond the largest it is infinite."""
    limits = np.finfo(dtype)
    size = max(map(abs, exact))
    if size > float(limits.max):
        assert np.isinf(actual).any()
        return
    allowed = 64 * limits.eps * size + 4 * mpmath.mpf(float(limits.smallest_subnormal))
    for ours, theirs in zip(np.ravel(actual), exact, strict=True):
        assert abs(mpmath.mpf(float(ours)) - theirs) <= allowed


@np.errstate(over="ignore")  # of what is infinite in truth, and told to be
@pytest.mark.parametrize("dtype, scale", SCALES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_value_and_gradient_are_right_at_every_scale(name, dtype, scale):
    f, truth = FUNCTIONS[name]
    rng = np.random.default_rng(len(name))
    x, C = ((scale * rng.uniform(-1, 1, N)).astype(dtype) for scale in (scale, 1))
    with mpmath.workdps(120 if scale > 1e-30 else 420):
        xs = [mpmath.mpf(float(entry)) for entry in x]
        exact = truth(xs)
        C = C[:len(exact)]
        assert_true(f(x), exact, dtype)
        gradient = grad(lambda x: np.sum(C * np.ravel(f(x))))(x)
        assert gradient.dtype == dtype
        assert_true(gradient, [slope(truth, xs, i, C.tolist()) for i in range(N)], dtype)


@real_dtypes
@pytest.mark.parametrize("end", [-0.85, 0.95])
def test_layer_norm_does_not_depend_on_the_scale(dtype, end):
    """Nor does one sample on another; forward mode too. PyTorch's answer is NaN for large entries."""
    x, dx = sample((3, 4, 5), dtype), sample((3, 4, 5), dtype, 1)
    limits = np.finfo(dtype)
    c = np.array([limits.dtype.type(2)**int(end * limits.maxexp), 1, 1])[:, None, None].astype(dtype)

    def f(x):
        return F.layer_norm(x, (4, 5), eps=0.0)

    assert_identical(f(c * x), f(x))
    assert_identical(make_jvp(f)(c * x)(c * dx)[1], make_jvp(f)(x)(dx)[1])
    squares = grad(lambda x: np.sum(f(x)**4))
    assert_within(c * squares(c * x), squares(x), 8 * eps(dtype) * np.abs(squares(x)).max())


@pytest.mark.parametrize("dtype, size", [("float32", 1e38), ("float64", 1e307)])
@pytest.mark.parametrize("loss", [
    lambda x: F.cross_entropy(x[:, None] * np.array([0, 1], x.dtype), np.zeros(100, int)),
    lambda x: F.binary_cross_entropy_with_logits(x, 0 * x),
    lambda x: F.mse_loss(np.sqrt(x), 0 * x),
], ids=["cross_entropy", "binary", "mse"])
def test_a_mean_is_finite_where_the_sum_is_not(loss, dtype, size):
    x = np.full(100, size, dtype)
    assert abs(loss(x) / size - 1) <= 32 * eps(dtype)


@pytest.mark.parametrize("dtype, factor", [("float32", 1e-38), ("float32", 1e38), ("float64", 1e-300),
                                           ("float64", 1e300)])
def test_the_weighted_mean_does_not_depend_on_the_size_of_the_weights(dtype, factor):
    x, classes = 20 * sample((50, 4), dtype), np.arange(50) % 4
    w = np.array([1, 0.5, 0.25, 0.75], dtype)
    expected = F.cross_entropy(x, classes, w)
    scaled = F.cross_entropy(x, classes, w * np.array(factor, dtype))
    assert abs(scaled / expected - 1) <= 8 * eps(dtype)
