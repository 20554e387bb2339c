"""geoopt: Stiefel.projx, the QR retraction from zero, the Cayley retraction from E; linalg.expm."""

import torch
from geoopt import CanonicalStiefel, EuclideanStiefel, linalg

from tests.league.with_torch import map_operations


def tall(f):
    def of_any_shape(A):
        if A.is_complex():
            raise NotImplementedError("real matrices")
        return f(A) if A.shape[-2] >= A.shape[-1] else f(A.mT).mT

    return of_any_shape


def _cayley(X):
    E = torch.eye(*X.shape[-2:], dtype=X.dtype).expand(X.shape)
    L, k = X.tril(), X.shape[-1]
    return CanonicalStiefel().retr(
        E, torch.cat([(L[..., :k, :] - L[..., :k, :].mT) / 2, L[..., k:, :]], dim=-2)
    )


globals().update(map_operations("cayley", tall(_cayley)))
globals().update(map_operations("polar", tall(EuclideanStiefel().projx)))
globals().update(
    map_operations("orthonormalize", tall(lambda A: EuclideanStiefel().retr(torch.zeros_like(A), A)))
)
globals().update(map_operations("expm", linalg.expm))
