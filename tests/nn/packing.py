"""Functions of several arrays as functions of one, for tests/differences.py."""
import math

import autograd.numpy as np

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
