"""A state machine that drives orthonorm and PyTorch through the same random programs.

After each step everything observable is compared: names, shapes, values and sharing of parameters and
buffers, keys of the state dict, `requires_grad`, modes, class names, repr, and the types of errors.
"""
import copy
import warnings

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.nn.snapshots import snapshot

from . import differences, sides
from .sides import LAYERS, OURS, THEIRS, inputs_of, numpy_of, torch_array

SIDES = OURS, THEIRS
TOLERANCE = 1e-7

seeds = st.integers(0, 3)
booleans = st.booleans()
own_names = st.sampled_from(sorted(OURS.own))
tensors = st.sampled_from(["weight", "weight", "weight", "bias", "nothing"])


class Differ(AssertionError):
    """The two libraries do not agree."""


def assert_same(what, ours, theirs):
    if ours != theirs:
        raise Differ(f"{what}:\n  ours   {ours}\n  theirs {theirs}")


def assert_close(what, ours, theirs):
    a, b = numpy_of(ours), numpy_of(theirs)
    assert_same(f"{what}: shape", a.shape, b.shape)
    assert_same(f"{what}: dtype", str(a.dtype), str(b.dtype))
    scale = max(1.0, float(np.max(np.abs(b), initial=0.0)))
    tolerance = TOLERANCE if a.dtype == np.float64 else 1e-3
    if not np.allclose(a, b, rtol=0, atol=tolerance * scale, equal_nan=True):
        raise Differ(f"{what}: ours {a.tolist()}, theirs {b.tolist()}")


def assert_same_answer(what, ours, theirs):
    """Compare what reading or calling gives: arrays, or whatever a parametrization makes of them."""
    if isinstance(theirs, torch.Tensor):
        assert_close(what, ours, theirs)
    else:
        assert_same(what, ours, theirs)


def attempt(function, *args):
    """Return what a function returns, or the name of the error that it raises."""
    try:
        return function(*args)
    except Exception as error:
        return type(error).__name__


def sharing(named):
    """Map each name to the first name of the same thing."""
    first = {}
    return {name: first.setdefault(id(x), name) for name, x in named}


class Differential(RuleBasedStateMachine):
    """The pair of models, the pair of optimisers, and what can be done with them."""

    def __init__(self):
        super().__init__()
        self.models = [side.nn.ModuleDict() for side in SIDES]
        self.optimizers = None
        self.kinds, self.shapes = {}, {}
        torch.manual_seed(0)

    # -- doing the same to both ------------------------------------------------------------------------

    def both(self, what, action, *, compare=None, drawn=False):
        """Run an action on both sides; compare the errors, and what `compare` is told to."""
        before = snapshot(self.models[0])
        backup = copy.deepcopy((self.models, self.optimizers))
        results, errors = [], []
        for i, side in enumerate(SIDES):
            try:
                results.append(action(side, self.models[i]))
                errors.append(None)
            except Exception as error:
                results.append(None)
                errors.append(error)
        kinds = ["" if error is None else type(error).__name__ for error in errors]
        if kinds[0] != kinds[1] and not differences.is_known(what, *kinds):
            raise Differ(f"{what}: ours {errors[0]!r}, theirs {errors[1]!r}")
        if errors[0] is not None and not what.startswith(("call", "gradients", "second", "step")):
            assert_same(f"{what}: after the error, bits of", snapshot(self.models[0]), before)
        if errors[0] is not None or errors[1] is not None:  # which PyTorch leaves half done
            self.models, self.optimizers = backup
            return False
        if compare is not None:
            compare(what, *results)
        self.check(what, drawn)
        return True

    def check(self, what, drawn=False):
        """Compare all that can be seen, but the vectors that have just been drawn at random."""
        ours, theirs = self.models
        random = ("base", "_u", "_v") if drawn else "base"  # PyTorch completes the base at random
        text = attempt(repr, theirs)
        if "(" in text:  # PyTorch's computes the bias, and fails where its parametrization does
            assert_same(f"{what}: repr", repr(ours), text)
        for kind in ("named_parameters", "named_buffers"):
            ours_named, theirs_named = (
                [(name, x) for name, x in getattr(model, kind)(remove_duplicate=False)]
                for model in self.models)
            assert_same(f"{what}: {kind}", *([str(name) for name, _ in named]
                                             for named in (ours_named, theirs_named)))
            if kind == "named_parameters":
                assert_same(f"{what}: sharing", sharing(ours_named), sharing(theirs_named))
            for (name, a), (_, b) in zip(ours_named, theirs_named):
                if kind == "named_parameters":
                    assert_same(f"{what}: requires_grad of {name}", a.requires_grad, b.requires_grad)
                if not name.endswith(random):
                    assert_close(f"{what}: {name}", a, b)
        for (name, a), (other, b) in zip(ours.named_modules(), theirs.named_modules()):
            assert_same(f"{what}: module", (name, type(a).__name__, a.training),
                        (other, type(b).__name__, b.training))
        ours_state, theirs_state = ours.state_dict(), theirs.state_dict()
        assert_same(f"{what}: keys", [*ours_state], [*theirs_state])
        for key in ours_state:
            if not key.endswith(random):
                assert_close(f"{what}: state {key}", ours_state[key], theirs_state[key])

    def copy_theirs(self):
        """Give ours the values that PyTorch drew at random."""
        self.models[0].load_state_dict(self.models[1].state_dict())

    def parts(self):
        return sorted(self.kinds)

    def on_top(self, part, name):
        on_top = THEIRS.parametrize.is_parametrized(self.models[1][part], name)
        return " on top" if on_top else ""

    def has(self, *names):
        return any(type(m).__name__ in names for m in self.models[0].modules())

    def frozen_originals(self, part, name):
        if not self.on_top(part, name):
            return False
        chain = self.models[1][part].parametrizations[name]
        return not chain.is_tensor and not any(p.requires_grad for p in chain.parameters())

    def normalised(self, part):
        """Tell whether a parametrization has no answer for zeros in PyTorch: a known difference."""
        return any(type(m).__name__ in ("_Orthogonal", "_SpectralNorm", "_WeightNorm")
                   for m in self.models[1][part].modules())

    # -- building --------------------------------------------------------------------------------------

    @initialize(kinds=st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=2))
    def layers(self, kinds):
        for kind in kinds:
            self.add(kind)

    def add(self, kind):
        name = f"layer{len(self.kinds)}"
        make = LAYERS[kind][0]
        self.models[0][name] = make(OURS, np.float64)
        self.models[1][name] = make(THEIRS, torch.float64)
        self.kinds[name], self.shapes[name] = kind, self.models[1][name].weight.shape
        rng = np.random.default_rng(len(self.kinds))
        with torch.no_grad():
            for p in self.models[1][name].parameters():  # no zeros, of which no direction is known
                p.copy_(torch_array(rng.standard_normal(p.shape)))
        self.copy_theirs()
        self.check(f"add {kind}")

    @rule(kind=st.sampled_from(sorted(LAYERS)))
    def another_layer(self, kind):
        if len(self.kinds) < 3:
            self.add(kind)

    # -- registering and removing ----------------------------------------------------------------------

    def register(self, what, action):
        if self.both(what, action, drawn=True):
            self.copy_theirs()
            self.check(f"{what}, copied")

    @rule(data=st.data(), name=tensors, unsafe=booleans, own=own_names)
    def register_own(self, data, name, unsafe, own):
        part = data.draw(st.sampled_from(self.parts()))
        unsafe = unsafe and own != "OtherDtype"  # NumPy promotes, and PyTorch's layers refuse
        self.register(f"register {own} on {part}.{name}, unsafe={unsafe}", lambda side, model: (
            side.parametrize.register_parametrization(
                model[part], name, side.own[own](), unsafe=unsafe)))

    @rule(data=st.data(), name=tensors, use_trivialization=booleans,
          orthogonal_map=st.sampled_from([None, "matrix_exp", "cayley", "householder", "other"]))
    def orthogonal(self, data, name, use_trivialization, orthogonal_map):
        part = data.draw(st.sampled_from(self.parts()))
        # On top of another one PyTorch's has no base, and cannot be read.
        use_trivialization = use_trivialization and not self.on_top(part, name)
        if orthogonal_map is None and self.on_top(part, name):
            orthogonal_map = "matrix_exp"  # our default there; PyTorch's may be householder
        what = f"orthogonal({part}.{name}, {orthogonal_map}, {use_trivialization})"
        self.register(what + self.on_top(part, name), lambda side, model: (
            side.maps.orthogonal(model[part], name, orthogonal_map,
                                 use_trivialization=use_trivialization)))

    @rule(data=st.data(), name=tensors, n=st.sampled_from([1, 1, 2, 0]),
          eps=st.sampled_from([1e-12, 0.1]), dim=st.sampled_from([None, None, 0, 1, -1, 5]))
    def spectral_norm(self, data, name, n, eps, dim):
        part = data.draw(st.sampled_from(self.parts()))
        n = 1 if dim in (1, 5) or name != "weight" else n  # one wrong argument at a time
        self.register(f"spectral_norm({part}.{name}, {n}, {eps}, {dim})", lambda side, model: (
            side.maps.spectral_norm(model[part], name, n, eps, dim)))

    @rule(data=st.data(), name=tensors, dim=st.sampled_from([0, 0, 1, -1, None, 5]))
    def weight_norm(self, data, name, dim):
        part = data.draw(st.sampled_from(self.parts()))
        what = f"weight_norm({part}.{name}, {dim})" + self.on_top(part, name)
        self.register(what, lambda side, model: (
            side.maps.weight_norm(model[part], name, dim)))

    @rule(data=st.data(), name=tensors, leave=booleans)
    def remove(self, data, name, leave):
        part = data.draw(st.sampled_from(self.parts()))
        if self.frozen_originals(part, name):
            return  # ours stays a parameter, PyTorch's becomes a buffer
        self.both(f"remove {part}.{name}, leave={leave}", lambda side, model: (
            side.parametrize.remove_parametrizations(model[part], name, leave)))

    @rule(data=st.data(), name=st.sampled_from(["weight", "bias", None]))
    def transfer(self, data, name):
        source, target = (data.draw(st.sampled_from(self.parts())) for _ in range(2))
        if source != target:
            other = " of another shape" if self.shapes[source] != self.shapes[target] else ""
            self.register(f"transfer {source}.{name} to {target}{other}", lambda side, model: (
                side.parametrize.transfer_parametrizations_and_params(
                    model[source], model[target], name)))

    # -- reading and calling ---------------------------------------------------------------------------

    @rule(data=st.data(), name=tensors, cached=booleans)
    def read(self, data, name, cached):
        part = data.draw(st.sampled_from(self.parts()))

        def reading(side, model):
            with side.no_grad():
                if not cached:
                    return getattr(model[part], name)
                with side.parametrize.cached():
                    first, second = getattr(model[part], name), getattr(model[part], name)
                    assert first is second or first is None
                    return second
        self.both(f"read {part}.{name}, cached={cached}", reading, compare=assert_same_answer)

    @rule(data=st.data(), seed=seeds)
    def call(self, data, seed):
        part = data.draw(st.sampled_from(self.parts()))
        inputs = inputs_of(self.kinds[part], seed)
        with np.errstate(all="ignore"):
            self.both(f"call {part}", lambda side, model: (
                model[part](*map(side.array, inputs))), compare=assert_same_answer)

    @rule(data=st.data())
    def questions(self, data):
        part = data.draw(st.sampled_from(self.parts()))

        def ask(side, model):
            module, ask = model[part], side.parametrize
            return ([ask.is_parametrized(module, name) for name in (None, "weight", "bias", "nothing")],
                    ask.type_before_parametrizations(module).__name__)
        self.both(f"questions of {part}", ask, compare=assert_same)

    # -- changing --------------------------------------------------------------------------------------

    @rule(data=st.data(), seed=seeds, kind=st.sampled_from(["values", "orthogonal", "shape", "zero"]))
    def assign(self, data, seed, kind):
        part = data.draw(st.sampled_from(self.parts()))
        shape = self.shapes[part]
        value = np.random.default_rng(seed).standard_normal(shape)
        if kind == "orthogonal" and len(shape) == 2:
            value = np.linalg.qr(value if shape[0] >= shape[1] else value.T)[0]
            value = np.ascontiguousarray(value if shape[0] >= shape[1] else value.T)
        elif kind == "shape":
            value = np.zeros((7, *shape))
        elif kind == "zero" and not self.normalised(part):
            value = np.zeros(shape)
        self.register(f"assign {kind} to {part}.weight", lambda side, model: (
            setattr(model[part], "weight", side.array(value))))

    @rule(data=st.data(), mode=booleans)
    def train(self, data, mode):
        part = data.draw(st.sampled_from([None, *self.parts()]))
        self.both(f"train({mode}) of {part}", lambda side, model: (
            (model if part is None else model[part]).train(mode)))

    @rule(data=st.data(), wanted=booleans)
    def freeze(self, data, wanted):
        names = [name for name, _ in self.models[1].named_parameters()]
        name = data.draw(st.sampled_from(names))
        self.both(f"requires_grad_({wanted}) of {name}", lambda side, model: (
            model.get_parameter(name).requires_grad_(wanted)))

    @rule(data=st.data())
    def tie(self, data):
        """Give a layer the Parameter of another one's weight."""
        source, target = (data.draw(st.sampled_from(self.parts())) for _ in range(2))

        def tying(side, model):
            for part in (source, target):
                if side.parametrize.is_parametrized(model[part], "weight"):
                    return
            setattr(model[target], "weight", model[source]._parameters["weight"])
        if self.kinds[source] == self.kinds[target]:
            self.both(f"tie {target}.weight to {source}.weight", tying)

    @rule()
    def deepcopy(self):
        self.models, self.optimizers = (
            list(pair) if pair else None for pair in copy.deepcopy((self.models, self.optimizers)))
        self.check("deepcopy")

    # -- state dicts -----------------------------------------------------------------------------------

    @rule(data=st.data(), strict=booleans, damage=st.sampled_from(
        ["nothing", "missing", "unexpected", "shape", "old keys"]), seed=seeds)
    def load(self, data, strict, damage, seed):
        """Both load PyTorch's state dict, with other values, and perhaps damaged."""
        state = {key: value.clone() for key, value in self.models[1].state_dict().items()}
        rng = np.random.default_rng(seed)
        for key, value in state.items():
            if not key.endswith(("base", "_u", "_v")):
                state[key] = torch_array(rng.standard_normal(value.shape)).to(value.dtype)
                if value.ndim > 1:  # the signs of reflectors: PyTorch's must be 1 or -1
                    diagonal = state[key].diagonal(dim1=-2, dim2=-1)
                    diagonal.copy_(torch.where(diagonal < 0, -1, 1))
        if not state:
            return
        key = data.draw(st.sampled_from(sorted(state)))
        if damage == "missing":
            del state[key]
        elif damage == "unexpected":
            state[data.draw(st.sampled_from(["other", key + ".x", "layer0.other", "layer0.x.y"]))] = (
                torch.zeros(1))
        elif damage == "shape":
            state[key] = torch.zeros(7, 5, dtype=state[key].dtype)
        elif damage == "old keys":
            for part in self.parts():
                for i, letter in enumerate("gv"):
                    new = f"{part}.parametrizations.weight.original{i}"
                    if new in state:
                        state[f"{part}.weight_{letter}"] = state.pop(new)

        def loading(side, model):
            return model.load_state_dict(
                state if side is THEIRS else {k: v.numpy() for k, v in state.items()}, strict=strict)
        self.both(f"load, strict={strict}, {damage} {key}", loading, compare=(
            lambda what, a, b: assert_same(what, *(
                (sorted(keys.missing_keys), sorted(keys.unexpected_keys)) for keys in (a, b)))))

    @rule()
    def load_ours(self):
        """PyTorch loads the state dict of orthonorm."""
        state = {key: torch.from_numpy(np.array(value)) for key, value in
                 self.models[0].state_dict().items()}
        assert_same("load ours: keys", self.models[1].load_state_dict(state), ([], []))
        self.check("load ours")
        with np.errstate(all="ignore"):
            for part in self.parts():
                self.call_eval(part)

    def call_eval(self, part):
        """Read all weights without moving anything."""
        modes = [module.training for module in self.models[0].modules()]
        for model in self.models:
            model.eval()
        inputs = inputs_of(self.kinds[part])
        self.both(f"call {part} in eval mode", lambda side, model: (
            model[part](*map(side.array, inputs))), compare=assert_same_answer)
        for model in self.models:
            for module, mode in zip(model.modules(), modes):
                module.training = mode

    # -- gradients and optimisers ----------------------------------------------------------------------

    @rule()
    def gradients(self):
        self.both("gradients", lambda side, model: (
            sides.ours_gradients if side is OURS else sides.theirs_gradients)(model, self.kinds),
            compare=self.same_gradients)

    @precondition(lambda self: not self.has("_WeightNorm"))
    @rule()
    def second_order(self):
        """Gradients of gradients, ours through a dict. PyTorch's of weight_norm are wrong."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of outputs that do not depend on a parameter
            self.both("second order", lambda side, model: (
                sides.ours_second if side is OURS else sides.theirs_second)(model, self.kinds),
                compare=self.same_gradients)

    @rule(seed=seeds)
    def functional_call(self, seed):
        """Call with other values; the modules stay as they are, but for u and v of spectral_norm."""
        rng = np.random.default_rng(seed)
        values = {str(name): rng.standard_normal(p.shape)
                  for name, p in self.models[0].named_parameters() if "parametrizations" not in name}
        part = self.parts()[seed % len(self.kinds)]
        values = {name.partition(".")[2]: value for name, value in values.items()
                  if name.startswith(part + ".")}
        inputs = inputs_of(self.kinds[part], seed)
        self.both(f"call {part} with {sorted(values)}", lambda side, model: side.functional_call(
            model[part], {name: side.array(value) for name, value in values.items()},
            tuple(map(side.array, inputs))), compare=assert_same_answer)

    @staticmethod
    def same_gradients(what, ours, theirs):
        if isinstance(ours, tuple):
            assert_close(f"{what}: loss", ours[0], theirs[0])
            ours, theirs = ours[1], theirs[1]
        assert_same(f"{what}: names", [*ours], [*theirs])
        for name in ours:
            assert_close(f"{what}: {name}", ours[name], theirs[name])

    @precondition(lambda self: self.optimizers is None)
    @rule(data=st.data(), lr=st.sampled_from([0.1, 1e-3]), weight_decay=st.sampled_from([0, 0.1]),
          maximize=booleans)
    def optimizer(self, data, lr, weight_decay, maximize):
        kind = data.draw(st.sampled_from(["SGD", "Adam", "AdamW"]))
        options = dict(lr=lr, weight_decay=weight_decay, maximize=maximize)
        if kind == "SGD":
            options |= data.draw(st.sampled_from([
                {}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
                {"momentum": 0.5, "dampening": 0.5}]))
        else:
            options |= data.draw(st.sampled_from([{}, {"amsgrad": True}, {"betas": (0.5, 0.9)}]))
        self.optimizers = [getattr(side.optim, kind)(model.named_parameters(), **options)
                           for side, model in zip(SIDES, self.models)]

    def decays_signs(self):
        """Tell whether weight decay would take the signs of reflectors from 1: a known difference."""
        return any(group["weight_decay"] for group in self.optimizers[1].param_groups) and any(
            getattr(m, "orthogonal_map", None) == "householder" for m in self.models[0].modules())

    @precondition(lambda self: self.optimizers is not None and not self.decays_signs())
    @rule(clip=booleans)
    def step(self, clip):
        """Move what the optimisers have; each is stepped by the gradients of its own library."""
        def stepping(side, model):
            if side is OURS:
                known = {p for group in self.optimizers[0].param_groups for p in group["params"]}
                _, gradients = sides.ours_gradients(model, self.kinds)
                gradients = {n: np.clip(g, -0.1, 0.1) if clip else g
                             for n, g in gradients.items() if n.parameter in known}
                self.optimizers[0].step(gradients)
                return
            optimizer = self.optimizers[1]
            _, gradients = sides.theirs_gradients(model, self.kinds)
            for p in (p for group in optimizer.param_groups for p in group["params"]):
                p.grad = None
            for name, p in model.named_parameters():
                if name in gradients:
                    p.grad = gradients[name].clamp(-0.1, 0.1) if clip else gradients[name]
            optimizer.step()
        if self.both("step", stepping):
            self.same_optimizer_state()

    def same_optimizer_state(self):
        ours, theirs = (optimizer.state_dict() for optimizer in self.optimizers)
        flat = {f"state.{i}.{slot}": value for i, slots in theirs["state"].items()
                for slot, value in slots.items() if value is not None}
        assert_same("optimizer: state", sorted(key for key in ours if key.startswith("state.")),
                    sorted(flat))
        for key, value in flat.items():
            if key.endswith(".step"):
                assert_same(f"optimizer: {key}", float(ours[key]), float(value))
            else:
                assert_close(f"optimizer: {key}", ours[key], value)
