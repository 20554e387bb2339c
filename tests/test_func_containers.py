"""functional_call with autograd's containers, to second order; value_and_grad with has_aux."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, hessian_vector_product, jacobian, make_jvp, make_vjp
from autograd.misc import flatten
from autograd.misc.optimizers import adam, rmsprop, sgd
from autograd.tracer import isbox
from numpy.testing import assert_allclose, assert_array_equal

from orthonorm import nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

X = np.random.default_rng(0).standard_normal((4, 3))


def model():
    return nn.Sequential(orthogonal(nn.Linear(3, 3, rng=0), orthogonal_map="cayley"), nn.Tanh(),
                         spectral_norm(nn.Linear(3, 2, rng=1), rng=0),
                         weight_norm(nn.Linear(2, 2, rng=2))).eval()


def parameters(module):
    return {name: parameter.data for name, parameter in module.named_parameters()}


def loss(module, values):
    return anp.sum(functional_call(module, values, X) ** 2)


def differences(function, x, h=1e-6):
    """Gradient of a function of a vector by central differences."""
    return np.array([(function(x + h * e) - function(x - h * e)) / (2 * h) for e in np.eye(len(x))])


def test_gradient_of_a_dict_of_parameters():
    module = model()
    values = parameters(module)
    gradients = grad(lambda P: loss(module, P))(values)
    assert type(gradients) is dict and gradients.keys() == values.keys()
    flat, unflatten = flatten(values)
    expected = unflatten(differences(lambda w: loss(module, unflatten(w)), flat))
    for name in values:
        assert_allclose(gradients[name], expected[name], rtol=1e-6, atol=1e-7)


CONTAINERS = {
    "list": lambda values: [values],
    "tuple": lambda values: (values,),
    "two dicts": lambda values: [dict(list(values.items())[:3]), dict(list(values.items())[3:])],
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_gradient_of_a_sequence_of_dicts(container):
    module = model()
    values = CONTAINERS[container](parameters(module))
    gradients = grad(lambda dicts: loss(module, dicts))(values)
    assert type(gradients) is type(values)
    expected = grad(lambda P: loss(module, P))(parameters(module))
    assert {name: g.tolist() for part in gradients for name, g in part.items()} == {
        name: g.tolist() for name, g in expected.items()}


def test_a_plain_list_of_tracers_of_dicts():
    module = model()
    values = list(parameters(module).items())
    halves = dict(values[:3]), dict(values[3:])
    gradients = grad(lambda pair: loss(module, [pair[0], pair[1]]))(halves)
    expected = grad(lambda P: loss(module, P))(dict(values))
    for name, g in (gradients[0] | gradients[1]).items():
        assert_array_equal(g, expected[name])


def test_second_order_through_dicts():
    """The gradient of |gradient|^2 is twice the Hessian times the gradient: both through dicts."""
    module = model()
    values = parameters(module)

    def squared(P):
        return sum(anp.sum(g ** 2) for g in grad(lambda P: loss(module, P))(P).values())

    second = grad(squared)(values)
    flat, unflatten = flatten(values)
    expected = unflatten(differences(lambda w: squared(unflatten(w)), flat))
    slope = grad(lambda P: loss(module, P))
    along = make_jvp(slope)(values)(slope(values))[1]
    for name in values:
        assert_allclose(second[name], expected[name], rtol=1e-5, atol=1e-5)
        assert_allclose(2 * along[name], second[name], rtol=1e-9, atol=1e-10)


def test_forward_mode_of_a_dict():
    module = model()
    values = parameters(module)
    value, slope = make_jvp(lambda P: loss(module, P))(values)(values)
    gradients = grad(lambda P: loss(module, P))(values)
    assert value == loss(module, values)
    assert_allclose(slope, sum(np.sum(gradients[name] * values[name]) for name in values), rtol=1e-12)


def test_of_flattened_parameters():
    module = model()
    flat, unflatten = flatten(parameters(module))
    rows = jacobian(lambda w: functional_call(module, unflatten(w), X))(flat)
    assert rows.shape == (4, 2, flat.size)
    outputs = functional_call(module, unflatten(flat), X)
    assert_allclose(2 * np.sum(outputs[..., None] * rows, (0, 1)),
                    grad(lambda w: loss(module, unflatten(w)))(flat), rtol=1e-12, atol=1e-13)
    direction = np.random.default_rng(1).standard_normal(flat.size)
    product = hessian_vector_product(lambda w: loss(module, unflatten(w)))(flat, direction)
    slopes = differences(lambda w: grad(lambda w: loss(module, unflatten(w)))(w) @ direction, flat)
    assert_allclose(product, slopes, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer", [sgd, rmsprop, adam])
def test_autograds_optimisers(optimizer):
    module = model()
    slope = grad(lambda P, i: loss(module, P))
    found = optimizer(slope, parameters(module), num_iters=20, step_size=0.01)
    assert found.keys() == parameters(module).keys()
    assert loss(module, found) < loss(module, parameters(module))


def test_buffers_in_the_dict_get_gradients_too():
    module = model()
    values = parameters(module) | dict(module.named_buffers())
    gradients = grad(lambda P: loss(module, P))(values)
    assert np.any(gradients["0.parametrizations.weight.0.base"])
    vjp, _ = make_vjp(lambda P: functional_call(module, P, X))(values)
    assert vjp(np.ones((4, 2))).keys() == values.keys()


@pytest.mark.parametrize("wrong", [[np.ones(2)], ({"0.bias": np.zeros(3)}, 1.0)],
                         ids=["array", "number"])
def test_a_sequence_of_other_things_is_refused(wrong):
    with pytest.raises(ValueError, match="Expected parameter_and_buffer_dicts to be a dict"):
        grad(lambda dicts: loss(model(), dicts))(wrong)


# -- has_aux -----------------------------------------------------------------------------------------

def test_what_comes_besides_the_loss_has_no_tracers():
    layer = nn.Linear(3, 2, rng=0)

    def loss():
        outputs = layer(X)
        more = [outputs[0], ("text", anp.sum(outputs))]
        return anp.sum(outputs ** 2), {"outputs": outputs, "more": more}

    (value, aux), gradients = value_and_grad(loss, layer, has_aux=True)()
    expected, expected_gradients = value_and_grad(lambda: loss()[0], layer)()
    assert value == expected and gradients.keys() == expected_gradients.keys()
    assert all(np.array_equal(gradients[name], expected_gradients[name]) for name in gradients)
    assert type(aux["outputs"]) is np.ndarray
    assert_array_equal(aux["outputs"], layer(X))
    assert_array_equal(aux["more"][0], layer(X)[0])
    assert aux["more"][1] == ("text", layer(X).sum()) and not isbox(aux["more"][1][1])


def test_what_comes_besides_keeps_the_tracers_of_an_outer_gradient():
    layer = nn.Linear(3, 2, rng=0)

    def outer(scale):
        def loss():
            return anp.sum(layer(X)), scale * anp.sum(layer(X))
        return value_and_grad(loss, layer, has_aux=True)()[0][1]

    assert_allclose(grad(outer)(2.0), layer(X).sum(), rtol=1e-14)


def test_without_anything_to_train():
    layer = nn.Linear(3, 2, rng=0).requires_grad_(False)
    result = value_and_grad(lambda: (anp.sum(layer(X)), "besides"), layer, has_aux=True)()
    assert result == ((layer(X).sum(), "besides"), {})


@pytest.mark.parametrize("returned", [1.0, (1.0,), (1.0, 2.0, 3.0), [1.0, 2.0]])
def test_has_aux_needs_a_pair(returned):
    layer = nn.Linear(3, 2, rng=0)
    with pytest.raises(RuntimeError, match=r"the loss must return a tuple \(value, anything else\)"):
        value_and_grad(lambda: returned, layer, has_aux=True)()
