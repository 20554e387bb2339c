r"""The condition of a question: how far rounding moves the answer.

A program rounds its arguments, and it rounds what its formula holds on the way. Rounding z to the
relative precision eps moves the answer by up to eps ||D_z f|| ||z||, to first order. So

    kappa = sum over the arguments and the named quantities z of  ||D_z f||_2 ||z||_F,

where ||D_z f||_2 is the operator norm of the Jacobian of the rest of the program. The programs say by
:func:`rounded` which quantities count beside the arguments. They are those whose rounding the
arguments do not account for, because an argument has structure that its rounded successor has lost:
I - A/2 in a linear solve, say, whose backward error is not skew. `LIMIT.rst` derives each.

Only a few digits are needed. So the program runs in double precision, with :class:`.Dual` numbers for
the unit directions of one z at a time, all of them in one array. The Jacobian is that of the exact
formula, not a difference quotient, and its 2-norm is its largest singular value.
"""

import numpy as np

from .arithmetic import Dual, exactly, plain, tangent  # noqa: F401


class Recorder:
    """Counts the rounded quantities of a run; replaces one of them by a dual in all directions."""

    def __init__(self, target=None):
        self.target, self.size, self.count = target, None, 0

    def __call__(self, z):
        self.count += 1
        if self.count - 1 != self.target:
            return z
        self.size = np.linalg.norm(z)
        return Dual(z, directions(z), level=0)


recorder = None


def rounded(z):
    """Return z; the place where a program rounds it."""
    if recorder is None:
        return z
    if isinstance(z, Dual):
        return z if z.level == 0 else Dual(rounded(z.v), rounded(z.t), z.level)
    return recorder(z)


def directions(z):
    """Return the unit arrays (m, *z.shape), those times i too where z is complex."""
    units = np.eye(z.size).reshape(z.size, *z.shape)
    return np.concatenate([units, 1j * units]) if np.iscomplexobj(z) else units


def conditions(program, arguments):
    """Return kappa for each result of a program, one or a tuple, at arguments without stacks."""
    doubles = [
        x.astype(np.result_type(x, np.float64)) if isinstance(x, np.ndarray) else x for x in arguments
    ]

    def run(target):
        global recorder
        recorder = Recorder(target)
        try:
            results = program(*(rounded(x) if isinstance(x, np.ndarray) else x for x in doubles))
        finally:
            used, recorder = recorder, None
        return used, results if isinstance(results, tuple) else (results,)

    used, results = run(None)
    kappas = np.zeros(len(results))
    for target in range(used.count):
        stage, varied = run(target)
        kappas += [stage.size * operator_norm(part) for part in varied]
    return kappas


def operator_norm(result):
    """Return the largest singular value of the Jacobian that a result carries."""
    J = tangent(result, 0)
    if not isinstance(result, Dual) or J.size == 0:
        return 0.0
    J = J.reshape(len(J), -1)
    return np.linalg.norm(np.concatenate([J.real, J.imag], axis=1), 2)
