"""The judge: how far an answer is from the exact one, in units of what rounding does to it."""
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
import math
import os
from typing import Any

import numpy as np

from . import exact
from .adapters import Answers, Child, Here
from .asking import Reply
from .questions import ConformanceError, Question, questions
from .report import Report


@dataclass
class Verdict:
    """What is said of the answer to one question.

    Attributes
    ----------
    question : Question
    outcome : str
        "passed"; "refused", where a refusal is right; "failed"; "error", an exception where a value is
        expected, a hang or a crash; "not offered".
    ratio : float or None
        The error of the answer over ``eps (||truth|| + condition)``, the effect of rounding on it; of
        several results the worst. None if there is no answer.
    message : str
        What is wrong.
    """

    question: Question
    outcome: str
    ratio: float | None = None
    message: str = ""


def judge(adapter: Any, operation: str | None = None, dtype: str | None = None,
          progress: Callable[[int, int], None] | None = None) -> Report:
    """Put the questions to an implementation, and compare its answers with the exact ones.

    Parameters
    ----------
    adapter : object, str or path
        A module, an object or a dict that has some of the operations by name; what it lacks is not
        asked. It is run in this process, without a limit of time. Or the name of a file of Python
        (``"mine.py"``) or of a module (``"package.module"``), which is run in a process of its own, so
        that a hang (20 seconds a question) or a crash is a failure among others. Or the name of a file
        of answers (``"answers.jsonl"``).
    operation : str, optional
        Ask only about this one.
    dtype : str, optional
        Ask only in this one.
    progress : callable, optional
        Is called with the number of questions done and that of all, after each.

    Returns
    -------
    Report
        ``print`` shows it; ``passed`` says whether no answer was wrong.

    Raises
    ------
    ConformanceError
        If there is nothing to ask, nothing is offered, there is no such operation or dtype, or a line
        of answers cannot be read.
    ImportError
        If a program cannot be loaded.
    OSError
        If a file of answers cannot be opened.

    Notes
    -----
    A function gets copies of the arguments, by position. It returns what ``numpy.asarray`` takes, of
    the dtype of the arguments; tensors of PyTorch may require gradients. An exception is an answer,
    right where a refusal is expected; so is NaN. ``NotImplementedError`` says that something is not
    offered: that neither passes nor fails. A program in a process of its own has the limits of this
    one, as ``ulimit -v`` sets them for memory.

    Examples
    --------
    >>> from orthonorm import conformance
    >>> from orthonorm.core import cayley
    >>> report = conformance.judge({"cayley": cayley}, dtype="float32")
    >>> report.passed
    True
    """
    asked = list(questions(operation, dtype))
    with closing(opened(adapter)) as program:
        asked = [question for question in asked if program.offers(question)]
        if not asked:
            raise ConformanceError(f"nothing to ask: {program.name} has none of the operations")
        verdicts = []
        for question in asked:
            verdicts.append(verdict(question, program.ask(question)))
            if progress:
                progress(len(verdicts), len(asked))
    if all(verdict.outcome == "not offered" for verdict in verdicts):
        raise ConformanceError(f"nothing to judge: {program.name} says of every question that it is "
                               f"not offered: {verdicts[0].message}")
    return Report(program.name, verdicts)


def opened(adapter: Any) -> Here | Child | Answers:
    """Return what answers for an adapter."""
    if not isinstance(adapter, str | os.PathLike):
        return Here(adapter)
    name = os.fspath(adapter)
    if name.endswith(".jsonl"):
        return Answers(name, questions())
    return Child(name)


def verdict(question: Question, reply: Reply) -> Verdict:
    """Say what a reply to a question is worth."""
    if reply.kind == "not offered":
        return Verdict(question, "not offered", message=reply.text)
    if reply.kind == "malformed":
        return Verdict(question, "failed", message=reply.text)
    nan = any(np.isnan(x).any() for x in reply.arrays)
    if reply.kind == "lost" or (reply.kind == "exception" or nan) and question.expect == "value":
        return Verdict(question, "failed" if nan else "error",
                       message=reply.text or "there is NaN in the answer")
    if reply.kind == "exception" or nan:
        return Verdict(question, "refused")
    if question.expect == "refusal":
        return Verdict(question, "failed", message="a value, where an exception or NaN is expected")
    with np.errstate(all="ignore"):  # whatever the program, or who judges it, has set
        errors = distances(question, reply.arrays)
    ratio = max(relative(question.limit * error, tolerance)
                for error, tolerance in zip(errors, question.tolerance))
    if all(error <= tolerance for error, tolerance in zip(errors, question.tolerance)):
        return Verdict(question, "passed", ratio)
    return Verdict(question, "failed", ratio, f"off by {ratio:.3g} times the effect of rounding")


def distances(question: Question, answer: list[np.ndarray]) -> list[float]:
    """Return the error of each result in the Frobenius norm."""
    if not all(np.isfinite(x).all() for x in answer):
        return [math.inf for _ in answer]
    if question.judged_by == "gram":
        return [exact.distance_from_orthonormal(answer[0])]
    if question.judged_by:
        return [exact.distance_of_map(question.judged_by, answer[0], question.high[0])]
    return [norm((x.astype(high.dtype) - high) - low)
            for x, high, low in zip(answer, question.high, question.low)]


def relative(error: float, unit: float) -> float:
    """Return error / unit, where both may be zero: what nothing can move has to be right."""
    if error == 0:
        return 0.0
    return float(error / unit) if unit else math.inf


def norm(x: np.ndarray) -> float:
    """Return the Frobenius norm, without overflow or underflow on the way."""
    sizes = np.abs(x)
    largest = float(sizes.max(initial=0))
    return largest * float(np.linalg.norm(sizes / largest)) if 0 < largest < math.inf else largest
