"""orthogonium.reparametrizers: power iteration (on W^T: v first), and Cholesky for rows."""

import numpy as np
from orthogonium.reparametrizers import BatchedCholeskyOrthogonalization, BatchedPowerIteration

from tests.league.with_torch import array, map_operations, tensors


def power_iteration(W, u, v, n_power_iterations, eps):
    if W.dtype != np.float32 or not n_power_iterations:
        raise NotImplementedError("float32, at least one iteration")
    W, v = tensors(W, v)
    P = BatchedPowerIteration(W.mT.shape, eps=eps)
    P.u = v[:, None]
    P(W.mT, n_iters=n_power_iterations)
    return array(P.v)[:, 0], array(P.u)[:, 0]


def _orthonormalize(A):
    if A.is_complex() or A.ndim > 3:
        raise NotImplementedError("real matrices, at most one dimension of a stack")
    if A.shape[-2] >= A.shape[-1]:
        A = A.mT
        return BatchedCholeskyOrthogonalization(A.shape)(A.reshape(-1, *A.shape[-2:])).mT
    return BatchedCholeskyOrthogonalization(A.shape)(A.reshape(-1, *A.shape[-2:]))


globals().update(map_operations("orthonormalize", _orthonormalize))
