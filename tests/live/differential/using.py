"""Rules: reading, calling, hooks of calls, functional_call, gradients, and questions."""
import warnings

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from . import layers
from .compare import assert_same, assert_same_answer, assert_same_gradients
from .pair import Pair, booleans, seeds, tensors

QUESTIONS = None, "weight", "bias", "nothing"


def failing(*_):
    raise ZeroDivisionError("a hook")


FORWARD_HOOKS = {
    "doubles the argument": (
        "register_forward_pre_hook", lambda module, args: (2 * args[0], *args[1:])),
    "keeps the argument": ("register_forward_pre_hook", lambda module, args: None),
    "fails before": ("register_forward_pre_hook", failing),
    "keeps the output": ("register_forward_hook", lambda module, args, y: None),
    "replaces the output": ("register_forward_hook", lambda module, args, y: args[0]),
    "fails after": ("register_forward_hook", failing),
}


class Using(Pair):

    def layer(self, data):
        return data.draw(st.sampled_from(sorted(self.kinds)))

    @rule(data=st.data(), name=tensors, cached=booleans)
    def read(self, data, name, cached):
        part = self.part(data)
        name = self.tensor(part, name)

        def reading(side, model):
            module = self.of(model, part)
            with side.no_grad():
                if not cached:
                    return getattr(module, name)
                with side.parametrize.cached():
                    first, second = getattr(module, name), getattr(module, name)
                    assert first is second or first is None
                    return second
        self.both(f"read {part}.{name}, cached={cached}", reading, compare=assert_same_answer)

    def call(self, what, name, seed=0):
        with np.errstate(all="ignore"):
            self.both(what, lambda side, model: layers.called(
                side, model, name, self.kinds[name], self.dtype, seed), compare=assert_same_answer)

    @rule(data=st.data(), seed=seeds)
    def call_layer(self, data, seed):
        name = self.layer(data)
        self.call(f"call {name}", name, seed)

    @rule(data=st.data(), seed=seeds, hook=st.sampled_from(sorted(FORWARD_HOOKS)))
    def call_with_hook(self, data, seed, hook):
        name = self.layer(data)
        method, function = FORWARD_HOOKS[hook]
        handles = [getattr(model[name], method)(function) for model in self.models]
        self.call(f"call {name}, a hook {hook}", name, seed)
        for handle in handles:
            handle.remove()

    @rule(data=st.data())
    def call_in_eval_mode(self, data):
        """Read all weights without moving anything."""
        name = self.layer(data)
        modes = [module.training for module in self.models[0].modules()]
        for model in self.models:
            model.eval()
        self.call(f"call {name} in eval mode", name)
        for model in self.models:
            for module, mode in zip(model.modules(), modes):
                module.training = mode

    @rule(data=st.data())
    def questions(self, data):
        part = self.part(data)

        def ask(side, model):
            module, ask = self.of(model, part), side.parametrize
            return ([ask.is_parametrized(module, name) for name in QUESTIONS],
                    ask.type_before_parametrizations(module).__name__)
        self.both(f"questions of {part}", ask, compare=assert_same)

    @rule(data=st.data(), seed=seeds, originals=booleans, wrong=st.sampled_from(
        ["nothing", "nothing", "nothing", "a name", "a shape"]))
    def functional_call(self, data, seed, originals, wrong):
        """Call with other values; the modules stay as they are, but for u and v of spectral_norm."""
        rng = np.random.default_rng(seed)
        layer = self.layer(data)
        if self.kinds[layer] == "Shared":
            return  # PyTorch leaves the values in it
        originals = originals and not self.signs(under=layer)
        values = {str(name): layers.normal(rng, p.shape, self.dtype)
                  for name, p in self.models[0][layer].named_parameters()
                  if originals or "parametrizations" not in name}
        if wrong == "a name":
            values["other"] = np.zeros(1)
        elif wrong == "a shape" and values and not (
                self.recurrent(layer) or self.has("_WeightNorm", under=layer)):  # it would crash
            name = data.draw(st.sampled_from(sorted(values)))
            values[name] = np.zeros((7, 5, 3), self.dtype)
        kind = self.kinds[layer]
        inputs = layers.inputs_of(kind, self.dtype, seed)

        def calling(side, model):
            given = ({name: side.tensor(value) for name, value in values.items()},
                     tuple(map(side.tensor, inputs)))
            if kind in ("RNN", "LSTM", "GRU"):
                with side.parametrize.cached():
                    return side.functional_call(model[layer], *given)
            return side.functional_call(model[layer], *given)
        self.both(f"call {layer} with {sorted(values)}, wrong: {wrong}", calling,
                  compare=assert_same_answer)

    @rule()
    def gradients(self):
        self.both("gradients",
                  lambda side, model: layers.gradients(side, model, self.kinds, self.dtype),
                  compare=assert_same_gradients)

    @precondition(lambda self: not self.has("_WeightNorm"))
    @rule()
    def second_order(self):
        """Gradients of gradients. PyTorch's of weight_norm are wrong."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of outputs that do not depend on a parameter
            self.both("second order",
                      lambda side, model: layers.second(side, model, self.kinds, self.dtype),
                      compare=assert_same_gradients)
