"""functional_call and value_and_grad: gradients against finite differences, and what is left behind.

Finite differences are taken in float64 with central steps of 1e-5: their error is near 1e-10 times
the third derivative, and the tolerance 1e-8.
"""
import copy
import itertools
import threading
import warnings

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, hessian_vector_product, jacobian, make_jvp
from numpy.testing import assert_allclose, assert_array_equal

from orthonorm import func, nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.gradients import stop_gradient
from orthonorm.nn.parameter import scope
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import (
    cached, register_parametrization, remove_parametrizations,
)

from .nn.snapshots import bits, snapshot

CLOSE = {"rtol": 1e-7, "atol": 1e-8}


def random(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


def differences(f, x, step=1e-5):
    """Central differences of a real function; for complex x, d/dRe + i d/dIm (PyTorch's convention)."""
    gradient = np.zeros(np.shape(x), np.result_type(x))
    for index in np.ndindex(np.shape(x)):
        for unit in (1, 1j) if np.iscomplexobj(x) else (1,):
            d = np.zeros_like(x)
            d[index] = unit * step
            gradient[index] += unit * (f(x + d) - f(x - d)) / (2 * step)
    return gradient


def module_differences(loss, module):
    """The same for every parameter, with the buffers reset before each evaluation."""
    buffers = [(part, dict(part._buffers)) for part in module.modules()]

    def at(parameter):
        def f(x):
            old, parameter.data = parameter.data, x
            try:
                return loss()
            finally:
                parameter.data = old
                for part, values in buffers:
                    part._buffers.update(values)
        return differences(f, parameter.data)

    return {name: at(parameter) for name, parameter in module.named_parameters()}


def assert_same(gradients, expected):
    assert list(gradients) == list(expected)
    for name, value in expected.items():
        assert_allclose(gradients[name], value, err_msg=name, **CLOSE)


def nothing_left(module):
    assert scope.substitutes == {} and scope.cache is None
    for value in (*(p.data for p in module.parameters()), *module.buffers()):
        assert type(value) is np.ndarray


# -- value_and_grad ----------------------------------------------------------------------------------

MODELS = {
    "linear": lambda: nn.Linear(3, 4, rng=0),
    "sequential": lambda: nn.Sequential(nn.Linear(3, 5, rng=0), nn.Tanh(), nn.Linear(5, 2, rng=1)),
    "relu": lambda: nn.Sequential(nn.Linear(3, 5, rng=0), nn.ReLU(), nn.Linear(5, 2, rng=1)),
    **{f"{m} {n} x {k} {'with' if t else 'no'} base":
       lambda m=m, n=n, k=k, t=t: orthogonal(
           nn.Linear(k, n, rng=0), "weight", m, use_trivialization=t, rng=0)
       for m in ("matrix_exp", "cayley", "householder") for n, k in ((3, 3), (5, 3), (2, 3))
       for t in (True, False)},
    "spectral": lambda: spectral_norm(nn.Linear(3, 4, rng=0), rng=0).eval(),
    "spectral dim 1": lambda: spectral_norm(nn.Linear(3, 4, rng=0), dim=1, rng=0).eval(),
    "spectral bias": lambda: spectral_norm(nn.Linear(3, 4, rng=0), "bias"),
    "weight norm": lambda: weight_norm(nn.Linear(3, 4, rng=0)),
    "weight norm 1": lambda: weight_norm(nn.Linear(3, 4, rng=0), dim=1),
    "weight norm whole": lambda: weight_norm(nn.Linear(3, 4, rng=0), dim=None),
    "chain": lambda: spectral_norm(
        orthogonal(nn.Linear(3, 4, rng=0), rng=0), rng=0).eval(),
    "deep": lambda: nn.Sequential(orthogonal(nn.Linear(3, 3, rng=0), rng=0), nn.Tanh(),
                                  weight_norm(nn.Linear(3, 2, rng=1))),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_finite_differences(name):
    model, x = MODELS[name](), random(2, 3, seed=5)

    def loss():
        return anp.sum(anp.sin(model(x)) * anp.arange(1.0, 3.0)[:, None])

    before = snapshot(model)
    value, gradients = value_and_grad(loss, model)()
    assert snapshot(model) == before
    assert type(value) in (float, np.float64) and value == loss()
    assert_same(gradients, module_differences(loss, model))
    nothing_left(model)


def test_an_asterisk_imports_the_two_functions():
    assert sorted(func.__all__) == ["functional_call", "value_and_grad"]


def test_arguments_are_passed_on():
    layer = nn.Linear(2, 2, rng=0)
    value, gradients = value_and_grad(lambda x, *, scale: scale * anp.sum(layer(x)), layer)(
        np.array([3.0, 4.0]), scale=2.0)
    assert value == 2.0 * layer(np.array([3.0, 4.0])).sum()
    assert_array_equal(gradients["weight"], [[6.0, 8.0]] * 2)
    assert_array_equal(gradients["bias"], [2.0, 2.0])


MAKERS = {"plain": lambda m: m, "orthogonal": lambda m: orthogonal(m, rng=0),
          "cayley": lambda m: orthogonal(m, "weight", "cayley", rng=0),
          "spectral norm": lambda m: spectral_norm(m, rng=0), "weight norm": weight_norm}


@pytest.mark.parametrize("loss_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name, dtype", [(name, dtype) for name in MAKERS
                                         for dtype in (np.float32, np.complex64)
                                         if (name, dtype) != ("weight norm", np.complex64)])
def test_gradients_have_the_parameters_dtype(name, loss_dtype, dtype):
    make = MAKERS[name]
    layer = make(nn.Linear(3, 3, dtype=dtype, rng=0))
    weights = np.ones(3, loss_dtype)
    x = np.ones(3, dtype)
    _, gradients = value_and_grad(lambda: anp.sum(weights * anp.real(layer(x))), layer)()
    assert {g.dtype for g in gradients.values()} == {np.dtype(dtype)}
    assert [g.shape for g in gradients.values()] == [p.shape for p in layer.parameters()]


@pytest.mark.parametrize("function", [
    anp.sum, anp.abs, anp.linalg.norm, lambda p: anp.eye(2) * p, lambda p: anp.dot(anp.ones(2), p),
    np.asarray, nn.Parameter])
def test_a_parameter_in_place_of_its_data_is_not_differentiated_silently(function):
    # NumPy would make an array of it, that no gradient reaches: the penalty of a loss had none.
    layer = nn.Linear(2, 2, bias=False, rng=0)
    parameter, = layer.parameters()
    with pytest.raises(TypeError, match="use its `data`"):
        value_and_grad(lambda: anp.sum(function(parameter)), layer)()
    nothing_left(layer)
    value, gradients = value_and_grad(lambda: anp.sum(parameter.data ** 2), layer)()
    assert_array_equal(gradients["weight"], 2 * layer.weight)


def test_a_parameter_converts_to_the_array_that_functional_call_gives():
    layer = nn.Linear(2, 2, bias=False, rng=0)
    read = Reading(layer, lambda: np.asarray(layer.get_parameter("weight")))
    assert_array_equal(functional_call(read, {"layer.weight": np.eye(2)}), np.eye(2))


def test_frozen_parameters_have_no_entry():
    layer = nn.Linear(2, 2, rng=0)
    layer._parameters["weight"].requires_grad_(False)
    seen = []

    def loss():
        seen.append(type(layer.weight))
        return anp.sum(layer(np.ones(2)))

    _, gradients = value_and_grad(loss, layer)()
    assert list(gradients) == ["bias"] and seen == [np.ndarray]
    layer.requires_grad_(False)
    value, gradients = value_and_grad(loss, layer)()
    assert gradients == {} and value == loss()


def test_frozenness_is_looked_up_at_each_call():
    layer = nn.Linear(2, 2, rng=0)
    compute = value_and_grad(lambda: anp.sum(layer(np.ones(2))), layer)
    layer.requires_grad_(False)
    assert compute()[1] == {}
    layer.requires_grad_()
    assert list(compute()[1]) == ["weight", "bias"]


def test_an_unused_parameter_has_gradient_zero():
    layer = nn.Linear(3, 2, dtype=np.float32, rng=0)
    _, gradients = value_and_grad(lambda: anp.sum(layer.bias), layer)()
    assert bits(gradients["weight"]) == bits(np.zeros((2, 3), np.float32))
    with pytest.warns(UserWarning, match="independent of input"):
        value, gradients = value_and_grad(lambda: 3.0, layer)()
    assert value == 3.0 and not any(g.any() for g in gradients.values())


@pytest.mark.parametrize("loss, message", [
    (lambda m: m(np.ones(2)), r"real scalar, got float64 of shape \(2,\)"),
    (lambda m: anp.sum(m.weight, keepdims=True), r"real scalar.*\(1, 1\)"),
    (lambda m: anp.sum(m.weight) * 1j, r"real scalar, got complex128 of shape \(\)"),
    (lambda m: m.weight[:0, 0], r"real scalar.*\(0,\)"),
    (lambda m: {"loss": anp.sum(m.weight)}, "real scalar, got dict"),
    (lambda m: (anp.sum(m.weight), 1.0), "real scalar, got tuple"),
    (lambda m: None, "real scalar, got NoneType"),
    (lambda m: np.int64(1), r"real scalar, got int64 of shape \(\)"),
], ids=["vector", "1 x 1", "complex", "empty", "dict", "tuple", "None", "int"])
def test_a_loss_that_is_no_real_scalar_raises(loss, message):
    layer = nn.Linear(2, 2, rng=0)
    before = snapshot(layer)
    with pytest.raises(RuntimeError, match=message):
        value_and_grad(lambda: loss(layer), layer)()
    assert snapshot(layer) == before
    nothing_left(layer)


@pytest.mark.parametrize("bad", [np.ones(2), np.array(1j)], ids=["vector", "complex"])
def test_a_frozen_modules_loss_must_be_a_real_scalar_too(bad):
    layer = nn.Linear(2, 2, rng=0).requires_grad_(False)
    with pytest.raises(RuntimeError, match="real scalar"):
        value_and_grad(lambda: bad, layer)()


def test_complex_gradients_in_both_conventions():
    layer, x = nn.Linear(3, 2, dtype=complex, rng=0), random(3, dtype=complex)
    target = random(2, dtype=complex, seed=1)

    def loss():
        return anp.sum(anp.abs(layer(x) - target) ** 2)

    _, gradients = value_and_grad(loss, layer)()
    # d|Wx + b - t|^2 = 2 Re <r, dW x>: PyTorch's gradient is 2 r x^H (of b: 2 r).
    r = layer(x) - target
    assert_allclose(gradients["weight"], 2 * np.outer(r, x.conj()), rtol=1e-14)
    assert_allclose(gradients["bias"], 2 * r, rtol=1e-14)
    assert_same(gradients, module_differences(loss, layer))

    def of_weight(W):
        return anp.sum(anp.abs(functional_call(layer, {"weight": W}, x) - target) ** 2)

    assert_allclose(grad(of_weight)(layer.weight), 2 * np.outer(r.conj(), x), rtol=1e-14)


@pytest.mark.parametrize("make", [
    lambda m: orthogonal(m, rng=0), lambda m: orthogonal(m, "weight", "cayley", rng=0),
    lambda m: spectral_norm(m, rng=0).eval()], ids=["matrix_exp", "cayley", "spectral"])
def test_complex_parametrized_gradients_in_both_conventions(make):
    layer, C = make(nn.Linear(3, 3, bias=False, dtype=complex, rng=0)), random(3, 3, dtype=complex)

    def loss():
        return anp.sum(anp.real(anp.conj(C) * layer.weight) ** 2)

    name = "parametrizations.weight.original"
    _, gradients = value_and_grad(loss, layer)()
    assert_same(gradients, module_differences(loss, layer))
    read = Reading(layer, loss)
    conjugate = grad(lambda X: functional_call(read, {f"layer.{name}": X}))(
        layer.parametrizations.weight.original)
    assert_allclose(conjugate, gradients[name].conj(), rtol=1e-13, atol=1e-14)


class Reading(nn.Module):
    """A module whose forward is a given function, which uses `layer`."""

    def __init__(self, layer, function):
        super().__init__()
        self.layer = layer
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def test_two_accesses_of_a_spectral_norm_in_one_loss():
    # PyTorch's issue 66363: the first access's u and v are overwritten before the backward pass.
    layer = nn.Linear(3, 4, rng=0)
    layer._parameters["weight"].data = random(4, 3)
    spectral_norm(layer, rng=0)
    part = layer.parametrizations.weight[0]
    part._u, part._v = random(4, seed=1), random(3, seed=2)  # far from converged
    a, b = random(4, 3, seed=3), random(4, 3, seed=4)
    start = snapshot(layer)

    # u and v are constants of the derivative: fix the four that the two accesses use.
    W, v = layer.parametrizations.weight.original.copy(), part._v
    vectors = []
    for _ in range(2):
        u = W @ v / np.linalg.norm(W @ v)
        v = W.T @ u / np.linalg.norm(W.T @ u)
        vectors.append((u, v))

    def frozen(W):
        (u0, v0), (u1, v1) = vectors
        return np.sum(a * W) / (u0 @ W @ v0) + np.sum(b * W) / (u1 @ W @ v1)

    assert snapshot(layer) == start
    value, gradients = value_and_grad(
        lambda: anp.sum(a * layer.weight) + anp.sum(b * layer.weight), layer)()
    assert_allclose(value, frozen(W), rtol=1e-13)
    assert_allclose(gradients["parametrizations.weight.original"], differences(frozen, W), **CLOSE)
    assert_allclose(part._u, vectors[1][0], rtol=1e-13)
    nothing_left(layer)


@pytest.mark.parametrize("modes", [(True, True), (True, False, True, False)])
def test_two_accesses_against_differences_of_the_module(modes):
    # With converged u and v the derivative through them vanishes, and plain differences hold.
    layer, x = spectral_norm(nn.Linear(3, 4, rng=0), n_power_iterations=300, rng=0), random(2, 3)

    def loss():
        return sum(anp.sum(anp.sin((i + 1) * layer.train(mode)(x))) for i, mode in enumerate(modes))

    loss()
    _, gradients = value_and_grad(loss, layer)()
    assert_same(gradients, module_differences(loss, layer))


def test_tied_parameters_have_one_gradient():
    model = nn.Sequential(nn.Linear(3, 3, bias=False, rng=0), nn.Tanh(), nn.Linear(3, 3, bias=False))
    model[2].weight = model[0]._parameters["weight"]
    x = random(3)

    def loss():
        return anp.sum(model(x) ** 2)

    _, gradients = value_and_grad(loss, model)()
    assert_same(gradients, module_differences(loss, model))
    assert list(gradients) == ["0.weight"]


def test_gradients_share_no_memory():
    layer = nn.Linear(2, 2, rng=0)
    layer.other = nn.Parameter(np.ones((2, 2)))
    constant = np.ones((2, 2))

    def loss():  # the gradient of both is `constant` itself
        return anp.sum(constant * (layer.weight + layer.other)) + anp.sum(layer.bias)

    compute = value_and_grad(loss, layer)
    _, gradients = compute()
    arrays = [*gradients.values(), *compute()[1].values(), constant, layer.weight, layer.other]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert all(type(g) is np.ndarray and g.flags.writeable for g in gradients.values())


def test_a_gradient_step_inside_numpy_keeps_the_weight_orthogonal():
    layer, x = orthogonal(nn.Linear(3, 5, rng=0), rng=0), random(4, 3)
    compute = value_and_grad(lambda: anp.sum(layer(x) ** 3), layer)
    values = []
    for _ in range(20):
        value, gradients = compute()
        values.append(value)
        for name, gradient in gradients.items():
            layer.get_parameter(name).data = layer.get_parameter(name).data - 0.003 * gradient
    assert all(later < earlier for earlier, later in zip(values, values[1:]))
    assert_allclose(layer.weight.T @ layer.weight, np.eye(3), atol=1e-14)


# -- nesting -----------------------------------------------------------------------------------------

def test_a_gradient_penalty():
    model = nn.Sequential(spectral_norm(nn.Linear(3, 4, rng=0), rng=0), nn.Tanh(),
                          orthogonal(nn.Linear(4, 1, rng=1), rng=0)).eval()
    x = random(5, 3)

    def loss():
        slope = grad(lambda x: anp.sum(model(x)))(x)
        return anp.mean((anp.sqrt(anp.sum(slope ** 2, 1)) - 1) ** 2)

    _, gradients = value_and_grad(loss, model)()
    expected = module_differences(loss, model)
    assert_same(gradients, expected)
    assert np.any(gradients["0.parametrizations.weight.original"])


@pytest.mark.parametrize("dtype", [float, complex])
def test_value_and_grad_inside_grad(dtype):
    layer = nn.Linear(3, 2, bias=False, dtype=dtype, rng=0)
    x, direction = random(3, dtype=dtype), random(2, 3, dtype=dtype, seed=1)

    def penalty(s):
        _, gradients = value_and_grad(lambda: anp.sum(anp.abs(layer(s * x)) ** 4), layer)()
        return anp.sum(anp.real(anp.conj(direction) * gradients["weight"]))

    assert_allclose(grad(penalty)(1.3), differences(penalty, np.array(1.3)), **CLOSE)
    nothing_left(layer)


def test_value_and_grad_inside_value_and_grad():
    layer, x = nn.Linear(3, 2, rng=0), random(3)

    def inner():
        return anp.sum(anp.sin(layer(x)))

    def outer():
        _, gradients = value_and_grad(inner, layer)()
        return sum(anp.sum(g ** 2) for g in gradients.values())

    _, gradients = value_and_grad(outer, layer)()
    assert_same(gradients, module_differences(outer, layer))


def test_value_and_grad_inside_functional_call_differentiates_the_given_values():
    layer, x = nn.Linear(3, 2, bias=False, rng=0), random(3)
    read = Reading(layer, lambda: value_and_grad(lambda: anp.sum(layer(x) ** 2), layer)()[1]["weight"])
    W = random(2, 3, seed=3)
    assert_allclose(functional_call(read, {"layer.weight": W}), 2 * np.outer(W @ x, x), rtol=1e-14)


# -- functional_call ---------------------------------------------------------------------------------

def test_functional_call_uses_the_given_values_only_inside():
    layer, x = nn.Linear(3, 2, rng=0), random(4, 3)
    W, b = random(2, 3, seed=1), random(2, seed=2)
    before = snapshot(layer)
    assert_allclose(functional_call(layer, {"weight": W, "bias": b}, (x,)), x @ W.T + b, rtol=1e-14)
    assert_allclose(functional_call(layer, {"weight": W}, x), x @ W.T + layer.bias, rtol=1e-14)
    assert_allclose(functional_call(layer, ({"weight": W}, {"bias": b}), x), x @ W.T + b, rtol=1e-14)
    assert_allclose(functional_call(layer, {"bias": b}, (), {"input": x}), x @ layer.weight.T + b,
                    rtol=1e-14)
    assert_array_equal(functional_call(layer, {}, x), layer(x))
    assert snapshot(layer) == before
    nothing_left(layer)


def test_functional_call_without_args_as_in_pytorch():
    layer, x = nn.Linear(3, 2, rng=0), random(3)
    assert_array_equal(functional_call(layer, {}, None, {"input": x}), layer(x))


def test_functional_call_ignores_unknown_names_as_in_pytorch():
    layer, x = nn.Linear(2, 2, rng=0), np.ones(2)
    assert_array_equal(functional_call(layer, {"foo": np.ones(1)}, x), layer(x))
    with pytest.raises(AttributeError, match="no submodule `0`"):
        functional_call(layer, {"0.bias": np.ones(2)}, x)


def test_a_strict_functional_call_wants_exactly_the_names():
    layer = orthogonal(nn.Linear(2, 2, rng=0))
    with pytest.raises(RuntimeError) as caught:
        functional_call(layer, {"weight": np.eye(2), "bias": np.ones(2)}, np.ones(2), strict=True)
    assert "Unexpected key(s): ['weight']." in str(caught.value)
    assert ("Missing key(s): ['parametrizations.weight.0.base', 'parametrizations.weight.original']"
            in str(caught.value))
    plain = nn.Linear(2, 2, rng=0)
    out = functional_call(plain, {"weight": np.eye(2), "bias": np.ones(2)}, np.ones(2), strict=True)
    assert_array_equal(out, [2.0, 2.0])
    nothing_left(layer)


@pytest.mark.parametrize("make", [orthogonal, spectral_norm, weight_norm])
def test_the_name_of_a_parametrized_weight_switches_it_off(make):
    layer, W = make(nn.Linear(2, 2, bias=False, rng=0)), 3 * np.eye(2)
    before = snapshot(layer)

    def output(W):
        return anp.sum(functional_call(layer, {"weight": W}, np.ones(2)))

    assert output(W) == 6.0
    assert_array_equal(grad(output)(W), np.ones((2, 2)))
    assert snapshot(layer) == before
    nothing_left(layer)


def test_functional_call_takes_parameters_and_refuses_what_is_no_array():
    layer, x = nn.Linear(2, 2, rng=0), np.ones(2)
    other = nn.Linear(2, 2, rng=1)
    assert_array_equal(functional_call(layer, dict(other.named_parameters()), x), other(x))
    with pytest.raises(TypeError, match="'weight' must be an array, got float"):
        functional_call(layer, {"weight": 3.0}, x)


def test_functional_call_refuses_a_name_given_twice():
    # PyTorch 2.13: ValueError, "['weight'] appeared in multiple dictionaries"
    with pytest.raises(ValueError, match="weight"):
        functional_call(nn.Linear(2, 2), ({"weight": np.eye(2)}, {"weight": np.eye(2)}), np.ones(2))


@pytest.mark.parametrize("wrong", [3, [3], None, "weight"], ids=str)
def test_functional_call_takes_only_dicts(wrong):
    # PyTorch 2.13: ValueError
    with pytest.raises(ValueError):
        functional_call(nn.Linear(2, 2), wrong, np.ones(2))


def tied():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[0]._parameters["weight"].data = np.eye(2)
    model[1].weight = model[0]._parameters["weight"]
    return model


@pytest.mark.parametrize("names, tie_weights, expected", [
    # Printed by PyTorch 2.13.
    ({"0.weight": 2}, True, 4.0), ({"1.weight": 2}, True, 4.0), ({"0.weight": 2}, False, 2.0),
    ({"0.weight": 2, "1.weight": 3}, False, 6.0), ({"0.weight": 2, "1.weight": 3}, True, None),
], ids=str)
def test_tied_weights(names, tie_weights, expected):
    values = {name: factor * np.eye(2) for name, factor in names.items()}
    if expected is None:
        with pytest.raises(ValueError, match="tied.*tie_weights=False"):
            functional_call(tied(), values, np.ones(2), tie_weights=tie_weights)
    else:
        out = functional_call(tied(), values, np.ones(2), tie_weights=tie_weights)
        assert_array_equal(out, [expected] * 2)


def test_tied_weights_are_tied_unless_it_is_refused_by_name():
    out = functional_call(tied(), {"0.weight": 3 * np.eye(2)}, np.ones(2))
    assert_array_equal(out, [9.0, 9.0])
    with pytest.raises(TypeError, match="positional"):
        functional_call(tied(), {}, np.ones(2), {}, True)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_constant_and_differentiated_contributions_are_summed(order):
    """Gradients of an outer variable are tracers, those of constants are arrays: in any order."""
    holder = nn.Linear(2, 1, bias=False, rng=0)
    w = holder.weight

    def inner(x):
        terms = [lambda: x * anp.sum(holder.weight ** 3), lambda: 2 * anp.sum(holder.weight),
                 lambda: x ** 2 * anp.sum(holder.weight), lambda: anp.sum(5 * holder.weight)]
        _, gradients = value_and_grad(lambda: sum(terms[i]() for i in order), holder)()
        return anp.sum(gradients["weight"])

    assert_allclose(inner(3.0), np.sum(9 * w ** 2 + 2 + 9 + 5), rtol=1e-14)
    assert_allclose(grad(inner)(3.0), np.sum(3 * w ** 2 + 6), rtol=1e-14)


def test_tied_buffers_and_modules_used_twice():
    layer = nn.Linear(2, 2, bias=False, rng=0)
    for tie in (True, False):  # a module used twice has one weight
        out = functional_call(nn.Sequential(layer, layer), {"1.weight": 2 * np.eye(2)}, np.ones(2),
                              tie_weights=tie)
        assert_array_equal(out, [4.0, 4.0])
    holder = Reading(layer, lambda: (holder.a, holder.b))
    shared = np.ones(1)
    holder.register_buffer("a", shared), holder.register_buffer("b", shared)
    for tie, b in ((True, 0.0), (False, 1.0)):
        assert functional_call(holder, {"a": np.zeros(1)}, tie_weights=tie) == (0.0, b)


INSIDE = {
    "assign": lambda m: setattr(m, "weight", np.eye(3)),
    "assign a tracer": lambda m: setattr(m, "weight", m.weight),
    "register": lambda m: orthogonal(m, "bias_"), "on top": spectral_norm, "weight norm": (
        lambda m: weight_norm(m, "bias")),
    "remove": lambda m: remove_parametrizations(m, "weight"),
    "leave": lambda m: remove_parametrizations(m, "weight", leave_parametrized=False),
    "load": lambda m: m.load_state_dict({key: 0 * v for key, v in m.state_dict().items()
                                         if "base" not in key}, strict=False),
}


@pytest.mark.parametrize("change", INSIDE)
def test_changing_what_is_differentiated_raises_and_changes_nothing(change):
    module = orthogonal(nn.Linear(3, 3, rng=0))
    module.bias_ = nn.Parameter(np.eye(2))
    before = snapshot(module)
    with pytest.raises(RuntimeError, match="inside the functional_call or value_and_grad"):
        value_and_grad(lambda: INSIDE[change](module) or anp.sum(module.weight), module)()
    assert snapshot(module) == before
    nothing_left(module)


@pytest.mark.parametrize("name", ["weight", "mean"])
@pytest.mark.parametrize("change", [
    lambda m, name: setattr(m, name, nn.Parameter(np.ones(2))),
    lambda m, name: setattr(m, name, nn.Tanh()),
    lambda m, name: m.register_parameter(name, nn.Parameter(np.ones(2))),
    lambda m, name: m.register_buffer(name, np.ones(2)),
    delattr,
], ids=["parameter", "module", "register_parameter", "register_buffer", "delete"])
def test_replacing_what_is_given_raises_and_changes_nothing(change, name):
    # PyTorch puts back what was there; here the change stayed, and what was read was not it.
    layer = nn.Linear(2, 2, rng=0)
    layer.register_buffer("mean", np.zeros(2))
    before = snapshot(layer)
    read = Reading(layer, lambda: change(layer, name))
    with pytest.raises((RuntimeError, KeyError, TypeError)):
        functional_call(read, {"layer.weight": np.eye(2), "layer.mean": np.ones(2)})
    assert snapshot(layer) == before
    nothing_left(layer)


def test_emptying_the_place_of_what_is_given_raises():
    layer = nn.Linear(2, 2, rng=0)
    with pytest.raises(RuntimeError, match="'bias' inside the functional_call or value_and_grad"):
        value_and_grad(lambda: setattr(layer, "bias", None), layer)()
    assert layer.bias is not None


def test_a_tracer_assigned_to_a_buffer_raises_and_none_is_left():
    layer = nn.Linear(2, 2, rng=0)
    layer.register_buffer("mean", np.zeros(2))

    def loss(unbox):
        layer.mean = unbox(layer(np.ones(2)))
        return anp.sum(layer(layer.mean))

    with pytest.raises(TypeError, match="tracer to buffer 'mean'.*stop_gradient"):
        value_and_grad(loss, layer)(lambda x: x)
    nothing_left(layer)
    value_and_grad(loss, layer)(stop_gradient)
    assert_array_equal(layer.mean, layer(np.ones(2)))
    nothing_left(layer)


@pytest.mark.parametrize("name, kind", [
    ("layer", "ParametrizedLinear"), ("training", "bool"), ("plain", "ndarray"),
    ("layer.in_features", "int"), ("layer.parametrizations", "ModuleDict")])
def test_functional_call_refuses_the_names_of_other_things(name, kind):
    # PyTorch 2.13: TypeError, "attribute `training`: True is not an instance of torch.Tensor"
    module = Reading(weight_norm(nn.Linear(2, 2, rng=0)), None)
    module.plain = np.eye(2)
    with pytest.raises(TypeError, match=f"'{name}' names a {kind}, not a parameter"):
        functional_call(module, {name: np.eye(2)})
    nothing_left(module)


def test_functional_call_takes_numbers_of_numpy():
    # Arithmetic with arrays of no dimensions makes them; PyTorch's tensors stay tensors.
    module = nn.Module()
    module.scale = nn.Parameter(np.array(2.0))
    module.register_buffer("shift", np.array(1.0))
    module.forward = lambda: module.scale + module.shift
    assert functional_call(module, {"scale": module.scale + 1, "shift": module.shift + 2}) == 6


@pytest.mark.parametrize("tie_weights", [True, False])
def test_a_gradient_inside_functional_call_is_that_of_the_given_value(tie_weights):
    layer = nn.Linear(2, 2, bias=False, rng=0)
    inner = value_and_grad(lambda: anp.sum(layer.weight ** 2), layer)
    given = {"layer.weight": np.eye(2)}
    _, gradients = functional_call(Reading(layer, inner), given, tie_weights=tie_weights)
    assert_array_equal(gradients["weight"], 2 * np.eye(2))


@pytest.mark.parametrize("value", [np.ones((3, 2), np.float32), np.full((2, 2), 1 + 2j)])
def test_a_gradient_inside_functional_call_has_shape_and_dtype_of_the_given_value(value):
    layer = nn.Linear(2, 2, bias=False)
    for loss, expected in ((lambda: anp.sum(anp.abs(layer.weight) ** 2), 2 * value),
                           (lambda: 0.0, 0 * value)):
        inner = value_and_grad(loss, layer)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Output seems independent of input")
            _, gradients = functional_call(Reading(layer, inner), {"layer.weight": value})
        assert_allclose(gradients["weight"], expected, rtol=1e-6, strict=True)


def test_the_gradient_of_given_integers_is_floating_point():
    layer = nn.Linear(2, 2, bias=False)
    inner = value_and_grad(lambda: anp.sum(0.5 * layer.weight), layer)
    _, gradients = functional_call(Reading(layer, inner), {"layer.weight": np.eye(2, dtype=int)})
    assert_array_equal(gradients["weight"], np.full((2, 2), 0.5), strict=True)


def test_functional_call_with_buffers():
    layer = spectral_norm(nn.Linear(3, 3, rng=0), rng=0).eval()
    W, e = np.diag([4.0, 2.0, 1.0]), np.eye(3)
    values = {"parametrizations.weight.original": W, "parametrizations.weight.0._u": e[1],
              "parametrizations.weight.0._v": e[1], "bias": np.zeros(3)}
    before = snapshot(layer)
    assert_array_equal(functional_call(layer, values, np.ones(3)), [2.0, 1.0, 0.5])
    layer.train()
    values["parametrizations.weight.0._v"] = np.ones(3)
    functional_call(layer, values, np.ones(3))
    layer.eval()
    assert snapshot(layer) == before
    assert_array_equal(values["parametrizations.weight.0._v"], np.ones(3))


@pytest.mark.parametrize("tie_weights, both", [(True, [[9.0]]), (False, [[9.0], [1.0]])])
def test_walking_through_buffers_inside_functional_call_meets_the_given_ones(tie_weights, both):
    module = nn.Module()
    module.register_buffer("b", np.array([1.0]))
    module.register_buffer("tied", module.b)
    module.forward = lambda: ([b.tolist() for b in module.buffers()], module.get_buffer("b"))
    walked, got = functional_call(module, {"b": np.array([9.0])}, tie_weights=tie_weights)
    assert walked == both and got == [9.0]
    assert [b.tolist() for b in module.buffers()] == [[1.0]] and module.get_buffer("b") == [1.0]


def test_functional_call_carries_what_it_assigns_to_buffers_within_the_call():
    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", np.zeros(1))

        def forward(self):
            self.count = self.count + 1
            self.count = self.count + 1
            return self.count

    module = Counter()
    assert_array_equal(functional_call(module, {"count": np.full(1, 5.0)}), [7.0])
    assert_array_equal(module.count, [0.0])
    assert_array_equal(functional_call(module, {}), [2.0])
    assert_array_equal(module.count, [2.0])


@pytest.mark.parametrize("name", MODELS)
def test_autograd_operators_through_functional_call(name):
    model, x = MODELS[name](), random(3, seed=5)
    key, parameter = list(model.named_parameters())[-1]
    W, d = parameter.data.copy(), random(*parameter.shape, seed=6)

    def output(W):
        return anp.sin(functional_call(model, {key: W}, x))

    def f(W):
        return anp.sum(output(W))

    before, h = snapshot(model), 1e-5
    along = (output(W + h * d) - output(W - h * d)) / (2 * h)
    assert_allclose(np.tensordot(jacobian(output)(W), d, np.ndim(W)), along, **CLOSE)
    assert_allclose(make_jvp(output)(W)(d)[1], along, **CLOSE)
    g = grad(f)
    assert_allclose(g(W), differences(f, W), **CLOSE)
    assert_allclose(hessian_vector_product(f)(W, d), (g(W + h * d) - g(W - h * d)) / (2 * h), **CLOSE)
    assert snapshot(model) == before
    nothing_left(model)


def test_functional_call_nests():
    layer, x = nn.Linear(2, 2, bias=False, rng=0), np.ones(2)

    def forward():
        inside = functional_call(layer, {"weight": 3 * np.eye(2)}, x)
        return inside, layer(x)

    inner, outer = functional_call(Reading(layer, forward), {"layer.weight": 2 * np.eye(2)})
    assert_array_equal(inner, [3.0, 3.0])
    assert_array_equal(outer, [2.0, 2.0])


def test_an_inner_functional_call_keeps_the_outer_ones_values():
    layer = nn.Linear(2, 2, rng=0)
    read = Reading(layer, lambda: functional_call(layer, {"bias": np.ones(2)}, np.ones(2)))
    assert_array_equal(functional_call(read, {"layer.weight": 2 * np.eye(2)}), [3.0, 3.0])
    assert_array_equal(functional_call(read, {"layer.weight": np.eye(2), "layer.bias": np.zeros(2)}),
                       [2.0, 2.0])


# -- nothing left behind -----------------------------------------------------------------------------

def model_with_everything():
    return nn.Sequential(spectral_norm(nn.Linear(3, 3, rng=0), rng=0), nn.Tanh(),
                         orthogonal(nn.Linear(3, 3, rng=1), rng=0)).eval()


@pytest.mark.parametrize("block", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_exception_leaves_nothing_behind(block, error):
    model, x = model_with_everything(), np.ones(3)
    before = snapshot(model)

    def fail():
        model(x)
        if block:
            with cached():
                model(x)
                raise error
        raise error

    with pytest.raises(error):
        value_and_grad(fail, model)()
    nothing_left(model)
    with pytest.raises(error):
        functional_call(Reading(model, fail), {"layer.0.bias": np.ones(3)})
    nothing_left(model)
    with pytest.raises(error):
        with cached():
            value_and_grad(fail, model)()
    nothing_left(model)
    assert snapshot(model) == before and type(model[0].weight) is np.ndarray


def test_training_mode_leaves_arrays_in_the_buffers():
    model = model_with_everything().train()
    value_and_grad(lambda: anp.sum(model(np.ones(3))), model)()
    grad(lambda b: anp.sum(functional_call(model, {"0.parametrizations.weight.original": b},
                                           np.ones(3))))(np.eye(3) + 1)
    nothing_left(model)


def test_two_calls_in_one_cached_block():
    model, x = model_with_everything(), np.array([1.0, 2.0, 3.0])

    def loss():
        return anp.sum(anp.sin(model(x)))

    expected = module_differences(loss, model)
    with cached():
        weight = model[0].weight
        for _ in range(2):
            value, gradients = value_and_grad(loss, model)()
            assert_same(gradients, expected)
            assert type(model[0].weight) is np.ndarray and model[0].weight is weight
        for parameter in model.parameters():
            parameter.data = parameter.data + 0.1
        moved = module_differences_outside_cache(loss, model)
        assert_same(value_and_grad(loss, model)()[1], moved)
        other = functional_call(model, {"2.bias": np.zeros(3)}, x)
        assert type(other) is np.ndarray and type(model[2].weight) is np.ndarray
    nothing_left(model)


def module_differences_outside_cache(loss, model):
    """Differences of a copy, in a thread of its own, which has no cache."""
    twin, result = copy.deepcopy(model), []
    x = np.array([1.0, 2.0, 3.0])
    thread = threading.Thread(target=lambda: result.append(
        module_differences(lambda: anp.sum(anp.sin(twin(x))), twin)))
    thread.start()
    thread.join()
    return result[0]


def test_a_cached_weight_inside_a_loss_is_computed_once_and_differentiated():
    class Square(nn.Module):
        count = 0

        def forward(self, X):
            Square.count += 1
            return X * X

    layer = register_parametrization(nn.Linear(2, 2, rng=0), "weight", Square())
    Square.count = 0

    def loss():
        with cached():
            return anp.sum(layer.weight * layer.weight)

    _, gradients = value_and_grad(loss, layer)()
    assert Square.count == 1
    X = layer.parametrizations.weight.original
    assert_allclose(gradients["parametrizations.weight.original"], 4 * X ** 3, rtol=1e-14)


def test_threads_differentiate_side_by_side():
    layer, results = nn.Linear(2, 2, bias=False, rng=0), {}
    both_inside = threading.Barrier(2, timeout=20)

    def work(scale):
        def loss():
            both_inside.wait()
            out = anp.sum(scale * layer(np.ones(2)))
            both_inside.wait()
            return out
        results[scale] = value_and_grad(loss, layer)()[1]["weight"]

    threads = [threading.Thread(target=work, args=(scale,)) for scale in (2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for scale in (2.0, 3.0):
        assert_array_equal(results[scale], np.full((2, 2), scale))
    nothing_left(layer)


def test_a_gradient_inside_a_gradient_while_another_thread_ends_its_own():
    layer, begun, end = nn.Linear(2, 2, bias=False, rng=0), threading.Event(), threading.Event()

    def other():
        begun.set()
        end.wait(20)
        return anp.sum(layer(np.ones(2)))

    def loss():
        end.set()
        thread.join()
        return anp.sum(grad(lambda x: anp.sum(layer(x) ** 2))(np.ones(2)))

    thread = threading.Thread(target=value_and_grad(other, layer))
    thread.start()
    begun.wait(20)
    _, gradients = value_and_grad(loss, layer)()
    expected = np.outer(4 * layer.weight.sum(1), np.ones(2))
    assert_allclose(gradients["weight"], expected, rtol=1e-14)
