"""geomstats: Stiefel's projection, QR retraction and canonical exponential; the expm of its backend."""

import os

os.environ["GEOMSTATS_BACKEND"] = "numpy"
import geomstats.backend as gs  # noqa: E402
import numpy as np  # noqa: E402
from geomstats.geometry.stiefel import Stiefel  # noqa: E402


def _stiefel(f):
    def of_any_shape(A):
        if np.iscomplexobj(A) or not A.size:
            raise NotImplementedError("real matrices")
        if A.shape[-2] < A.shape[-1]:
            return np.swapaxes(of_any_shape(np.swapaxes(A, -1, -2)), -1, -2)
        return f(Stiefel(*A.shape[-2:]), A)

    return of_any_shape


def _exp(space, X):
    tangent = np.tril(X)
    tangent[..., : space.p, :] -= np.swapaxes(tangent[..., : space.p, :], -1, -2).copy()
    return space.metric.exp(tangent, np.eye(*X.shape[-2:], dtype=X.dtype))


polar = _stiefel(lambda space, A: space.projection(A))
orthonormalize = _stiefel(lambda space, A: space.metric.retraction(A, np.zeros_like(A)))
matrix_exp = _stiefel(_exp)
expm = gs.linalg.expm
