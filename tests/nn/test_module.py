"""Module: registries, attributes, walking, modes, hooks, state, printing, copies.

Texts, keys and orders given as literals were printed by PyTorch 2.13.0 for the same modules.
"""
import copy
import pickle

import numpy as np
import pytest

from orthonorm import core, nn
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from .snapshots import bits, snapshot


class Everything(nn.Module):
    """Parameters, buffers (one not persistent), children, empty places, a module used twice."""

    def __init__(self):
        super().__init__()
        self.register_buffer("b1", np.zeros(2))
        self.w = nn.Parameter(np.zeros(2))
        self.register_buffer("np", np.zeros(1), persistent=False)
        self.sub = nn.Linear(1, 1, rng=0)
        self.register_parameter("none", None)
        self.register_buffer("noneb", None)
        self.late = nn.Parameter(np.zeros(1))
        self.tied = self.sub
        self.register_module("nomod", None)


class Add(nn.Module):
    def forward(self, x, y=0.0):
        return x + y


def linear():
    return nn.Linear(2, 3, rng=0)


def names(pairs):
    return [name for name, _ in pairs]


GOOD = {
    "register_parameter": lambda: nn.Parameter(np.zeros(1)),
    "register_buffer": lambda: np.zeros(1),
    "register_module": lambda: nn.ReLU(),
    "add_module": lambda: nn.ReLU(),
}


# -- registration ------------------------------------------------------------------------------------

@pytest.mark.parametrize("method", GOOD)
@pytest.mark.parametrize("name, error, message", [
    (3, TypeError, "name should be a string. Got int"),
    ("", KeyError, "can't be empty"),
    ("a.b", KeyError, "a.b"),
    ("training", KeyError, "'training' already exists"),
    ("forward", KeyError, "'forward' already exists"),
    ("in_features", KeyError, "'in_features' already exists"),
    ("_parameters", KeyError, "'_parameters' already exists"),
])
def test_register_refuses_name(method, name, error, message):
    module = linear()
    before = snapshot(module)
    with pytest.raises(error) as caught:
        getattr(module, method)(name, GOOD[method]())
    assert message in str(caught.value).replace("\\'", "'")
    assert snapshot(module) == before


@pytest.mark.parametrize("method", ["register_buffer", "register_module", "add_module"])
def test_register_refuses_a_parameters_name(method):
    module = linear()
    with pytest.raises(KeyError, match="'weight' already exists"):
        getattr(module, method)("weight", GOOD[method]())


def test_register_parameter_again_replaces_it():
    module, new = linear(), nn.Parameter(np.ones(4))
    module.register_parameter("weight", new)
    assert module._parameters["weight"] is new
    assert names(module.named_parameters()) == ["weight", "bias"]


@pytest.mark.parametrize("method, value, message", [
    ("register_parameter", 3, "'int' object to parameter 'x'"),
    ("register_parameter", np.zeros(1), "'ndarray' object to parameter 'x'"),
    ("register_buffer", 3, "'int' object to buffer 'x'"),
    ("register_buffer", [1.0], "'list' object to buffer 'x'"),
    ("register_buffer", nn.Parameter(np.zeros(1)), "'Parameter' object to buffer 'x'"),
    ("register_module", 3, "int is not a Module subclass"),
    ("add_module", np.zeros(1), "ndarray is not a Module subclass"),
])
def test_register_refuses_value(method, value, message):
    module = linear()
    before = snapshot(module)
    with pytest.raises(TypeError, match=message):
        getattr(module, method)("x", value)
    assert snapshot(module) == before


@pytest.mark.parametrize("method", ["register_parameter", "register_buffer", "register_module"])
def test_register_none_gives_none(method):
    module = nn.Module()
    getattr(module, method)("a", None)
    assert module.a is None
    assert module.state_dict() == {}
    assert names(module.named_parameters()) == names(module.named_buffers()) == []
    assert names(module.named_children()) == []


# -- attributes --------------------------------------------------------------------------------------

def test_reading_a_parameter_gives_its_array():
    data = np.arange(4.0)
    module = nn.Module()
    module.p = nn.Parameter(data)
    assert module.p is data
    assert module._parameters["p"].data is data


@pytest.mark.parametrize("value", [np.zeros((3, 2)), 3, [1.0]], ids=str)
def test_assigning_a_value_to_a_parameter_raises(value):
    module = linear()
    before = snapshot(module)
    with pytest.raises(TypeError, match="as parameter 'weight'"):
        module.weight = value
    assert snapshot(module) == before


def test_assigning_a_module_to_a_parameter_raises():
    # PyTorch 2.13: cannot assign 'ReLU' as parameter 'weight' (Parameter or None expected)
    module = linear()
    before = snapshot(module)
    with pytest.raises(TypeError, match="as parameter 'weight'"):
        module.weight = nn.ReLU()
    assert snapshot(module) == before


def test_assigning_none_empties_the_place():
    module = linear()
    module.bias = None
    assert module.bias is None
    assert list(module.state_dict()) == ["weight"]
    np.testing.assert_array_equal(module(np.ones(2)), module.weight.sum(1))


def test_assigning_a_parameter_replaces_it_in_place():
    module = linear()
    module.weight = nn.Parameter(np.ones((3, 2)))
    assert names(module.named_parameters()) == ["weight", "bias"]
    np.testing.assert_array_equal(module.weight, np.ones((3, 2)))


@pytest.mark.parametrize("value", [3, [1.0], "x"])
def test_assigning_no_array_to_a_buffer_raises(value):
    module = Everything()
    with pytest.raises(TypeError, match="buffer 'b1'"):
        module.b1 = value
    np.testing.assert_array_equal(module.b1, np.zeros(2))


def test_assigning_an_array_to_a_buffer_keeps_it_one():
    module = Everything()
    module.b1 = np.ones(3)
    assert "b1" not in module.__dict__
    np.testing.assert_array_equal(module.state_dict()["b1"], np.ones(3))


def test_changing_a_parameter_in_place():
    module = linear()
    parameter, array = module._parameters["weight"], module.weight
    before = array.copy()
    module.weight -= 0.5
    assert module._parameters["weight"] is parameter and module.weight is array
    np.testing.assert_array_equal(array, before - 0.5)


def test_a_buffer_without_dimensions_counts():
    # NumPy makes a number of np.array(0) + 1; PyTorch's zero-dimensional tensors stay tensors.
    module = nn.Module()
    module.register_buffer("steps", np.array(0))
    module.steps = module.steps + 1
    module.steps += 1
    module.register_buffer("mean", np.ones(2).mean())
    assert module.steps == 2 and module.state_dict() == {"steps": 2, "mean": 1.0}
    assert all(type(buffer) is np.ndarray and buffer.shape == () for buffer in module.buffers())


def test_assigning_no_module_to_a_child_raises():
    module = Everything()
    with pytest.raises(TypeError, match="as child module 'sub'"):
        module.sub = 3
    assert isinstance(module.sub, nn.Linear)
    module.sub = None
    assert module.sub is None and names(module.named_children()) == ["tied"]


@pytest.mark.parametrize("old, new, registry", [
    (np.zeros(1), nn.Parameter(np.ones(1)), "_parameters"),
    (nn.ReLU(), nn.Parameter(np.ones(1)), "_parameters"),
    (np.zeros(1), nn.Tanh(), "_modules"),
    (3, nn.Tanh(), "_modules"),
    (3, nn.Parameter(np.ones(1)), "_parameters"),
], ids=["buffer-parameter", "module-parameter", "buffer-module", "plain-module", "plain-parameter"])
def test_a_new_kind_takes_the_old_ones_place(old, new, registry):
    module = nn.Module()
    if isinstance(old, np.ndarray):
        module.register_buffer("x", old)
    else:
        module.x = old
    module.x = new
    where = [r for r in ("_parameters", "_buffers", "_modules") if "x" in module.__dict__[r]]
    assert where == [registry] and "x" not in module.__dict__
    assert module.__dict__[registry]["x"] is new


@pytest.mark.parametrize("kind, value", [
    ("parameters", nn.Parameter(np.zeros(1))), ("module", nn.ReLU())])
def test_assigning_before_init_raises(kind, value):
    class Early(nn.Module):
        def __init__(self):
            self.x = value

    with pytest.raises(AttributeError, match=f"cannot assign {kind} before Module.__init__"):
        Early()


def test_a_missing_attribute_is_named():
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'foo'"):
        linear().foo
    with pytest.raises(AttributeError, match="foo"):
        del linear().foo


def test_del_takes_a_member_out_of_its_registry():
    module = Everything()
    del module.w, module.b1, module.sub
    assert list(module.state_dict()) == ["late", "tied.weight", "tied.bias"]
    assert not hasattr(module, "w") and not hasattr(module, "b1") and not hasattr(module, "sub")


def test_dir_lists_members():
    assert {"w", "b1", "sub", "forward"} <= set(dir(Everything()))


def test_a_module_without_forward_raises():
    class Empty(nn.Module):
        pass

    with pytest.raises(NotImplementedError, match='Empty.*"forward"'):
        Empty()(1)


# -- walking -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("method, kwargs, expected", [
    ("named_parameters", {}, ["w", "late", "sub.weight", "sub.bias"]),
    ("named_parameters", {"remove_duplicate": False},
     ["w", "late", "sub.weight", "sub.bias", "tied.weight", "tied.bias"]),
    ("named_parameters", {"prefix": "pre", "recurse": False}, ["pre.w", "pre.late"]),
    ("named_parameters", {"prefix": "pre"}, ["pre.w", "pre.late", "pre.sub.weight", "pre.sub.bias"]),
    ("named_buffers", {"prefix": "pre"}, ["pre.b1", "pre.np"]),
    ("named_modules", {"prefix": "pre"}, ["pre", "pre.sub"]),
    ("named_modules", {}, ["", "sub"]),
    ("named_modules", {"remove_duplicate": False}, ["", "sub", "tied"]),
    ("named_children", {}, ["sub"]),
])
def test_names_are_pytorchs(method, kwargs, expected):
    assert names(getattr(Everything(), method)(**kwargs)) == expected


def test_unnamed_walks_yield_the_objects():
    module = Everything()
    assert list(module.modules()) == [module, module.sub]
    assert list(module.children()) == [module.sub]
    assert list(module.parameters()) == [
        module._parameters["w"], module._parameters["late"],
        module.sub._parameters["weight"], module.sub._parameters["bias"]]
    assert list(module.parameters(recurse=False)) == [
        module._parameters["w"], module._parameters["late"]]
    assert [b is module.b1 or b is module.np for b in module.buffers()] == [True, True]


def test_a_parameter_of_two_modules_is_named_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False, rng=0), nn.Linear(2, 2, bias=False, rng=1))
    model[1].weight = model[0]._parameters["weight"]
    assert names(model.named_parameters()) == ["0.weight"]
    assert names(model.named_parameters(remove_duplicate=False)) == ["0.weight", "1.weight"]
    assert list(model.state_dict()) == ["0.weight", "1.weight"]


def test_named_modules_leaves_out_the_memo():
    module = Everything()
    assert names(module.named_modules(memo={module.sub})) == [""]


def test_get_submodule_and_get_parameter():
    model = nn.Sequential(nn.Sequential(linear()))
    assert model.get_submodule("") is model
    assert model.get_submodule("0.0") is model[0][0]
    assert model.get_parameter("0.0.bias") is model[0][0]._parameters["bias"]
    assert Everything().get_buffer("b1").shape == (2,)


@pytest.mark.parametrize("method, target", [
    ("get_submodule", "foo"), ("get_submodule", "sub.foo"), ("get_submodule", "w"),
    ("get_submodule", "nomod"), ("get_parameter", "foo"), ("get_parameter", "sub.foo"),
    ("get_parameter", "foo.bar"), ("get_parameter", "b1"), ("get_parameter", "none"),
    ("get_buffer", "foo"), ("get_buffer", "w"), ("get_buffer", "noneb"),
])
def test_get_raises_for_a_wrong_name(method, target):
    with pytest.raises(AttributeError) as caught:
        getattr(Everything(), method)(target)
    assert target.split(".")[-1] in str(caught.value) or target.split(".")[0] in str(caught.value)


def test_apply_calls_children_first():
    model, seen = nn.Sequential(nn.Sequential(nn.ReLU()), nn.Tanh()), []
    assert model.apply(seen.append) is model
    assert seen == [model[0][0], model[0], model[1], model]


# -- modes -------------------------------------------------------------------------------------------

def test_train_and_eval_reach_every_module():
    model = nn.Sequential(nn.Sequential(spectral_norm(linear())), nn.ReLU())
    assert all(part.training for part in model.modules())
    assert model.eval() is model
    assert not any(part.training for part in model.modules())
    assert model.train() is model
    assert all(part.training for part in model.modules())


@pytest.mark.parametrize("mode", [1, 0, None, "no", np.bool_(True)], ids=repr)
def test_train_takes_only_a_bool(mode):
    module = linear()
    with pytest.raises(ValueError, match="mode"):
        module.train(mode)
    assert module.training is True


def test_requires_grad_reaches_every_parameter():
    model = nn.Sequential(linear(), nn.Sequential(linear()))
    assert model.requires_grad_(False) is model
    assert [p.requires_grad for p in model.parameters()] == [False] * 4
    model[1].requires_grad_()
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]


# -- hooks -------------------------------------------------------------------------------------------

def test_hooks_run_in_order_and_prepended_ones_first():
    module, log = Add(), []
    for name in ("pre1", "pre2"):
        module.register_forward_pre_hook(lambda m, a, name=name: log.append(name))
        module.register_forward_hook(lambda m, a, o, name=name: log.append(name.replace("pre", "post")))
    module.register_forward_pre_hook(lambda m, a: log.append("pre0"), prepend=True)
    module.register_forward_hook(lambda m, a, o: log.append("post0"), prepend=True)
    module(1.0)
    assert log == ["pre0", "pre1", "pre2", "post0", "post1", "post2"]


def test_hooks_see_module_arguments_and_output():
    module, seen = Add(), []
    module.register_forward_pre_hook(lambda *given: seen.append(given))
    module.register_forward_pre_hook(lambda *given: seen.append(given), with_kwargs=True)
    module.register_forward_hook(lambda *given: seen.append(given))
    module.register_forward_hook(lambda *given: seen.append(given), with_kwargs=True)
    assert module(1.0, y=2.0) == 3.0
    assert seen == [(module, (1.0,)), (module, (1.0,), {"y": 2.0}),
                    (module, (1.0,), 3.0), (module, (1.0,), {"y": 2.0}, 3.0)]


@pytest.mark.parametrize("returned, expected", [
    (None, 3.0), ((10.0,), 12.0), (10.0, 12.0), (0.0, 2.0)], ids=["none", "tuple", "single", "zero"])
def test_a_pre_hook_replaces_the_arguments(returned, expected):
    module = Add()
    module.register_forward_pre_hook(lambda m, args: returned)
    assert module(1.0, y=2.0) == expected


def test_a_pre_hook_with_kwargs_replaces_both():
    module = Add()
    module.register_forward_pre_hook(lambda m, a, k: ((5.0,), {"y": 7.0}), with_kwargs=True)
    assert module(1.0) == 12.0


@pytest.mark.parametrize("returned", [3, (), (1,), (1, 2, 3)], ids=str)
def test_a_pre_hook_with_kwargs_may_not_return_something_else(returned):
    # PyTorch 2.13: forward pre-hook must return None or a tuple of (new_args, new_kwargs)
    module = Add()
    module.register_forward_pre_hook(lambda m, a, k: returned, with_kwargs=True)
    with pytest.raises(RuntimeError, match="pre-hook"):
        module(1.0)


def test_forward_hooks_replace_the_output_one_after_the_other():
    module = Add()
    module.register_forward_hook(lambda m, a, output: output * 10)
    module.register_forward_hook(lambda m, a, output: output + 1)
    assert module(1.0, 2.0) == 31.0


def test_removing_a_hook():
    module = Add()
    handles = [module.register_forward_hook(lambda m, a, output: output * 10),
               module.register_forward_pre_hook(lambda m, a: 5.0)]
    assert module(1.0) == 50.0
    for handle in handles:
        handle.remove()
        handle.remove()
    assert module(1.0) == 1.0


def test_a_hook_may_remove_itself():
    module, log = Add(), []

    def once(m, args):
        log.append("once")
        handle.remove()

    handle = module.register_forward_pre_hook(once)
    module.register_forward_pre_hook(lambda m, a: log.append("always"))
    module(1.0), module(1.0)
    assert log == ["once", "always", "always"]


# -- state dicts -------------------------------------------------------------------------------------

def two_on_one():
    return spectral_norm(orthogonal(nn.Linear(3, 3, rng=0), rng=0), rng=0)


def nested():
    layer = parametrize.register_parametrization(nn.Linear(3, 3, rng=0), "weight", nn.Identity())
    parametrize.register_parametrization(layer.parametrizations.weight, "original", nn.Identity())
    return layer


STATES = {
    "linear": (linear, {"weight": (3, 2), "bias": (3,)}),
    "everything": (Everything, {
        "w": (2,), "late": (1,), "b1": (2,), "sub.weight": (1, 1), "sub.bias": (1,),
        "tied.weight": (1, 1), "tied.bias": (1,)}),
    "sequential": (
        lambda: nn.Sequential(orthogonal(nn.Linear(3, 3, rng=0)), nn.Tanh(),
                              spectral_norm(nn.Linear(3, 2, rng=0), rng=0)),
        {"0.bias": (3,), "0.parametrizations.weight.original": (3, 3),
         "0.parametrizations.weight.0.base": (3, 3), "2.bias": (2,),
         "2.parametrizations.weight.original": (2, 3), "2.parametrizations.weight.0._u": (2,),
         "2.parametrizations.weight.0._v": (3,)}),
    "weight norm": (lambda: weight_norm(nn.Linear(3, 2, rng=0)), {
        "bias": (2,), "parametrizations.weight.original0": (2, 1),
        "parametrizations.weight.original1": (2, 3)}),
    "two on one": (two_on_one, {
        "bias": (3,), "parametrizations.weight.original": (3, 3),
        "parametrizations.weight.0.base": (3, 3), "parametrizations.weight.1._u": (3,),
        "parametrizations.weight.1._v": (3,)}),
    "no trivialization": (lambda: orthogonal(nn.Linear(3, 3, rng=0), use_trivialization=False), {
        "bias": (3,), "parametrizations.weight.original": (3, 3)}),
    "two tensors": (lambda: weight_norm(spectral_norm(nn.Linear(3, 4, rng=0), rng=0), "bias"), {
        "parametrizations.weight.original": (4, 3), "parametrizations.weight.0._u": (4,),
        "parametrizations.weight.0._v": (3,), "parametrizations.bias.original0": (4,),
        "parametrizations.bias.original1": (4,)}),
    "1-D spectral": (lambda: spectral_norm(nn.Linear(3, 4, rng=0), "bias"), {
        "weight": (4, 3), "parametrizations.bias.original": (4,)}),
    "embedding": (lambda: orthogonal(nn.Embedding(5, 2, rng=0), rng=0), {
        "parametrizations.weight.original": (5, 2), "parametrizations.weight.0.base": (5, 5)}),
    "nested": (nested, {
        "bias": (3,), "parametrizations.weight.parametrizations.original.original": (3, 3)}),
}


@pytest.mark.parametrize("family", STATES)
def test_state_dict_has_pytorchs_keys_shapes_and_order(family):
    make, expected = STATES[family]
    state = make().state_dict()
    assert [(key, value.shape) for key, value in state.items()] == list(expected.items())


@pytest.mark.parametrize("family", STATES)
def test_state_dict_loads_into_a_fresh_module(family):
    make, _ = STATES[family]
    state = {key: core.haar(value.shape, rng=1) if key.endswith(".base")
             else np.random.default_rng(1).standard_normal(value.shape)
             for key, value in make().state_dict().items()}
    for key in state:
        if key.endswith("base"):  # must be orthogonal
            state[key] = np.linalg.qr(state[key])[0]
    module = make()
    assert module.load_state_dict(state) == ([], [])
    loaded = module.state_dict()
    assert {k: bits(v) for k, v in loaded.items()} == {k: bits(v) for k, v in state.items()}


def test_state_dict_prefix():
    assert list(linear().state_dict(prefix="x.")) == ["x.weight", "x.bias"]


def test_state_dict_is_a_copy():
    module = spectral_norm(linear(), rng=0)
    before = snapshot(module)
    for value in module.state_dict().values():
        value[...] = 7.0
    assert snapshot(module) == before


def test_load_copies_what_it_is_given():
    module, given = linear(), {"weight": np.zeros((3, 2)), "bias": np.zeros(3)}
    module.load_state_dict(given)
    given["weight"][:] = 7.0
    np.testing.assert_array_equal(module.weight, np.zeros((3, 2)))
    module.weight[:] = 5.0
    np.testing.assert_array_equal(given["weight"], np.full((3, 2), 7.0))


def test_load_keeps_parameter_identity_and_the_given_dict():
    module = linear()
    parameters, given = list(module.parameters()), linear().state_dict()
    keys = list(given)
    module.load_state_dict(given)
    assert list(module.parameters()) == parameters and list(given) == keys


@pytest.mark.parametrize("convert", [
    np.ndarray.tolist, np.float32, np.int64, lambda a: memoryview(np.ascontiguousarray(a))],
    ids=["list", "float32", "int64", "memoryview"])
def test_load_takes_what_asarray_takes(convert):
    module = linear()
    weight, bias = np.arange(6.0).reshape(3, 2), np.arange(3.0)
    module.load_state_dict({"weight": convert(weight), "bias": convert(bias)})
    assert module.weight.dtype == module.bias.dtype == np.float64
    np.testing.assert_array_equal(module.weight, weight)
    np.testing.assert_array_equal(module.bias, bias)


def test_load_converts_to_the_modules_dtype():
    module = nn.Linear(2, 3, dtype=np.float32, rng=0)
    module.load_state_dict({"weight": np.full((3, 2), 0.1), "bias": np.zeros(3)})
    assert bits(module.weight) == bits(np.full((3, 2), np.float32(0.1)))


def good_state(model):
    return {key: np.full_like(value, 9.0) for key, value in model.state_dict().items()}


def deep_model():
    return nn.Sequential(orthogonal(nn.Linear(3, 3, rng=0)), nn.Tanh(),
                         spectral_norm(nn.Linear(3, 2, rng=1), rng=0))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("bad, message", [
    (np.zeros(7), r"size mismatch for 2.parametrizations.weight.0._v.*\(7,\).*\(3,\)"),
    (np.zeros((3, 1)), "size mismatch for 2.parametrizations.weight.0._v"),
    (1.0, "size mismatch for 2.parametrizations.weight.0._v"),
    (np.zeros(3, complex), "2.parametrizations.weight.0._v.*complex128.*float64"),
    (np.array(["a", "b", "c"]), "2.parametrizations.weight.0._v"),
    (np.array([None] * 3), "2.parametrizations.weight.0._v"),
    ([[1.0], [2.0, 3.0], []], "loading state_dict for Sequential.*2.parametrizations.weight.0._v"),
], ids=["length", "ndim", "scalar", "complex", "text", "object", "ragged"])
def test_a_bad_last_value_changes_nothing(strict, bad, message):
    model = deep_model()
    before, state = snapshot(model), good_state(model)
    state["2.parametrizations.weight.0._v"] = bad
    with pytest.raises(RuntimeError, match=f"(?s){message}"):
        model.load_state_dict(state, strict=strict)
    assert snapshot(model) == before


def test_missing_and_unexpected_keys_raise_and_change_nothing():
    model = deep_model()
    before, state = snapshot(model), good_state(model)
    del state["2.bias"], state["0.parametrizations.weight.0.base"]
    state["a"], state["b"] = np.zeros(1), "nonsense"
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict(state)
    # The text is PyTorch 2.13's.
    assert str(caught.value) == (
        "Error(s) in loading state_dict for Sequential:\n"
        '\tMissing key(s) in state_dict: "0.parametrizations.weight.0.base", "2.bias". \n'
        '\tUnexpected key(s) in state_dict: "a", "b". ')
    assert snapshot(model) == before


def test_non_strict_loading_reports_and_loads_the_rest():
    module = linear()
    bias = module.bias.copy()
    keys = module.load_state_dict({"weight": np.zeros((3, 2)), "a": "nonsense"}, strict=False)
    assert keys.missing_keys == ["bias"] and keys.unexpected_keys == ["a"]
    np.testing.assert_array_equal(module.weight, np.zeros((3, 2)))
    np.testing.assert_array_equal(module.bias, bias)


@pytest.mark.parametrize("given", [[1], None, "weight", 3])
def test_load_takes_only_a_mapping(given):
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like"):
        linear().load_state_dict(given)


def test_load_lists_errors_in_the_modules_order():
    model = nn.ModuleList(nn.Linear(2, 2, rng=i) for i in range(8))
    keys = list(model.state_dict())
    with pytest.raises(RuntimeError) as caught:
        model.load_state_dict({key: np.zeros(1) for key in reversed(keys)})
    lines = str(caught.value).split("\n\t")[1:]
    assert [line.split("size mismatch for ")[1].split(":")[0] for line in lines] == keys


def test_the_last_of_tied_keys_is_loaded():
    # As in PyTorch: the values are copied in the order of the module, whatever that of the dict.
    model = nn.ModuleList(nn.Linear(2, 2, bias=False, rng=i) for i in range(10))
    for layer in model:
        layer.weight = model[0]._parameters["weight"]
    state = {f"{i}.weight": np.full((2, 2), float(i)) for i in reversed(range(10))}
    model.load_state_dict(state)
    np.testing.assert_array_equal(model[0].weight, np.full((2, 2), 9.0))


def test_loading_keeps_tied_buffers_tied():
    model = nn.ModuleList(nn.Module() for _ in range(2))
    mask = np.zeros(2)
    for i, layer in enumerate(model):
        layer.register_buffer("mask", mask, persistent=i == 0)
    model.load_state_dict({"0.mask": np.ones(2)})
    np.testing.assert_array_equal(model[1].mask, np.ones(2))
    assert model[1].mask is model[0].mask and len(list(model.buffers())) == 1


def test_non_persistent_buffers_are_not_state():
    module = Everything()
    with pytest.raises(RuntimeError, match='Unexpected.*"np"'):
        module.load_state_dict({**module.state_dict(), "np": np.ones(1)})
    module.register_buffer("np", np.ones(1))
    assert "np" in module.state_dict()


@pytest.mark.parametrize("make", [lambda m: m, orthogonal, spectral_norm, weight_norm])
def test_float_and_double_convert_in_place(make):
    module = make(nn.Linear(3, 5, rng=0))
    module.register_buffer("count", np.zeros(1, int))
    parameters, weight = list(module.parameters()), np.array(module.eval().weight)
    assert module.float() is module and list(module.parameters()) == parameters
    assert {p.dtype for p in parameters} == {np.dtype(np.float32)} and module.count.dtype == int
    assert module.weight.dtype == np.float32
    np.testing.assert_allclose(module.weight, weight, rtol=0, atol=1e-6)
    assert module.double().weight.dtype == np.float64
    assert {p.dtype for p in module.to("complex64").parameters()} == {np.dtype("c8")}


@pytest.mark.parametrize("dtype", [np.float32, int, "cpu", np.float16])
def test_a_dtype_that_cannot_be_is_refused_and_changes_nothing(dtype):
    model = nn.Sequential(linear(), nn.Linear(2, 2, dtype=complex, rng=0))
    before = snapshot(model)
    with pytest.raises(TypeError):
        model.to(dtype)
    assert snapshot(model) == before
    assert model.float()[1].weight.dtype == complex and model[0].weight.dtype == np.float32


def test_no_dtype_is_refused():
    # NumPy reads None as float64; PyTorch's .to(None) changes nothing.
    module = linear().float()
    with pytest.raises(TypeError, match="got None"):
        module.to(None)
    assert module.weight.dtype == np.float32


# -- printing ----------------------------------------------------------------------------------------

REPRS = [
    (lambda: nn.Linear(3, 4, rng=0), "Linear(in_features=3, out_features=4, bias=True)"),
    (lambda: nn.Linear(3, 4, bias=False), "Linear(in_features=3, out_features=4, bias=False)"),
    (lambda: nn.Embedding(5, 2), "Embedding(5, 2)"),
    (nn.Identity, "Identity()"), (nn.ReLU, "ReLU()"), (nn.Tanh, "Tanh()"),
    (nn.Sequential, "Sequential()"), (nn.ModuleList, "ModuleList()"),
    (nn.ModuleDict, "ModuleDict()"),
    (lambda: nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False)),
     "Sequential(\n  (0): Linear(in_features=3, out_features=4, bias=True)\n  (1): ReLU()\n"
     "  (2): Linear(in_features=4, out_features=2, bias=False)\n)"),
    (lambda: nn.Sequential(nn.Sequential(nn.Linear(3, 4), nn.Tanh()), nn.Identity()),
     "Sequential(\n  (0): Sequential(\n    (0): Linear(in_features=3, out_features=4, bias=True)\n"
     "    (1): Tanh()\n  )\n  (1): Identity()\n)"),
    (lambda: nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.Tanh(), nn.Linear(2, 2)]),
     "ModuleList(\n  (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)\n  (3): Tanh()\n"
     "  (4): Linear(in_features=2, out_features=2, bias=True)\n)"),
    (lambda: nn.ModuleList([nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(2)]),
     "ModuleList(\n  (0-1): 2 x Sequential(\n    (0): Linear(in_features=2, out_features=2, "
     "bias=True)\n    (1): Tanh()\n  )\n)"),
    (lambda: nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(2, 3)}),
     "ModuleDict(\n  (a): ReLU()\n  (b): Linear(in_features=2, out_features=3, bias=True)\n)"),
    (lambda: spectral_norm(nn.Linear(3, 4)),
     "ParametrizedLinear(\n  in_features=3, out_features=4, bias=True\n  (parametrizations): "
     "ModuleDict(\n    (weight): ParametrizationList(\n      (0): _SpectralNorm()\n    )\n  )\n)"),
    (lambda: weight_norm(spectral_norm(nn.Linear(3, 4)), "bias"),
     "ParametrizedLinear(\n  in_features=3, out_features=4, bias=True\n  (parametrizations): "
     "ModuleDict(\n    (weight): ParametrizationList(\n      (0): _SpectralNorm()\n    )\n"
     "    (bias): ParametrizationList(\n      (0): _WeightNorm()\n    )\n  )\n)"),
    (two_on_one,
     "ParametrizedLinear(\n  in_features=3, out_features=3, bias=True\n  (parametrizations): "
     "ModuleDict(\n    (weight): ParametrizationList(\n      (0): _Orthogonal()\n"
     "      (1): _SpectralNorm()\n    )\n  )\n)"),
    (lambda: nn.Sequential(orthogonal(nn.Linear(3, 3))),
     "Sequential(\n  (0): ParametrizedLinear(\n    in_features=3, out_features=3, bias=True\n"
     "    (parametrizations): ModuleDict(\n      (weight): ParametrizationList(\n"
     "        (0): _Orthogonal()\n      )\n    )\n  )\n)"),
    (lambda: orthogonal(nn.Embedding(5, 2)),
     "ParametrizedEmbedding(\n  5, 2\n  (parametrizations): ModuleDict(\n    (weight): "
     "ParametrizationList(\n      (0): _Orthogonal()\n    )\n  )\n)"),
    (Everything,
     "Everything(\n  (sub): Linear(in_features=1, out_features=1, bias=True)\n"
     "  (tied): Linear(in_features=1, out_features=1, bias=True)\n  (nomod): None\n)"),
]


@pytest.mark.parametrize("make, text", REPRS, ids=[text.split("\n")[0] for _, text in REPRS])
def test_repr_is_pytorchs(make, text):
    assert repr(make()) == text


def test_repr_shows_a_parametrized_original():
    # PyTorch numbers the inner ModuleDict "(1)"; ours may call it otherwise but should show it.
    assert "(original): ParametrizationList(" in repr(nested())


def test_repr_puts_a_long_extra_on_its_own_lines():
    class Long(nn.Module):
        def extra_repr(self):
            return "a=1,\nb=2"

    assert repr(Long()) == "Long(\n  a=1,\n  b=2\n)"


# -- copies ------------------------------------------------------------------------------------------

def test_a_deepcopy_shares_nothing():
    model = nn.Sequential(linear(), Everything())
    twin = copy.deepcopy(model)
    assert repr(twin) == repr(model)
    before = snapshot(model)
    for parameter in twin.parameters():
        parameter.data[...] = 7.0
        parameter.requires_grad = False
    for buffer in twin.buffers():
        buffer[...] = 7.0
    twin.eval()
    twin[0].register_forward_hook(lambda m, a, output: None)
    twin[1].extra = nn.ReLU()
    assert snapshot(model) == before and not model[0]._forward_hooks


def test_a_deepcopy_keeps_ties():
    module = copy.deepcopy(Everything())
    assert module.tied is module.sub
    model = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Linear(2, 2, rng=0))
    model[1].weight = model[0]._parameters["weight"]
    twin = copy.deepcopy(model)
    assert twin[1]._parameters["weight"] is twin[0]._parameters["weight"]
    assert twin[0]._parameters["weight"] is not model[0]._parameters["weight"]


def test_a_model_can_be_pickled():
    model = nn.Sequential(linear(), nn.Tanh())
    twin = pickle.loads(pickle.dumps(model))
    assert {k: bits(v) for k, v in twin.state_dict().items()} == {
        k: bits(v) for k, v in model.state_dict().items()}
    np.testing.assert_array_equal(twin(np.ones(2)), model(np.ones(2)))
