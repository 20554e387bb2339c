"""Optimisers: gradient descent with momentum, Adam, AdamW and Muon, as in PyTorch.

An optimiser is made from a module's ``named_parameters()`` and takes the gradients that
:func:`orthonorm.func.value_and_grad` returns. A step gives each :class:`~orthonorm.nn.Parameter` a new
array; the arrays that were read before keep their values. Complex parameters are treated as pairs of
real numbers.
"""
from .adam import Adam, AdamW
from .muon import Muon
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Muon", "Optimizer"]
