"""A state machine that drives orthonorm and PyTorch through the same random programs.

After each step everything observable is compared: names, shapes, values and sharing of parameters and
buffers, keys of the state dict, `requires_grad`, modes, class names, repr, what optimisers remember,
and the types of errors.
"""
from .changing import Changing
from .loading import Loading
from .training import Training
from .using import Using


class Differential(Changing, Using, Loading, Training):
    """The pair of models, the pair of optimisers, and what can be done with them."""
