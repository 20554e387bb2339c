"""Modules, parameters and layers, under PyTorch's names."""
from . import functional, init, utils
from .activations import GELU, LeakyReLU, ReLU, Sigmoid, Softplus, Tanh
from .containers import ModuleDict, ModuleList, Sequential
from .convolution import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .layers import Bilinear, Embedding, Flatten, Identity, LayerNorm, Linear
from .module import Module
from .parameter import Parameter
from .recurrent import GRUCell, LSTMCell, RNN, RNNCell

__all__ = [
    "Bilinear", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d",
    "ConvTranspose3d", "Embedding", "Flatten", "GELU", "GRUCell", "Identity", "LSTMCell",
    "LayerNorm", "LeakyReLU", "Linear", "Module", "ModuleDict", "ModuleList", "Parameter",
    "RNN", "RNNCell", "ReLU", "Sequential", "Sigmoid", "Softplus", "Tanh", "functional", "init",
    "utils",
]
