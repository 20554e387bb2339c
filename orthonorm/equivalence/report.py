"""The comparison of orthonorm's answers with PyTorch's, and the table it prints."""
import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import programs
from .cases import Case, all_cases
from .libraries import Orthonorm

# torch.testing.assert_close's defaults (rtol, atol) in single precision; ours, sharper, in double.
TOLERANCES = {"float32": (1.3e-6, 1e-5), "complex64": (1.3e-6, 1e-5),
              "float64": (1e-11, 1e-11), "complex128": (1e-11, 1e-11)}
GRADIENT_TOLERANCES = {**TOLERANCES, "float64": (1e-10, 1e-10), "complex128": (1e-10, 1e-10)}


HEAD = ("family", "dtype", "cases", "worst abs", "worst rel", "PyTorch-exact", "ours-exact", "",
        "worst case")
FORMAT = "{:30}  {:10}  {:>5}  {:>9}  {:>9}  {:>13}  {:>10}  {:5}  {}"


@dataclass
class Row:
    """One line of the report: a family in one dtype.

    Attributes
    ----------
    cases, arrays : int
        How many were compared.
    absolute, relative : float
        The worst difference of an entry, and the worst relative to the largest entry of its array.
    worst : str
        The case and array with the worst relative difference.
    pytorch_error, our_error : float or None
        The worst distance of each library's answers from the exact answer, relative to the largest
        entry; None where that is not known. In single precision PyTorch's double-precision answer
        counts as exact.
    failures : list of str
        What differed by more than the tolerance.
    pytorch_off : list of str
        What differed too, but only because PyTorch's answer is off: ours is within the tolerance of the
        exact answer, and nearer to it.
    """

    family: str
    dtype: str
    cases: int = 0
    arrays: int = 0
    absolute: float = 0.0
    relative: float = 0.0
    worst: str = ""
    pytorch_error: float | None = None
    our_error: float | None = None
    failures: list[str] = field(default_factory=list)
    pytorch_off: list[str] = field(default_factory=list)


def compare(recorded: dict[str, Any], cases: Iterable[Case] | None = None) -> list[Row]:
    """Run every case here and compare with PyTorch's answers.

    Parameters
    ----------
    recorded : dict
        From case id to what :func:`.record.ask_pytorch` returned.
    cases : iterable of Case, optional
        By default all.

    Returns
    -------
    list of Row
    """
    return list(compare_each(lambda case: recorded.get(case.id), cases))


def compare_each(asked: Callable[[Case], Any], cases: Iterable[Case] | None = None) -> Iterator[Row]:
    """Do what :func:`compare` does, one row after the other.

    Parameters
    ----------
    asked : callable
        Returns what :func:`.record.ask_pytorch` returned for a case, or None.
    cases : iterable of Case, optional

    Yields
    ------
    Row
    """
    groups: dict[tuple[str, str], list[Case]] = {}
    for case in all_cases() if cases is None else cases:
        groups.setdefault((case.family, case.dtype), []).append(case)
    for (family, dtype), group in groups.items():
        row = Row(family, dtype)
        for case in group:
            row.cases += 1
            _compare_case(row, case, asked(case))
        yield row


def _compare_case(row: Row, case: Case, theirs: Any) -> None:
    if theirs is None:
        row.failures.append(f"{case.name}: not in the recording")
        return
    try:
        ours = getattr(programs, case.program)(Orthonorm(), theirs["inputs"], **case.options)
    except Exception as error:
        row.failures.append(f"{case.name}: {type(error).__name__}: {error}")
        return
    if ours.keys() != theirs["answers"].keys():
        row.failures.append(f"{case.name}: answers {sorted(ours.keys())} instead of "
                            f"{sorted(theirs['answers'].keys())}")
        return
    for name in case.only or ours:
        exact = theirs.get("exact", {}).get(name)
        _compare_one(row, f"{case.name}: {name}", name.startswith("grad"), ours[name],
                     theirs["answers"][name], exact)


def _compare_one(row: Row, name: str, gradient: bool, ours: Any, theirs: Any, exact: Any) -> None:
    row.arrays += 1
    if isinstance(theirs, str) or isinstance(ours, str):
        if not isinstance(theirs, str) or not isinstance(ours, str) or ours != theirs:
            row.failures.append(f"{name}: {ours!r} instead of {theirs!r}")
        return
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        row.failures.append(
            f"{name}: {ours.dtype}{ours.shape} instead of {theirs.dtype}{theirs.shape}")
        return
    rtol, atol = (GRADIENT_TOLERANCES if gradient else TOLERANCES)[theirs.dtype.name]
    difference = np.abs(ours - theirs)
    if not _close(ours, theirs, rtol, atol):
        excused = (exact is not None and _close(ours, exact, rtol, atol)
                   and np.abs(ours - exact).max() < np.abs(theirs - exact).max())
        found = row.pytorch_off if excused else row.failures
        found.append(f"{name}: differs by {difference.max():.2e}")
    row.absolute = max(row.absolute, float(difference.max(initial=0)))
    relative = _relative(ours, theirs)
    if relative >= row.relative:
        row.relative, row.worst = relative, name
    if exact is not None:
        row.pytorch_error = max(row.pytorch_error or 0.0, _relative(theirs, exact))
        row.our_error = max(row.our_error or 0.0, _relative(ours, exact))


def _close(x: np.ndarray, y: np.ndarray, rtol: float, atol: float) -> bool:
    return bool(np.all(np.isfinite(y) & (np.abs(x - y) <= atol + rtol * np.abs(y))))


def _relative(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest difference as a fraction of the largest entry of y, or of 1 if y is small."""
    difference = np.abs(x - y).max(initial=0)
    return float(difference / max(np.abs(y).max(initial=0), 1)) if np.isfinite(difference) else math.inf


def table(rows: list[Row], source: str) -> str:
    """Format the report.

    Parameters
    ----------
    rows : list of Row
    source : str
        What the answers were compared with.

    Returns
    -------
    str
    """
    return "\n".join([head(source), *map(line, rows), tail(rows)])


def head(source: str) -> str:
    """Return the first lines of the report."""
    return f"orthonorm against {source}\n\n{FORMAT.format(*HEAD)}"


def line(row: Row) -> str:
    """Return one line of the table."""
    return FORMAT.format(
        row.family, row.dtype, row.cases, f"{row.absolute:.1e}", f"{row.relative:.1e}",
        _error(row.pytorch_error), _error(row.our_error), _verdict(row), row.worst).rstrip()


def tail(rows: list[Row]) -> str:
    """Return what stands below the table: what failed, and the summary."""
    text = [""]
    failures = [f"{row.family} {row.dtype}: {failure}" for row in rows for failure in row.failures]
    text += [f"* PyTorch is off, {row.family} {row.dtype}: {found}"
             for row in rows for found in row.pytorch_off]
    text += [f"FAIL {failure}" for failure in failures[:20]]
    if len(failures) > 20:
        text.append(f"... and {len(failures) - 20} more")
    text.append(summary(rows))
    return "\n".join(text)


def summary(rows: list[Row]) -> str:
    """Return the last line of the report."""
    cases, arrays = sum(row.cases for row in rows), sum(row.arrays for row in rows)
    failed = sum(len(row.failures) for row in rows)
    off = sum(len(row.pytorch_off) for row in rows)
    verdict = f"{failed} differ" if failed else "all equal within tolerance"
    but = f" but {off}, PyTorch's error" if off else ""
    return f"{cases} cases, {arrays} answers: {verdict}{but}"


def _verdict(row: Row) -> str:
    return "FAIL" if row.failures else "pass*" if row.pytorch_off else "pass"


def _error(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"


def as_json(rows: list[Row], source: str) -> str:
    """Format the report for machines.

    Parameters
    ----------
    rows : list of Row
    source : str

    Returns
    -------
    str
    """
    passed = not any(row.failures for row in rows)
    return json.dumps({"against": source, "passed": passed, "summary": summary(rows),
                       "families": [vars(row) for row in rows]}, indent=1)
