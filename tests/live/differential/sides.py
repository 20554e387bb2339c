"""The two libraries under one face: modules, parametrizations of the tests' own, arrays."""
import contextlib
from types import SimpleNamespace

import numpy as np
import torch

import orthonorm
from orthonorm import func, nn, optim
from orthonorm.nn.utils import parametrizations, parametrize

torch.set_num_threads(1)


def numpy_of(x):
    """Return a value of either library as an array."""
    if isinstance(x, torch.Tensor):
        return x.detach().resolve_conj().numpy()
    return np.asarray(orthonorm.gradients.stop_gradient(getattr(x, "data", x))
                      if isinstance(x, nn.Parameter) else x)


def own_parametrizations(Module, Parameter, array, to_float32):
    """The same classes for both libraries: what users write, and what goes wrong in it."""
    class Double(Module):
        def forward(self, X):
            return 2 * X

        def right_inverse(self, X):
            return X / 2

    class Shift(Module):
        def forward(self, X):
            return X + 1

    class Product(Module):
        def forward(self, a, b):
            return a * b

        def right_inverse(self, X):
            return X, X * 0 + 1

    class Scale(Module):
        def __init__(self):
            super().__init__()
            self.scale = Parameter(array(1.5))

        def forward(self, X):
            return self.scale * X

        def right_inverse(self, X):
            return X * 2

    class OneInAList(Module):
        def forward(self, X):
            return X * 3

        def right_inverse(self, X):
            return [X / 3]

    class FirstRow(Module):
        def forward(self, X):
            return X[:1]

    class NoInverseYet(Module):
        def forward(self, X):
            return X * 4

        def right_inverse(self, X):
            raise NotImplementedError

    class FailingForward(Module):
        def forward(self, X):
            raise ValueError("forward")

    class FailingInverse(Module):
        def forward(self, X):
            return X

        def right_inverse(self, X):
            raise ZeroDivisionError("right_inverse")

    class OtherDtype(Module):
        def forward(self, X):
            return to_float32(X)

    class NoArray(Module):
        def forward(self, X):
            return "text"

    class NoArrayBack(Module):
        def forward(self, X):
            return X

        def right_inverse(self, X):
            return "text"

    class OtherShapeBack(Module):
        def forward(self, X):
            return X

        def right_inverse(self, X):
            return X[:1]

    return {cls.__name__: cls for cls in (
        Double, Shift, Product, Scale, OneInAList, FirstRow, NoInverseYet, FailingForward,
        FailingInverse, OtherDtype, NoArray, NoArrayBack, OtherShapeBack)}


def _torch_tensor(x):
    return torch.tensor(np.array(x))


OURS = SimpleNamespace(
    name="orthonorm", nn=nn, parametrize=parametrize, maps=parametrizations, optim=optim,
    tensor=np.array, dtype=np.dtype, no_grad=contextlib.nullcontext,
    own=own_parametrizations(nn.Module, nn.Parameter, np.array, lambda X: (X * 1).astype(np.float32)),
    functional_call=func.functional_call)
THEIRS = SimpleNamespace(
    name="torch", nn=torch.nn, parametrize=torch.nn.utils.parametrize,
    maps=torch.nn.utils.parametrizations, optim=torch.optim,
    tensor=_torch_tensor, dtype=lambda name: getattr(torch, name), no_grad=torch.no_grad,
    own=own_parametrizations(torch.nn.Module, torch.nn.Parameter, _torch_tensor, lambda X: X.float()),
    functional_call=torch.func.functional_call)
SIDES = OURS, THEIRS
