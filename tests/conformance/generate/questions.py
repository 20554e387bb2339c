"""A question and its answer, and how both are written.

A family (see `families`) yields :class:`Question` objects; :func:`answered` adds truth, condition and
tolerance; :func:`as_json` writes one.
"""

import dataclasses
import json

import mpmath
import numpy as np

from . import operations
from .condition import conditions
from .truth import truth

LIMIT = 10  # derived in tests/conformance/LIMIT.rst


@dataclasses.dataclass
class Question:
    """What is asked; the arguments by name, in order, and what a checker does with the answer."""

    operation: str
    name: str
    arguments: dict
    expect: str = "value"
    flags: list = dataclasses.field(default_factory=list)
    comment: str = ""
    judged_by: str | None = None
    value: np.ndarray | None = None  # where the program has no value, and convention has
    condition_at: np.ndarray | None = None  # for an inverse: an X whose map is Q; or X without overflow


def eps(question):
    return float(np.finfo(next(iter(question.arguments.values())).dtype).eps)


def matrices(question):
    """Yield the arguments of each matrix of a stack, or the arguments as they are."""
    values = list(question.arguments.values())
    if question.operation.startswith(("power", "spectral", "weight")):
        yield values
        return
    for index in np.ndindex(values[0].shape[:-2]):
        yield [value[index] if isinstance(value, np.ndarray) else value for value in values]


def restack(question, parts):
    """Put the results of a stack together, in the order of :func:`matrices`."""
    shape = next(iter(question.arguments.values())).shape[:-2]
    if question.operation.startswith(("power", "spectral", "weight")):
        return parts[0]
    last = [value for value in question.arguments.values() if isinstance(value, np.ndarray)][-1]
    return tuple(
        np.array(part, dtype=object).reshape(*shape, *last.shape[-2:]) for part in zip(*parts)
    ) or (
        np.zeros(last.shape, dtype=object),
    )


def answered(question):
    """Return the test of a question as a dict, or None if rounding leaves nothing to ask."""
    if question.expect == "refusal":
        return as_test(question, None, None, None)
    if question.judged_by:
        return judged(question)
    if question.value is not None:
        return as_test(question, [(encoded(question.value), encoded(0 * question.value))], [0], [0])
    operation = [operations.lookup(question.operation, values) for values in matrices(question)]
    results = restack(question, [truth(o, values) for o, values in zip(operation, matrices(question))])
    squares = sum(
        conditions(o.program, condition_arguments(question, values)) ** 2
        for o, values in zip(operation, matrices(question))
    )
    kappas = np.sqrt(squares) if operation else np.zeros(1)
    sizes = [norm(result) for result in results]
    if nothing_to_ask(question, results, sizes, kappas):
        return None
    complex_valued = any(np.iscomplexobj(x) for x in question.arguments.values())
    answer = [in_two_parts(result, complex_valued) for result in results]
    return as_test(question, answer, sizes, kappas)


def nothing_to_ask(question, results, sizes, kappas):
    """Tell whether rounding hides a quarter of the answer, or the dtype has no such number."""
    largest = np.finfo(next(iter(question.arguments.values())).dtype).max
    hidden = any(
        size > 0 and LIMIT * eps(question) * kappa > size / 4 for size, kappa in zip(sizes, kappas)
    )
    return hidden or any(abs(x) > largest / 2 for result in results for x in result.ravel())


def condition_arguments(question, values):
    """Return where the condition is computed: at the arguments, unless the question names another X."""
    return values if question.condition_at is None else [question.condition_at, *values[1:]]


def judged(question):
    """Return the test of an inverse: the exact map of the answer is compared with Q."""
    Q = question.arguments.get("Q")
    if question.judged_by == "gram":
        shape = next(iter(question.arguments.values())).shape
        size = np.sqrt(min(shape[-2:]) * np.prod(shape[:-2]))
        return as_test(question, None, [size], [size])
    stack = [[X] for X in question.condition_at.reshape(-1, *Q.shape[-2:])]
    kappas = [conditions(operations.lookup(question.judged_by, X).program, X)[0] for X in stack]
    return as_test(question, None, [np.linalg.norm(Q)], [np.linalg.norm(kappas)])


def as_test(question, answer, sizes, kappas):
    several = answer is not None and len(answer) > 1
    if answer is not None:
        answer = {"high": [a[0] for a in answer], "low": [a[1] for a in answer]}
        answer = answer if several else {part: only for part, (only,) in answer.items()}
    condition = tolerance = None
    if sizes is not None:
        condition = [significant(kappa, 3) for kappa in kappas]
        tolerance = [
            significant(LIMIT * eps(question) * (size + kappa), 6)
            for size, kappa in zip(sizes, condition)
        ]
        condition, tolerance = (x if several else x[0] for x in (condition, tolerance))
    result = {
        "id": question.name,
        "arguments": {name: encoded(value) for name, value in question.arguments.items()},
        "expect": question.expect,
        "answer": answer,
        "condition": condition,
        "tolerance": tolerance,
        "flags": question.flags,
        "comment": question.comment,
    }
    return result | ({"judged_by": question.judged_by} if question.judged_by else {})


def significant(x, digits):
    return float(f"{float(x):.{digits}g}")


def norm(result):
    """Return the Frobenius norm of an array of mpmath's numbers in double precision."""
    return float(mpmath.sqrt(sum((abs(x) ** 2 for x in result.ravel()), mpmath.mpf(0))))


def in_two_parts(result, complex_valued):
    """Round the truth to double twice: return the nearest doubles, and what they leave, in 4 digits."""
    dtype = np.complex128 if complex_valued else np.float64
    number = complex if complex_valued else float
    with mpmath.workdps(60):
        high = np.array([number(x) for x in result.ravel()], dtype).reshape(result.shape)
        low = [number(x - h) for x, h in zip(result.ravel(), high.ravel().tolist())]
        low = np.array(low, dtype).reshape(result.shape)
    return encoded(high), encoded(low, lambda x: significant(x, 4))


def encoded(value, write=None):
    """Write an array as a dict of dtype, shape and data; other values as they are."""
    if not isinstance(value, np.ndarray):
        return value
    flat = value.ravel()
    numbers = flat.view(flat.real.dtype) if np.iscomplexobj(flat) else flat
    data = [(write or number_as_json)(x) for x in numbers]
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": data}


def number_as_json(x):
    """Return a double whose shortest decimal is that of x, or the name of what is no number."""
    if np.isnan(x):
        return "NaN"
    if np.isinf(x):
        return "Infinity" if x > 0 else "-Infinity"
    shortest = float(str(x))
    assert x.dtype.type(shortest) == x
    return shortest


def as_json(value):
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
