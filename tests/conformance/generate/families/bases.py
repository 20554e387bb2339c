"""Maps times a base: on the left of a tall frame, on the right of a wide one."""

import numpy as np

from .. import maps
from ..draws import DTYPES, REAL, direction, image, matrix, scale_name, shape_flags
from ..questions import Question
from .maps import MAPS, exponent_flags, point

SHAPES = {
    "1x1": (1, 1),
    "column": (4, 1),
    "row": (1, 4),
    "square": (3, 3),
    "tall": (5, 3),
    "wide": (3, 5),
    "stack-tall": (2, 4, 2),
    "stack-wide": (2, 2, 3),
}


def questions():
    for name in MAPS:
        for kind in ("_with_base", "_with_base_vjp"):
            for dtype in REAL if name == "householder" else DTYPES:
                for label, shape in SHAPES.items():
                    yield ask(name, kind, dtype, label, shape, 1.0)
                for scale in (1e-4, 1e2):
                    yield ask(name, kind, dtype, "tall", SHAPES["tall"], scale)
            yield ask(name, kind, dtype, "strided", (4, 2), 1.0, "non-contiguous")
            yield from refusals(name, kind)


def base_of(text, shape, dtype):
    """Draw an orthogonal base, as large as the longer side: a Cayley transform."""
    n = max(shape[-2:])
    return image(maps.cayley, matrix(text, (*shape[:-2], n, n), dtype, 2.0), dtype)


def ask(name, kind, dtype, label, shape, scale, *flags, expect="value", comment=""):
    operation = name + kind
    text = f"{operation}/{dtype}/{label}/{scale_name(scale)}"
    X = point(name, operation, dtype, label, shape, scale)
    arguments = {"base": base_of(text, shape, dtype), "X": X}
    if kind.endswith("vjp"):
        arguments["G"] = direction(f"{text}/G", shape, dtype)
    return Question(
        operation,
        text,
        arguments,
        expect,
        shape_flags(shape, dtype, "base", *flags, *(exponent_flags(X) if name == "matrix_exp" else [])),
        comment,
    )


def refusals(name, kind):
    for label, spoil, flag in [("nan", np.nan, "NaN"), ("wrong-base", None, "wrong shape")]:
        question = ask(name, kind, "float64", label, (4, 2), 1.0, flag, expect="refusal")
        if spoil is None:
            question.arguments["base"] = np.eye(3)
            question.comment = "the base is smaller than the longer side"
        else:
            question.arguments["X"][3, 1] = spoil
        yield question
