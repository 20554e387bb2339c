"""geotorch.Stiefel (SO where square): base @ exp(A) or base @ cayley(A), A from the lower triangle."""

import torch
import geotorch.stiefel

from tests.league.with_torch import base_operations, map_operations


def with_base(base, X, triv):
    if X.is_complex():
        raise NotImplementedError("real matrices")
    manifold = geotorch.stiefel.Stiefel(X.shape, triv)
    manifold.base = base
    return manifold(X)


def without_base(X, triv):
    return with_base(torch.eye(max(X.shape[-2:]), dtype=X.dtype), X, triv)


for _map, _triv in ("matrix_exp", "expm"), ("cayley", "cayley"):
    globals().update(map_operations(_map, lambda X, t=_triv: without_base(X, t)))
    globals().update(base_operations(_map, lambda base, X, t=_triv: with_base(base, X, t)))
