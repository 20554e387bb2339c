"""Rules: optimisers, their steps with hooks, their groups, and their state dicts exchanged."""
import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from . import layers
from .compare import flat_state
from .pair import Pair, booleans
from .sides import OURS, SIDES, THEIRS
from .using import failing


def halving(optimizer, args, kwargs):
    for group in optimizer.param_groups:
        group["lr"] = group["lr"] / 2


def shrinking(optimizer, args, kwargs):
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.data = p.data * 0.9


STEP_HOOKS = {
    "halves the rate": ("register_step_pre_hook", halving),
    "fails before": ("register_step_pre_hook", failing),
    "returns text": ("register_step_pre_hook", lambda *_: "text"),
    "shrinks": ("register_step_post_hook", shrinking),
    "fails after": ("register_step_post_hook", failing),
    "returns text after": ("register_step_post_hook", lambda *_: "text"),
}
# Adam divides by a root of squares: of a gradient that is zero but for rounding, by rounding.
ADAM = [{}, {"amsgrad": True}, {"betas": (0.5, 0.9)}]
OPTIONS = {
    "SGD": [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True},
            {"momentum": 0.5, "dampening": 0.5}, {"momentum": 0, "nesterov": True}],
    "Adam": ADAM, "AdamW": ADAM,
    "Muon": [{}, {"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw"}, {"momentum": 0.5}],
}


class Training(Pair):

    @rule(data=st.data(), kind=st.sampled_from(sorted(OPTIONS)), lr=st.sampled_from([0.1, 1e-3]),
          weight_decay=st.sampled_from([0, 0.1]), maximize=booleans, only=st.sampled_from(
              ["all", "matrices", "layer0"]))
    def optimizer(self, data, kind, lr, weight_decay, maximize, only):
        options = dict(lr=lr, weight_decay=weight_decay) | data.draw(st.sampled_from(OPTIONS[kind]))
        if kind != "Muon":
            options["maximize"] = maximize
        if kind.startswith("Adam") and self.dtype == "float32":
            options["eps"] = 1e-2
        self.make(kind, only, options)

    def make(self, kind, only, options):
        made = []

        def making(side, model):
            named = [(name, p) for name, p in model.named_parameters()
                     if only != "matrices" or len(p.shape) == 2]
            named = [(name, p) for name, p in named if only != "layer0" or name.startswith("layer0")]
            more = {"precision": "bfloat16"} if kind == "Muon" and side is OURS else {}
            made.append(getattr(side.optim, kind)(named, **options, **more))
        if self.both(f"make {kind} of {only}, {options}", making):
            self.optimizers = made

    @precondition(lambda self: self.optimizers is not None)
    @rule(data=st.data(), lr=st.sampled_from([0.1, 1e-3]))
    def add_param_group(self, data, lr):
        """A layer is trained from now on, with a rate of its own; or the optimizer has it already."""
        part = self.part(data)
        optimizers = dict(zip((side.name for side in SIDES), self.optimizers))
        self.both(f"add_param_group {part}", lambda side, model: optimizers[side.name].add_param_group(
            {"params": list(self.of(model, part).named_parameters(prefix=part)), "lr": lr}))

    def moves_signs(self):
        """Tell whether a step would take the signs of reflectors from 1: a known difference."""
        if not self.signs():
            return False
        optimizer = self.optimizers[1]
        remembered = (value for module in self.models[1].modules() if hasattr(module, "original")
                      for value in optimizer.state.get(module.original, {}).values())
        return (type(optimizer).__name__ == "Muon"
                or any(group["weight_decay"] for group in optimizer.param_groups)
                or any(value.ndim > 1 and value.diagonal(dim1=-2, dim2=-1).any()
                       for value in remembered if isinstance(value, torch.Tensor)))

    @rule(clip=booleans, hook=st.sampled_from([None, None, None, *STEP_HOOKS]))
    def step(self, clip, hook):
        """Move what the optimisers have; each is stepped by the gradients of its own library."""
        if self.optimizers is None:
            self.make("SGD", "all", {"lr": 0.1, "momentum": 0.9})
        if self.optimizers is None or self.moves_signs() or hook == "shrinks" and self.signs():
            return
        handles = []
        if hook:
            method, function = STEP_HOOKS[hook]
            handles = [getattr(optimizer, method)(function) for optimizer in self.optimizers]
        for _ in range(2):
            self.one_step(f"step, clip={clip}, a hook {hook}", clip)
        for handle in handles:
            handle.remove()

    def one_step(self, what, clip):
        muon = type(self.optimizers[1]).__name__ == "Muon"
        done = self.both(what, lambda side, model: (
            self.step_ours if side is OURS else self.step_theirs)(model, clip),
            looser=0.05 if muon else 0.0)  # bfloat16, in which sums of another order differ
        if muon:
            self.copied_if(done, what)

    def step_ours(self, model, clip):
        optimizer = self.optimizers[0]
        known = {p for group in optimizer.param_groups for p in group["params"]}
        _, gradients = layers.gradients(OURS, model, self.kinds, self.dtype)
        optimizer.step({name: clipped(np, g) if clip else g for name, g in gradients.items()
                        if name.parameter in known})

    def step_theirs(self, model, clip):
        optimizer = self.optimizers[1]
        _, gradients = layers.gradients(THEIRS, model, self.kinds, self.dtype)
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            p.grad = None
        for name, p in model.named_parameters():
            if name in gradients:
                p.grad = clipped(torch, gradients[name]) if clip else gradients[name]
        optimizer.step()

    @precondition(lambda self: self.optimizers is not None)
    @rule(damage=st.sampled_from(["nothing", "nothing", "groups", "positions"]))
    def exchange(self, damage):
        """Each optimiser loads the state of the other."""
        ours, theirs = (optimizer.state_dict() for optimizer in self.optimizers)
        to_ours = {key: value.numpy() if isinstance(value, torch.Tensor) else value
                   for key, value in flat_state(theirs).items()}
        to_ours |= {key: value for key, value in ours.items() if key.startswith("param_groups")}
        to_theirs = {"state": nested_state(ours), "param_groups": theirs["param_groups"]}
        for i, group in enumerate(theirs["param_groups"]):
            group["lr"] = to_ours[f"param_groups.{i}.lr"].item()
        if damage == "groups":
            to_theirs["param_groups"] = []
            to_ours = {key: value for key, value in to_ours.items()
                       if not key.startswith("param_groups")}
        elif damage == "positions":
            to_theirs["param_groups"][0]["params"] = []
            to_ours["param_groups.0.params"] = np.array([])
        other = " of another shape" if self.has("OtherShapeBack") else ""
        self.both(f"exchange the states of optimizers{other}, {damage}", lambda side, model: (
            self.optimizers[0].load_state_dict(to_ours) if side is OURS
            else self.optimizers[1].load_state_dict(to_theirs)))


def nested_state(ours):
    """Return what orthonorm remembers of each parameter as PyTorch nests it."""
    state = {}
    for key in (key for key in ours if key.startswith("state.")):
        _, position, slot = key.split(".")
        value = torch.from_numpy(np.array(ours[key]))
        state.setdefault(int(position), {})[slot] = value.float() if slot == "step" else value
    return state


def clipped(lib, g):
    return g / (1 + 10 * lib.abs(g).max()) if g.shape.count(0) == 0 else g
