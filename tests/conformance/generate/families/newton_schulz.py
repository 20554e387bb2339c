"""The Newton-Schulz iteration and its gradient: published coefficients, stacks, scales."""

import numpy as np

from ..draws import DTYPES, EMPTY, SHAPES, STACKS, direction, few_or_all, matrix, shape_flags
from ..questions import Question
from .polar import graded

OPERATIONS = ["newton_schulz", "newton_schulz_vjp"]
JORDAN = [3.4445, -4.775, 2.0315]
CLASSICAL = [1.875, -1.25, 0.375]
CUBIC = [1.5, -0.5, 0.0]
CESISTA = [
    [4.0848, -6.8946, 2.9270],
    [3.9505, -6.3029, 2.6377],
    [3.7418, -5.5913, 2.3037],
    [2.8769, -3.1427, 1.2046],
    [2.8366, -3.0525, 1.2012],
]
POLAR_EXPRESS = [
    [8.28721201814563, -23.595886519098837, 17.300387312530933],
    [4.107059111542203, -2.9478499167379106, 0.5448431082926601],
    [3.9486908534822946, -2.908902115962949, 0.5518191394370137],
    [3.3184196573706015, -2.488488024314874, 0.51004894012372],
    [2.300652019954817, -1.6689039845747493, 0.4188073119525673],
]


def questions():
    for operation in OPERATIONS:
        for dtype in DTYPES:

            def at(label, A, coefficients=JORDAN, steps=5, *flags, **more):
                A = np.asarray(A).astype(dtype)
                return ask(f"{operation}/{dtype}/{label}", A, coefficients, steps, *flags, **more)

            def draw(label, shape=(5, 3), scale=1.0):
                return matrix(f"{operation}/{dtype}/{label}", shape, dtype, scale)

            for label, shape in {**SHAPES, **STACKS, "12x4": (12, 4)}.items():
                yield at(f"{label}/jordan", draw(label, shape))
            for label, shape in EMPTY.items():
                yield at(label, np.zeros(shape), expect="either")
            yield from coefficients(at, draw, dtype)
            yield from scales(at, draw, dtype)
            yield from special(operation, at, draw, dtype)


def ask(text, A, coefficients, steps, *flags, **more):
    arguments = {"A": A, "coefficients": coefficients, "steps": steps}
    if text.startswith("newton_schulz_vjp"):
        arguments["G"] = direction(f"{text}/G", A.shape, A.dtype.name)
    return Question(
        text.split("/")[0], text, arguments, flags=shape_flags(A.shape, A.dtype.name, *flags), **more
    )


def coefficients(at, draw, dtype):
    for label, shape in few_or_all(dtype, {"tall": (5, 3), "square": (4, 4), "wide": (3, 5)}):
        for name, triple, steps in [
            ("classical", CLASSICAL, 3),
            ("cubic", CUBIC, 4),
            ("jordan", JORDAN, 1),
            ("jordan", JORDAN, 0),
            ("jordan", JORDAN, 2),
        ]:
            yield at(
                f"{label}/{name}-{steps}-steps", draw(f"{label}/{name}-{steps}", shape), triple, steps
            )
        for name, each in [
            ("cesista", CESISTA),
            ("polar-express", POLAR_EXPRESS),
            ("first-two-of-cesista", CESISTA[:2]),
        ]:
            yield at(f"{label}/{name}", draw(f"{label}/{name}", shape), each, len(each), "coefficients")


def scales(at, draw, dtype):
    for scale in (1e-4, 1e4):
        yield at(f"scale-{scale:g}", draw(f"scale-{scale:g}", scale=scale))
    for exponent in (-8, -12, -18):
        yield at(
            f"scale-1e{exponent}",
            draw(f"scale-1e{exponent}", scale=10.0**exponent),
            JORDAN,
            5,
            "norm floor",
            "tiny norm",
            comment="the norm divides it, whatever it is",
        )
    sizes = np.array([1, 2.0**-20, 2.0**20]).reshape(3, 1, 1)
    yield at("stack-of-sizes", draw("stack-of-sizes", (3, 4, 3)) * sizes, JORDAN, 5, "one norm")


def special(operation, at, draw, dtype):
    yield at("strided", draw("strided", (4, 3)), JORDAN, 5, "non-contiguous")
    yield at("orthogonal", np.eye(4), JORDAN, 5, "multiple eigenvalues")
    yield at("rank-one", np.outer([1, 2, 3, 4], [1, -1, 2]), JORDAN, 5, "rank-deficient")
    yield at("zero-column", np.eye(4, 3) * [1, 0, 2], JORDAN, 5, "rank-deficient")
    yield at(
        "graded",
        graded(f"{operation}/{dtype}/graded", (5, 4), dtype, 1e-3),
        JORDAN,
        5,
        "ill-conditioned",
    )
    if operation == "newton_schulz":
        yield at(
            "zero",
            np.zeros((4, 3)),
            JORDAN,
            5,
            "zero",
            expect="either",
            value=np.zeros((4, 3), dtype),
            comment="zero stays zero, or there is no answer",
        )
    else:
        yield at(
            "zero",
            np.zeros((4, 3)),
            JORDAN,
            5,
            "zero",
            expect="refusal",
            comment="there is no derivative",
        )
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        A = draw(label, (4, 3))
        A[1, 1] = value
        yield at(f"refused/{label.lower()}", A, JORDAN, 5, label, expect="refusal")
    yield at("refused/vector", np.ones(3), JORDAN, 5, "wrong shape", expect="refusal")
