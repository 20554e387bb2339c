"""A pair of models and a pair of optimisers, one of each library, and how the same is done to both."""
import copy

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from orthonorm.equivalence.modules import remembered
from tests.nn.snapshots import snapshot

from . import differences
from .compare import Differ, assert_same, assert_same_models, assert_same_optimizers
from .keeping import Kept
from .layers import LAYERS, RECURRENT, normal
from .sides import SIDES, THEIRS

seeds = st.integers(0, 3)
booleans = st.booleans()
tensors = st.sampled_from(["weight", "weight", "weight", "bias", "nothing"])
TRAINS = ("call", "gradients", "second", "step")  # what may move u and v before it fails


def kind_of(error):
    """Return the name of an error, of its base where a library has made its own, or "" for none."""
    return "" if error is None else next(
        cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins")


class Pair(RuleBasedStateMachine):
    """The models hold the layers of `kinds`, by name; a part is the path of a module with tensors."""

    def __init__(self):
        super().__init__()
        self.models = [side.nn.ModuleDict() for side in SIDES]
        self.optimizers = None
        self.kinds, self.parts, self.shapes = {}, [], {}
        self.dtype = "float64"
        torch.manual_seed(0)

    def both(self, what, action, *, compare=None, drawn=False, looser=0.0):
        """Run an action on both sides; compare the errors, and what `compare` is told to."""
        before = snapshot(self.models[0])
        kept = [Kept(*pair) for pair in zip(self.models, self.optimizers or [None, None])]
        results, errors = [], []
        for side, model in zip(SIDES, self.models):
            try:
                results.append(action(side, model))
                errors.append(None)
            except Exception as error:
                errors.append(error)
        kinds = [kind_of(error) for error in errors]
        if kinds[0] != kinds[1] and not differences.is_known(what, *kinds):
            raise Differ(f"{what}: ours {errors[0]!r}, theirs {errors[1]!r}")
        if errors[0] is not None and not what.startswith(TRAINS):
            assert_same(f"{what}: after the error, bits of", snapshot(self.models[0]), before)
        if any(kinds):  # which PyTorch leaves half done
            for state in kept:
                state.put_back()
        elif compare is not None:
            compare(what, *results)
        self.check(what, drawn, looser)
        return not any(kinds)

    def check(self, what, drawn=False, looser=0.0):
        assert_same_models(what, *self.models, drawn=drawn, looser=looser)
        if self.optimizers is not None:
            assert_same_optimizers(what, *self.optimizers)

    def copy_theirs(self):
        """Give ours the values that PyTorch drew at random, or rounded in another way."""
        self.models[0].load_state_dict(self.models[1].state_dict())

    def copied_if(self, done, what):
        if done:
            self.copy_theirs()
            self.check(f"{what}, copied")

    # -- what there is ---------------------------------------------------------------------------------

    def add(self, kind):
        name = f"layer{len(self.kinds)}"
        for side, model in zip(SIDES, self.models):
            model[name] = LAYERS[kind][0](side, dtype=side.dtype(self.dtype))
        self.kinds[name] = kind
        rng = np.random.default_rng(len(self.kinds))
        for path, module in self.models[1][name].named_modules(prefix=name):
            if module._parameters:
                self.parts.append(path)
                self.shapes[path] = {key: None if p is None else tuple(p.shape)
                                     for key, p in module._parameters.items()}
        with torch.no_grad():
            for p in self.models[1][name].parameters():  # no zeros, of which no direction is known
                p.copy_(THEIRS.tensor(normal(rng, p.shape, self.dtype)))
        self.copy_theirs()
        self.check(f"add {kind}")

    def part(self, data):
        return data.draw(st.sampled_from(self.parts))

    def tensor(self, part, name):
        """Return the name that a tensor has in a part: recurrent layers have several weights."""
        names = [*self.shapes[part]]
        if name == "nothing" or name in names:
            return name
        return names[1] if name == "weight" else names[-1]

    def computed(self, data):
        """Draw a part and the name of a tensor that is parametrized, or where none is, a weight."""
        found = [(part, name) for part in self.parts for name in self.shapes[part]
                 if self.on_top(part, name)]
        plain = [(self.parts[0], self.tensor(self.parts[0], name)) for name in ("weight", "nothing")]
        return data.draw(st.sampled_from(4 * found + plain))

    def of(self, model, part):
        return model.get_submodule(part)

    def recurrent(self, part):
        """Tell whether a weight of another shape makes PyTorch read beyond its memory, and crash."""
        return self.kinds[part.partition(".")[0]] in RECURRENT

    def on_top(self, part, name):
        module = self.of(self.models[1], part)
        return " on top" if THEIRS.parametrize.is_parametrized(module, name) else ""

    def has(self, *names, under=""):
        return any(type(m).__name__ in names for m in self.models[0].get_submodule(under).modules())

    def signs(self, under=""):
        """Tell whether there are reflectors, whose signs must stay 1 and -1 for PyTorch."""
        return any(getattr(m, "orthogonal_map", None) == "householder"
                   for m in self.models[0].get_submodule(under).modules())

    def is_shared(self, part, name):
        """Tell whether another module has the Parameter of a module too."""
        parameter = self.of(self.models[0], part)._parameters.get(name)
        return parameter is not None and sum(
            parameter in m._parameters.values() for m in self.models[0].modules()) > 1

    def deepcopies(self):
        self.models, self.optimizers = (
            list(pair) if pair else None for pair in copy.deepcopy(
                (self.models, self.optimizers), remembered(self.models[1])))
