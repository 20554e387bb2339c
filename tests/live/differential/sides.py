"""The two libraries under one face: modules, parametrizations of the tests' own, arrays."""
from types import SimpleNamespace

import autograd.numpy as anp
import numpy as np
import torch
from autograd import grad as autograd_grad

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


def torch_array(x, dtype=torch.float64):
    return torch.tensor(np.array(x), dtype=dtype)


OURS = SimpleNamespace(
    name="orthonorm", nn=nn, parametrize=parametrize, maps=parametrizations, optim=optim,
    array=np.array, no_grad=lambda: _Nothing(),
    own=own_parametrizations(nn.Module, nn.Parameter, np.array, lambda X: (X * 1).astype(np.float32)),
    functional_call=func.functional_call)
THEIRS = SimpleNamespace(
    name="torch", nn=torch.nn, parametrize=torch.nn.utils.parametrize,
    maps=torch.nn.utils.parametrizations, optim=torch.optim,
    array=torch_array, no_grad=torch.no_grad,
    own=own_parametrizations(torch.nn.Module, torch.nn.Parameter, torch_array, lambda X: X.float()),
    functional_call=torch.func.functional_call)


class _Nothing:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


LAYERS = {
    "Linear 3x3": (lambda side, dtype: side.nn.Linear(3, 3, dtype=dtype), (2, 3)),
    "Linear 4x2": (lambda side, dtype: side.nn.Linear(2, 4, dtype=dtype), (2, 2)),
    "Linear 2x4": (lambda side, dtype: side.nn.Linear(4, 2, bias=False, dtype=dtype), (2, 4)),
    "Conv1d": (lambda side, dtype: side.nn.Conv1d(2, 3, 2, dtype=dtype), (1, 2, 4)),
    "Conv2d": (lambda side, dtype: side.nn.Conv2d(1, 2, 2, dtype=dtype), (1, 1, 3, 3)),
    "ConvTranspose1d": (lambda side, dtype: side.nn.ConvTranspose1d(2, 3, 2, dtype=dtype), (1, 2, 3)),
    "Bilinear": (lambda side, dtype: side.nn.Bilinear(2, 2, 3, dtype=dtype), ((2, 2), (2, 2))),
    "LayerNorm": (lambda side, dtype: side.nn.LayerNorm(3, dtype=dtype), (2, 3)),
}


def inputs_of(kind, seed=0):
    """Return the inputs of a kind of layer, as arrays."""
    shapes = LAYERS[kind][1]
    shapes = shapes if isinstance(shapes[0], tuple) else (shapes,)
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def ours_loss(model, kinds):
    total = 0.0
    for name, kind in kinds.items():
        total = total + anp.sum(anp.sin(model[name](*inputs_of(kind)) + 0.3))
    return total


def theirs_loss(model, kinds):
    total = torch.zeros((), dtype=torch.float64)
    for name, kind in kinds.items():
        total = total + torch.sum(torch.sin(model[name](*map(torch_array, inputs_of(kind))) + 0.3))
    return total


def ours_gradients(model, kinds):
    value, gradients = func.value_and_grad(lambda: ours_loss(model, kinds), model)()
    return float(value), gradients


def theirs_gradients(model, kinds):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    value = theirs_loss(model, kinds)
    if not named:
        return float(value), {}
    gradients = torch.autograd.grad(value, [p for _, p in named], allow_unused=True)
    return float(value), {name: torch.zeros_like(p) if g is None else g
                          for (name, p), g in zip(named, gradients)}


def ours_second(model, kinds):
    """The gradient of |gradient|^2, both by autograd, through a dict of parameters."""
    values = {name: p.data for name, p in model.named_parameters() if p.requires_grad}

    def loss(P):
        with_values = _Called(model, kinds)
        return func.functional_call(with_values, {f"model.{name}": P[name] for name in P}, ())

    def squared(P):
        return sum(anp.sum(g ** 2) for g in autograd_grad(loss)(P).values())
    return autograd_grad(squared)(values)


class _Called(nn.Module):
    def __init__(self, model, kinds):
        super().__init__()
        self.model, self.kinds = model, kinds

    def forward(self):
        return ours_loss(self.model, self.kinds)


def theirs_second(model, kinds):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    ps = [p for _, p in named]
    gradients = torch.autograd.grad(theirs_loss(model, kinds), ps, create_graph=True, allow_unused=True)
    squared = sum((g ** 2).sum() for g in gradients if g is not None)
    second = torch.autograd.grad(squared, ps, allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named, second)}
