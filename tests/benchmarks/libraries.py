"""The libraries behind two calls: read the weight, and read and differentiate it.

Every program is what a user writes: a module with one parameter ``weight``, the parametrization
registered on it with its defaults (so with the trivialization's base), ``original`` set to the
matrix of the cell; then ``layer.weight``, under ``no_grad`` in PyTorch, or the gradient of
``sum(C * layer.weight)``.
"""
import functools
from typing import Any, Callable

import autograd.numpy as np
import scipy.linalg
import torch
from torch.nn.utils import parametrizations as torch_parametrizations

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils import parametrizations

from . import jax_programs
from .cells import Cell, arrays

try:
    import geotorch
except ImportError:
    geotorch = None
try:
    from torch_householder import torch_householder_orgqr
except ImportError:
    torch_householder_orgqr = None

# PyTorch registers by a QR of an n x n matrix, which is never timed: beyond this size it gets a base.
LARGEST_REGISTRATION = 2048
ORIGINAL = "parametrizations.weight.original"


def orthonorm_program(cell: Cell) -> Callable[[], Any]:
    X, C = arrays(cell)
    module = nn.Module()
    module.weight = nn.Parameter(X)
    if cell.orthogonal:
        parametrizations.orthogonal(module, orthogonal_map=cell.map, rng=0)
        module.parametrizations.weight.original[...] = X
    else:
        parametrizations.spectral_norm(module, rng=0)
    if not cell.backward:
        return lambda: module.weight
    gradient = value_and_grad(lambda: np.sum(C * module.weight), module)
    return lambda: gradient()[1][ORIGINAL]


def pytorch_program(cell: Cell) -> Callable[[], Any]:
    X, C = map(torch.from_numpy, arrays(cell))
    module: Any = torch.nn.Module()
    module.weight = torch.nn.Parameter(X.clone())
    if not cell.orthogonal:
        torch_parametrizations.spectral_norm(module)
        return _torch_program(lambda: module.weight, module.parametrizations.weight.original, C, cell)
    given = cell.shape[-2] > LARGEST_REGISTRATION
    torch_parametrizations.orthogonal(module, orthogonal_map=cell.map, use_trivialization=not given)
    if given:
        module.parametrizations.weight[0].register_buffer("base", _some_orthogonal(X))
    original = module.parametrizations.weight.original
    original.data.copy_(X)
    return _torch_program(lambda: module.weight, original, C, cell)


def geotorch_program(cell: Cell) -> Callable[[], Any] | None:
    """Build geotorch's, which has the exponential and the Cayley map."""
    trivializations = {"matrix_exp": "expm", "cayley": "cayley"}
    if cell.map not in trivializations:
        return None
    X, C = map(torch.from_numpy, arrays(cell))
    module: Any = torch.nn.Module()
    module.weight = torch.nn.Parameter(torch.linalg.qr(X).Q)
    geotorch.orthogonal(module, "weight", triv=trivializations[cell.map])
    original = module.parametrizations.weight.original
    original.data.copy_(X)
    return _torch_program(lambda: module.weight, original, C, cell)


def torch_householder_program(cell: Cell) -> Callable[[], Any] | None:
    """Build torch-householder's, a function without a base."""
    if cell.map != "householder":
        return None
    X, C = map(torch.from_numpy, arrays(cell))
    original = X.clone().requires_grad_()
    identity = torch.eye(*cell.shape[-2:], dtype=X.dtype)
    return _torch_program(lambda: torch_householder_orgqr(original.tril(-1) + identity),
                          original, C, cell)


def scipy_program(cell: Cell) -> Callable[[], Any] | None:
    """Build scipy.linalg.expm of the n x n skew matrix: the yardstick of the forward exponential."""
    if cell.map != "matrix_exp" or cell.backward:
        return None
    X, _ = arrays(cell)
    n, k = X.shape[-2:]
    A = np.zeros(X.shape[:-1] + (n,), X.dtype)
    A[..., :k] = np.tril(X, -1)
    A -= np.swapaxes(A, -1, -2)
    return lambda: scipy.linalg.expm(A)


def _torch_program(weight: Callable[[], Any], original: Any, C: Any, cell: Cell) -> Callable[[], Any]:
    def read() -> Any:
        with torch.no_grad():
            return weight()

    def differentiate() -> Any:
        original.grad = None
        torch.sum(C * weight()).backward()
        return original.grad
    return differentiate if cell.backward else read


def _some_orthogonal(X: Any) -> Any:
    """Return an n x n orthogonal matrix without a QR of one: a reflection, of the columns of X."""
    V = torch.linalg.qr(X).Q
    base = (-2 * V) @ V.mT
    base.diagonal().add_(1)
    return base


PROGRAMS: dict[str, Callable[[Cell], Callable[[], Any] | None]] = {
    "orthonorm": orthonorm_program,
    "PyTorch": pytorch_program,
    "geotorch": geotorch_program,
    "torch-householder": torch_householder_program,
    "scipy.linalg.expm": scipy_program,
    **{name: functools.partial(jax_programs.program, name) for name in jax_programs.NAMES},
}
NOT_INSTALLED = [name for name, library in
                 [("geotorch", geotorch), ("torch-householder", torch_householder_orgqr)]
                 if library is None]
