"""Primitives with less bookkeeping: the values and derivatives of those they stand for."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, hessian, make_jvp, make_vjp
from autograd.extend import defvjp, primitive
from autograd.tracer import isbox

from orthonorm.func import value_and_grad
from orthonorm.gradients.bookkeeping import fused, quick
from orthonorm.nn import Module, Parameter
from tests.differences import CHECKS
from tests.helpers import assert_within, sample
from tests.nn.packing import packed, point

calls = []


def definition(x, y, power):
    calls.append("definition")
    return anp.sum(anp.sin(x) * y**power, axis=0)


@fused(definition)
def by_hand(x, y, power):
    calls.append("forward")
    value = np.sum(np.sin(x) * y**power, axis=0)

    def pull(g, wanted):
        calls.append(f"pull {wanted}")
        assert not isbox(g)
        return g * np.cos(x) * y**power, power * g * np.sin(x) * y**(power - 1), None
    return value, pull


@pytest.fixture(autouse=True)
def forget_calls():
    calls.clear()


X, Y = sample((3, 2)), sample((3, 2), seed=1)


def test_plain_arrays_are_not_traced():
    assert np.array_equal(by_hand(X, Y, 2), np.sum(np.sin(X) * Y**2, axis=0))
    assert calls == ["forward"]


@pytest.mark.parametrize("wanted", [(0,), (1,), (0, 1)])
def test_the_gradient_is_the_one_by_hand_and_only_what_is_wanted(wanted):
    cotangent = sample((2,), seed=2)
    vjp, value = make_vjp(by_hand, wanted)(X, Y, 2)
    exact, _ = make_vjp(definition, wanted)(X, Y, 2)
    calls.clear()
    found = vjp(cotangent)
    assert calls == [f"pull {[*wanted]}"]
    for ours, theirs in zip(found, exact(cotangent), strict=True):
        assert_within(ours, theirs, 1e-15)


def test_each_argument_in_its_place():
    """The same array twice: both gradients arrive."""
    assert_within(grad(lambda x: anp.sum(by_hand(x, x, 1)))(X), np.cos(X) * X + np.sin(X), 1e-15)


@pytest.mark.parametrize("check", CHECKS)
def test_derivatives_to_second_order_and_forward(check):
    CHECKS[check](packed(lambda x, y: by_hand(x, y, 3), (3, 2), (3, 2)), point((3, 2), (3, 2)))


def test_forward_mode_and_second_order_follow_the_definition():
    make_jvp(by_hand)(X, Y, 2)(X)
    assert "definition" in calls
    calls.clear()
    grad(lambda x: anp.sum(grad(lambda x: anp.sum(by_hand(x, Y, 2)))(x)))(X)
    assert "definition" in calls


def test_a_cotangent_of_double_precision_leaves_single_precision():
    x = X.astype(np.float32)
    vjp, _ = make_vjp(lambda x: by_hand(x, Y.astype(np.float32), 2))(x)
    assert vjp(np.ones(2)).dtype == np.float32


# -- quick -------------------------------------------------------------------------------------------

@primitive
def cube(x, factor):
    assert not isbox(x)
    return factor * x**3


defvjp(cube, lambda y, x, factor: lambda g: 3 * factor * g * x**2, argnums=(0,))
short = quick(cube)


@pytest.mark.parametrize("x", [2.0, np.array(2.0), sample((3,))], ids=["number", "0-d", "array"])
def test_quick_has_values_and_gradients_of_the_primitive(x):
    assert np.array_equal(short(x, 5), cube(x, 5))
    ours, theirs = (make_vjp(f)(x, 5) for f in (short, cube))
    assert np.array_equal(ours[1], theirs[1])
    assert np.array_equal(ours[0](np.ones_like(x)), theirs[0](np.ones_like(x)))


def test_quick_in_nested_gradients():
    assert grad(grad(grad(lambda x: short(x, 1.0))))(2.0) == 6
    assert_within(hessian(lambda x: anp.sum(short(x, 1.0)))(np.ones(2)), 6 * np.eye(2), 0)
    # The inner gradient does not see the outer variable as its own.
    assert grad(lambda x: x * grad(lambda y: short(y, 1.0) + x)(2.0))(3.0) == 12


def test_quick_with_tracers_of_two_gradients_among_the_arguments():
    from orthonorm.nn.functional import linear
    W = sample((2, 3))

    def outer(x):
        return anp.sum(grad(lambda W: anp.sum(linear(x, W)**2))(W))
    x = sample((4, 3), seed=1)
    slope = grad(outer)(x)
    step = 1e-6 * sample(x.shape, seed=2)
    assert abs(outer(x + step) - outer(x - step) - 2 * np.sum(slope * step)) < 1e-9


def test_a_primitive_without_a_rule_raises_as_autograd_does():
    ruleless = quick(primitive(lambda x: x))
    with pytest.raises(NotImplementedError, match="VJP of"):
        grad(lambda x: ruleless(x))(1.0)
    with pytest.raises(NotImplementedError, match="JVP of"):
        make_jvp(short)(1.0, 1.0)(1.0)


@pytest.mark.parametrize("loss", [
    lambda x, y: anp.sum(x + y) + anp.sum(3 * x), lambda x, y: anp.sum(3 * x) + anp.sum(x + y),
    lambda x, y: anp.sum(3 * x + (x + y)), lambda x, y: anp.sum((x + y) + 3 * x)])
def test_value_and_grad_writes_into_no_gradient_that_another_parameter_shares(loss):
    """The gradient of a sum is handed on to both of its terms, one array."""
    module = Module()
    module.x, module.y = Parameter(sample((3,))), Parameter(sample((3,)))
    _, gradients = value_and_grad(lambda: loss(module.x, module.y), module)()
    assert np.array_equal(gradients["x"], np.full(3, 4.0))
    assert np.array_equal(gradients["y"], np.ones(3))
