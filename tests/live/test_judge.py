"""What PyTorch and JAX return can be judged as it is."""
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from orthonorm.conformance import judge
from orthonorm.core import definitions

RETURNED = {
    "a tensor that requires a gradient": lambda Q: torch.from_numpy(Q).requires_grad_() * 1,
    "a conjugate view": lambda Q: torch.from_numpy(Q.conj()).conj(),
    "a negated view": lambda Q: torch._neg_view(torch.from_numpy(-Q)),
    "an array of JAX": jnp.asarray,
}


@pytest.mark.parametrize("name", RETURNED)
@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_arrays_of_other_libraries(name, dtype):
    report = judge({"cayley": lambda X: RETURNED[name](definitions.cayley(X))}, "cayley", dtype)
    assert report.passed, report


def test_a_parameter_that_is_moved_in_place_is_noticed():
    """torch.from_numpy shares memory: what moves the tensor writes to the argument."""
    def power_iteration(W, u, v, iterations, eps):
        tensors = torch.from_numpy(u), torch.from_numpy(v)
        for tensor, x in zip(tensors, definitions.power_iteration(W, u, v, iterations, eps)):
            tensor.copy_(torch.from_numpy(np.array(x)))
        return tensors

    report = judge({"power_iteration": power_iteration}, dtype="float64")
    assert {v.message for v in report.failures} >= {"writes to its argument u, v"}
