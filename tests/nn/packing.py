"""Functions of several arrays: as functions of one, for tests/differences.py; and their gradients."""
import math

import autograd.numpy as np
from autograd import make_vjp

from tests.helpers import sample


def packed(function, *shapes):
    """Make a function of one long array, which is cut into arrays of the given shapes."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]

    def of_one(X):
        return function(*(np.reshape(part, shape)
                          for part, shape in zip(np.split(X, [int(end) for end in ends]), shapes)))
    return of_one


def point(*shapes, dtype=np.float64, seed=0, scale=1.0):
    return sample((sum(map(math.prod, shapes)),), dtype, seed, scale)


def gradients(function, arrays, cotangent):
    """Return the function's value, and the gradient of each argument as autograd leaves it.

    One at a time: the gradient of a tuple is collected in arrays of the right dtype, which would hide
    a wrong one.
    """
    pulled = [make_vjp(function, i)(*arrays) for i in range(len(arrays))]
    return pulled[0][1], [vjp(cotangent) for vjp, _ in pulled]
