"""torch.nn.utils.parametrizations.spectral_norm."""

import torch
from torch.nn.utils.parametrizations import spectral_norm

from tests.league.with_torch import array, tensors, vjp


def parametrization(W, u, v, **options):
    layer = torch.nn.Module()
    layer.weight = torch.nn.Parameter(torch.ones_like(W))
    P = spectral_norm(layer, **options).parametrizations.weight[0].eval()
    P._u, P._v = u, v
    return P


def power_iteration(W, u, v, n_power_iterations, eps):
    W, u, v = tensors(W, u, v)
    P = parametrization(W, u, v, n_power_iterations=max(n_power_iterations, 1), eps=eps).train(
        n_power_iterations > 0
    )
    P(W)
    return array(P._u), array(P._v)


def spectral_normalize(W, u, v):
    return array(parametrization(*tensors(W, u, v))(*tensors(W)))


def spectral_normalize_vjp(W, u, v, G):
    return vjp(parametrization(*tensors(W, u, v)), W, G)
