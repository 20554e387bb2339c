"""The four maps and their derivatives: shapes, dtypes, scales, stacks, and where programs differ."""

import dataclasses
import math

import numpy as np

from ..draws import (
    DTYPES,
    EMPTY,
    REAL,
    SCALES,
    SHAPES,
    SMALL_NORMS,
    direction,
    STACKS,
    is_complex,
    matrix,
    norm_flags,
    normal,
    scale_name,
    scaled_to,
    shape_flags,
)
from ..maps import skew
from ..questions import Question

KINDS = {"": (), "_vjp": ("G",), "_jvp": ("dX",), "_hvp": ("G", "dX")}
FEW = {
    label: {**SHAPES, **STACKS}[label]
    for label in ("1x1", "column", "square", "tall", "wide", "stack-tall")
}
MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]


def dtypes(name):
    return REAL if name == "householder" else DTYPES


def questions():
    for name in MAPS:
        for kind in KINDS:
            yield from of(name, kind)


def of(name, kind):
    operation = name + kind
    for dtype in dtypes(name):
        for label, shape in (FEW if kind in ("_jvp", "_hvp") else {**SHAPES, **STACKS}).items():
            yield ask(operation, dtype, label, 1.0, point(name, operation, dtype, label, shape, 1.0))
        if kind in ("_jvp", "_hvp") or dtype in ("float64", "complex64"):
            scales = [1e-4, 1e2]
        else:
            scales = SCALES
        for scale in scales:
            for label in ("square", "tall"):
                yield ask(
                    operation,
                    dtype,
                    label,
                    scale,
                    point(name, operation, dtype, label, SHAPES[label], scale),
                )
    for dtype in [dtypes(name)[0], dtypes(name)[-1]]:
        for label, shape in EMPTY.items():
            yield ask(operation, dtype, label, 1.0, np.zeros(shape, dtype), expect="either")
        yield from special(name, operation, dtype)
    if kind in ("", "_vjp"):
        yield from larger(name, operation)
    yield from refusals(name, operation)


def point(name, operation, dtype, label, shape, scale, number=0):
    """Draw X; reflectors get a diagonal of signs, or of phases of any length."""
    text = f"{operation}/{dtype}/{label}/{scale}/{number}"
    X = matrix(text, shape, dtype, scale)
    if "householder" in name:
        i = np.arange(min(shape[-2:]))
        d = normal(text + "/diagonal", (*shape[:-2], len(i)), dtype)
        X[..., i, i] = np.sign(d.real) if name == "householder" else d + np.sign(d.real)
    return X


def ask(operation, dtype, label, scale, X, *flags, comment="", expect="value"):
    """Ask an operation at X; gradients and directions are drawn here."""
    name = f"{operation}/{dtype}/{label}/{scale_name(scale) if isinstance(scale, float) else scale}"
    kind = next(k for k in ("_hvp", "_jvp", "_vjp", "") if operation.endswith(k))
    arguments = {"X": X}
    for other in KINDS[kind]:
        size = np.max(np.abs(X), initial=0) if other == "dX" else 1.0
        size = float(size) if 0 < size < 1e4 else 1.0
        arguments[other] = direction(f"{name}/{other}", X.shape, dtype, size)
    more = ["second order"] if kind == "_hvp" else []
    if operation.startswith("matrix_exp"):
        more += exponent_flags(X)
    return Question(
        operation, name, arguments, expect, shape_flags(X.shape, dtype, *flags, *more), comment
    )


def exponent_flags(X):
    """Return the flags of the skew matrices that X stands for."""
    if X.ndim < 2 or not np.all(np.isfinite(X)):
        return []
    tall = X if X.shape[-2] >= X.shape[-1] else np.swapaxes(X, -1, -2)
    return sorted(
        {flag for index in np.ndindex(X.shape[:-2]) for flag in norm_flags(skew(tall[index]))}
    )


def larger(name, operation):
    for dtype in dtypes(name):
        yield ask(operation, dtype, "12x4", 1.0, point(name, operation, dtype, "12x4", (12, 4), 1.0))
    X = point(name, operation, "float32", "40x8", (40, 8), 1.0)
    yield ask(operation, "float32", "40x8", 1.0, X)


def special(name, operation, dtype):
    """Yield the points where programs are known to differ."""

    def at(label, X, *flags, comment="", expect="value"):
        return ask(operation, dtype, label, "special", X, *flags, comment=comment, expect=expect)

    def draw(label, shape, scale=1.0):
        return point(name, operation, dtype, label, shape, scale)

    for label in ("square", "tall", "wide"):
        shape = SHAPES[label]
        X = np.zeros(shape, dtype)
        if "householder" in name:
            i = np.arange(min(shape))
            X[i, i] = np.diagonal(draw(f"zero-{label}", shape))
        yield at(f"zero-{label}", X, "zero", comment="where training starts")
        yield at(f"tiny-{label}", draw(f"tiny-{label}", shape, 1e-20), "tiny norm")
    X = draw("multiple", (6, 3))
    if "householder" not in name:
        X[:] = repeated(dtype)
    else:
        X[3:] = X[3:, :1]
    yield at(
        "multiple",
        X,
        "multiple eigenvalues",
        "rank-deficient",
        comment=(
            "the singular values of B are equal" if "householder" not in name else "equal rows of X"
        ),
    )
    X = draw("outer", (5, 2))
    low = np.outer(
        normal(f"{operation}/{dtype}/outer", 5, dtype), normal(f"{operation}/{dtype}/outer2", 2, dtype)
    )
    X[np.tri(5, 2, -1, dtype=bool)] = low[np.tri(5, 2, -1, dtype=bool)]
    yield at("outer-product", X, "rank-deficient", comment="below the diagonal, X has rank 1")
    X = draw("no-B", (5, 3))
    X[3:] = 0
    yield at("no-B", X, "rank-deficient", comment="the rows below the square block are zero")
    tiny = np.finfo(dtype).smallest_normal
    X = draw("subnormal", (4, 2), 1.0)
    below = np.tri(4, 2, -1, dtype=bool)
    X[below] = (normal(f"{operation}/subnormal", 5, "float64") * float(tiny) / 16).astype(dtype)
    if "householder" not in name:
        X[[0, 1], [0, 1]] = 0
    yield at("subnormal", X, "subnormal")
    yield at("strided", draw("strided", (4, 3)), "non-contiguous")
    yield at("strided-wide", draw("strided-wide", (2, 4)), "non-contiguous")
    if "householder" in name:
        X = draw("huge", (4, 2))
        large = X.copy()
        large[below] *= root_of_largest(dtype)
        question = at(
            "huge",
            large,
            "huge norm",
            expect="either",
            comment="the squares of the reflectors leave the range of the dtype",
        )
        X[
            below
        ] *= 1e10  # the same condition: beside entries as large as this the 1 of a reflector is nothing
        yield dataclasses.replace(question, condition_at=X)
    else:
        yield at("huge", draw("huge", (4, 4), huge_norm(name, dtype)), "huge norm", expect="either")
        yield at(
            "near-minus-one",
            near_minus_one(name, dtype),
            "near -1",
            comment="Q has eigenvalues near -1",
        )
    if name == "matrix_exp":
        for norm in SMALL_NORMS:
            question = at(f"small-norm-{norm:g}", draw(f"small-norm-{norm:g}", (6, 4)), "small norm")
            yield scaled_to(question, norm, skew(question.arguments["X"]))
    if name == "householder":
        for label, shape in [
            ("tall", (4, 2)),
            ("wide", (2, 4)),
            ("square", (3, 3)),
            ("more-tall", (7, 3)),
        ]:
            X = draw(f"decayed-{label}", shape)
            i = np.arange(min(shape))
            X[i, i] = np.array([-0.99999, -0.0, 0.0, 0.3])[: len(i)]
            yield at(f"decayed-{label}", X, "diagonal not +-1", comment="after weight decay")
        yield at("all-zero", np.zeros((4, 2), dtype), "zero", "diagonal not +-1")


def repeated(dtype):
    """Return X (6, 3) whose A has Omega = 0 and B with orthogonal columns of equal length."""
    X = np.zeros((6, 3), dtype)
    X[3:] = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]]) * (1j if is_complex(dtype) else 1) * 1.25
    return X


def huge_norm(name, dtype):
    """Return a norm of A that leaves something to ask: the exponential loses the digits of it."""
    return 1e20 if name == "cayley" else 1e3 if dtype in ("float32", "complex64") else 1e10


def root_of_largest(dtype):
    """Return a number whose square overflows."""
    return float(np.sqrt(np.finfo(dtype).max)) * 4


def near_minus_one(name, dtype):
    """Return a 4 x 4 X whose frame has eigenvalues near -1."""
    angle = 2**10 if name == "cayley" else math.pi - 2**-10
    X = np.zeros((4, 4), dtype)
    X[1, 0], X[3, 2] = angle, angle / 2 if name == "cayley" else 1.0
    X[2, 0] = 2**-8
    return X


def refusals(name, operation):
    for dtype in [dtypes(name)[0], dtypes(name)[-1]]:
        for label, value in [("nan", np.nan), ("infinity", np.inf)]:
            X = point(name, operation, dtype, label, (4, 3), 1.0)
            X[2, 1] = value
            yield ask(
                operation,
                dtype,
                label,
                "refused",
                X,
                {"nan": "NaN"}.get(label, label),
                expect="refusal",
            )
    yield ask(
        operation,
        "float64",
        "vector",
        "refused",
        np.ones(3),
        "wrong shape",
        expect="refusal",
        comment="X has one axis",
    )
    if name == "householder":
        yield ask(
            operation,
            "complex128",
            "complex",
            "refused",
            np.full((3, 2), 1 + 1j),
            expect="refusal",
            comment="no product of complex reflectors reaches every unitary matrix",
        )
