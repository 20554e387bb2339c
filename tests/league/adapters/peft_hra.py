"""peft HRA: reflections by the columns of hra_u, without Gram-Schmidt; first k columns, with signs."""

import torch
from peft.tuners.hra.layer import HRALinear

from tests.league.with_torch import map_operations


class _Layer:
    def __init__(self, u):
        self.hra_r, self.hra_apply_GS, self.hra_u = {"": u.shape[1]}, {"": False}, {"": u}


def _householder(X):
    if X.is_complex() or X.ndim > 2 or not X.numel():
        raise NotImplementedError("one real matrix")
    if X.shape[0] < X.shape[1]:
        return _householder(X.mT).mT
    V = X.tril(-1) + torch.eye(*X.shape, dtype=X.dtype)
    signs = torch.copysign(torch.ones_like(X.diagonal()), X.diagonal())
    return HRALinear.get_delta_weight(_Layer(V), "")[:, : X.shape[1]] * signs


globals().update(map_operations("householder", _householder))
