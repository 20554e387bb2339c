"""The questions: what is asked, and the exact answer, read from the files in ``vectors``.

The format of the files is on the page ``vectors/README.rst``.
"""
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

VECTORS = Path(__file__).with_name("vectors")
LARGEST_FILE = 20_000_000  # bytes; the largest right one has a fiftieth of it
DTYPES = ("float32", "float64", "complex64", "complex128")
JUDGED_BY = ("", "gram", "matrix_exp", "cayley", "householder", "unitary_householder")
NOT_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


class ConformanceError(ValueError):
    """There is nothing to judge, or it cannot be read."""


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes
    ----------
    id : str
    operation : str
    arguments : dict
        In the order of the operation's parameters: arrays, numbers, None, or lists of numbers.
    expect : str
        "value", "refusal" (an exception, or NaN in the answer) or "either".
    high, low : list of ndarray
        The exact results, each as the sum of two doubles; empty if a refusal is expected.
    several : bool
        Whether the operation returns a tuple.
    tolerance : list of float
        The largest error, in the Frobenius norm, of each right result: ``limit`` times the effect of
        rounding the arguments and the result.
    limit : float
        The same for all questions.
    judged_by : str
        If one of many answers is right: the name of the map whose value at the answer has to be `high`,
        or "gram", if all that is wanted is an orthonormal frame of the shape of `high`. Else "".
    flags : tuple of str
        What the question is there for.
    notes : dict
        The effect of each flag, in words.
    comment : str
    """

    id: str
    operation: str
    arguments: dict[str, Any]
    expect: str
    high: list[np.ndarray]
    low: list[np.ndarray]
    several: bool
    tolerance: list[float]
    limit: float
    judged_by: str
    flags: tuple[str, ...]
    notes: dict[str, str]
    comment: str

    @property
    def dtype(self) -> str:
        """The dtype of the arguments, and of the answer."""
        return next(x.dtype.name for x in self.arguments.values() if isinstance(x, np.ndarray))


def operations() -> list[str]:
    """Return the names of all operations that there are questions for."""
    return sorted(path.stem for path in VECTORS.glob("*.json") if path.stem != "schema")


def questions(operation: str | None = None, dtype: str | None = None) -> Iterator[Question]:
    """Yield the questions.

    Parameters
    ----------
    operation : str, optional
        Only of this operation, such as "cayley_vjp".
    dtype : str, optional
        Only of this dtype, such as "float32".

    Yields
    ------
    Question

    Raises
    ------
    ConformanceError
        If there is no such operation or dtype.
    """
    for name, known, given in (("operation", operations(), operation), ("dtype", DTYPES, dtype)):
        if given is not None and given not in known:
            raise ConformanceError(f"{name} must be one of {', '.join(known)}; got {given!r}")
    for name in operations() if operation is None else [operation]:
        for question in read(VECTORS / f"{name}.json"):
            if dtype in (None, question.dtype):
                yield question


@functools.cache
def read(path: Path) -> list[Question]:
    """Read one file of questions; the second time return the same, whose arrays are read-only.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of Question

    Raises
    ------
    ConformanceError
        If the file is not what the format says.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(f"larger than {LARGEST_FILE} bytes")
        file = json.loads(path.read_text("utf-8"))
        notes = {flag: note["effect"] for flag, note in file["notes"].items()}
        found = [question(test, file, notes) for test in file["tests"]]
        if file["operation"] != path.stem or len({question.id for question in found}) < len(found):
            raise ValueError("of another operation, or two tests have the same id")
        return found
    except (AttributeError, KeyError, OverflowError, RecursionError, StopIteration, TypeError,
            ValueError) as error:
        text = " ".join(f"{path} is no file of questions: {type(error).__name__}: {error}".split())
        raise ConformanceError(text[:400]) from error


def question(test: dict[str, Any], file: dict[str, Any], notes: dict[str, str]) -> Question:
    """Return one entry of a file's "tests" as a question."""
    arguments = {name: array(value) if isinstance(value, dict) else value
                 for name, value in test["arguments"].items()}
    if not any(isinstance(x, np.ndarray) for x in arguments.values()):
        raise ValueError(f"{test['id']} has no array among its arguments")
    judged_by = test.get("judged_by", "")
    if judged_by:
        target = next(iter(arguments.values()))
        high, low, several = [target], [np.zeros_like(target)], False
    else:
        answer = test["answer"] or {"high": [], "low": []}
        several = isinstance(answer["high"], list)
        high, low = ([array(x) for x in (part if several else [part])]
                     for part in (answer["high"], answer["low"]))
    tolerance = test["tolerance"] if several else [test["tolerance"]]
    if test["expect"] == "refusal":
        tolerance = []
    right = test["expect"] in ("value", "refusal", "either") and judged_by in JUDGED_BY
    alike = [x.shape for x in high] == [x.shape for x in low] and len(high) == len(tolerance)
    if not right or not alike:
        raise ValueError(f"{test['id']} lacks what is expected, or a tolerance")
    if not all(0 <= number(x) < np.inf for x in tolerance) or not 0 < number(file["limit"]) < np.inf:
        raise ValueError(f"{test['id']} has a tolerance or a limit that is no length")
    return Question(
        test["id"], file["operation"], arguments, test["expect"], high, low, several, tolerance,
        file["limit"], judged_by, tuple(test["flags"]),
        {flag: notes[flag] for flag in test["flags"] if flag in notes}, test["comment"])


def array(node: dict[str, Any]) -> np.ndarray:
    """Read an array in its JSON form.

    Parameters
    ----------
    node : dict
        With "dtype", "shape" and "data".

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError, KeyError, TypeError
        If the node is no such form.
    """
    dtype, shape, data = node["dtype"], node["shape"], node["data"]
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r:.40}, not one of {', '.join(DTYPES)}")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"shape is {shape!r:.40}, not a list of lengths")
    numbers = np.array([number(x) for x in data], np.float64)
    with np.errstate(over="ignore"):
        if dtype.startswith("complex"):
            numbers = numbers.view(np.complex128)
        x = numbers.astype(dtype).reshape(shape)
    x.flags.writeable = False
    return x


def number(x: Any) -> float:
    """Return one number of an array's JSON form."""
    if isinstance(x, str) and x in NOT_FINITE:
        return NOT_FINITE[x]
    if type(x) not in (int, float):
        raise ValueError(f"{x!r:.40} is no number")
    return float(x)


def as_json(x: Any) -> Any:
    """Return an argument, or a result, in its JSON form.

    Parameters
    ----------
    x : ndarray, number, None or list of numbers

    Returns
    -------
    dict, number, None or list of numbers
    """
    if not isinstance(x, np.ndarray):
        return x
    parts = np.ascontiguousarray(x).reshape(-1)
    numbers = parts.view(x.real.dtype).astype(np.float64).tolist()
    names = {str(value): name for name, value in NOT_FINITE.items()}
    return {"dtype": x.dtype.name, "shape": list(x.shape),
            "data": [names.get(str(y), y) for y in numbers]}


def as_lines(operation: str | None = None, dtype: str | None = None) -> Iterator[str]:
    """Yield what :func:`questions` yields as lines of JSON, without the answers."""
    for asked in questions(operation, dtype):
        arguments = {name: as_json(value) for name, value in asked.arguments.items()}
        yield json.dumps({"id": asked.id, "operation": asked.operation, "arguments": arguments},
                         allow_nan=False)
