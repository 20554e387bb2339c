"""Activations against 50 digits; their derivatives; what they do far out."""
import autograd.numpy as anp
import mpmath
import numpy as np
import pytest
from autograd import elementwise_grad, grad, make_jvp, make_vjp

from orthonorm.nn import functional as F
from tests.differences import CHECKS
from tests.helpers import REAL, eps, sample

mpmath.mp.dps = 50


def slope(function):
    """Return the derivative of a function of each entry."""
    return elementwise_grad(function)


EXACT = {
    "relu": (F.relu, lambda x: max(x, 0)),
    "leaky_relu": (F.leaky_relu, lambda x: x if x > 0 else mpmath.mpf(0.01) * x),
    "leaky_relu 0.25": (lambda x: F.leaky_relu(x, 0.25), lambda x: x if x > 0 else x / 4),
    "sigmoid": (F.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    "tanh": (F.tanh, mpmath.tanh),
    "gelu": (F.gelu, lambda x: x * mpmath.ncdf(x)),
    "gelu tanh": (lambda x: F.gelu(x, "tanh"), lambda x: x / 2 * (1 + mpmath.tanh(
        mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))),
    "softplus": (F.softplus, lambda x: x if x > 20 else mpmath.log1p(mpmath.exp(x))),
    "softplus 2, 3": (lambda x: F.softplus(x, 2.0, 3.0),
                      lambda x: x if 2 * x > 3 else mpmath.log1p(mpmath.exp(2 * x)) / 2),
}
names = pytest.mark.parametrize("name", EXACT)
POINTS = np.array([-30, -8, -3.7, -1.2, -0.4, -1e-3, 1e-3, 0.3, 1.4, 2.9, 9, 19, 25, 100])


@names
@pytest.mark.parametrize("dtype", REAL)
def test_values(name, dtype):
    function, exact = EXACT[name]
    x = POINTS.astype(dtype)
    y = function(x)
    assert y.dtype == dtype
    for ours, at in zip(y, x):
        theirs = exact(mpmath.mpf(float(at)))
        # What is lost by 1 + tanh near -1 is lost by the formula that PyTorch defines.
        scale = abs(at) if name == "gelu tanh" else abs(theirs)
        if name == "gelu":  # as exp(-x^2 / 2) magnifies the rounding of x^2
            scale *= 1 + at**2
        assert abs(ours - theirs) <= 16 * eps(dtype) * scale + np.finfo(dtype).tiny


@pytest.mark.parametrize("name", ["sigmoid", "gelu", "softplus", "leaky_relu", "relu"])
def test_slopes_lose_no_digits_far_out(name):
    function, exact = EXACT[name]
    for x in POINTS:
        theirs = mpmath.diff(exact, mpmath.mpf(x))
        assert abs(slope(function)(x) - theirs) <= 1e-13 * abs(theirs) + 1e-300


@names
@pytest.mark.parametrize("check", CHECKS)
def test_derivatives(name, check):
    x = sample((3, 4))
    assert np.abs(x).min() > 0.01 and np.abs(x - 1.5).min() > 0.01  # no kink is near
    CHECKS[check](lambda x: EXACT[name][0](x) * x, x)


@names
@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("x", [1e4, 1e8])
def test_nothing_overflows(name, dtype, x):
    """A RuntimeWarning would be an error here. The slopes keep the dtype."""
    function = EXACT[name][0]
    both = np.array([-x, x], dtype)
    first = slope(function)(both)
    second = slope(lambda x: slope(function)(x) + x * x)(both) - 2 * both
    assert first.dtype == second.dtype == dtype
    assert np.all(np.isfinite(function(both))) and np.all(second == 0)
    low = {"leaky_relu": 0.01, "leaky_relu 0.25": 0.25}.get(name, 0)
    high = 0 if name in ("tanh", "sigmoid") else 1
    np.testing.assert_array_equal(first, np.array([low, high], dtype))


@names
@pytest.mark.parametrize("dtype", REAL)
def test_tangents_keep_the_dtype(name, dtype):
    x = sample((3,), dtype)
    value, tangent = make_jvp(EXACT[name][0])(x)(np.ones_like(x))
    assert value.dtype == tangent.dtype == dtype


@names
@pytest.mark.parametrize("dtype", REAL)
def test_the_largest_numbers_keep_their_values_and_slopes(name, dtype):
    """The cube of gelu's tanh and beta x of softplus overflow on the way, 0 * inf is next to both."""
    function, largest = EXACT[name][0], np.finfo(dtype).max
    bounded = name in ("tanh", "sigmoid")
    assert function(np.array(largest)) == (1 if bounded else largest)
    assert slope(function)(np.array(largest)) == (0 if bounded else 1)
    low = {"leaky_relu": 0.01, "leaky_relu 0.25": 0.25}.get(name, 0)
    assert slope(function)(np.array(-largest)) == dtype(low)


def test_no_gradient_passes_a_closed_relu():
    vjp, _ = make_vjp(F.relu)(np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(vjp(np.array([np.inf, np.nan, np.inf])), [0, 0, np.inf])


def test_leaky_relu_without_a_slope_at_infinity():
    assert F.leaky_relu(np.array(np.inf), 0.0) == np.inf


@pytest.mark.parametrize("function", [lambda x: F.leaky_relu(x, np.float64(0.1)),
                                      lambda x: F.softplus(x, np.float64(2), np.float64(3))])
def test_options_that_are_numpy_numbers_do_not_raise_the_precision(function):
    x = sample((3,), np.float32)
    assert function(x).dtype == slope(function)(x).dtype == np.float32


def test_infinities():
    both = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(F.sigmoid(both), [0, 1])
    np.testing.assert_array_equal(F.softplus(both), [0, np.inf])
    np.testing.assert_array_equal(F.leaky_relu(both), both)
    np.testing.assert_array_equal(slope(F.softplus)(both), [0, 1])
    np.testing.assert_array_equal(slope(F.tanh)(both), [0, 0])


@names
def test_nan_stays(name):
    assert np.isnan(EXACT[name][0](np.array([np.nan]))[0])


def test_slopes_at_the_kink_are_pytorchs():
    assert slope(F.relu)(0.0) == 0 and slope(F.relu)(np.nan) == 1
    assert slope(F.leaky_relu)(0.0) == 0.01
    assert slope(lambda x: F.softplus(x, 1.0, 1.0))(1.0) == F.sigmoid(1.0)


def test_softplus_approaches_relu():
    x = sample((50,))
    assert np.abs(F.softplus(x, 1000.0) - F.relu(x)).max() < 1e-3


def test_tanh_of_complex_numbers_is_differentiated():
    z = sample((3,), np.complex128)
    CHECKS["reverse twice"](F.tanh, z)
    CHECKS["forward"](F.tanh, z)


def test_gelu_refuses_another_approximation():
    with pytest.raises(RuntimeError, match="approximate argument must be either none or tanh"):
        F.gelu(np.zeros(2), "erf")


def test_numbers_and_lists():
    assert F.leaky_relu(-1.0, 0.5) == -0.5 and F.relu(-1.0) == 0
    assert np.array_equal(F.leaky_relu([-1.0, 2.0], 0.5), [-0.5, 2])
    assert grad(lambda x: anp.sum(F.softplus(x)))(0.0) == 0.5
