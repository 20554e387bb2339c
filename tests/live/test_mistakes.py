"""PyTorch's own modules and tensors, given to this package, get an error that says what to do."""
import numpy as np
import pytest
import torch

from orthonorm import core, gradients, nn
from orthonorm.nn import functional
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

TENSORS = {
    "plain": torch.ones(2, 2), "requires_grad": torch.ones(2, 2, requires_grad=True),
    "bfloat16": torch.ones(2, 2, dtype=torch.bfloat16), "Parameter": torch.nn.Parameter(torch.ones(2)),
}
every = pytest.mark.parametrize("tensor", TENSORS.values(), ids=TENSORS)
refused = pytest.mark.parametrize("tensor", list(TENSORS.values())[1:], ids=list(TENSORS)[1:])


@pytest.mark.parametrize("register", [orthogonal, spectral_norm, weight_norm])
def test_modules(register):
    with pytest.raises(TypeError, match=r"got PyTorch's Linear \(use orthonorm.nn.Linear\)"):
        register(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="PyTorch's Linear"):
        nn.Sequential(torch.nn.Linear(2, 2))


@every
@pytest.mark.parametrize("call", [nn.Linear(2, 2), nn.Tanh(), functional.relu])
def test_tensors_for_layers(call, tensor):
    with pytest.raises(TypeError, match=r"got a torch.\w+: pass tensor.detach\(\).cpu\(\).numpy\(\)"):
        call(tensor)


@refused
@pytest.mark.parametrize("call", [core.cayley, gradients.matrix_exp, nn.Parameter])
def test_tensors_that_are_no_arrays(call, tensor):
    with pytest.raises(TypeError, match=r"x.detach\(\).cpu\(\).numpy\(\), after .float"):
        call(tensor)


@refused
def test_tensors_in_a_state_dict(tensor):
    with pytest.raises(RuntimeError, match=r"(?s)weight cannot be converted.*x.detach\(\)"):
        nn.Linear(2, 2).load_state_dict({"weight": tensor, "bias": np.ones(2)})


def test_plain_tensors_are_arrays():
    assert np.array_equal(core.cayley(torch.zeros(2, 2)), np.eye(2))
    layer = nn.Linear(2, 2, dtype=np.float32)
    layer.load_state_dict(torch.nn.Linear(2, 2).state_dict())
