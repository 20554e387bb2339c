"""Power iteration: single calls, sequences in train and eval order, small norms, refusals."""

import mpmath
import numpy as np

from ..arithmetic import exactly
from ..draws import DTYPES, SCALES, matrix, rounded_to, scale_name, shape_flags, unit
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


def ask(dtype, label, W, u, v, n, *flags, comment="", expect="value", eps=1e-12):
    arguments = {"W": W, "u": u, "v": v, "n_power_iterations": n, "eps": eps}
    name = f"power_iteration/{dtype}/{label}"
    return Question(
        "power_iteration", name, arguments, expect, shape_flags(W.shape, dtype, *flags), comment
    )


def triple(dtype, label, shape, scale=1.0):
    name = f"power_iteration/{dtype}/{label}/{scale}"
    return (
        matrix(name, shape, dtype, scale),
        unit(name + "/u", shape[0], dtype),
        unit(name + "/v", shape[1], dtype),
    )


def questions():
    for dtype in DTYPES:
        for label, shape in SHAPES.items():
            for n in (0, 1, 2, 15):
                flags = ["eval"] if n == 0 else []
                yield ask(
                    dtype, f"{label}/{n}-iterations", *triple(dtype, f"{label}/{n}", shape), n, *flags
                )
        for scale in SCALES:
            yield ask(dtype, f"tall/{scale_name(scale)}", *triple(dtype, "tall", (5, 3), scale), 1)
        yield from small(dtype)
        yield from special(dtype)
        yield from sequence(dtype, "tall", (4, 3), [1, 1, 0, 1, 0, 0, 2, 1])
        yield from refusals(dtype)
    yield ask("float32", "40x8/1-iterations", *triple("float32", "40x8", (40, 8)), 1)
    yield from sequence("float32", "wide", (2, 5), [0, 1, 1, 0, 1])


def small(dtype):
    """Yield matrices whose products are shorter than eps, or not much longer."""
    for scale, eps in [(1e-14, 1e-12), (1e-20, 1e-12), (1e-3, 1e-2), (1e-13, 1e-12), (3e-12, 1e-12)]:
        yield ask(
            dtype,
            f"below-eps/{scale:g}-of-{eps:g}",
            *triple(dtype, "below-eps", (4, 3), scale),
            1,
            "eps",
            "tiny norm",
            eps=eps,
        )


def special(dtype):
    W, u, v = triple(dtype, "unnormalised", (4, 3))
    yield ask(dtype, "unnormalised", W, 3 * u, 5 * v, 1, comment="u and v need not have length 1")
    W, u, v = triple(dtype, "strided", (4, 3))
    yield ask(dtype, "strided", W, u, v, 1, "non-contiguous")
    yield ask(dtype, "strided-2", *triple(dtype, "strided-2", (3, 5)), 2, "non-contiguous")
    W = np.outer(unit(f"{dtype}/left", 4, dtype), unit(f"{dtype}/right", 3, dtype)).astype(dtype)
    yield ask(dtype, "rank-one", W, u, v, 2, "rank-deficient")
    W = np.eye(4, 3, dtype=dtype) * 2
    yield ask(dtype, "equal-singular-values", W, u, v, 3, "multiple eigenvalues")


def sequence(dtype, label, shape, counts):
    """Yield calls in the order of training (n >= 1) and evaluation (0), each from the answer before."""
    W, u, v = triple(dtype, f"sequence-{label}", shape)
    for step, n in enumerate(counts):
        yield ask(
            dtype,
            f"sequence-{label}/{step}",
            W,
            u,
            v,
            n,
            "sequence",
            *(["eval"] if n == 0 else []),
            comment=f"call {step + 1} of {len(counts)}, from the answer of the one before",
        )
        with mpmath.workdps(60):
            u, v = (rounded_to(dtype, x) for x in power_iteration(*map(exactly, (W, u, v)), n, 1e-12))
        if n:
            W = (
                W + matrix(f"power_iteration/{dtype}/update-{label}/{step}", shape, dtype, 0.1)
            ).astype(dtype)


def refusals(dtype):
    for label, value in [("NaN", np.nan), ("infinity", np.inf)]:
        W, u, v = triple(dtype, label, (4, 3))
        W[1, 1] = value
        yield ask(dtype, f"refused/{label.lower()}", W, u, v, 1, label, expect="refusal")
    W, u, v = triple(dtype, "wrong-u", (4, 3))
    yield ask(dtype, "refused/u-and-v-exchanged", W, v, u, 1, "wrong shape", expect="refusal")
