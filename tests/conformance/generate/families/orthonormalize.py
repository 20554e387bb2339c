"""The factor Q of A = QR with a positive diagonal of R, and its gradient; frames of deficient rank."""

import numpy as np

from ..draws import (
    DTYPES, EMPTY, SCALES, SHAPES, STACKS, direction, matrix, scale_name, shape_flags,
)
from ..questions import Question


def questions():
    for dtype in DTYPES:
        for operation in ("orthonormalize", "orthonormalize_vjp"):
            yield from regular(operation, dtype)
        yield from special(dtype)
        yield from refusals(dtype)


def regular(operation, dtype):
    def at(label, *shape_and_more, **more):
        return ask(dtype, label, *shape_and_more, operation=operation, **more)

    for label, shape in {**SHAPES, **STACKS, "12x4": (12, 4)}.items():
        yield at(f"{label}/scale-1", shape)
    for scale in SCALES:
        yield at(f"tall/{scale_name(scale)}", SHAPES["tall"], scale)
    for label, shape in EMPTY.items():
        yield at(label, shape, expect="either")
    for number, shape in enumerate([(4, 4), (5, 3), (2, 5)]):
        yield near_rank_deficient(operation, dtype, number, shape)
    yield at("strided", (4, 3), 1.0, "non-contiguous")
    yield at("tiny", (4, 3), 1e-18, "tiny norm")


def ask(dtype, label, shape, scale=1.0, *flags, A=None, operation="orthonormalize", **more):
    text = f"{operation}/{dtype}/{label}"
    A = matrix(text, shape, dtype, scale) if A is None else np.asarray(A, dtype)
    arguments = {"A": A}
    if operation == "orthonormalize_vjp":
        arguments["G"] = direction(f"{text}/G", A.shape, dtype)
    return Question(operation, text, arguments, flags=shape_flags(A.shape, dtype, *flags), **more)


def near_rank_deficient(operation, dtype, number, shape):
    """Return a matrix whose last column, or row, is nearly that before."""
    A = matrix(f"{operation}/{dtype}/near/{number}", shape, dtype)
    tall = A if shape[0] >= shape[1] else A.T
    tall[:, -1] = tall[:, -2] + tall[:, -1] * 2.0**-8
    return ask(
        dtype,
        f"nearly-rank-deficient/{number}",
        shape,
        1.0,
        "rank-deficient",
        A=A,
        operation=operation,
        comment="not orthonormal where the columns are made so once only",
    )


def special(dtype):
    """Yield matrices with many right answers; each is orthonormal, and none has a column of zeros."""
    for label, A in [
        ("zero-tall", np.zeros((4, 2))),
        ("zero-wide", np.zeros((2, 4))),
        ("zero-square", np.zeros((3, 3))),
        ("rank-one", np.outer([1, 2, 3, 4], [1, -1, 2])),
        ("zero-column", np.eye(4, 3) * [1, 0, 1]),
        ("zero-row-of-wide", np.eye(2, 3) * [[1], [0]]),
    ]:
        flag = "zero" if "zero-" in label and not np.any(A) else "rank-deficient"
        yield ask(dtype, label, A.shape, 1.0, flag, A=A, expect="either", judged_by="gram")


def refusals(dtype):
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        A = matrix(f"orthonormalize/{dtype}/{label}", (4, 3), dtype)
        A[1, 1] = value
        yield ask(dtype, f"refused/{label.lower()}", A.shape, 1.0, label, A=A, expect="refusal")
    yield ask(dtype, "refused/vector", (3,), 1.0, "wrong shape", A=np.ones(3), expect="refusal")
