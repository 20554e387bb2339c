"""PyTorch's orthogonal, spectral-norm and weight-norm parametrizations in NumPy.

The parts, each importing only those before it: :mod:`orthonorm.core` (the maps on arrays),
:mod:`orthonorm.gradients` (the same, differentiable by autograd), :mod:`orthonorm.nn` (modules and
parametrizations under PyTorch's names), :mod:`orthonorm.func` (gradients of losses),
:mod:`orthonorm.optim` (optimisers), :mod:`orthonorm.checkpoints` (files of weights),
:mod:`orthonorm.conformance` (questions with exact answers, and the judge of any implementation),
:mod:`orthonorm.equivalence` (the comparison with PyTorch). The last two are imported by their names.
"""
from . import checkpoints, core, func, gradients, nn, optim

__version__ = "0.1.0"

__all__ = ["checkpoints", "core", "func", "gradients", "nn", "optim"]
