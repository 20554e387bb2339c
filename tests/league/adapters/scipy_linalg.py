"""scipy.linalg: expm, expm_frechet, polar, logm, and reflectors by LAPACK's orgqr."""

import numpy as np
import scipy.linalg


def expm(A):
    return scipy.linalg.expm(A)


def expm_frechet(A, E):
    if A.ndim > 2:
        raise NotImplementedError("one matrix")
    return scipy.linalg.expm_frechet(A, E, compute_expm=False)


def expm_vjp(A, G):
    return expm_frechet(np.conj(np.swapaxes(A, -1, -2)), G)


def polar(A):
    if A.ndim > 2:
        raise NotImplementedError("one matrix")
    return scipy.linalg.polar(A, side="right" if A.shape[0] >= A.shape[1] else "left")[0]
