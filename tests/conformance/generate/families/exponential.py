"""The exponential of any square matrix, its derivative and its adjoint."""

import numpy as np

from ..draws import (
    DTYPES,
    SMALL_NORMS,
    direction,
    matrix,
    norm_flags,
    normal,
    scale_name,
    scaled_to,
    shape_flags,
)
from ..questions import Question

SHAPES = {
    "1x1": (1, 1),
    "2x2": (2, 2),
    "3x3": (3, 3),
    "5x5": (5, 5),
    "stack-2x2": (3, 2, 2),
    "stack-3x3": (2, 3, 3),
}
SECOND = {"expm": None, "expm_frechet": "E", "expm_vjp": "G"}


def questions():
    for operation in SECOND:
        for dtype in DTYPES:
            for label, shape in SHAPES.items():
                for scale in (1e-8, 1e-2, 1.0, 3.0):
                    if scale in (1e-2, 1.0) or len(shape) == 2:
                        text = f"{operation}/{dtype}/{label}/{scale_name(scale)}"
                        flags = ["complex 1x1"] if label == "1x1" and dtype.startswith("c") else []
                        flags += ["complex64"] if dtype == "complex64" else []
                        yield ask(operation, text, matrix(text, shape, dtype, scale), *flags)
            yield from special(operation, dtype)
        yield from refusals(operation)


def ask(operation, text, A, *flags, comment="", expect="value"):
    arguments = {"A": A}
    if SECOND[operation]:
        arguments[SECOND[operation]] = direction(f"{text}/second", A.shape, A.dtype.name)
    return Question(
        operation,
        text,
        arguments,
        expect,
        shape_flags(A.shape, A.dtype.name, *flags, *norm_flags(A)),
        comment,
    )


def special(operation, dtype):
    def at(label, A, *flags, **more):
        return ask(
            operation, f"{operation}/{dtype}/{label}", np.asarray(A).astype(dtype), *flags, **more
        )

    def draw(label, n, scale):
        return matrix(f"{operation}/{dtype}/{label}", (n, n), dtype, scale)

    yield at("zero", np.zeros((3, 3)), "zero")
    yield at("tiny", draw("tiny", 3, 1e-20), "tiny norm")
    yield at(
        "subnormal",
        draw("subnormal", 3, 1.0).astype("complex128" if dtype[0] == "c" else "float64")
        * float(np.finfo(dtype).smallest_normal)
        / 16,
        "subnormal",
    )
    yield at(
        "jordan", np.eye(4) * 0.5 + np.eye(4, k=1), "multiple eigenvalues", comment="one Jordan block"
    )
    yield at("nilpotent", np.tri(4, 4, -1), "multiple eigenvalues", "rank-deficient")
    yield at("non-normal", [[1.0, 2.0**12], [0.0, -1.0]], "non-normal")
    yield at("non-normal-3", [[0.5, 1000.0, 0.0], [0.0, -0.5, 1000.0], [0.0, 0.0, 0.25]], "non-normal")
    S = draw("symmetric", 4, 2.0)
    yield at("hermitian", (S + S.conj().T) / 2)
    for scale in (10.0, 100.0):
        S = draw(f"skew-{scale:g}", 4, scale)
        yield at(f"skew-{scale:g}", (S - S.conj().T) / 2, *(["huge norm"] if scale > 10 else []))
    yield at("decay", -draw("decay", 3, 0.3) - 8 * np.eye(3), comment="the answer is small")
    for norm in SMALL_NORMS:
        question = at(f"small-norm-{norm:g}", draw(f"small-norm-{norm:g}", 4, 1.0), "small norm")
        yield scaled_to(question, norm, question.arguments["A"])
    yield at("strided", draw("strided", 3, 1.0), "non-contiguous")
    S = matrix(f"{operation}/{dtype}/stack-of-norms", (3, 3, 3), dtype, 1.0)
    S = (S - np.swapaxes(S.conj(), -1, -2)) * np.array([10, 0.1, 1e-3]).reshape(3, 1, 1)
    yield at("stack-of-norms", S, "norms of a stack")
    yield at("stack-of-norms-upwards", S[::-1], "norms of a stack")
    if dtype in ("float32", "complex128"):
        for label in ("nothing", "empty-stack"):
            shape = (0, 0) if label == "nothing" else (0, 2, 2)
            yield at(label, np.zeros(shape), expect="either")
        yield at("8x8", draw("8x8", 8, 1.0))


def refusals(operation):
    for dtype in ("float32", "complex128"):
        for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
            A = normal(f"{operation}/{label}", (3, 3), dtype)
            A[1, 2] = value
            yield ask(
                operation, f"{operation}/{dtype}/refused/{label.lower()}", A, label, expect="refusal"
            )
        yield ask(
            operation,
            f"{operation}/{dtype}/refused/not-square",
            matrix("x", (3, 2), dtype),
            "wrong shape",
            expect="refusal",
        )
