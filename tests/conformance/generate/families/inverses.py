"""The inverses: Q is the frame of a known X, rounded; the answer is mapped back and compared with Q."""

import math

import numpy as np

from .. import maps, operations
from ..draws import DTYPES, REAL, image, matrix, scale_name, shape_flags
from ..questions import Question
from .maps import MAPS, point

SHAPES = {
    "1x1": (1, 1),
    "column": (5, 1),
    "row": (1, 5),
    "square": (4, 4),
    "odd-square": (3, 3),
    "tall": (5, 3),
    "very-tall": (7, 2),
    "wide": (3, 5),
    "stack-tall": (2, 4, 2),
    "stack-square": (2, 3, 3),
}


def questions():
    for name in MAPS:
        for dtype in REAL if name == "householder" else DTYPES:
            for label, shape in SHAPES.items():
                for scale in (1e-3, 1.0):
                    yield ask(
                        name,
                        dtype,
                        f"{label}/{scale_name(scale)}",
                        point(name, f"{name}_inverse", dtype, label, shape, scale),
                    )
            yield ask(
                name,
                dtype,
                "strided",
                point(name, f"{name}_inverse", dtype, "strided", (4, 2), 1.0),
                "non-contiguous",
            )
            if "householder" not in name:
                yield from near_minus_one(name, dtype)
            yield from refusals(name, dtype)


def ask(name, dtype, label, X, *flags, comment=""):
    operation = f"{name}_inverse"
    frame = reflectors_with_signs(X) if name == "householder" else operations.MAPS[name][0]
    Q = image(frame, X, dtype)
    return Question(
        operation,
        f"{operation}/{dtype}/{label}",
        {"Q": Q},
        "value",
        shape_flags(X.shape, dtype, *flags),
        comment,
        judged_by=name,
        condition_at=X,
    )


def reflectors_with_signs(X):
    """Return the program of reflectors, whose signs are all 1: a frame is asked, not which."""
    return maps.any_shape(maps.reflectors)


def near_minus_one(name, dtype):
    """Yield frames with eigenvalues near -1: rotations by nearly pi."""
    for bits in (4, 8):
        angle = 2.0**bits if name == "cayley" else math.pi - 2.0**-bits
        for label, n in (("square", 4), ("tall", 5)):
            X = matrix(f"{name}/near/{bits}/{label}", (n, 4), dtype, 1e-3)
            if n > 4:
                X[4:] = 0
            X[1, 0] += angle
            X[3, 2] += 0.5
            yield ask(name, dtype, f"near-minus-one/{label}/{bits}", X, "near -1")


def refusals(name, dtype):
    def refused(label, Q, flag, comment=""):
        operation = f"{name}_inverse"
        return Question(
            operation,
            f"{operation}/{dtype}/refused/{label}",
            {"Q": Q.astype(dtype)},
            "refusal",
            shape_flags(Q.shape, dtype, flag),
            comment,
        )

    Q = np.eye(4, 2)
    Q[3, 0] = np.nan
    yield refused("nan", Q, "NaN")
    yield refused("vector", np.ones(3), "wrong shape", "Q has one axis")
    if name == "cayley":
        yield refused("minus-one", np.diag([1.0, -1.0, -1.0]), "eigenvalue -1", "I + Q is singular")
        yield refused("minus-identity", -np.eye(2), "eigenvalue -1", "I + Q is zero")
        yield refused(
            "tall-minus-one", np.eye(4, 2) * [1, -1], "eigenvalue -1", "Q_1 has the eigenvalue -1"
        )
    if name in ("cayley", "matrix_exp") and dtype in REAL:
        yield refused(
            "reflection", np.diag([1.0, -1.0]), "determinant -1", "no rotation: determinant -1"
        )
        yield refused(
            "exchange", np.eye(3)[[1, 0, 2]], "determinant -1", "a permutation of determinant -1"
        )
        yield refused("1x1", -np.eye(1), "determinant -1", "no rotation: determinant -1")
