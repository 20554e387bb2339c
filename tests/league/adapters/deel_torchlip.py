"""deel.torchlip.normalizers.bjorck_normalization of A / |A|, iterated to the last digit."""

import torch
from deel.torchlip.normalizers import bjorck_normalization

from tests.league.with_torch import map_operations


def _polar(A):
    if A.is_complex() or A.ndim > 2:
        raise NotImplementedError("one real matrix")
    return bjorck_normalization(A / torch.linalg.matrix_norm(A, 2), eps=0, maxiter=200)


globals().update({"polar": map_operations("polar", _polar)["polar"]})
