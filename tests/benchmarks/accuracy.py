"""Measure errors of value and gradient, ours and PyTorch's, against the exact answer.

Every cell is one map, shape, dtype and condition, with three errors: of the value and of the gradient
(Frobenius norm, relative to the truth's), and of orthogonality, ||Q^T Q - I|| / sqrt(k). Small
matrices are judged by 50 digits; larger ones, in float32, by double precision.

Two errors at rounding level are equal: before a ratio is taken, both are raised to at least 4 eps of
the dtype, and before the geometric mean of ratios to eps. An error above 1 is no digit at all, and is
lowered to 1; so is an answer that was refused.
"""
import argparse
import json
import statistics
from itertools import product
from pathlib import Path
from typing import Any, Iterable

import numpy as np

from orthonorm.equivalence.libraries import Orthonorm

from . import drift
from .cells import MAPS
from .exact import exact, relative_error
from .inputs import CONDITIONS, draw

RESULTS = Path(__file__).parent / "results"
TESTED = [(6, 6), (8, 3)]  # tests/test_accuracy.py holds our errors against those recorded of PyTorch
SMALL = [*TESTED, (12, 12), (16, 10), (16, 5), (20, 2)]
LARGE = [(64, 64), (256, 256), (256, 32), (512, 16)]
LARGEST_PRECISE = 20  # rows of what is judged by 50 digits
QUANTITIES = ("value", "gradient", "orthogonality")
ROUNDING = 4.0  # eps
WORST_ALLOWED = 2.0
MEAN_WANTED = 5.0
ORIGINAL = "parametrizations.weight.original"

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.accuracy", description=__doc__)
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for JSON and the figure")
    parser.add_argument("--no-drift", action="store_true", help="leave out the 100 000 SGD steps")
    options = parser.parse_args()
    # Imported here, so that the tests can use this module without PyTorch and matplotlib.
    from orthonorm.equivalence.libraries import PyTorch

    from .figures import draw_accuracy

    libraries = {"orthonorm": Orthonorm(), "PyTorch": PyTorch()}
    rows = []
    print(column_names())
    for row in measure(libraries, grid()):
        rows.append(row)
        print(line(row), flush=True)
    drifts = [] if options.no_drift else drift.measure()
    print(closing(rows), drift.closing(drifts), sep="\n")
    options.output.mkdir(parents=True, exist_ok=True)
    write(options.output / "accuracy.json", libraries["PyTorch"].version, rows, drifts)
    draw_accuracy(rows, options.output / "accuracy.png")


def write(path: Path, version: str, rows: list[Row], drifts: list[Row]) -> None:
    """Write JSON with a line a cell, so that a change of one is seen as such."""
    cells, runs = (",\n".join(map(json.dumps, part)) for part in (rows, drifts))
    path.write_text(f'{{"PyTorch": "{version}",\n"cells": [\n{cells}\n],\n"drift": [\n{runs}\n]}}\n')


def grid() -> Iterable[tuple[str, str, tuple[int, int], str]]:
    """List map, dtype, shape and condition of every cell."""
    yield from product(MAPS, ("float32", "float64"), SMALL, CONDITIONS)
    yield from product(MAPS, ("float32",), LARGE, CONDITIONS)


def measure(libraries: dict[str, Any], cells: Iterable) -> Iterable[Row]:
    """Measure cells: ``{"map", "dtype", "shape", "condition", "errors": {library: {...}}}``."""
    for name, dtype, shape, condition in cells:
        X, C = draw(condition, shape, dtype)
        truth = exact(name, X, C, precise=shape[0] <= LARGEST_PRECISE)
        yield {"map": name, "dtype": dtype, "shape": list(shape), "condition": condition,
               "errors": {label: errors(library, name, X, C, truth)
                          for label, library in libraries.items()}}


def errors(library: Any, name: str, X: np.ndarray, C: np.ndarray, truth: Any) -> dict[str, float]:
    """Run a library, without trivialization, so that ``original`` is X; a refusal is an error of 1."""
    module = library.module(weight=X)
    library.orthogonal(module, orthogonal_map=name, use_trivialization=False)
    library.load(module, {ORIGINAL: X})
    try:
        Q, gradients = library.weight_and_gradients(module, C)
    except ValueError:
        return dict.fromkeys(QUANTITIES, 1.0)
    found = (relative_error(Q, truth[0]), relative_error(gradients[ORIGINAL], truth[1]),
             orthogonality_error(Q))
    return {what: float(f"{min(error, 1.0):.3e}") for what, error in zip(QUANTITIES, found)}


def orthogonality_error(Q: np.ndarray) -> float:
    Q = Q.astype(np.longdouble)
    k = Q.shape[1]
    return float(np.sqrt(np.sum((Q.T @ Q - np.eye(k))**2) / k))


def ratio(row: Row, what: str, floor: float = ROUNDING) -> float:
    """Divide our error by PyTorch's, both at least `floor` times eps."""
    least = floor * float(np.finfo(row["dtype"]).eps) or float(np.finfo(float).tiny)
    ours, theirs = (max(row["errors"][library][what], least) for library in ("orthonorm", "PyTorch"))
    return ours / theirs


# ---------------------------------------------------------------------------------------------------
# The table and the verdicts
# ---------------------------------------------------------------------------------------------------

def column_names() -> str:
    return f"{'':56}" + "".join(f"{what + ': ours, PyTorch, ratio':>38}" for what in QUANTITIES)


def line(row: Row) -> str:
    text = f"{name(row):56}"
    for what in QUANTITIES:
        ours, theirs = row["errors"]["orthonorm"][what], row["errors"]["PyTorch"][what]
        mark = "*" if ratio(row, what) > WORST_ALLOWED else " "
        text += f"{ours:>17.1e}{theirs:>10.1e}{ratio(row, what):>10.2g}{mark}"
    return text


def name(row: Row) -> str:
    return "{map} {dtype} {0}x{1}, {condition}".format(*row["shape"], **row)


def closing(rows: list[Row]) -> str:
    cells = [(row, what) for row in rows for what in QUANTITIES]
    row, what = max(cells, key=lambda cell: ratio(*cell))
    bad = [cell for cell in cells if ratio(*cell) > WORST_ALLOWED]
    lines = ["", f"{len(rows)} cells of {len(QUANTITIES)} errors; at least {ROUNDING:g} eps in a ratio",
             f"{_word(not bad)} ours is never worse than {WORST_ALLOWED:g} times PyTorch's: {len(bad)} "
             f"are, the worst ratio is {ratio(row, what):.2g}, {what} of {name(row)}"]
    for chosen in (("matrix_exp", "cayley"), *((one,) for one in MAPS)):
        for dtype in ("float32", "float64"):
            mean, raw = (geometric_mean(rows, chosen, dtype, floor) for floor in (1.0, 0.0))
            target = len(chosen) == 2 and dtype == "float32"
            verdict = f"{_word(mean >= MEAN_WANTED)} " if target else " " * 12
            goal = f", to reach {MEAN_WANTED:g}" if target else ""
            lines.append(f"{verdict}{' and '.join(chosen)} {dtype}: in the geometric mean of value "
                         f"and gradient {mean:.1f} times better{goal} ({raw:.1f} without the floor)")
    return "\n".join(lines)


def geometric_mean(rows: list[Row], maps: tuple[str, ...], dtype: str, floor: float) -> float:
    """Return PyTorch's error over ours. Without a floor, cells where both are exact are left out."""
    ratios = [ratio(row, what, floor) for row in rows for what in ("value", "gradient")
              if row["map"] in maps and row["dtype"] == dtype
              and (floor or all(errors[what] for errors in row["errors"].values()))]
    return 1 / statistics.geometric_mean(ratios)


def _word(reached: bool) -> str:
    return "reached    " if reached else "NOT REACHED"


if __name__ == "__main__":
    main()
