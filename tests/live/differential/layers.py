"""The layers that are driven, their inputs, and losses of whole models."""
from types import SimpleNamespace

import autograd.numpy as anp
import numpy as np
import torch
from autograd import grad as autograd_grad

from orthonorm import func, nn

from .sides import OURS, THEIRS

# PyTorch's other layers, Bilinear among them, have no complex form, or no gradient of it.
COMPLEX = ("Linear 3x3", "Linear 4x2", "Linear 2x4", "Conv1d", "Conv2d, groups", "ConvTranspose1d",
           "ConvTranspose2d, groups", "Sequential", "Shared")
RECURRENT = "RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"


def branches(Module, ModuleList, Linear):
    """A model of somebody's own."""
    class Branches(Module):
        def __init__(self, **options):
            super().__init__()
            self.branches = ModuleList([Linear(2, 3, **options), Linear(2, 3, bias=False, **options)])

        def forward(self, x):
            return self.branches[0](x) * self.branches[1](x)
    return Branches


OWN = {side.name: branches(side.nn.Module, side.nn.ModuleList, side.nn.Linear)
       for side in (OURS, THEIRS)}


def sequential(side, **options):
    return side.nn.Sequential(side.nn.Linear(3, 2, **options), side.nn.Tanh(),
                              side.nn.Linear(2, 3, **options))


def shared(side, **options):
    layer = side.nn.Linear(3, 3, **options)
    return side.nn.Sequential(layer, side.nn.Tanh(), layer)


def nested(side, **options):
    return side.nn.Sequential(
        side.nn.Sequential(side.nn.Conv1d(1, 2, 2, **options), side.nn.LeakyReLU(0.1)),
        side.nn.Flatten(), side.nn.ModuleDict({"last": side.nn.Linear(4, 2, **options)})["last"])


# Each kind: how it is made, and the shapes of its inputs. The rows of a table are numbers.
LAYERS = {
    "Linear 3x3": (lambda side, **o: side.nn.Linear(3, 3, **o), (2, 3)),
    "Linear 4x2": (lambda side, **o: side.nn.Linear(2, 4, **o), (2, 2)),
    "Linear 2x4": (lambda side, **o: side.nn.Linear(4, 2, bias=False, **o), (2, 4)),
    "Conv1d": (lambda side, **o: side.nn.Conv1d(
        2, 3, 2, stride=2, padding=1, dilation=2, **o), (1, 2, 4)),
    "Conv2d": (lambda side, **o: side.nn.Conv2d(
        1, 2, 2, padding="same", padding_mode="circular", **o), (1, 1, 3, 3)),
    "Conv2d, groups": (lambda side, **o: side.nn.Conv2d(
        2, 4, (1, 2), groups=2, **o), (1, 2, 2, 3)),
    "Conv3d": (lambda side, **o: side.nn.Conv3d(1, 2, (1, 2, 1), bias=False, **o), (1, 1, 2, 2, 2)),
    "ConvTranspose1d": (lambda side, **o: side.nn.ConvTranspose1d(
        2, 3, 2, stride=2, output_padding=1, **o), (1, 2, 3)),
    "ConvTranspose2d, groups": (lambda side, **o: side.nn.ConvTranspose2d(
        2, 2, (2, 1), padding=(1, 0), groups=2, **o), (1, 2, 2, 2)),
    "Bilinear": (lambda side, **o: side.nn.Bilinear(2, 2, 3, **o), ((2, 2), (2, 2))),
    "LayerNorm": (lambda side, **o: side.nn.LayerNorm(3, **o), (2, 3)),
    "Embedding": (lambda side, **o: side.nn.Embedding(5, 2, padding_idx=1, **o), "rows"),
    "RNN": (lambda side, **o: side.nn.RNN(2, 3, **o), (3, 2, 2)),
    "LSTM": (lambda side, **o: side.nn.LSTM(2, 2, num_layers=2, batch_first=True, **o), (1, 3, 2)),
    "GRU": (lambda side, **o: side.nn.GRU(2, 2, bias=False, **o), (3, 2)),
    "RNNCell": (lambda side, **o: side.nn.RNNCell(2, 2, nonlinearity="relu", **o), (2, 2)),
    "LSTMCell": (lambda side, **o: side.nn.LSTMCell(2, 2, **o), (2, 2)),
    "GRUCell": (lambda side, **o: side.nn.GRUCell(2, 2, **o), (2,)),
    "Sequential": (sequential, (2, 3)),
    "Shared": (shared, (2, 3)),
    "Nested": (nested, (2, 1, 3)),
    "Branches": (lambda side, **o: OWN[side.name](**o), (2, 2)),
}


def inputs_of(kind, dtype, seed=0):
    """Return the inputs of a kind of layer, as arrays."""
    shapes = LAYERS[kind][1]
    if shapes == "rows":
        return [np.array([[0, 1, 4], [4, 4, seed % 5]])]
    shapes = shapes if isinstance(shapes[0], tuple) else (shapes,)
    rng = np.random.default_rng(seed)
    return [normal(rng, shape, dtype) for shape in shapes]


def normal(rng, shape, dtype):
    """Draw real or complex numbers of a dtype."""
    x = rng.standard_normal(shape)
    return (x + 1j * rng.standard_normal(shape) if dtype == "complex128" else x).astype(dtype)


def called(side, model, name, kind, dtype, seed=0):
    """Call a layer; PyTorch's recurrent ones read a weight twice, a known difference, but in cached."""
    inputs = [side.tensor(x) for x in inputs_of(kind, dtype, seed)]
    if kind in ("RNN", "LSTM", "GRU"):
        with side.parametrize.cached():
            return model[name](*inputs)
    return model[name](*inputs)


def arrays_in(outputs):
    if isinstance(outputs, tuple):
        for output in outputs:
            yield from arrays_in(output)
    else:
        yield outputs


NUMPY, TORCH = (SimpleNamespace(sum=lib.sum, sin=lib.sin, real=lib.real, imag=lib.imag)
                for lib in (anp, torch))


def loss(side, model, kinds, dtype):
    """A number that depends on every output of every layer."""
    lib = NUMPY if side is OURS else TORCH
    total = 0.0
    for name, kind in kinds.items():
        for y in arrays_in(called(side, model, name, kind, dtype)):
            total = total + lib.sum(lib.sin(lib.real(y) + 0.3))
            if dtype == "complex128":
                total = total + lib.sum(lib.sin(lib.imag(y) - 0.3))
    return total


def gradients(side, model, kinds, dtype):
    """Return the loss, and its gradient for each name of a parameter that wants one."""
    if side is OURS:
        value, found = func.value_and_grad(lambda: loss(side, model, kinds, dtype), model)()
        return np.asarray(value), found
    names, parameters = _wanted(model)
    value = loss(side, model, kinds, dtype)
    if not parameters:
        return value, {}
    found = torch.autograd.grad(value, parameters, allow_unused=True)
    return value, _zeros_for_none(names, parameters, found)


def second(side, model, kinds, dtype):
    """The gradient of |gradient|^2, ours both by autograd, through a dict of parameters."""
    if side is THEIRS:
        names, parameters = _wanted(model)
        first = torch.autograd.grad(loss(side, model, kinds, dtype), parameters, create_graph=True,
                                    allow_unused=True)
        squared = sum((torch.abs(g) ** 2).sum() for g in first if g is not None)
        return _zeros_for_none(names, parameters,
                               torch.autograd.grad(squared, parameters, allow_unused=True))

    values = {name: p.data for name, p in model.named_parameters() if p.requires_grad}

    def called_with(P):
        return func.functional_call(_Loss(model, kinds, dtype),
                                    {f"model.{name}": P[name] for name in P}, ())

    def squared(P):
        return sum(anp.sum(anp.real(g) ** 2 + anp.imag(g) ** 2)
                   for g in autograd_grad(called_with)(P).values())
    return {name: np.conj(g) for name, g in autograd_grad(squared)(values).items()}


class _Loss(nn.Module):
    def __init__(self, model, kinds, dtype):
        super().__init__()
        self.model, self.kinds, self.dtype = model, kinds, dtype

    def forward(self):
        return loss(OURS, self.model, self.kinds, self.dtype)


def _wanted(model):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    return [name for name, _ in named], [p for _, p in named]


def _zeros_for_none(names, parameters, found):
    return {name: torch.zeros_like(p) if g is None else g
            for name, p, g in zip(names, parameters, found)}
