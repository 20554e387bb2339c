"""Sequential, ModuleList, ModuleDict. The expected orders and errors are PyTorch 2.13.0's."""
from collections import OrderedDict

import numpy as np
import pytest

from orthonorm import nn

ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Identity)


def three(container):
    modules = [make() for make in ACTIVATIONS]
    return container(*modules) if container is nn.Sequential else container(modules)


def named():
    return nn.Sequential(OrderedDict(a=nn.ReLU(), b=nn.Tanh(), c=nn.Identity()))


def kinds(container):
    return [(name, type(module).__name__) for name, module in container.named_children()]


both = pytest.mark.parametrize("container", [nn.Sequential, nn.ModuleList])


# -- what Sequential and ModuleList share --------------------------------------------------------------

@both
def test_length_order_and_names(container):
    modules = three(container)
    assert len(modules) == 3
    assert [type(m) for m in modules] == list(ACTIVATIONS)
    assert kinds(modules) == [("0", "ReLU"), ("1", "Tanh"), ("2", "Identity")]
    assert modules[1] in modules and nn.Tanh() not in modules


@both
@pytest.mark.parametrize("index, kind", [(0, nn.ReLU), (2, nn.Identity), (-1, nn.Identity),
                                         (-3, nn.ReLU)])
def test_an_index_counts_from_either_end(container, index, kind):
    assert type(three(container)[index]) is kind


@both
@pytest.mark.parametrize("index", [3, -4, 100])
def test_an_index_out_of_range_raises(container, index):
    modules = three(container)
    with pytest.raises(IndexError, match=f"index {index} is out of range"):
        modules[index]
    with pytest.raises(IndexError, match=f"index {index} is out of range"):
        modules[index] = nn.ReLU()
    with pytest.raises(IndexError, match=f"index {index} is out of range"):
        del modules[index]
    assert kinds(modules) == kinds(three(container))


@both
def test_an_index_is_an_integer(container):
    with pytest.raises(TypeError):
        three(container)["0"]


@both
@pytest.mark.parametrize("index", [0, -1])
def test_setting_an_item_keeps_the_others(container, index):
    modules = three(container)
    new = nn.Linear(1, 1, rng=0)
    modules[index] = new
    assert modules[index] is new and len(modules) == 3
    assert [name for name, _ in modules.named_children()] == ["0", "1", "2"]


@both
def test_setting_no_module_raises(container):
    modules = three(container)
    with pytest.raises(TypeError, match="child module '0'"):
        modules[0] = 3
    assert type(modules[0]) is nn.ReLU


@both
@pytest.mark.parametrize("index, left", [
    (0, ["Tanh", "Identity"]), (-1, ["ReLU", "Tanh"]), (slice(0, 2), ["Identity"]),
    (slice(None, None, 2), ["Tanh"]), (slice(None), [])], ids=str)
def test_deleting_numbers_the_rest_anew(container, index, left):
    modules = three(container)
    del modules[index]
    assert kinds(modules) == [(str(i), name) for i, name in enumerate(left)]


@both
def test_appending_returns_the_container(container):
    modules = three(container)
    assert modules.append(nn.ReLU()) is modules
    assert kinds(modules)[3:] == [("3", "ReLU")]


@both
@pytest.mark.parametrize("wrong", [3, np.zeros(1), "relu"], ids=repr)
def test_only_modules_are_taken(container, wrong):
    with pytest.raises(TypeError, match="is not a Module subclass"):
        container(wrong) if container is nn.Sequential else container([wrong])
    with pytest.raises(TypeError, match="is not a Module subclass"):
        three(container).append(wrong)


@both
def test_parameters_are_found(container):
    layers = [nn.Linear(1, 2, rng=0), nn.Linear(2, 3, bias=False, rng=0)]
    modules = container(*layers) if container is nn.Sequential else container(layers)
    assert list(modules.state_dict()) == ["0.weight", "0.bias", "1.weight"]


# -- Sequential --------------------------------------------------------------------------------------

def test_sequential_applies_in_order():
    model = nn.Sequential(nn.ReLU(), nn.Tanh())
    x = np.array([-1.0, 0.5])
    np.testing.assert_array_equal(model(x), np.tanh([0.0, 0.5]))
    np.testing.assert_array_equal(nn.Sequential()(x), x)


def test_sequential_of_an_ordered_dict():
    model = named()
    assert kinds(model) == [("a", "ReLU"), ("b", "Tanh"), ("c", "Identity")]
    assert model.b is model[1] and model[-1] is model.c
    assert kinds(model.append(nn.ReLU()))[-1] == ("3", "ReLU")


@pytest.mark.parametrize("index, expected", [
    (slice(1, None), ["1", "2"]), (slice(None, -1), ["0", "1"]), (slice(None, None, 2), ["0", "2"]),
    (slice(None, None, -1), ["2", "1", "0"]), (slice(5, 9), [])], ids=str)
def test_a_slice_of_sequential_keeps_names_and_modules(index, expected):
    model = three(nn.Sequential)
    part = model[index]
    assert type(part) is nn.Sequential
    assert list(part._modules) == expected
    assert all(part._modules[name] is model._modules[name] for name in expected)
    assert len(model) == 3


def test_a_slice_of_named_sequential_keeps_names():
    assert kinds(named()[:2]) == [("a", "ReLU"), ("b", "Tanh")]


def test_deleting_from_named_sequential_numbers_the_rest():
    # PyTorch 2.13 numbers the rest anew, whatever their names were.
    model = named()
    del model[0]
    assert kinds(model) == [("0", "Tanh"), ("1", "Identity")]


# -- ModuleList --------------------------------------------------------------------------------------

@pytest.mark.parametrize("index, expected", [
    (slice(None, None, 2), ["ReLU", "Identity"]), (slice(None, None, -1), ["Identity", "Tanh", "ReLU"]),
    (slice(1, 1), [])], ids=str)
def test_a_slice_of_module_list_is_numbered_anew(index, expected):
    part = three(nn.ModuleList)[index]
    assert type(part) is nn.ModuleList
    assert kinds(part) == [(str(i), name) for i, name in enumerate(expected)]


@both
@pytest.mark.parametrize("index", [0, 1, 3, -1, -3])
def test_insert_is_that_of_a_list(container, index):
    modules, expected, new = three(container), ["ReLU", "Tanh", "Identity"], nn.Linear(1, 1)
    modules.insert(index, new)
    expected.insert(index, "Linear")
    assert kinds(modules) == [(str(i), name) for i, name in enumerate(expected)]


def test_inserting_no_module_changes_nothing():
    modules = three(nn.ModuleList)
    with pytest.raises(TypeError, match="is not a Module subclass"):
        modules.insert(1, 3)
    assert kinds(modules) == kinds(three(nn.ModuleList))


@both
@pytest.mark.parametrize("index", [0, -1, 1])
def test_pop_is_that_of_a_list(container, index):
    modules, expected = three(container), ["ReLU", "Tanh", "Identity"]
    module = modules[index]
    assert modules.pop(index) is module and expected.pop(index)
    assert kinds(modules) == [(str(i), name) for i, name in enumerate(expected)]


@both
def test_extend(container):
    modules = three(container)
    assert modules.extend(make() for make in ACTIVATIONS) is modules
    assert [type(m) for m in modules] == 2 * list(ACTIVATIONS)
    assert len(modules.extend(modules)) == 12
    with pytest.raises(TypeError):
        modules.extend(3)


def test_module_list_has_no_forward():
    with pytest.raises(NotImplementedError, match="ModuleList"):
        three(nn.ModuleList)(1)


def test_module_list_takes_a_generator():
    assert len(nn.ModuleList(nn.ReLU() for _ in range(4))) == 4
    assert len(nn.ModuleList()) == 0


# -- ModuleDict --------------------------------------------------------------------------------------

def two():
    return nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()})


def test_module_dict_is_a_mapping():
    modules = two()
    assert len(modules) == 2 and list(modules) == list(modules.keys()) == ["a", "b"]
    assert "a" in modules and "c" not in modules
    assert list(modules.items()) == list(zip("ab", modules.values()))
    assert modules["a"] is modules.a


def test_update_keeps_the_place_of_known_names():
    modules = two()
    modules.update(OrderedDict([("c", nn.Tanh()), ("a", nn.Identity())]))
    assert kinds(modules) == [("a", "Identity"), ("b", "Tanh"), ("c", "Tanh")]
    modules.update(nn.ModuleDict({"b": nn.ReLU()}))
    assert kinds(modules)[1] == ("b", "ReLU")


def test_pop_del_and_clear():
    modules = two()
    a = modules["a"]
    assert modules.pop("a") is a and list(modules) == ["b"]
    del modules["b"]
    assert len(modules) == 0
    modules = two()
    modules.clear()
    assert len(modules) == 0 and list(modules.modules()) == [modules]


@pytest.mark.parametrize("use", [lambda m: m["z"], lambda m: m.pop("z"), lambda m: m.__delitem__("z")],
                         ids=["get", "pop", "del"])
def test_a_missing_name_raises(use):
    with pytest.raises(KeyError, match="z"):
        use(two())


@pytest.mark.parametrize("name, module, error", [
    ("c", 3, TypeError), (1, nn.ReLU(), TypeError), ("a.b", nn.ReLU(), KeyError),
    ("", nn.ReLU(), KeyError), ("keys", nn.ReLU(), KeyError)], ids=str)
def test_module_dict_refuses(name, module, error):
    modules = two()
    with pytest.raises(error):
        modules[name] = module
    assert list(modules) == ["a", "b"]
