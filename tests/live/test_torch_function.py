"""The PyTorch example of notebooks/frameworks.rst, against PyTorch's own Cayley parametrization."""
import numpy as np
import pytest
import torch
from torch.nn.utils import parametrizations

from orthonorm import core
from tests.helpers import sample

from .examples import run

EXAMPLE = run("PyTorch")
cayley = EXAMPLE["cayley"]

shapes = pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (2, 5, 3), (1, 1), (5, 1)], ids=str)
dtypes = pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
every_dtype = pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128], ids=str)


class Holder(torch.nn.Module):
    def __init__(self, X):
        super().__init__()
        self.weight = torch.nn.Parameter(X)


def tensor(shape, dtype, seed=0):
    X = sample(shape, np.complex128 if dtype.is_complex else np.float64, seed)
    return torch.from_numpy(X).to(dtype)


def weight_and_gradient(module, cotangent):
    """Both for the loss Re sum(conj(cotangent) weight)."""
    weight = module.weight
    torch.sum(cotangent.conj() * weight).real.backward()
    return weight.detach(), module.parametrizations.weight.original.grad


@shapes
@every_dtype
def test_values_and_gradients_are_those_of_pytorch(shape, dtype):
    X, cotangent = tensor(shape, dtype), tensor(shape, dtype, seed=1)
    ours, theirs = Holder(X.clone()), Holder(X.clone())
    torch.nn.utils.parametrize.register_parametrization(ours, "weight", EXAMPLE["Orthogonal"]())
    parametrizations.orthogonal(theirs, "weight", "cayley", use_trivialization=False)
    mine, expected = (weight_and_gradient(module, cotangent) for module in (ours, theirs))
    torch.testing.assert_close(mine, expected)  # dtypes too


@shapes
@dtypes
def test_gradcheck(shape, dtype):
    assert torch.autograd.gradcheck(cayley, tensor(shape, dtype).requires_grad_())


def test_gradients_that_are_lazily_conjugated_or_expanded():
    X = tensor((4, 3), torch.complex128).requires_grad_()
    Q = cayley(X)
    cotangent = tensor((4, 3), torch.complex128)
    lazy, = torch.autograd.grad(Q, X, cotangent.conj(), retain_graph=True)
    plain, = torch.autograd.grad(Q, X, cotangent.conj().resolve_conj(), retain_graph=True)
    torch.testing.assert_close(lazy, plain, rtol=0, atol=0)
    one = torch.ones(1, 1, dtype=X.dtype)
    expanded, = torch.autograd.grad(Q, X, one.expand(4, 3), retain_graph=True)
    dense, = torch.autograd.grad(Q, X, torch.ones_like(X))
    torch.testing.assert_close(expanded, dense, rtol=1e-14, atol=1e-14)


@dtypes
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
def test_gradgradcheck(shape, dtype):
    assert torch.autograd.gradgradcheck(cayley, tensor(shape, dtype).requires_grad_())


def test_three_derivatives_of_a_rotation():
    """The first column of the Cayley map of [0; x] is a sine, y = x / (1 + x^2 / 4), below a cosine."""
    x = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    mine = cayley(torch.stack([torch.zeros_like(x), x])[:, None])[1, 0]
    expected = x / (1 + x ** 2 / 4)
    for _ in range(3):
        mine, = torch.autograd.grad(mine, x, create_graph=True)
        expected, = torch.autograd.grad(expected, x, create_graph=True)
        torch.testing.assert_close(mine, expected, rtol=1e-13, atol=0)


def test_the_layer_of_the_example_is_orthogonal():
    layer = EXAMPLE["layer"]
    W = layer.weight
    torch.testing.assert_close(W.T @ W, torch.eye(64, dtype=torch.float64), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(
        W.detach().numpy(), core.cayley(layer.parametrizations.weight.original.detach().numpy()))
