"""Hooks of the state dict, extra state, and hooks that are always called; as PyTorch 2.13 does it."""
import copy
import warnings

import numpy as np
import pytest

from orthonorm import nn
from orthonorm.nn.utils.parametrizations import orthogonal

from .snapshots import snapshot


class Counter(nn.Module):
    """A module with state that is no array."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(np.ones(2))
        self.count, self.log = 0, []

    def get_extra_state(self):
        return {"count": self.count}

    def set_extra_state(self, state):
        self.count = state["count"]
        if state["count"] < 0:
            raise ValueError("negative")


def model():
    return nn.Sequential(Counter(), orthogonal(nn.Linear(2, 2, rng=0)), Counter())


# -- extra state --------------------------------------------------------------------------------------

def test_extra_state_goes_there_and_back():
    source, target = model(), model()
    source[0].count, source[2].count = 3, 5
    state = source.state_dict()
    assert [*state] == ["0.weight", "0._extra_state", "1.bias", "1.parametrizations.weight.original",
                        "1.parametrizations.weight.0.base", "2.weight", "2._extra_state"]
    assert state["2._extra_state"] == {"count": 5}
    assert target.load_state_dict(state) == ([], [])
    assert (target[0].count, target[2].count) == (3, 5)


def test_extra_state_that_is_missing_or_unexpected():
    state = model().state_dict()
    without = {key: value for key, value in state.items() if key != "2._extra_state"}
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "2._extra_state"'):
        model().load_state_dict(without)
    assert model().load_state_dict(without, strict=False) == (["2._extra_state"], [])
    with pytest.raises(RuntimeError, match=r'Unexpected key\(s\) in state_dict: "_extra_state"'):
        nn.Linear(1, 1).load_state_dict(nn.Linear(1, 1).state_dict() | {"_extra_state": 1})


def test_extra_state_that_is_refused_changes_nothing():
    target = model()
    state = model().state_dict()
    state |= {"0.weight": np.zeros(2), "0._extra_state": {"count": 7}, "2._extra_state": {"count": -1}}
    before = snapshot(target)
    with pytest.raises(ValueError, match="negative"):
        target.load_state_dict(state)
    assert snapshot(target) == before
    assert (target[0].count, target[2].count) == (0, 0)


def test_extra_state_is_not_set_where_a_value_does_not_fit():
    target = model()
    with pytest.raises(RuntimeError, match="size mismatch for 2.weight"):
        target.load_state_dict(model().state_dict() | {"2.weight": np.ones(3),
                                                       "0._extra_state": {"count": 7}})
    assert target[0].count == 0


def test_a_module_without_extra_state_says_so():
    for call in (nn.Tanh().get_extra_state, lambda: nn.Tanh().set_extra_state(3)):
        with pytest.raises(RuntimeError, match="Tanh has no extra state"):
            call()


@pytest.mark.parametrize("name", ["_save_to_state_dict", "_load_from_state_dict"])
def test_methods_that_would_never_be_called_are_refused(name):
    with pytest.raises(TypeError, match=f"Layer.{name} would never be called.*register_"):
        type("Layer", (nn.Linear,), {name: lambda self, *args: None})
    with pytest.raises(TypeError, match=name):
        type("Layer", (type("Mixin", (), {name: lambda self, *args: None}), nn.Module), {})


def test_a_state_dict_of_its_own():
    """What a submodule's state_dict adds is in the whole's, as in PyTorch."""
    class Versioned(nn.Linear):
        def state_dict(self, *, destination=None, prefix=""):
            state = super().state_dict(destination=destination, prefix=prefix)
            state[f"{prefix}version"] = np.array(2)
            return state

    assert [*nn.Sequential(Versioned(1, 1), nn.Linear(1, 1)).state_dict()] == [
        "0.weight", "0.bias", "0.version", "1.weight", "1.bias"]


def test_a_dict_may_be_given():
    given = {"other": 1}
    assert nn.Linear(1, 1).state_dict(destination=given, prefix="a.") is given
    assert [*given] == ["other", "a.weight", "a.bias"]


# -- hooks of the state dict --------------------------------------------------------------------------

def test_a_post_hook_of_the_state_dict():
    module, seen = model(), []

    def add(given, state_dict, prefix, local_metadata):
        seen.append((given, [*state_dict], prefix, local_metadata))
        state_dict[prefix + "added"] = np.zeros(1)

    handle = module[1].register_state_dict_post_hook(add)
    state = module.state_dict()
    assert [*state][-3:] == ["1.added", "2.weight", "2._extra_state"]
    assert seen == [(module[1], [*state][:5], "1.", {})]
    handle.remove()
    assert "1.added" not in module.state_dict()


def test_a_post_hook_of_the_state_dict_must_return_none():
    module = nn.Linear(1, 1)
    module.register_state_dict_post_hook(lambda *given: given[1])
    with pytest.raises(RuntimeError, match="state_dict post-hook must return None"):
        module.state_dict()


def test_pre_hooks_of_loading_get_what_pytorchs_get():
    module, seen = nn.Sequential(nn.Linear(1, 1, rng=0)), []
    module[0].register_load_state_dict_pre_hook(lambda *given: seen.append(given))
    module[0]._register_load_state_dict_pre_hook(lambda *given: seen.append(given))
    module[0]._register_load_state_dict_pre_hook(lambda *given: seen.append(given), with_module=True)
    state = nn.Sequential(nn.Linear(1, 1, rng=1)).state_dict()
    module.load_state_dict(state)
    assert [len(given) for given in seen] == [8, 7, 8]
    assert seen[0][0] is module[0] and seen[2][0] is module[0]
    for given in (seen[0][1:], seen[1], seen[2][1:]):
        assert given == (state, "0.", {}, True, [], [], []) and given[0] is not state


def test_a_pre_hook_may_rename_keys_and_report():
    module = nn.Linear(1, 1, rng=0)

    def rename(module, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        state_dict[prefix + "weight"] = state_dict.pop(prefix + "w")

    handle = module.register_load_state_dict_pre_hook(rename)
    assert module.load_state_dict({"w": [[3.0]], "bias": [1.0]}) == ([], [])
    assert module.weight == 3.0
    handle.remove()
    module.register_load_state_dict_pre_hook(lambda *given: given[-1].append("this is an old file"))
    module.register_load_state_dict_pre_hook(lambda *given: given[-3].append("something"))
    module.register_load_state_dict_pre_hook(lambda *given: given[-2].append("more"))
    with pytest.raises(RuntimeError, match=r'(?s)Missing key\(s\).*"something".*Unexpected key\(s\).*'
                                           r'"more".*this is an old file'):
        module.load_state_dict({"weight": [[4.0]], "bias": [1.0]})
    assert module.weight == 3.0


def test_a_post_hook_of_loading():
    module, seen = model(), []

    def forgive(given, keys):
        seen.append(given)
        keys.missing_keys.clear()

    module.register_load_state_dict_post_hook(forgive)
    module[1].register_load_state_dict_post_hook(lambda given, keys: seen.append(given))
    state = model().state_dict()
    del state["0.weight"]
    assert module.load_state_dict(state) == ([], [])
    assert seen == [module[1], module]


def test_a_pre_hook_sees_and_changes_only_what_is_given_for_its_module():
    module, seen = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), []

    def meddle(_, state, prefix, *lists):
        seen.append((prefix, sorted(state)))
        state["0.weight"] = "text"
        state.pop("1.other", None)

    module[1].register_load_state_dict_pre_hook(meddle)
    state = module.state_dict()
    assert module.load_state_dict(state | {"1.other": 3.0}) == ([], [])
    assert seen == [("1.", ["1.bias", "1.other", "1.weight"])]
    assert module[0].weight == state["0.weight"]


def test_a_post_hook_does_not_forgive_what_comes_later():
    module = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1))

    def forgive(given, keys):
        keys.missing_keys.clear()
        keys.unexpected_keys.clear()

    module[1].register_load_state_dict_post_hook(forgive)
    state = {"0.weight": [[1.0]], "1.x": 1.0, "2.x.y": 1.0, "other": 1.0, "1.bias": [1.0]}
    assert module.load_state_dict(state, strict=False) == (["2.weight", "2.bias"], ["2.x.y"])
    with pytest.raises(RuntimeError, match="(?s)2.weight.*2.x.y"):
        module.load_state_dict(state)


def test_a_post_hook_of_loading_that_fails_changes_nothing():
    for wrong, error in ((lambda *given: 3, AssertionError), (lambda *given: 1 / 0, ZeroDivisionError)):
        module = model()
        module.register_load_state_dict_post_hook(wrong)
        before = snapshot(module)
        with pytest.raises(error):
            module.load_state_dict(model().state_dict() | {"0.weight": np.zeros(2)})
        assert snapshot(module) == before


def test_hooks_are_copied_with_the_module():
    module, seen = nn.Linear(1, 1), []
    module.register_state_dict_post_hook(lambda *given: seen.append(given[0]))
    twin = copy.copy(module)
    twin.state_dict()
    assert seen == [twin]


# -- forward hooks that are always called -------------------------------------------------------------

class Failing(nn.Module):
    def forward(self, x):
        raise ZeroDivisionError


def test_always_called_when_forward_fails():
    module, seen = Failing(), []
    module.register_forward_hook(lambda *given: seen.append(("not", *given)))
    module.register_forward_hook(lambda *given: seen.append(given), always_call=True)
    module.register_forward_hook(lambda *given: seen.append(given), always_call=True, with_kwargs=True)
    with pytest.raises(ZeroDivisionError):
        module(3.0)
    assert seen == [(module, (3.0,), None), (module, (3.0,), {}, None)]


def test_always_called_once_when_a_hook_fails():
    module, seen = nn.Identity(), []
    module.register_forward_hook(lambda *given: seen.append(given), always_call=True)
    module.register_forward_hook(lambda *given: 1 / 0)
    module.register_forward_hook(lambda *given: seen.append(given) or 7.0, always_call=True)
    module.register_forward_hook(lambda *given: seen.append(given), always_call=True)
    with pytest.raises(ZeroDivisionError):
        module(3.0)
    assert seen == [(module, (3.0,), 3.0), (module, (3.0,), 3.0), (module, (3.0,), 7.0)]


def test_a_second_exception_is_a_warning():
    module = Failing()
    module.register_forward_hook(lambda *given: {}["key"], always_call=True)
    with warnings.catch_warnings(record=True) as caught, pytest.raises(ZeroDivisionError):
        warnings.simplefilter("always")
        module(3.0)
    assert "always_call=True raised an exception" in str(caught[0].message)


def test_always_call_changes_nothing_where_nothing_fails():
    module = nn.Identity()
    module.register_forward_hook(lambda m, args, output: output + 1, always_call=True)
    module.register_forward_hook(lambda m, args, output: output * 2, always_call=True)
    assert module(1.0) == 4.0
