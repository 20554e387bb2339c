"""Rules: state dicts, made and loaded by either library, whole or damaged, and their hooks."""
import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.stateful import rule

from .compare import RANDOM, assert_same, assert_same_states
from .layers import normal
from .pair import Pair, booleans, seeds
from .sides import THEIRS
from .using import failing


def saying(calls):
    """Return a hook that writes down what it is called with."""
    def hook(module, state, prefix, metadata, strict, *_):
        calls.append((type(module).__name__, sorted(state), prefix, strict))
    return hook


def forgetting(module, state, prefix, *_):
    state.pop(prefix + "other", None)


def complaining(module, state, prefix, metadata, strict, missing, unexpected, errors):
    errors.append("no")


def missing_something(module, state, prefix, metadata, strict, missing, unexpected, errors):
    missing.append("something")


def forgiving(module, keys):
    keys.missing_keys.clear()
    keys.unexpected_keys.clear()


LOADING_HOOKS = {
    "forgets": ("register_load_state_dict_pre_hook", forgetting),
    "complains": ("register_load_state_dict_pre_hook", complaining),
    "misses": ("register_load_state_dict_pre_hook", missing_something),
    "fails before": ("register_load_state_dict_pre_hook", failing),
    "forgives": ("register_load_state_dict_post_hook", forgiving),
    "fails after": ("register_load_state_dict_post_hook", failing),
    "returns": ("register_load_state_dict_post_hook", lambda module, keys: keys),
}


def adding(module, state, prefix, metadata):
    state[prefix + "added"] = next(iter(state.values()))


def dropping(module, state, prefix, metadata):
    for key in [key for key in state if key.startswith(prefix) and key.endswith("weight")]:
        del state[key]


SAVING_HOOKS = {"adds": adding, "drops": dropping, "fails": failing,
                "returns": lambda module, state, prefix, metadata: state}


class Loading(Pair):

    def other_state(self, seed):
        """Return PyTorch's state dict with other values."""
        state = {key: value.clone() for key, value in self.models[1].state_dict().items()}
        rng = np.random.default_rng(seed)
        for key, value in state.items():
            if not key.endswith(RANDOM):
                state[key] = THEIRS.tensor(normal(rng, value.shape, self.dtype)).to(value.dtype)
                if value.ndim > 1 and not value.is_complex():  # reflectors' signs: 1 or -1 for PyTorch
                    diagonal = state[key].diagonal(dim1=-2, dim2=-1)
                    diagonal.copy_(torch.where(diagonal < 0, -1, 1))
        return state

    def damaged(self, state, damage, key, other):
        if damage == "missing":
            del state[key]
        elif damage == "unexpected":
            state[other] = torch.zeros(1)
        elif damage == "shape":
            state[key] = torch.zeros(7, 5, dtype=state[key].dtype)
        elif damage == "old keys":
            for part in self.parts:
                for i, letter in enumerate("gv"):
                    new = f"{part}.parametrizations.weight.original{i}"
                    if new in state:
                        state[f"{part}.weight_{letter}"] = state.pop(new)

    @rule(data=st.data(), strict=booleans, seed=seeds, damage=st.sampled_from(
        ["nothing", "missing", "unexpected", "shape", "old keys"]),
        hook=st.sampled_from([None, None, None, *LOADING_HOOKS]))
    def load(self, data, strict, damage, seed, hook):
        """Both load PyTorch's state dict, with other values, and perhaps damaged."""
        if damage == "shape" and hook in ("fails after", "returns"):
            return  # one error at a time: ours calls no such hook where nothing is loaded
        state = self.other_state(seed)
        key = data.draw(st.sampled_from(sorted(state)))
        other = data.draw(st.sampled_from(["other", key + ".x", "layer0.other", "layer0.x.y"]))
        self.damaged(state, damage, key, other)
        path = data.draw(st.sampled_from(["", *self.kinds, *self.parts])) if hook else ""

        def loading(side, model):
            module, calls = self.of(model, path), []
            handles = [module.register_load_state_dict_pre_hook(saying(calls))]
            if hook:
                method, function = LOADING_HOOKS[hook]
                handles.append(getattr(module, method)(function))
            try:
                keys = model.load_state_dict(state if side is THEIRS else {
                    k: v.numpy() for k, v in state.items()}, strict=strict)
            finally:
                for handle in handles:
                    handle.remove()
            return sorted(keys.missing_keys), sorted(keys.unexpected_keys), calls
        self.both(f"load, strict={strict}, {damage} {key}, a hook of {path} {hook}", loading,
                  compare=assert_same)

    @rule(data=st.data(), hook=st.sampled_from(sorted(SAVING_HOOKS)))
    def save(self, data, hook):
        """A hook changes the state dict that is made."""
        path = data.draw(st.sampled_from(["", *self.kinds, *self.parts]))

        def saving(side, model):
            handle = self.of(model, path).register_state_dict_post_hook(SAVING_HOOKS[hook])
            try:
                return model.state_dict()
            finally:
                handle.remove()
        self.both(f"save, a hook of {path} {hook}", saving, compare=assert_same_states)

    @rule()
    def load_ours(self):
        """PyTorch loads the state dict of orthonorm."""
        state = {key: torch.from_numpy(np.array(value)) for key, value in
                 self.models[0].state_dict().items()}
        assert_same("load ours: keys", self.models[1].load_state_dict(state), ([], []))
        self.check("load ours")
