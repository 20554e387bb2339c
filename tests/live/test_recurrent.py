"""Parametrized weights of RNN, LSTM and GRU: spectral_norm in training mode, and removals.

A power iteration goes with each reading of the weight. PyTorch reads each weight twice a call, but once
in all under `cached()`; this package reads it once a call.
"""
from contextlib import nullcontext

import autograd.numpy as np
import pytest
import torch

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import spectral_norm

CALLS = 3
kinds = pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])


class Counted(torch.nn.Module):
    readings = 0

    def forward(self, weight):
        self.readings += 1
        return weight


def doubled(Module):
    class Doubled(Module):
        def forward(self, weight):
            return 2 * weight

        def right_inverse(self, weight):
            return weight / 2
    return Doubled()


@kinds
def test_pytorch_reads_each_weight_twice_a_call(kind):
    rnn = getattr(torch.nn, kind)(3, 4, num_layers=2)
    counted = [Counted(), Counted()]
    for layer, each in enumerate(counted):
        torch.nn.utils.parametrize.register_parametrization(rnn, f"weight_hh_l{layer}", each)
    for context, readings in ((nullcontext(), 2), (torch.nn.utils.parametrize.cached(), 1)):
        for each in counted:
            each.readings = 0
        with context:
            rnn(torch.ones(5, 2, 3))
        assert [each.readings for each in counted] == [readings, readings]


def answers_of_pytorch(rnn, x, C, context):
    with context:
        loss = sum((torch.tensor(C) * rnn(torch.tensor(x))[0]).sum() for _ in range(CALLS))
        loss.backward()
    return (loss.item(), {name: p.grad.numpy() for name, p in rnn.named_parameters()},
            {key: a.numpy() for key, a in rnn.state_dict().items()})


def our_answers(rnn, x, C, context):
    def loss():
        with context:
            return sum(np.sum(C * rnn(x)[0]) for _ in range(CALLS))

    value, gradients = value_and_grad(loss, rnn)()
    return value, gradients, rnn.state_dict()


def largest_difference(ours, theirs):
    assert ours.keys() == theirs.keys()
    return max(np.abs(ours[key] - theirs[key]).max() / np.abs(theirs[key]).max() for key in theirs)


@kinds
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cached", [True, False])
def test_equal_under_cached_and_only_near_otherwise(kind, num_layers, cached):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x, C = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 4))
    theirs = getattr(torch.nn, kind)(3, 4, num_layers=num_layers).double()
    ours = getattr(nn, kind)(3, 4, num_layers=num_layers, rng=0)
    for layer in range(num_layers):
        torch.nn.utils.parametrizations.spectral_norm(theirs, f"weight_hh_l{layer}")
        spectral_norm(ours, f"weight_hh_l{layer}", rng=0)
    ours.load_state_dict(theirs.state_dict())

    contexts = (torch.nn.utils.parametrize.cached(), parametrize.cached()) if cached else (
        nullcontext(), nullcontext())
    value, gradients, state = answers_of_pytorch(theirs, x, C, contexts[0])
    our_value, our_gradients, our_state = our_answers(ours, x, C, contexts[1])
    off = (abs(our_value / value - 1), largest_difference(our_gradients, gradients),
           largest_difference(our_state, state))
    if cached:
        assert max(off) <= 1e-12
    else:
        assert 1e-9 < off[1] < 0.01 and off[2] > 1e-9


@kinds
def test_after_the_removal_pytorch_computes_with_the_assigned_value_and_ours_with_the_parameter(kind):
    """With what doubles a weight: the value assigned is twice the parameter that is left."""
    theirs, ours = getattr(torch.nn, kind)(3, 4).double(), getattr(nn, kind)(3, 4)
    ours.load_state_dict(theirs.state_dict())
    assigned = np.arange(theirs.weight_hh_l0.numel()).reshape(theirs.weight_hh_l0.shape) / 20
    for utils, rnn, double, value in (
            (torch.nn.utils.parametrize, theirs, doubled(torch.nn.Module), torch.tensor(assigned)),
            (parametrize, ours, doubled(nn.Module), assigned)):
        utils.register_parametrization(rnn, "weight_hh_l0", double)
        rnn.weight_hh_l0 = value
        utils.remove_parametrizations(rnn, "weight_hh_l0", leave_parametrized=False)
    x = np.linspace(-1, 1, 15).reshape(5, 1, 3)
    assert np.array_equal(theirs.weight_hh_l0.detach().numpy(), assigned / 2)
    assert np.array_equal(ours.weight_hh_l0, assigned / 2)

    fresh = getattr(torch.nn, kind)(3, 4).double()
    fresh.load_state_dict(theirs.state_dict())
    expected = fresh(torch.tensor(x))[0].detach().numpy()
    assert np.abs(ours(x)[0] - expected).max() < 1e-12
    assert np.abs(theirs(torch.tensor(x))[0].detach().numpy() - expected).max() > 1e-3
    fresh.load_state_dict({**theirs.state_dict(), "weight_hh_l0": torch.tensor(assigned)})
    assert torch.equal(theirs(torch.tensor(x))[0], fresh(torch.tensor(x))[0])
