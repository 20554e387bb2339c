"""Division by the estimate of the largest singular value, and its gradient."""

import mpmath
import numpy as np

from ..arithmetic import exactly
from ..draws import DTYPES, SCALES, direction, matrix, rounded_to, scale_name, shape_flags, unit
from ..questions import Question
from ..spectral import power_iteration

SHAPES = {
    "1x1": (1, 1),
    "column": (5, 1),
    "row": (1, 5),
    "square": (4, 4),
    "tall": (6, 3),
    "wide": (3, 6),
}
OPERATIONS = ["spectral_normalize", "spectral_normalize_vjp"]


def questions():
    for operation in OPERATIONS:
        for dtype in DTYPES:
            for label, shape in SHAPES.items():
                for n in (0, 15):
                    text = f"{operation}/{dtype}/{label}/after-{n}-iterations"
                    yield ask(text, dtype, *estimate(text, shape, dtype, n))
            for scale in SCALES:
                text = f"{operation}/{dtype}/tall/{scale_name(scale)}"
                yield ask(text, dtype, *estimate(text, (5, 3), dtype, 1, scale))
            yield from special(operation, dtype)
            yield from refusals(operation, dtype)


def ask(text, dtype, W, u, v, *flags, **more):
    operation = text.split("/")[0]
    arguments = {"W": W, "u": u, "v": v}
    if operation.endswith("vjp"):
        arguments["G"] = direction(f"{text}/G", W.shape, dtype)
    return Question(operation, text, arguments, flags=shape_flags(W.shape, dtype, *flags), **more)


def estimate(text, shape, dtype, n, scale=1.0):
    """Draw W, and u and v after n iterations, rounded."""
    W = matrix(text, shape, dtype, scale)
    u, v = unit(f"{text}/u", shape[0], dtype), unit(f"{text}/v", shape[1], dtype)
    with mpmath.workdps(60):
        u, v = (rounded_to(dtype, x) for x in power_iteration(*map(exactly, (W, u, v)), n, 0.0))
    return W, u, v


def special(operation, dtype):
    def at(label, shape, *flags, scale=1.0, **more):
        text = f"{operation}/{dtype}/{label}"
        return ask(text, dtype, *estimate(text, shape, dtype, 2, scale), *flags, **more)

    yield at("strided", (4, 3), "non-contiguous")
    yield at("tiny", (4, 3), "tiny norm", scale=1e-18)
    if dtype == "float32":
        yield at("40x8", (40, 8))
    text = f"{operation}/{dtype}/rank-one"
    u, v = unit(f"{text}/u", 4, dtype), unit(f"{text}/v", 3, dtype)
    yield ask(text, dtype, np.outer(u, v.conj()), u, v, "rank-deficient")
    W, u, v = estimate(f"{operation}/{dtype}/phase", (4, 3), dtype, 3)
    yield ask(f"{operation}/{dtype}/sign", dtype, W, -u, v, comment="the estimate is negative")
    if dtype.startswith("complex"):
        yield ask(
            f"{operation}/{dtype}/phase",
            dtype,
            W,
            (u * 1j).astype(dtype),
            v,
            comment="the estimate is imaginary",
        )
    if operation == "spectral_normalize":
        W, u, v = estimate(f"{operation}/{dtype}/zero", (4, 3), dtype, 1)
        yield ask(
            f"{operation}/{dtype}/zero",
            dtype,
            0 * W,
            u,
            v,
            "zero",
            expect="either",
            value=0 * W,
            comment="no number divides a zero weight to norm 1: it stays, or there is no answer",
        )


def refusals(operation, dtype):
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        text = f"{operation}/{dtype}/refused/{label.lower()}"
        W, u, v = estimate(text, (4, 3), dtype, 1)
        W[1, 1] = value
        yield ask(text, dtype, W, u, v, label, expect="refusal")
    text = f"{operation}/{dtype}/refused/u-and-v-exchanged"
    W, u, v = estimate(text, (4, 3), dtype, 1)
    yield ask(text, dtype, W, v, u, "wrong shape", expect="refusal")
