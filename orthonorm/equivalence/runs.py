"""Whole training runs compared with PyTorch's, step by step: loss, every parameter, every buffer."""
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from . import recording, training
from .libraries import Orthonorm
from .report import Row

PATH = Path(__file__).with_name("runs.npz")
DTYPES = ("float32", "float64")
Arrays = dict[str, np.ndarray]

# Differences count as a fraction of the largest entry that an array has in the run. In double precision
# they must stay below this, from the first step to the last.
TOLERANCE = 1e-9
# In single precision rounding errors grow with training, in PyTorch as here. How far PyTorch's own run
# has drifted from its double-precision run, at most, up to a step, says how much of that is rounding:
# ours may drift so many times as far from it. Or as little as this: PyTorch's runs drift by 3e-7 to
# 2e-5, and by chance several times more or less if the start changes in the last place.
DRIFT, LEAST_DRIFT = 4, 3e-5
# PyTorch rounds Muon's iteration to bfloat16. A step of so small a matrix is off by up to a tenth of
# its length (tests/bfloat16.py has the model), each in a direction of its own: thirty of them by a
# fifth to a half of that, and what their gradients make of it.
BFLOAT16 = 0.05


@dataclass(frozen=True)
class Run:
    """A training run.

    Parameters
    ----------
    name : str
        The row of the report.
    program : type
        A class of :mod:`.training`.
    options : dict
        What else it is made with.
    tolerance : float
        How far apart the paths may be, where the libraries differ on purpose.
    """

    name: str
    program: Any
    options: dict[str, Any] = field(default_factory=dict)
    tolerance: float = TOLERANCE


def all_runs() -> Iterator[Run]:
    """Yield every run."""
    for orthogonal_map in ("matrix_exp", "cayley", "householder"):
        for base in (False, True):
            yield Run(f"autoencoder, {orthogonal_map}{', base' if base else ''}", training.Autoencoder,
                      {"orthogonal_map": orthogonal_map, "use_trivialization": base})
    yield Run("RNN, orthogonal", training.CopyingMemory)
    yield Run("GAN, spectral_norm", training.Adversaries)
    yield Run("GAN, gradient penalty", training.Adversaries, {"penalty": 1.0})
    yield Run("classifier, weight_norm", training.Classifier)
    yield Run("perceptron, Muon", training.Perceptron, tolerance=BFLOAT16)


# -- running ------------------------------------------------------------------------------------------

def follow(library: Any, run: Run, dtype: str, digits: Arrays, inputs: Arrays,
           start: Arrays | None = None) -> tuple[Arrays, Arrays]:
    """Make a training run.

    Parameters
    ----------
    library : Orthonorm or PyTorch
    run : Run
    dtype : str
    digits : dict
        The data: "pixels", shape (n, 8, 8), and "labels".
    inputs : dict
        What the run's program drew.
    start : dict, optional
        The state dict to start from; by default the library's own start.

    Returns
    -------
    start : dict
        The state dict at the start.
    path : dict
        The losses and all entries of the state dict after each step, stacked.
    """
    training_run = run.program(library, dtype, digits, inputs, **run.options)
    if start is not None:
        library.load(training_run.model, start)
    start = library.state(training_run.model)
    points = [training_run.step(i) | library.state(training_run.model)
              for i in range(run.program.steps)]
    return start, {name: np.stack([point[name] for point in points]) for name in points[0]}


def ask_pytorch(pytorch: Any, run: Run, digits: Arrays, seed: int) -> dict[str, Any]:
    """Make a run in PyTorch, in both precisions from the same start.

    Parameters
    ----------
    pytorch : PyTorch
    run : Run
    digits : dict
    seed : int
        For batches and start.

    Returns
    -------
    dict
        "inputs", "start" and, under the name of each dtype, the path.
    """
    seed = zlib.crc32(f"{seed} {run.name}".encode())
    inputs = run.program.draw(np.random.default_rng(seed), digits)
    pytorch.seed(seed)
    start, exact = follow(pytorch, run, "float64", digits, inputs)
    _, single = follow(pytorch, run, "float32", digits, inputs, start)
    return {"inputs": inputs, "start": start, "float32": single, "float64": exact}


# -- comparing ----------------------------------------------------------------------------------------

def compare(recorded: dict[str, Any], digits: Arrays, runs: Iterable[Run] | None = None) -> list[Row]:
    """Make every run here and compare with PyTorch's.

    Parameters
    ----------
    recorded : dict
        From the name of a run to what :func:`ask_pytorch` returned.
    digits : dict
    runs : iterable of Run, optional
        By default all.

    Returns
    -------
    list of Row
    """
    return list(compare_each(lambda run: recorded.get(run.name), digits, runs))


def compare_each(asked: Callable[[Run], Any], digits: Arrays,
                 runs: Iterable[Run] | None = None) -> Iterator[Row]:
    """Do what :func:`compare` does, one row after the other.

    Parameters
    ----------
    asked : callable
        Returns what :func:`ask_pytorch` returned for a run, or None.
    digits : dict
    runs : iterable of Run, optional

    Yields
    ------
    Row
    """
    for run in all_runs() if runs is None else runs:
        theirs = asked(run)
        for dtype in DTYPES:
            row = Row(run.name, dtype, cases=1)
            _compare_one(row, run, theirs, digits)
            yield row


def _compare_one(row: Row, run: Run, theirs: Any, digits: Arrays) -> None:
    if theirs is None:
        row.failures.append("not in the recording")
        return
    try:
        _, ours = follow(Orthonorm(), run, row.dtype, digits, theirs["inputs"], theirs["start"])
    except Exception as error:
        row.failures.append(f"{type(error).__name__}: {error}")
        return
    exact = theirs["float64"] if row.dtype == "float32" else None
    compare_paths(row, ours, theirs[row.dtype], exact, run.tolerance)


def compare_paths(row: Row, ours: Arrays, theirs: Arrays, exact: Arrays | None,
                  tolerance: float = TOLERANCE) -> None:
    """Compare two runs at every step, and write into the row where they first part.

    Parameters
    ----------
    row : Row
    ours, theirs : dict
        Paths, as :func:`follow` returns them.
    exact : dict or None
        PyTorch's path in double precision, if the others are in single precision.
    tolerance : float
    """
    layouts = [{name: (path.shape, path.dtype.name) for name, path in paths.items()}
               for paths in (ours, theirs)]
    if layouts[0] != layouts[1]:
        odd = sorted(name for name, _ in layouts[0].items() ^ layouts[1].items())
        row.failures.append(f"other names, shapes or dtypes than PyTorch's: {odd}")
        return
    gaps = {name: distance(ours[name], theirs[name]) for name in ours}
    worst = max(gaps, key=lambda name: gaps[name].max())
    row.arrays += sum(map(len, gaps.values()))
    row.absolute = float(max(difference(ours[name], theirs[name]).max() for name in ours))
    row.relative = float(gaps[worst].max())
    row.worst = f"step {gaps[worst].argmax() + 1}: {worst}"
    allowed = np.full(len(gaps[worst]), tolerance)
    if exact is not None:
        drift = np.max([distance(theirs[name], exact[name]) for name in exact], axis=0)
        if not np.isfinite(drift).all():  # else it would allow anything
            row.failures.append("PyTorch's numbers are not all finite")
            return
        allowed = np.maximum(DRIFT * np.maximum.accumulate(drift), max(LEAST_DRIFT, tolerance))
        gaps = {name: distance(ours[name], exact[name]) for name in exact}
        row.pytorch_error = float(drift.max())
        row.our_error = max(float(gap.max()) for gap in gaps.values())
    too_far = [(step, name) for name, gap in gaps.items()
               for step in np.flatnonzero(~(gap < allowed))[:1]]
    if too_far:
        step, name = min(too_far)
        row.failures.append(f"drifts from step {step + 1}: {name} is off by {gaps[name][step]:.1e}, "
                            f"allowed are {allowed[step]:.1e}")


def difference(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the largest difference of entries in each step; infinity where there is NaN."""
    with np.errstate(invalid="ignore"):
        differences = np.abs(x.astype(np.float64) - y).reshape(len(x), -1).max(axis=1, initial=0)
    return np.where(np.isfinite(differences), differences, math.inf)


def distance(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the difference in each step as a fraction of the largest entry of y in all steps."""
    return difference(x, y) / (np.abs(y).max(where=np.isfinite(y), initial=0) or 1)


# -- the recording ------------------------------------------------------------------------------------

def save(path: Path, header: dict[str, Any], digits: Arrays, recorded: dict[str, Any]) -> None:
    """Write a recording of runs.

    Parameters
    ----------
    path : Path
    header : dict
    digits : dict
    recorded : dict
        As :func:`compare` takes it.
    """
    recording.save(path, header, {"digits": digits, "runs": pack(recorded)})


def load(path: Path = PATH) -> tuple[dict[str, Any], Arrays, dict[str, Any]]:
    """Read a recording of runs.

    Parameters
    ----------
    path : Path

    Returns
    -------
    header, digits, recorded : dict
        As they were given to :func:`save`.
    """
    header, answers = recording.load(path)
    return header, answers["digits"], unpack(answers["runs"])


def pack(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return runs in a form that compresses well.

    Parameters
    ----------
    recorded : dict
        As :func:`compare` takes it.

    Returns
    -------
    dict
        For :func:`unpack`.

    Notes
    -----
    Of a double-precision path the file holds the differences, from step to step, of the numbers'
    bit patterns; of the single-precision path, which stays near, how many of its units in the last
    place it is away. Both are small integers, whose upper bytes compress well if kept together.
    """
    packed = {}
    for name, answers in recorded.items():
        exact, single = answers["float64"], answers["float32"]
        packed[name] = answers | {
            "float64": {key: planes(np.diff(x.view(np.int64), axis=0, prepend=start_bits(answers, key)))
                        for key, x in exact.items()},
            "float32": {key: planes(x.view(np.int32) - single_bits(exact[key]))
                        for key, x in single.items()}}
    return packed


def unpack(packed: dict[str, Any]) -> dict[str, Any]:
    """Return the runs that :func:`pack` was given.

    Parameters
    ----------
    packed : dict

    Returns
    -------
    dict
    """
    for run in packed.values():
        run["float64"] = {
            key: (start_bits(run, key) + np.cumsum(integers(x), axis=0)).view(np.float64)
            for key, x in run["float64"].items()}
        run["float32"] = {key: (integers(x) + single_bits(run["float64"][key])).view(np.float32)
                          for key, x in run["float32"].items()}
    return packed


def start_bits(run: dict[str, Any], key: str) -> Any:
    """Return the bit patterns, as integers, of where a path starts; 0 for a loss."""
    return run["start"][key][np.newaxis].view(np.int64) if key in run["start"] else 0


def single_bits(x: np.ndarray) -> np.ndarray:
    """Return the bit patterns, as integers, of numbers rounded to single precision."""
    return x.astype(np.float32).view(np.int32)


def planes(x: np.ndarray) -> np.ndarray:
    """Return all the first bytes of integers, then all the second ones, and so on."""
    return np.ascontiguousarray(np.moveaxis(x[..., np.newaxis].view(np.uint8), -1, 0))


def integers(planes: np.ndarray) -> np.ndarray:
    """Return the integers of their bytes: the inverse of :func:`planes`."""
    bytes_last = np.ascontiguousarray(np.moveaxis(planes, 0, -1))
    return bytes_last.view(f"i{len(planes)}")[..., 0]
