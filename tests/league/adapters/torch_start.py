"""torch: the weight with which `orthogonal` starts, an orthonormal factor of the present weight."""
import torch
from torch.nn.utils.parametrizations import orthogonal

from tests.league.with_torch import array, tensors


def orthonormalize(A):
    if not A.size:
        raise NotImplementedError("empty matrices")
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(*tensors(A))
    return array(orthogonal(layer).weight)
