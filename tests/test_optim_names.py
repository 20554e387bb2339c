"""An optimiser knows its parameters by identity, whatever they are called; hooks of its step."""
import copy
import pickle

import autograd.numpy as anp
import numpy as np
import pytest

from orthonorm import nn, optim
from orthonorm.func import value_and_grad
from orthonorm.nn.parameter import ParameterName
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import remove_parametrizations

X = np.random.default_rng(0).standard_normal((5, 3))
MAKERS = pytest.mark.parametrize("make", [
    lambda pairs: optim.SGD(pairs, lr=0.01, momentum=0.9),
    lambda pairs: optim.Adam(pairs, lr=0.1, amsgrad=True),
    lambda pairs: optim.AdamW(pairs, lr=0.1)], ids=["SGD", "Adam", "AdamW"])


def step(model, optimizer):
    _, gradients = value_and_grad(lambda: anp.mean(model(X) ** 4), model)()
    optimizer.step(gradients)
    return gradients


@MAKERS
@pytest.mark.parametrize("register", [
    lambda layer: orthogonal(layer), lambda layer: spectral_norm(layer, rng=0),
    lambda layer: orthogonal(spectral_norm(layer, rng=0))], ids=["orthogonal", "spectral", "both"])
def test_it_goes_on_when_a_parametrization_is_registered_and_removed(make, register):
    """The same steps by one optimiser of a bare Parameter, which never had a name to change."""
    model = nn.Sequential(nn.Linear(3, 2, rng=0))
    weight, bias = (model[0]._parameters[name] for name in ("weight", "bias"))
    optimizer = make(model.named_parameters())
    twins = nn.Parameter(weight.data.copy()), nn.Parameter(bias.data.copy())
    twin = make([("weight", twins[0]), ("bias", twins[1])])

    def both():
        gradients = step(model, optimizer)
        names = {name.parameter: name for name in gradients}
        twin.step({"weight": gradients[names[weight]], "bias": gradients[names[bias]]})
        np.testing.assert_array_equal(weight.data, twins[0].data)
        np.testing.assert_array_equal(bias.data, twins[1].data)

    def changed():
        twins[0].data = weight.data.copy()  # registration and removal set another value

    for change in (lambda: None, lambda: register(model[0]),
                   lambda: remove_parametrizations(model[0], "weight")):
        change()
        changed()
        for _ in range(3):
            both()


@MAKERS
def test_gradients_may_be_rewritten_on_the_way(make):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = make(layer.named_parameters())
    orthogonal(layer)
    _, gradients = value_and_grad(lambda: anp.sum(layer(X) ** 2), layer)()
    before = layer.parametrizations.weight.original
    optimizer.step({name: 0.5 * gradient for name, gradient in gradients.items()})
    assert not np.array_equal(layer.parametrizations.weight.original, before)


def test_a_parameter_may_move_to_another_module():
    layer, other = nn.Linear(3, 2, rng=0), nn.Linear(3, 2, rng=1)
    optimizer = optim.SGD([("my own name", layer._parameters["weight"])], lr=1.0)
    other.weight = layer._parameters["weight"]
    before = layer.weight
    _, gradients = value_and_grad(lambda: anp.sum(other(X)), other)()
    optimizer.step({name: g for name, g in gradients.items() if name == "weight"})
    np.testing.assert_allclose(layer.weight, before - X.sum(0), rtol=1e-14)
    optimizer.step({"my own name": np.ones((2, 3))})
    np.testing.assert_allclose(layer.weight, before - X.sum(0) - 1, rtol=1e-14)


def test_another_parameter_under_the_name_is_refused():
    layer = nn.Linear(3, 2, rng=0)
    optimizer = optim.SGD(layer.named_parameters())
    weight_norm(layer)
    with pytest.raises(RuntimeError, match="'parametrizations.weight.original0'; the optimizer has"):
        step(layer, optimizer)
    remove_parametrizations(layer, "weight")  # makes a new Parameter, as in PyTorch
    before = layer.bias.copy()
    with pytest.raises(RuntimeError, match="'weight'; the optimizer has another Parameter under this"):
        step(layer, optimizer)
    assert np.array_equal(layer.bias, before)
    _, gradients = value_and_grad(lambda: anp.sum(layer(X)), layer)()
    optimizer.step({str(name): gradient for name, gradient in gradients.items()})  # by name, if meant


def test_two_gradients_for_one_parameter_are_refused():
    layer = nn.Linear(3, 2, rng=0)
    optimizer = optim.SGD(layer.named_parameters())
    orthogonal(layer)
    _, gradients = value_and_grad(lambda: anp.sum(layer(X)), layer)()
    before = layer.bias.copy()
    with pytest.raises(RuntimeError, match="two gradients for one parameter"):
        optimizer.step(gradients | {"weight": np.ones((2, 3))})
    assert np.array_equal(layer.bias, before)


@MAKERS
def test_a_state_dict_fits_whatever_the_names_are(make):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = make(layer.named_parameters())
    step(layer, optimizer)
    orthogonal(layer)
    other = make([("w", layer._parameters.get("weight") or layer.parametrizations.weight
                   ._parameters["original"]), ("b", layer._parameters["bias"])])
    other.load_state_dict(optimizer.state_dict())
    for parameter, slots in optimizer.state.items():
        for slot, value in slots.items():
            np.testing.assert_array_equal(other.state[parameter][slot], value)


def test_a_state_dict_of_other_groups_is_refused():
    a, b = nn.Parameter(np.zeros(1)), nn.Parameter(np.zeros(1))
    one = optim.SGD([("a", a), ("b", b)])
    two = optim.SGD([{"params": [("a", a)]}, {"params": [("b", b)]}])
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        two.load_state_dict(one.state_dict() | {"param_groups.1.params": np.array([1])})


@pytest.mark.parametrize("copied", [lambda pair: pickle.loads(pickle.dumps(pair)), copy.deepcopy],
                         ids=["pickle", "deepcopy"])
@MAKERS
def test_module_and_optimiser_copied_together_go_on(make, copied):
    layer = nn.Linear(3, 2, rng=0)
    optimizer = make(layer.named_parameters())
    orthogonal(layer)
    step(layer, optimizer)
    twin, twin_optimizer = copied((layer, optimizer))
    for _ in range(2):
        step(layer, optimizer)
        step(twin, twin_optimizer)
    for name, value in layer.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], value)


def test_a_name_is_a_string_and_its_copies_are_plain():
    name, parameter = next(iter(nn.Linear(2, 2).named_parameters(prefix="a")))
    assert name == "a.weight" and repr(name) == "'a.weight'" and hash(name) == hash("a.weight")
    assert isinstance(name, ParameterName) and name.parameter is parameter
    for plain in (copy.copy(name), copy.deepcopy(name), pickle.loads(pickle.dumps(name)), str(name)):
        assert type(plain) is str and plain == name


# -- hooks --------------------------------------------------------------------------------------------

def test_hooks_run_around_the_step_and_can_be_removed():
    parameter, calls = nn.Parameter(np.zeros(2)), []
    optimizer = optim.SGD([("x", parameter)], lr=1.0)
    before = optimizer.register_step_pre_hook(lambda *given: calls.append(("before", *given)))
    after = optimizer.register_step_post_hook(lambda *given: calls.append(("after", *given)) or 3)
    grads = {"x": np.ones(2)}
    optimizer.step(grads)
    assert calls == [("before", optimizer, (grads,), {}), ("after", optimizer, (grads,), {})]
    before.remove()
    after.remove()
    optimizer.step(grads)
    assert len(calls) == 2 and parameter.data.tolist() == [-2.0, -2.0]


def test_a_pre_hook_may_clip_the_gradients():
    parameter = nn.Parameter(np.zeros(2))
    optimizer = optim.SGD([("x", parameter)], lr=1.0)
    optimizer.register_step_pre_hook(
        lambda _, args, kwargs: (({name: np.clip(g, -1, 1) for name, g in args[0].items()},), kwargs))
    optimizer.step({"x": np.array([5.0, 0.5])})
    assert parameter.data.tolist() == [-1.0, -0.5]


@pytest.mark.parametrize("returned", [{"x": np.ones(2)}, (), ({"x": np.ones(2)},), (1, 2, 3)], ids=str)
def test_a_pre_hook_that_returns_something_else_is_refused(returned):
    parameter = nn.Parameter(np.zeros(2))
    optimizer = optim.SGD([("x", parameter)], lr=1.0)
    optimizer.register_step_pre_hook(lambda *_: returned)
    with pytest.raises(RuntimeError, match=r"None or a tuple of \(new_args, new_kwargs\)"):
        optimizer.step({"x": np.ones(2)})
    assert not parameter.data.any()
