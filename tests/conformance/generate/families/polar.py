"""The polar factor, the nearest frame, and its gradient: at any condition and scale."""

import numpy as np

from ..draws import (
    DTYPES,
    EMPTY,
    REAL,
    SCALES,
    SHAPES,
    STACKS,
    direction,
    few_or_all,
    image,
    matrix,
    scale_name,
    shape_flags,
)
from ..maps import orthonormalize
from ..questions import Question

OPERATIONS = ["polar", "polar_vjp"]


def questions():
    for operation in OPERATIONS:
        for dtype in DTYPES:

            def at(label, A, *flags, **more):
                return ask(f"{operation}/{dtype}/{label}", np.asarray(A).astype(dtype), *flags, **more)

            for label, shape in {**SHAPES, **STACKS, "12x4": (12, 4)}.items():
                yield at(f"{label}/scale-1", matrix(f"{operation}/{dtype}/{label}", shape, dtype))
            for scale in SCALES:
                A = matrix(f"{operation}/{dtype}/{scale_name(scale)}", SHAPES["tall"], dtype, scale)
                yield at(f"tall/{scale_name(scale)}", A)
            for label, shape in EMPTY.items():
                yield at(label, np.zeros(shape), expect="either")
            yield from conditions(operation, dtype, at)
            yield from special(operation, dtype, at)
            yield from deficient(operation, dtype, at)
            yield from refusals(operation, dtype, at)


def ask(text, A, *flags, **more):
    arguments = {"A": A}
    if text.startswith("polar_vjp"):
        arguments["G"] = direction(f"{text}/G", A.shape, A.dtype.name)
    return Question(
        text.split("/")[0], text, arguments, flags=shape_flags(A.shape, A.dtype.name, *flags), **more
    )


def frame(text, shape, dtype):
    return image(orthonormalize, matrix(text, shape, dtype), dtype)


def graded(text, shape, dtype, smallest):
    """Draw a matrix with singular values from 1 down to the smallest, in even ratios."""
    k = min(shape)
    U, V = frame(f"{text}/U", (shape[0], k), dtype), frame(f"{text}/V", (shape[1], k), dtype)
    return np.einsum(
        "ij,kj", U * np.geomspace(1, smallest, k), V.conj()
    )  # not by BLAS: the same everywhere


def conditions(operation, dtype, at):
    digits = (1, 2, 3) if dtype in ("float32", "complex64") else (1, 2, 4, 6)
    for label, shape in few_or_all(dtype, {"tall": (6, 3), "square": (4, 4), "wide": (3, 5)}):
        for exponent in digits:
            text = f"{label}/condition-1e{exponent}"
            A = graded(f"{operation}/{dtype}/{text}", shape, dtype, 10.0**-exponent)
            yield at(text, A, *(["ill-conditioned"] if exponent > 2 else []))
    if dtype in REAL:
        U, V = (frame(f"{operation}/{dtype}/last/{side}", (4, 4), dtype) for side in "UV")
        yield at(
            "square/one-small-singular-value",
            np.einsum("ij,kj", U * [3, 2, 1, 2.0**-20], V),
            "ill-conditioned",
            comment="real and square: it costs no accuracy",
        )


def special(operation, dtype, at):
    def named(label):
        return f"{operation}/{dtype}/{label}"

    yield at("strided", matrix(named("strided"), (4, 3), dtype), "non-contiguous")
    yield at("tiny", matrix(named("tiny"), (4, 3), dtype, 1e-18), "tiny norm")
    if dtype == "float32":
        yield at("40x8", matrix(named("40x8"), (40, 8), dtype))
    for label, shape in {"square": (4, 4), "tall": (5, 3), "wide": (2, 5)}.items():
        yield at(
            f"frame/{label}",
            frame(named(f"frame/{label}"), shape, dtype),
            "multiple eigenvalues",
            comment="all singular values are equal to rounding",
        )
    yield at("identity", np.eye(4, 3), "multiple eigenvalues")
    yield at("minus-identity", -3 * np.eye(4), "multiple eigenvalues")
    yield at("diagonal", np.diag([3.0, -2.0, 1.0]), comment="the answer is a diagonal of signs")
    S = matrix(named("indefinite"), (4, 4), dtype)
    yield at("hermitian-indefinite", S + S.conj().T)
    if operation == "polar":
        limits = np.finfo(dtype)
        A = matrix(named("ends"), (4, 3), dtype).round(2)
        largest = np.maximum(np.abs(A.real), np.abs(A.imag)).max()
        yield at("huge", A / largest * (limits.max / 2), "huge norm", condition_at=A)
        yield at("subnormal", A * (limits.smallest_normal / 4), "subnormal", condition_at=A)


def deficient(operation, dtype, at):
    """Yield matrices whose nearest frame is one of many; and where a derivative may be refused."""
    cases = {
        "zero-tall": np.zeros((4, 2)),
        "zero-wide": np.zeros((2, 4)),
        "zero-square": np.zeros((3, 3)),
        "rank-one": np.outer([1, 2, 3, 4], [1, -1, 2]),
        "zero-column": np.eye(4, 3) * [1, 0, 1],
    }
    for label, A in cases.items():
        flag = "rank-deficient" if np.any(A) else "zero"
        if operation == "polar":
            yield at(label, A, flag, expect="either", judged_by="gram")
        elif label != "rank-one":  # its zero singular values are not zero when computed
            yield at(label, A, flag, expect="refusal", comment="there is no derivative")


def refusals(operation, dtype, at):
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        if label == "infinity" and operation == "polar":
            continue  # LAPACK's singular vectors of it are finite
        A = matrix(f"{operation}/{dtype}/{label}", (4, 3), dtype)
        A[1, 1] = value
        yield at(f"refused/{label.lower()}", A, label, expect="refusal")
    yield at("refused/vector", np.ones(3), "wrong shape", expect="refusal")
