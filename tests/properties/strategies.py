"""What the properties are tested on: matrices of any shape, dtype, layout and scale.

Hypothesis draws the circumstances, and a seed for the entries. ``make test`` takes the same few
examples each time, ``make properties`` many others.
"""
import os

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.helpers import DTYPES, REAL, is_complex, layouts

MORE = "EXAMPLES" in os.environ
examples = settings(
    max_examples=int(os.environ.get("EXAMPLES", 60)), derandomize=not MORE, deadline=None,
    database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

KINDS = ("any", "tall", "square", "column", "empty")
EXPONENTS = {np.float32: 15, np.complex64: 15, np.float64: 30, np.complex128: 30}


@st.composite
def matrices(draw, name="", exponent=None, largest=64, kinds=KINDS):
    """Draw an argument of the function of core of this name, with entries up to 10^exponent."""
    shape = draw(shapes(largest, kinds))
    dtype = draw(st.sampled_from(REAL if name.startswith("householder") else DTYPES))
    X = entries(draw(st.integers(0, 2**32 - 1)), shape, dtype)
    limit = EXPONENTS[dtype] if exponent is None else exponent
    scales = st.floats(-limit, limit)
    X *= dtype(10) ** dtype(draw(scales)).real
    if draw(st.booleans()) and exponent is None:  # columns of other scales, not larger
        X *= (10.0 ** -np.random.default_rng(0).uniform(0, 10, shape[-1])).astype(dtype)
    return draw(laid_out(X))


@st.composite
def shapes(draw, largest, kinds):
    """Draw up to three batch dimensions and a matrix; the more matrices, the smaller."""
    batch = draw(st.lists(st.integers(0 if "empty" in kinds else 1, 3), max_size=3))
    side = st.integers(1, max(2, largest // (1 + len(batch))**2))
    n, k = draw(side), draw(side)
    kind = draw(st.sampled_from(kinds))
    n, k = {"any": (n, k), "tall": (max(n, k), min(n, k)), "square": (n, n), "column": (n, 1),
            "empty": draw(st.sampled_from([(n, 0), (0, k), (0, 0)]))}[kind]
    return (*batch, n, k)


def entries(seed, shape, dtype):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal(shape)
    if is_complex(dtype):
        X = X + 1j * rng.standard_normal(shape)
    return X.astype(dtype)


@st.composite
def laid_out(draw, X):
    """Lay the matrix out in memory in one of many ways."""
    if draw(st.integers(0, 6)) == 0 and X.ndim > 2 and len(X):  # the same matrix again and again
        return np.broadcast_to(X[:1], X.shape)
    return draw(st.sampled_from([X, *layouts(X).values()]))


def skew_norm(X):
    """Bound the norm of the skew matrix that X stands for, of the largest of a stack."""
    return 2 * np.max(np.sqrt(np.sum(np.abs(X.astype(np.result_type(X, float)))**2, axis=(-2, -1))),
                      initial=0)
