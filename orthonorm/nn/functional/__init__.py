"""Stateless layers and losses: functions of arrays that autograd differentiates."""
from .activations import gelu, leaky_relu, relu, sigmoid, softplus, tanh
from .convolution import (
    conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d,
)
from .linear import bilinear, embedding, layer_norm, linear
from .losses import binary_cross_entropy_with_logits, cross_entropy, mse_loss
from .softmax import log_softmax, softmax

__all__ = [
    "bilinear", "binary_cross_entropy_with_logits", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cross_entropy", "embedding", "gelu", "layer_norm",
    "leaky_relu", "linear", "log_softmax", "mse_loss", "relu", "sigmoid", "softmax", "softplus", "tanh",
]
