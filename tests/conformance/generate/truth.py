"""The truth of a question: its program in 60 digits, checked by a second way to 40.

The second way is another formula in 120 digits where `other` names one, else the same one; for a
derivative, differences of the value in 160 digits, whose step of 1e-40 leaves an error of 1e-80.
For a gradient and its derivative they are taken in a random direction.
"""

import zlib
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import numpy as np

from .arithmetic import derivative, exactly

STEP = mpmath.mpf(10) ** -40


class Operation(NamedTuple):
    """A program of the arguments by position, and `check(arguments, results)`, which may fail."""

    program: Callable
    check: Callable


def as_tuple(results):
    return results if isinstance(results, tuple) else (results,)


def size(x):
    """Return the Frobenius norm of an array of mpmath's numbers."""
    return mpmath.sqrt(sum((abs(entry) ** 2 for entry in x.ravel()), mpmath.mpf(0)))


def inner(x, y):
    """Return Re tr(x^H y)."""
    return mpmath.re(sum((mpmath.conj(a) * b for a, b in zip(x.ravel(), y.ravel())), mpmath.mpf(0)))


def assert_near(first, second, scale):
    assert (
        size(np.asarray(first - second, dtype=object)) <= mpmath.mpf(10) ** -40 * scale
    ), "two ways differ"


def by_another_way(other):
    def check(arguments, results):
        with mpmath.workdps(120):
            for first, second in zip(results, as_tuple(other(*arguments))):
                assert_near(first, second, size(first) or 1)

    return check


def direction(x, number=0):
    """Draw a direction, the same at each call: each entry of the size of that of x.

    Zeros of x move as its smallest other entry does, or by 1; and nothing by less than 1e-60, which
    would be nothing beside an identity in 160 digits.
    """
    rng = np.random.default_rng([number, *x.shape])
    least = min((abs(entry) for entry in x.ravel() if entry), default=mpmath.mpf(1))
    sizes = [max(abs(entry) or least, mpmath.mpf(10) ** -60) for entry in x.ravel()]
    step = [float(rng.standard_normal()) * size for size in sizes]
    if any(isinstance(entry, mpmath.mpc) for entry in x.ravel()):
        step = [
            mpmath.mpc(entry, float(rng.standard_normal()) * size) for entry, size in zip(step, sizes)
        ]
    return np.array(step + [None], dtype=object)[:-1].reshape(x.shape)


def difference(f, X, dX):
    """Return the derivative of f at X along dX by a central difference."""
    ahead, behind = (as_tuple(f(*(x + sign * STEP * dx for x, dx in zip(X, dX)))) for sign in (1, -1))
    return tuple((a - b) / (2 * STEP) for a, b in zip(ahead, behind))


def jvp_by_differences(f):
    """Check jvp(X, dX)."""

    def check(arguments, results):
        X, dX = arguments
        with mpmath.workdps(160):
            scale = max(size(results[0]), size(dX) * mpmath.mpf(10) ** -12)
            assert_near(results[0], difference(f, [X], [dX])[0], scale)

    return check


def vjp_by_differences(f, varied=(0,)):
    """Check vjp(*arguments of f, G): <vjp, D> = <G, Df D> for a random D of the arguments `varied`."""

    def check(arguments, results):
        *point, G = arguments
        D = [direction(point[i], i) for i in varied]

        def moved(*x):
            values = dict(zip(varied, x))
            return f(*(values.get(i, a) for i, a in enumerate(point)))

        with mpmath.workdps(160):
            change = difference(moved, [point[i] for i in varied], D)[0]
            for_each = [
                (inner(vjp, d), size(vjp) * size(d), size(G) * size(d)) for vjp, d in zip(results, D)
            ]
            scale = sum(max(s, g * mpmath.mpf(10) ** -12) for _, s, g in for_each)
            assert_near(sum(i for i, _, _ in for_each), inner(G, change), scale)

    return check


def hvp_by_differences(f):
    """Check hvp(X, G, dX): <hvp, D> is the second derivative of <G, f> along D and dX."""

    def check(arguments, results):
        X, G, dX = arguments
        D = direction(X)
        with mpmath.workdps(200):

            def along(x):
                return difference(f, [x], [D])[0]

            second = inner(G, difference(along, [X], [dX])[0])
            scale = max(size(results[0]) * size(D), size(G) * size(D) * mpmath.mpf(10) ** -12)
            assert_near(inner(results[0], D), second, scale)

    return check


def hvp(vjp):
    """Return the program of the derivative of a gradient: hvp(X, G, dX)."""
    return lambda X, G, dX: derivative(lambda x: vjp(x, G), X, dX)


def jvp(f):
    return lambda X, dX: derivative(f, X, dX)


def truth(operation, arguments):
    """Return the results in 60 digits, as a tuple of arrays of mpmath's numbers.

    `arguments` are without stacks.
    """
    with mpmath.workdps(60):
        exact = [exactly(x) for x in arguments]
        results = as_tuple(operation.program(*exact))
    if all(x.size for x in exact if isinstance(x, np.ndarray)):
        operation.check(exact, results)
    return results


def seed(text):
    """Return a generator of random numbers that belongs to a text."""
    return np.random.default_rng(zlib.crc32(text.encode()))
