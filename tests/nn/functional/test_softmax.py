"""The softmax and its logarithm."""
import mpmath
import numpy as np
import pytest
from autograd import make_jvp

from orthonorm.nn import functional as F
from tests.differences import CHECKS
from tests.helpers import REAL, eps, sample
from tests.nn.packing import gradients

mpmath.mp.dps = 50
BOTH = [F.softmax, F.log_softmax]
both = pytest.mark.parametrize("function", BOTH, ids=lambda function: function.__name__)
real = pytest.mark.parametrize("dtype", REAL)


@real
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_every_digit(scale, dtype):
    x = sample((5,), dtype, scale=scale)
    powers = [mpmath.exp(float(entry)) for entry in x]
    for ours, ours_log, power in zip(F.softmax(x, 0), F.log_softmax(x, 0), powers):
        exact = power / sum(powers)
        assert ours.dtype == ours_log.dtype == dtype
        # The rounding of x minus its largest, up to 2 scale, is relative in the power.
        assert abs(ours - exact) <= 8 * eps(dtype) * scale * exact
        assert abs(ours_log - mpmath.log(exact)) <= 8 * eps(dtype) * scale


@both
@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_the_dimension(function, dim):
    x = sample((2, 3, 4))
    expected = np.apply_along_axis(lambda row: function(row, 0), dim, x)
    np.testing.assert_allclose(function(x, dim), expected, rtol=1e-15)


def test_large_and_infinite_entries():
    x = np.array([1e5, 1e5, -np.inf])
    np.testing.assert_array_equal(F.softmax(x, 0), [0.5, 0.5, 0])
    np.testing.assert_array_equal(F.log_softmax(x, 0), [-np.log(2), -np.log(2), -np.inf])


@both
@pytest.mark.parametrize("check", CHECKS)
def test_derivatives(function, check):
    CHECKS[check](lambda x: function(x, 1), sample((2, 3)))


@both
def test_single_precision_stays(function):
    x = sample((2, 3), np.float32)
    _, (g,) = gradients(lambda x: function(x, 1), (x,), np.ones((2, 3), np.float32))
    value, tangent = make_jvp(lambda x: function(x, 1))(x)(x)
    assert value.dtype == tangent.dtype == g.dtype == np.float32


@both
def test_a_dimension_that_is_not_there(function):
    with pytest.raises(IndexError, match="axis 2 is out of bounds"):
        function(np.ones((2, 2)), 2)


@both
@pytest.mark.parametrize("dim", [None, (0, 1)])
def test_more_dimensions_than_one(function, dim):
    """NumPy would sum over them all."""
    with pytest.raises(TypeError, match="dim must be an integer"):
        function(np.ones((2, 2)), dim)
