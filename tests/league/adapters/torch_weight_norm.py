"""torch.nn.utils.parametrizations.weight_norm."""

import torch
from torch.nn.utils.parametrizations import weight_norm as register

from tests.league.with_torch import array, tensors


def parametrization(v, dim):
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.ones_like(v))
    return register(layer, "weight", dim).parametrizations.weight[0]


def weight_norm(g, v, dim):
    g, v = tensors(g, v)
    return array(parametrization(v, dim)(g, v))


def weight_norm_vjp(g, v, dim, G):
    g, v, G = (A.requires_grad_() for A in tensors(g, v, G))
    return tuple(map(array, torch.autograd.grad(parametrization(v, dim)(g, v), (g, v), G)))
