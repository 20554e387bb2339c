"""Modules, parameters and layers, under PyTorch's names."""
from . import functional, utils
from .activations import ReLU, Tanh
from .containers import ModuleDict, ModuleList, Sequential
from .layers import Embedding, Identity, Linear
from .module import Module
from .parameter import Parameter

__all__ = [
    "Embedding", "Identity", "Linear", "Module", "ModuleDict", "ModuleList", "Parameter", "ReLU",
    "Sequential", "Tanh", "functional", "utils",
]
