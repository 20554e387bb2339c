"""pymanopt: the retractions of Stiefel from zero, the exponential of SO(n), multiexpm."""

import numpy as np
from pymanopt.manifolds import SpecialOrthogonalGroup, Stiefel
from pymanopt.tools.multi import multiexpm


def _retraction(A, name):
    if np.iscomplexobj(A) or A.ndim > 3 or not A.size:
        raise NotImplementedError("real matrices, at most one dimension of a stack")
    if A.shape[-2] < A.shape[-1]:
        return np.swapaxes(_retraction(np.swapaxes(A, -1, -2), name), -1, -2)
    return Stiefel(*A.shape[-2:], k=len(A) if A.ndim == 3 else 1, retraction=name).retraction(
        np.zeros_like(A), A
    )


def polar(A):
    return _retraction(A, "polar")


def orthonormalize(A):
    return _retraction(A, "qr")


def matrix_exp_with_base(base, X):
    if np.iscomplexobj(X) or X.shape[-2] != X.shape[-1] or X.ndim > 2:
        raise NotImplementedError("one real square matrix")
    return SpecialOrthogonalGroup(len(X)).exp(base, np.tril(X) - np.tril(X).T)


expm = multiexpm
