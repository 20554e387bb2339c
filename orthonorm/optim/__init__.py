"""Optimisers: gradient descent with momentum, Adam, AdamW and Muon, as in PyTorch.

An optimiser is made from a module's ``named_parameters()`` and takes the gradients that
:func:`orthonorm.func.value_and_grad` returns. A step gives each :class:`~orthonorm.nn.Parameter` a new
array; the arrays that were read before keep their values. Complex parameters are treated as pairs of
real numbers. Orthogonal weights stay orthogonal, because what is trained is the unconstrained matrix
behind them:

>>> import autograd.numpy as np
>>> from orthonorm import nn
>>> from orthonorm.func import value_and_grad
>>> from orthonorm.nn.utils.parametrizations import orthogonal
>>> data = np.random.default_rng(0).standard_normal((100, 8))
>>> encoder = orthogonal(nn.Linear(8, 3, rng=0))
>>> def lost(x):  # in a 3-dimensional view of x
...     return np.mean((encoder(x) @ encoder.weight - x) ** 2)
>>> optimizer = Adam(encoder.named_parameters(), lr=0.01)
>>> for step in range(200):
...     value, gradients = value_and_grad(lost, encoder)(data)
...     optimizer.step(gradients)
>>> float(value.round(2))
0.49
>>> np.allclose(encoder.weight @ encoder.weight.T, np.eye(3), atol=1e-14)
True
"""
from .adam import Adam, AdamW
from .muon import Muon
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Muon", "Optimizer"]
