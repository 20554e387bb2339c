"""orthonorm and PyTorch behind the few operations that the programs need."""
import inspect
import warnings
from typing import Any, Callable

import autograd.numpy as np
from autograd import grad

from .. import nn, optim
from ..func import value_and_grad
from ..gradients import stop_gradient
from ..nn.utils import parametrizations, parametrize


class Orthonorm:
    """This package."""

    nn = nn
    optim = optim
    cached = staticmethod(parametrize.cached)
    orthogonal = staticmethod(parametrizations.orthogonal)
    spectral_norm = staticmethod(parametrizations.spectral_norm)
    weight_norm = staticmethod(parametrizations.weight_norm)

    def module(self, **arrays: Any) -> Any:
        """Make a module with the arrays as parameters."""
        module = nn.Module()
        for name, array in arrays.items():
            setattr(module, name, nn.Parameter(array.copy()))
        return module

    def load(self, module: Any, state: dict[str, Any]) -> None:
        """Set some entries of the state dict."""
        module.load_state_dict({**module.state_dict(), **state})

    def state(self, module: Any) -> dict[str, Any]:
        """Return the state dict as arrays."""
        return module.state_dict()

    def weight(self, module: Any) -> Any:
        """Read the weight once."""
        return np.array(module.weight)

    def layer(self, name: str, dtype: str, *arguments: Any, **options: Any) -> Any:
        """Make a layer of the nn package."""
        made = getattr(nn, name)
        if "dtype" in inspect.signature(made).parameters:  # activations have none
            options["dtype"] = dtype
        return made(*arguments, **options)

    def array(self, array: Any) -> Any:
        """Return an array as the library's functions take it."""
        return array

    def weight_and_gradients(self, module: Any, cotangent: Any) -> tuple[Any, dict[str, Any]]:
        """Read the weight once; differentiate Re tr(cotangent^H weight) by every parameter."""
        outputs, gradients = self.outputs_and_gradients(module, lambda: (module.weight,), cotangent)
        return outputs[0], gradients

    def outputs_and_gradients(self, module: Any, function: Callable,
                              cotangent: Any) -> tuple[list[Any], dict[str, Any]]:
        """Call a function once; differentiate Re sum(conj(cotangent) output) by every parameter.

        The cotangent is repeated, or cut, to the shape of each of the outputs.
        """
        read: list[Any] = []

        def loss() -> Any:
            outputs = function()
            read.extend(np.array(stop_gradient(y)) for y in outputs)
            return sum(np.sum(np.real(np.conj(np.resize(cotangent, y.shape)) * y)) for y in outputs)

        _, gradients = value_and_grad(loss, module)()
        return read, gradients

    def assign(self, module: Any, value: Any) -> str:
        """Assign to the weight; return the name of the error that it raises, or ""."""
        try:
            module.weight = value
        except Exception as error:
            return type(error).__name__
        return ""

    def remove(self, module: Any) -> None:
        """Remove the parametrizations of the weight, which keeps its value."""
        parametrize.remove_parametrizations(module, "weight")

    def dtype(self, name: str) -> Any:
        """Return the data type of that name."""
        return np.dtype(name).type

    def step(self, optimizer: Any, module: Any, gradients: dict[str, Any]) -> None:
        """Let the optimiser move the module's parameters that have a gradient."""
        optimizer.step(gradients)

    def minimize(self, optimizer: Any, loss: Any, module: Any, *args: Any) -> Any:
        """Make one step down the gradient of ``loss(*args)``; return the loss before it."""
        value, gradients = value_and_grad(loss, module)(*args)
        optimizer.step(gradients)
        return np.array(value)

    def gradients(self, module: Any, loss: Any) -> Any:
        """Return the gradient of a loss by every parameter, as the library has it."""
        return value_and_grad(loss, module)()[1]

    def input_gradients(self, function: Any, x: Any) -> Any:
        """Return the derivative of the sum of ``function(x)`` by x, itself differentiable."""
        return grad(lambda x: function(x).sum())(x)


class PyTorch:
    """PyTorch, which must be installed, on one of its devices."""

    def __init__(self, device: str = "cpu") -> None:
        import torch
        from torch.nn.utils import parametrizations, parametrize
        self._torch = torch
        self._device = device
        if device != "cpu":
            try:
                torch.empty(0, device=device)
            except (AssertionError, RuntimeError) as error:
                raise RuntimeError(f"PyTorch has no device {device!r} here: {error}") from error
            torch.set_default_device(device)
        # It warns of its own cost, for kernels of even length.
        warnings.filterwarnings("ignore", message="Using padding='same'")
        self._parametrize = parametrize
        self.nn, self.optim, self.cached = torch.nn, torch.optim, parametrize.cached
        self.version = torch.__version__.partition("+")[0]
        self.orthogonal = parametrizations.orthogonal
        self.spectral_norm = parametrizations.spectral_norm
        self.weight_norm = parametrizations.weight_norm

    def _tensor(self, array: Any) -> Any:
        return self._torch.from_numpy(np.array(array, order="C")).to(self._device)

    def module(self, **arrays: Any) -> Any:
        """Make a module with the arrays as parameters."""
        module = self._torch.nn.Module()
        for name, array in arrays.items():
            setattr(module, name, self._torch.nn.Parameter(self._tensor(array)))
        return module

    def load(self, module: Any, state: dict[str, Any]) -> None:
        """Set some entries of the state dict."""
        given = {key: self._tensor(value) for key, value in state.items()}
        module.load_state_dict({**module.state_dict(), **given})

    def state(self, module: Any) -> dict[str, Any]:
        """Return the state dict as arrays."""
        return {key: value.numpy(force=True).copy() for key, value in module.state_dict().items()}

    def weight(self, module: Any) -> Any:
        """Read the weight once."""
        return module.weight.numpy(force=True).copy()

    def layer(self, name: str, dtype: str, *arguments: Any, **options: Any) -> Any:
        """Make a layer of the nn package."""
        made = getattr(self.nn, name)
        return made(*arguments, **options).to(getattr(self._torch, dtype))

    def array(self, array: Any) -> Any:
        """Return an array as the library's functions take it."""
        return self._tensor(array)

    def weight_and_gradients(self, module: Any, cotangent: Any) -> tuple[Any, dict[str, Any]]:
        """Read the weight once; differentiate Re tr(cotangent^H weight) by every parameter."""
        outputs, gradients = self.outputs_and_gradients(module, lambda: (module.weight,), cotangent)
        return outputs[0], gradients

    def outputs_and_gradients(self, module: Any, function: Callable,
                              cotangent: Any) -> tuple[list[Any], dict[str, Any]]:
        """Call a function once; differentiate Re sum(conj(cotangent) output) by every parameter.

        The cotangent is repeated, or cut, to the shape of each of the outputs.
        """
        module.zero_grad()
        outputs = function()
        cotangents = [self._tensor(np.resize(cotangent, y.shape)) for y in outputs]
        self._torch.autograd.backward(outputs, cotangents)
        gradients = {name: parameter.grad.numpy(force=True).copy()
                     for name, parameter in module.named_parameters()}
        return [y.numpy(force=True).copy() for y in outputs], gradients

    def assign(self, module: Any, value: Any) -> str:
        """Assign to the weight; return the name of the error that it raises, or ""."""
        try:
            module.weight = self._tensor(value)
        except Exception as error:
            return type(error).__name__
        return ""

    def remove(self, module: Any) -> None:
        """Remove the parametrizations of the weight, which keeps its value."""
        self._parametrize.remove_parametrizations(module, "weight")

    def seed(self, seed: int) -> None:
        """Seed what modules start from."""
        self._torch.manual_seed(seed)

    def dtype(self, name: str) -> Any:
        """Return the data type of that name."""
        return getattr(self._torch, name)

    def step(self, optimizer: Any, module: Any, gradients: dict[str, Any]) -> None:
        """Let the optimiser move the module's parameters that have a gradient."""
        for name, parameter in module.named_parameters():
            parameter.grad = self._tensor(gradients[name]) if name in gradients else None
        optimizer.step()

    def minimize(self, optimizer: Any, loss: Any, module: Any, *args: Any) -> Any:
        """Make one step down the gradient of ``loss(*args)``; return the loss before it."""
        optimizer.zero_grad()
        value = loss(*args)
        value.backward()
        optimizer.step()
        return value.numpy(force=True).copy()

    def gradients(self, module: Any, loss: Any) -> Any:
        """Return the gradient of a loss by every parameter, as the library has it."""
        module.zero_grad()
        loss().backward()
        return {name: parameter.grad for name, parameter in module.named_parameters()}

    def input_gradients(self, function: Any, x: Any) -> Any:
        """Return the derivative of the sum of ``function(x)`` by x, itself differentiable."""
        x = x.detach().requires_grad_()
        return self._torch.autograd.grad(function(x).sum(), x, create_graph=True)[0]
