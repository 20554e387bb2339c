"""Cases of the parametrizations: orthogonal, spectral_norm, weight_norm, and chains of them."""
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .case import COMPLEX, REAL, Case

SHAPES = {
    "square": (6, 6), "tall": (9, 4), "wide": (4, 9), "batched": (3, 5, 4), "1x1": (1, 1),
    "column": (5, 1),
}
MAPS = {"matrix_exp": REAL + COMPLEX, "cayley": REAL + COMPLEX, "householder": REAL}


def parametrization_cases() -> Iterator[Case]:
    """Yield the cases of every family of this file."""
    yield from orthogonal_maps()
    yield from assignments()
    yield from spectral_norms()
    yield from weight_norms()
    yield from chains()
    yield from state_dicts()


def orthogonal_maps() -> Iterator[Case]:
    """Value and gradient of each map, with and without a base, at three scales."""
    for orthogonal_map, dtypes in MAPS.items():
        for dtype, (kind, shape), scale, base in itertools.product(
                dtypes, SHAPES.items(), (0.1, 1.0, 10.0), (False, True)):
            n = max(shape[-2:])
            shapes = {"X": shape, "cotangent": shape}
            if base:
                shapes["Q_base"] = shape[:-2] + (n, n)
            yield Case(
                orthogonal_map, f"{kind}, scale {scale:g}{', base' if base else ''}", "orthogonal_map",
                dtype, shapes, {"orthogonal_map": orthogonal_map, "use_trivialization": base}, scale)


def assignments() -> Iterator[Case]:
    """Registration on a weight, and assignment: PyTorch's right inverses.

    Where PyTorch refuses to assign, and this package does not, only the start is compared.
    """
    for orthogonal_map, dtypes in ((None, REAL + COMPLEX), *MAPS.items()):
        for dtype, (kind, shape), base in itertools.product(dtypes, SHAPES.items(), (False, True)):
            default = "matrix_exp" if shape[-2] == shape[-1] or dtype in COMPLEX else "householder"
            refused = not base and (orthogonal_map or default) != "householder"
            yield Case(
                "assignment", f"{orthogonal_map or 'default'}, {kind}{', base' if base else ''}",
                "assignment", dtype, {"weight": shape, "Q": shape, "other": shape, "Q_start": shape},
                {"orthogonal_map": orthogonal_map, "use_trivialization": base},
                only=("weight, registered", "Q_start, registered") if refused else ())


def spectral_norms() -> Iterator[Case]:
    """Sequences of accesses in training and evaluation mode, and the removal at the end."""
    layouts = {
        "2-D": ((5, 7), 0), "4-D": ((4, 3, 2, 2), 0), "1-D": ((6,), 0),
        "4-D, dim 1": ((3, 4, 2, 2), 1), "3-D, dim -1": ((2, 3, 4), -1),
    }
    modes = ("train", "train", "eval", "train", "eval")
    for dtype, (layout, (shape, dim)), iterations in itertools.product(
            REAL + COMPLEX, layouts.items(), (1, 2, 3, 5)):
        shapes = {"weight": shape, "W": shape}
        if len(shape) > 1:
            rows = shape[dim]
            shapes |= {"u": (rows,), "v": (int(np.prod(shape)) // rows,)}
        shapes |= {f"cotangent{i}": shape for i in range(len(modes))}
        for last in ("train", "eval") if iterations == 1 else ("train",):
            yield Case(
                "spectral_norm", f"{layout}, {iterations} iterations, removed in {last}",
                "spectral_norm_sequence", dtype, shapes,
                {"n_power_iterations": iterations, "dim": dim, "modes": (*modes, last)})


def weight_norms() -> Iterator[Case]:
    """Every dimension of 1-D, 2-D and 4-D weights."""
    layouts: list[tuple[tuple[int, ...], int | None]] = []
    layouts += [((4, 3), dim) for dim in (0, 1, -1, -2, None)]
    layouts += [((3, 4, 2, 2), dim) for dim in (0, 1, 2, 3, -1, -3, None)]
    layouts += [((5,), dim) for dim in (0, None)]
    for dtype, (shape, dim) in itertools.product(REAL, layouts):
        yield Case("weight_norm", f"{len(shape)}-D, dim {dim}", "weight_norm", dtype,
                   {"weight": shape, "other": shape, "cotangent": shape}, {"dim": dim})


def chains() -> Iterator[Case]:
    """Two parametrizations on one weight."""
    pairs = {
        "orthogonal, spectral_norm": (("orthogonal", {"orthogonal_map": "cayley"}),
                                      ("spectral_norm", {})),
        "weight_norm, spectral_norm": (("weight_norm", {}), ("spectral_norm", {})),
        "spectral_norm, spectral_norm": (("spectral_norm", {}), ("spectral_norm", {})),
        "spectral_norm, orthogonal": (("spectral_norm", {}),
                                      ("orthogonal", {"orthogonal_map": "matrix_exp",
                                                      "use_trivialization": False})),
    }
    for (name, links), dtype, (kind, shape) in itertools.product(
            pairs.items(), REAL, {"square": (5, 5), "tall": (7, 3), "wide": (3, 7)}.items()):
        shapes = {"weight": shape, "W": shape, "cotangent": shape, "u": shape[:1], "v": shape[1:],
                  "Q_base": (max(shape),) * 2}
        yield Case("chain", f"{name}, {kind}", "chain", dtype, shapes, {"links": links})


def state_dicts() -> Iterator[Case]:
    """Keys, in order, and shapes of the state dict of a small model."""
    variants: list[tuple[str, str, dict[str, Any]]] = [
        (f"orthogonal {orthogonal_map}{', base' if base else ''}", "orthogonal",
         {"orthogonal_map": orthogonal_map, "use_trivialization": base})
        for orthogonal_map in MAPS for base in (False, True)]
    variants += [("spectral_norm", "spectral_norm", {}), ("weight_norm", "weight_norm", {}),
                 ("weight_norm, dim None", "weight_norm", {"dim": None})]
    for name, function, options in variants:
        yield Case("state_dict", name, "state_dict_layout", "float64",
                   {"weight": (5, 4), "bias": (5,)}, {"function": function, "options": options})
