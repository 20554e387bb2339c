"""Arguments: exact floating-point numbers, drawn so that every machine draws the same.

Each question draws from a generator seeded by its name, so that another question changes no other.
"""

import dataclasses
import math

import mpmath
import numpy as np

from .arithmetic import exactly
from .truth import seed

REAL = ["float32", "float64"]
DTYPES = [*REAL, "complex64", "complex128"]
SHAPES = {
    "1x1": (1, 1),
    "column": (5, 1),
    "row": (1, 5),
    "square": (4, 4),
    "odd-square": (5, 5),
    "tall": (5, 3),
    "very-tall": (7, 2),
    "wide": (3, 5),
    "very-wide": (2, 7),
}
STACKS = {"stack-square": (2, 3, 3), "stack-tall": (3, 4, 2), "stack-wide": (2, 2, 2, 3)}
EMPTY = {"no-rows": (0, 3), "no-columns": (3, 0), "nothing": (0, 0), "empty-stack": (0, 4, 2)}
LARGE = ["1-norm above 2", "unstable"]
SMALL_NORMS = [0.01, 0.03, 0.1, 0.5]
SCALES = [1e-8, 1e-4, 1e-2, 1e1, 1e2, 1e4, 1e8]


def is_complex(dtype):
    return dtype.startswith("complex")


def normal(name, shape, dtype, scale=1.0):
    """Draw normal numbers, complex ones where the dtype is."""
    rng = seed(name)
    X = rng.standard_normal(shape)
    if is_complex(dtype):
        X = (X + 1j * rng.standard_normal(shape)) / math.sqrt(2)
    return (scale * X).astype(dtype)


def matrix(name, shape, dtype, scale=1.0):
    """Draw a matrix, or a stack, whose 2-norm is about `scale`."""
    return normal(name, shape, dtype, scale / math.sqrt(max(1, *shape[-2:])))


def direction(name, shape, dtype, scale=1.0):
    """Draw a gradient or a direction: of 1/64ths of a power of two, whose decimals are short."""
    unit = 2.0 ** math.floor(math.log2(scale) - 6)
    X = normal(name, shape, np.result_type(dtype, np.float64).name, scale / unit)
    return (np.round(X) * unit).astype(dtype)


def unit(name, size, dtype):
    """Draw a vector of length 1 to rounding."""
    x = normal(name, size, np.result_type(dtype, np.float64).name)
    return (x / math.sqrt(math.fsum([*(x.real**2), *(x.imag**2)]))).astype(dtype)


def rounded_to(dtype, x):
    """Round mpmath's numbers to a dtype."""
    number = complex if is_complex(dtype) else float
    return np.array([number(entry) for entry in x.ravel()]).reshape(x.shape).astype(dtype)


def image(program, X, dtype):
    """Return program(X) in 60 digits, rounded to a dtype; of each matrix of a stack."""
    with mpmath.workdps(60):
        parts = [rounded_to(dtype, program(exactly(Y))) for Y in X.reshape(-1, *X.shape[-2:])]
    return np.array(parts, dtype).reshape(X.shape)


def shape_flags(shape, dtype, *more):
    """Return the flags that shape and dtype bring."""
    flags = list(more)
    if len(shape) > 2:
        flags.append("batch")
    if len(shape) > 1 and shape[-2] < shape[-1]:
        flags.append("wide")
    if is_complex(dtype):
        flags.append("complex")
    if 0 in shape:
        flags.append("empty")
    return flags


def norm_flags(A):
    """Return the flags of an exponential in double precision whose argument has a 1-norm above 2."""
    large = (
        A.dtype.itemsize // (2 if np.iscomplexobj(A) else 1) == 8 and A.size and np.all(np.isfinite(A))
    )
    norm = np.max(np.sum(np.abs(A), axis=-2)) if large else 0
    return LARGE if norm > 2 else []


def norm1(A):
    """Return the largest sum of moduli of a column."""
    return np.max(np.sum(np.abs(A), axis=0))


def scaled_to(question, norm, A):
    """Scale the arguments: the 1-norm of A, which X makes, and those of the others add to `norm`.

    A derivative is the exponential of [[A, E], [0, A]]: it has both.
    """
    (first, X), *others = question.arguments.items()
    share = norm / 4 if others else norm
    arguments = {first: (X * (share / norm1(A))).astype(X.dtype)}
    for name, B in others:
        arguments[name] = (B * ((norm - share) / len(others) / norm1(B))).astype(B.dtype)
    flags = [flag for flag in question.flags if flag not in LARGE]
    return dataclasses.replace(question, arguments=arguments, flags=flags)


def few_or_all(dtype, shapes):
    """Return names and shapes: all in two of the four dtypes, the first in the others."""
    return [*shapes.items()][:None if dtype in ("float32", "complex128") else 1]


def scale_name(scale):
    """Write a power of ten as 1e-8 or 1e2, and 1, 3."""
    exponent = round(math.log10(scale))
    return f"scale-1e{exponent}" if exponent and scale == float(f"1e{exponent}") else f"scale-{scale:g}"
