"""torch_householder: the first k columns of a product of reflectors, given by their vectors."""

import torch
from torch_householder import torch_householder_orgqr

from tests.league.with_torch import map_operations


def _householder(X):
    if X.is_complex() or X.ndim > 3:
        raise NotImplementedError("real matrices, at most one dimension of a stack")
    if X.shape[-2] < X.shape[-1]:
        return _householder(X.mT).mT
    V = X.tril(-1) + torch.eye(*X.shape[-2:], dtype=X.dtype)
    signs = torch.copysign(torch.ones(()), torch.diagonal(X, dim1=-2, dim2=-1)).to(X.dtype)
    return torch_householder_orgqr(V) * signs.unsqueeze(-2)


globals().update(map_operations("householder", _householder))
