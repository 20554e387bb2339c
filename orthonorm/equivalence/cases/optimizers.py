"""Cases of the optimisers: steps with given gradients."""
import itertools
from collections.abc import Iterator
from typing import Any

from .case import COMPLEX, REAL, Case


def optimizer_cases() -> Iterator[Case]:
    """A few steps with given gradients, for every option of every optimiser."""
    momentum = {"lr": 0.1, "momentum": 0.9}
    variants: list[tuple[str, dict[str, Any]]] = [
        ("SGD", {}), ("SGD", momentum), ("SGD", {**momentum, "dampening": 0.3}),
        ("SGD", {"lr": 0.1, "weight_decay": 0.2}), ("SGD", {**momentum, "nesterov": True}),
        ("SGD", {**momentum, "nesterov": True, "weight_decay": 0.1, "maximize": True})]
    for name in ("Adam", "AdamW"):
        variants += [
            (name, {}), (name, {"lr": 0.1, "betas": (0.5, 0.9)}), (name, {"betas": (0.0, 0.99)}),
            (name, {"lr": 0.1, "eps": 0.1}), (name, {"lr": 0.1, "weight_decay": 0.3}),
            (name, {"lr": 0.1, "amsgrad": True}), (name, {"lr": 0.1, "maximize": True}),
            (name, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1, "maximize": True})]
    variants.append(("Adam", {"lr": 0.1, "weight_decay": 0.3, "decoupled_weight_decay": True}))
    shapes: dict[str, tuple[int, ...]] = {
        "matrix": (2, 3), "scalar": (), "gradients": (4, 2, 3), "scalar gradients": (4,)}
    for (name, options), dtype in itertools.product(variants, REAL + COMPLEX):
        chosen = ", ".join(f"{option} {value}" for option, value in options.items()) or "defaults"
        yield Case("optim", f"{name}, {chosen}", "optimizer_steps", dtype, shapes,
                   {"optimizer": name, "options": options})
