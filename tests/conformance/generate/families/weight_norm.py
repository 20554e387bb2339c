"""Lengths and directions, of linear layers and of convolutions; real numbers only."""

import numpy as np

from ..draws import REAL, SCALES, direction, normal, scale_name
from ..questions import Question

OPERATIONS = ["weight_norm", "weight_norm_vjp"]
SHAPES = {
    "1x1": (1, 1),
    "column": (5, 1),
    "row": (1, 5),
    "square": (4, 4),
    "tall": (6, 3),
    "wide": (3, 6),
    "convolution-1d": (4, 3, 2),
    "convolution-2d": (4, 2, 3, 2),
    "bias": (5,),
}


def questions():
    for operation in OPERATIONS:
        for dtype in REAL:
            for label, shape in SHAPES.items():
                for dim in [*range(len(shape)), *([-2] if len(shape) > 1 else []), None]:
                    yield ask(operation, dtype, f"{label}/dim-{dim}", shape, dim)
            for scale in SCALES:
                for argument in ("g", "v"):
                    yield ask(
                        operation,
                        dtype,
                        f"{argument}/{scale_name(scale)}",
                        (4, 3),
                        0,
                        **{argument: scale},
                    )
            yield ask(operation, dtype, "strided", (4, 3), 0, "non-contiguous")
            yield ask(operation, dtype, "strided-convolution", (3, 2, 2, 2), 1, "non-contiguous")
            yield ask(operation, dtype, "negative-g", (4, 3), 0, g=-1.0)
            yield ask(
                operation, dtype, "zero-g", (4, 3), 0, "zero", g=0.0, comment="all lengths are zero"
            )
            yield ask(
                operation, dtype, "minus-one", (4, 3), -1, comment="-1 means all of v, as None does"
            )
            yield from refusals(operation, dtype)
        for label, flag, size, what in [
            ("subnormal", "subnormal", 1e-39, "underflow"),
            ("tiny", "tiny norm", 1e-30, "underflow"),
            ("huge", "huge norm", 1e25, "overflow"),
        ]:
            for dim in (0, 1, None):
                yield ask(
                    operation,
                    "float32",
                    f"{label}/dim-{dim}",
                    (4, 3),
                    dim,
                    flag,
                    "unstable",
                    v=size,
                    comment=f"the squares of v {what}",
                )


def ask(operation, dtype, label, shape, dim, *flags, g=1.0, v=1.0, **more):
    text = f"{operation}/{dtype}/{label}"
    lengths = (
        tuple(n if i == dim % len(shape) else 1 for i, n in enumerate(shape))
        if dim not in (None, -1)
        else ()
    )
    arguments = {
        "g": np.asarray((1 + np.abs(normal(f"{text}/g", lengths, "float64"))) * g).astype(dtype),
        "v": (normal(f"{text}/v", shape, "float64") * v).astype(dtype),
        "dim": dim,
    }
    if operation.endswith("vjp"):
        arguments["G"] = direction(f"{text}/G", shape, dtype)
    return Question(operation, text, arguments, flags=list(flags), **more)


def refusals(operation, dtype):
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        question = ask(operation, dtype, f"refused/{label.lower()}", (4, 3), 0, label, expect="refusal")
        question.arguments["v"][2, 1] = value
        yield question
    question = ask(operation, dtype, "refused/wrong-g", (4, 3), 0, "wrong shape", expect="refusal")
    question.arguments["g"] = np.ones((5, 1), dtype)
    yield question
