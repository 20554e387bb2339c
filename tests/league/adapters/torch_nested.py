"""torch: second derivatives by forward mode over forward mode, one entry of the answer at a time."""
import torch

from tests.league.adapters.torch_orthogonal import parametrization
from tests.league.with_torch import array, tensors


def hvp(f, X, G, dX):
    """Return <G, D^2 f(X)[dX, E]> for each direction E of a real X."""
    X, G, dX = tensors(X, G, dX)
    if X.is_complex() or X.ndim > 2:
        raise NotImplementedError("one real matrix")

    def along(direction):
        def first(X):
            return torch.func.jvp(f, (X,), (dX,))[1]
        return torch.sum(G * torch.func.jvp(first, (X,), (direction.reshape(X.shape),))[1])

    return array(torch.stack([along(E) for E in torch.eye(X.numel(), dtype=X.dtype)]).reshape(X.shape))


for _map in "matrix_exp", "cayley", "householder":
    globals()[f"{_map}_hvp"] = lambda X, G, dX, m=_map: hvp(
        parametrization(torch.as_tensor(X), m, False), X, G, dX)
