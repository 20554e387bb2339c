"""torch.nn.utils.parametrizations.orthogonal, with and without dynamic trivialization."""

import torch
from torch.nn.utils.parametrizations import orthogonal

from tests.league.with_torch import base_operations, map_operations


def parametrization(X, orthogonal_map, use_trivialization):
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.eye(*X.shape[-2:], dtype=X.dtype).expand(X.shape).clone())
    return orthogonal(
        layer, "weight", orthogonal_map, use_trivialization=use_trivialization
    ).parametrizations.weight[0]


def with_base(base, X, orthogonal_map):
    P = parametrization(X, orthogonal_map, True)
    P.base = base
    return P(X)


for _map in "matrix_exp", "cayley", "householder":
    globals().update(map_operations(_map, lambda X, m=_map: parametrization(X, m, False)(X)))
    globals().update(base_operations(_map, lambda base, X, m=_map: with_base(base, X, m)))
