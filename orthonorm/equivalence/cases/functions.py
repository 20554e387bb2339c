"""Cases of the losses: value, and gradients of input and target."""
import itertools
from collections.abc import Iterator
from typing import Any

from .case import CLASSES, REAL, Case

Shapes = dict[str, tuple[int, ...]]
Variants = list[tuple[str, Shapes, dict[str, Any]]]


def function_cases() -> Iterator[Case]:
    """Yield the cases of every family of this file."""
    for dtype, (name, variants) in itertools.product(REAL, LOSSES.items()):
        for what, shapes, options in variants:
            yield Case("loss", f"{name}, {what}", "loss", dtype, shapes | {"cotangent": (13,)},
                       {"name": name, "options": options})


BATCH: Shapes = {"input": (5, CLASSES), "classes": (5,)}
SPREAD: Shapes = {"input": (5, CLASSES), "probabilities": (5, CLASSES)}
IMAGE: Shapes = {"input": (2, CLASSES, 2), "classes": (2, 2)}
PAIR: Shapes = {"input": (3, 4), "target": (3, 4)}
CHANCES: Shapes = {"input": (3, 4), "chances": (3, 4)}
WEIGHTED: Shapes = {"factor": (CLASSES,)}

LOSSES: dict[str, Variants] = {
    "mse_loss": [(reduction, PAIR, {"reduction": reduction})
                 for reduction in ("mean", "sum", "none")],
    "cross_entropy": [
        ("mean", BATCH, {}), ("none", IMAGE, {"reduction": "none"}),
        ("ignore_index", BATCH, {"ignore_index": 1}),
        ("one sample", {"input": (CLASSES,), "classes": ()}, {}),
        ("weight", BATCH | WEIGHTED, {}), ("smoothing", IMAGE, {"label_smoothing": 0.2}),
        *[(f"all, {reduction}", BATCH | WEIGHTED,
           {"label_smoothing": 0.3, "ignore_index": 2, "reduction": reduction})
          for reduction in ("mean", "sum", "none")],
        ("probabilities", SPREAD, {}),
        *[(f"probabilities, all, {reduction}", SPREAD | WEIGHTED,
           {"label_smoothing": 0.3, "reduction": reduction}) for reduction in ("mean", "sum", "none")],
    ],
    "binary_cross_entropy_with_logits": [
        ("mean", CHANCES, {}), ("weight, sum", CHANCES | {"factor": (3, 1)}, {"reduction": "sum"}),
        ("pos_weight, none", CHANCES | {"pos_factor": (4,)}, {"reduction": "none"}),
        ("both", CHANCES | {"factor": (3, 4), "pos_factor": (4,)}, {}),
    ],
}
