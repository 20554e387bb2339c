"""Where PyTorch's answers come from: the recording of the package, another one, or PyTorch itself."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import CheckpointError
from . import recording, runs
from .cases import Case, all_cases
from .report import Row, compare_each

EXACT = Path(__file__).with_name("exact.npz")


@dataclass
class Source:
    """PyTorch's answers.

    Attributes
    ----------
    name : str
        Of which PyTorch, and how they were got.
    case, run : callable
        Return what PyTorch answered, for a :class:`.Case` or a :class:`.Run`; None if it was not asked.
    digits : dict
        The data of the runs.
    """

    name: str
    case: Callable[[Case], Any]
    run: Callable[[runs.Run], Any]
    digits: dict[str, np.ndarray]

    def rows(self) -> Iterator[Row]:
        """Compare everything, and yield the rows of the report as they are done."""
        yield from compare_each(self.case)
        yield from runs.compare_each(self.run, self.digits)


def recorded() -> Source:
    """Return the answers that come with the package.

    Returns
    -------
    Source
        Double-precision cases of the maps, of spectral_norm and of weight_norm have exact answers
        beside PyTorch's.
    """
    header, answers = recording.load()
    _, digits, followed = runs.load()
    for name, exact in recording.load(EXACT)[1].items():
        answers[name]["exact"] = {key: in_extended_precision(parts) for key, parts in exact.items()}
    return Source(f"PyTorch {header['pytorch']}, recorded",
                  lambda case: answers.get(case.id), lambda run: followed.get(run.name), digits)


def number_of_rows() -> int:
    """Return how many rows a report has."""
    return len({(case.family, case.dtype) for case in all_cases()}) + sum(
        len(runs.DTYPES) for _ in runs.all_runs())


def in_extended_precision(parts: dict[str, np.ndarray]) -> np.ndarray:
    """Return an exact answer, the sum of "high" and "low", as exactly as the machine can hold it."""
    high = parts["high"]
    wide = high.astype(np.result_type(high, np.longdouble))
    return wide + parts["low"]


def live(seed: int, device: str = "cpu") -> Source:
    """Return the answers of the installed PyTorch to fresh inputs.

    Parameters
    ----------
    seed : int
        For the inputs.
    device : str
        Where PyTorch calculates.

    Returns
    -------
    Source
        Which asks PyTorch when it is asked.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    RuntimeError
        If PyTorch has no such device.
    """
    from .libraries import PyTorch
    from .record import ask_pytorch
    pytorch = PyTorch(device)
    _, digits, _ = runs.load()
    on = "" if device == "cpu" else f" on {device}"
    return Source(f"PyTorch {pytorch.version}{on}, live, seed {seed}",
                  lambda case: ask_pytorch(pytorch, case, seed),
                  lambda run: runs.ask_pytorch(pytorch, run, digits, seed), digits)


def record(path: Path, seed: int, device: str, progress: Callable[[int, int], None] | None) -> str:
    """Write the answers of the installed PyTorch to a file, for :func:`from_file`.

    Parameters
    ----------
    path : Path
        Ends in ``.npz``.
    seed : int
    device : str
    progress : callable, optional
        Is called with the number of cases and runs done and that of all.

    Returns
    -------
    str
        What was written.

    Raises
    ------
    ImportError, RuntimeError, OSError
        As :func:`live`; if the file cannot be written.
    """
    source = live(seed, device)
    cases, trained = list(all_cases()), list(runs.all_runs())
    everything: list[Any] = [*cases, *trained]
    answers: dict[str, Any] = {"cases": {}, "runs": {}, "digits": source.digits}
    for i, asked in enumerate(everything, 1):
        if isinstance(asked, Case):
            answers["cases"][asked.id] = source.case(asked)
        else:
            answers["runs"] |= runs.pack({asked.name: source.run(asked)})
        if progress:
            progress(i, len(everything))
    name = source.name.partition(", live")[0]
    recording.save(path, {"source": f"{name}, recorded", "seed": seed}, answers)
    return f"{len(cases)} cases and {len(trained)} training runs of {name} in {path}"


def from_file(path: Path) -> Source:
    """Return the answers in a file that :func:`record` wrote.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Source

    Raises
    ------
    CheckpointError
        If the file is no such recording.
    OSError
        If it cannot be read.
    """
    header, answers = recording.load(path)
    try:
        cases, digits, name = dict(answers["cases"]), dict(answers["digits"]), str(header["source"])
        check_cases(cases)
        followed = runs.unpack(dict(answers["runs"]))
        check_runs(followed)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: no recording: {type(error).__name__}: {text}") from error
    return Source("".join(filter(str.isprintable, " ".join(name.split())))[:100],
                  lambda case: cases.get(case.id), lambda run: followed.get(run.name), digits)


def check_cases(recorded: dict[str, Any]) -> None:
    """Raise ValueError, or what else damage leads to, unless these are answers to cases."""
    for case in all_cases():
        if case.id not in recorded:
            continue
        answers = recorded[case.id]
        dict(answers["answers"])  # raises if it is none
        if {name: x.shape for name, x in answers["inputs"].items()} != case.shapes:
            raise ValueError(f"{case.id} has other inputs")
        for name, exact in answers.get("exact", {}).items():
            if np.shape(exact) != np.shape(answers["answers"][name]):
                raise ValueError(f"{case.id} has other answers in double precision")


def check_runs(recorded: dict[str, Any]) -> None:
    """Raise ValueError, or what else damage leads to, unless these are runs."""
    for name, run in recorded.items():
        shapes = [{key: x.shape for key, x in run[dtype].items()} for dtype in runs.DTYPES]
        if shapes[0] != shapes[1] or not {"inputs", "start"} <= run.keys():
            raise ValueError(f"{name} differs in single and double precision")
