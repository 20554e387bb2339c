"""Cells: single steps of recurrent layers."""
import math
from typing import Any

import autograd.numpy as np

from . import init
from .functional import recurrence
from .functional.arrays import as_size, to_common_dtype
from .module import Module
from .parameter import Parameter


class _Cell(Module):
    """One step; the subclasses say how many gates there are, whose weights are stacked."""

    gates: int

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, dtype: Any = np.float64,
                 rng: Any = None):
        super().__init__()
        self.input_size = as_size("input_size", input_size)
        self.hidden_size = as_size("hidden_size", hidden_size)
        self.bias = bias
        rng = np.random.default_rng(rng)
        register_weights(self, "", input_size, hidden_size, self.gates, bias, dtype, rng)

    def _check(self, input: Any, *states: Any) -> None:
        if input.ndim not in (1, 2):
            raise ValueError(f"input must have shape (N, {self.input_size}) or ({self.input_size},), "
                             f"got {input.shape}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input must have {self.input_size} entries in its last dimension, "
                               f"got shape {input.shape}")
        for state in states:
            if state.ndim not in (1, 2):
                raise ValueError(f"hx must have one or two dimensions, got shape {state.shape}")
            check_state(state, (*input.shape[:-1], self.hidden_size))

    def _run(self, net: Any, input: Any, *states: Any) -> list:
        """Return the next states: a sequence of one time."""
        single = input.ndim == 1
        arrays = arrays_of_step(self, "", np.reshape(input, (1, *(single * (1,)), *input.shape)),
                                *(np.reshape(state, (1, -1)) if single else state for state in states))
        values = recurrence.run(net, *arrays)
        return [recurrence.part(values, (i, 0) if single else i) for i in range(len(states))]

    def _zeros(self, input: Any) -> Any:
        return np.zeros((*input.shape[:-1], self.hidden_size), input.dtype)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    r"""Apply :math:`h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})`.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of x and h.
    bias : bool
        Whether there are b's.
    nonlinearity : {"tanh", "relu"}
    dtype : dtype, optional
        float64 by default; float32 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight_ih : array, shape (hidden_size, input_size)
    weight_hh : array, shape (hidden_size, hidden_size)
    bias_ih, bias_hh : array, shape (hidden_size,)
        All start uniform on :math:`\pm 1 / \sqrt{\mathrm{hidden\_size}}`.

    Raises
    ------
    TypeError, RuntimeError
        If a size is not an integer, or negative; RuntimeError when called, if `nonlinearity` is
        neither, or shapes do not fit.
    ValueError
        When called, if the input or the state has not one or two dimensions.

    Examples
    --------
    >>> cell = RNNCell(3, 4, rng=0)
    >>> cell
    RNNCell(3, 4)
    >>> cell(np.ones((2, 3))).shape
    (2, 4)
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
                 *, dtype: Any = np.float64, rng: Any = None):
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return h' of x, shape (N, input_size) or (input_size,), and h, zero by default."""
        hx = self._zeros(input) if hx is None else hx
        self._check(input, hx)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return recurrence.step(recurrence.RNN(self.nonlinearity), *arrays_of_step(self, "", input, hx))

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        shown = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}"
        return super().extra_repr() + shown


class LSTMCell(_Cell):
    r"""Do one step of a long short-term memory.

    Parameters
    ----------
    input_size, hidden_size, bias, dtype, rng
        As for :class:`RNNCell`.

    Attributes
    ----------
    weight_ih : array, shape (4 hidden_size, input_size)
    weight_hh : array, shape (4 hidden_size, hidden_size)
    bias_ih, bias_hh : array, shape (4 hidden_size,)
        The gates i, f, g, o one below the other; all start as those of :class:`RNNCell`.

    Raises
    ------
    TypeError, RuntimeError
        If a size is not an integer, or negative; when called, if the state is not a pair, or shapes do
        not fit.
    ValueError
        When called, if the input or the state has not one or two dimensions.

    Notes
    -----
    With the products :math:`W_{ih} x + b_{ih} + W_{hh} h + b_{hh}` of the four gates,

    .. math:: c' = \sigma(f) \, c + \sigma(i) \tanh(g), \qquad h' = \sigma(o) \tanh(c').

    References
    ----------
    .. [1] S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997).

    Examples
    --------
    >>> h, c = LSTMCell(3, 4, rng=0)(np.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    gates = 4

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Return (h', c') of x, shape (N, input_size) or (input_size,), and (h, c), zero by default."""
        hx = 2 * (self._zeros(input),) if hx is None else hx
        h, c = as_pair(hx)
        self._check(input, h, c)
        h, c = self._run(recurrence.LSTM(), input, h, c)
        return h, c


class GRUCell(_Cell):
    r"""Do one step of a gated recurrent unit.

    Parameters
    ----------
    input_size, hidden_size, bias, dtype, rng
        As for :class:`RNNCell`.

    Attributes
    ----------
    weight_ih : array, shape (3 hidden_size, input_size)
    weight_hh : array, shape (3 hidden_size, hidden_size)
    bias_ih, bias_hh : array, shape (3 hidden_size,)
        The gates r, z, n one below the other; all start as those of :class:`RNNCell`.

    Raises
    ------
    TypeError, RuntimeError
        If a size is not an integer, or negative; RuntimeError when called, if shapes do not fit.
    ValueError
        When called, if the input or the state has not one or two dimensions.

    Notes
    -----
    With the products :math:`p = W_{ih} x + b_{ih}` and :math:`q = W_{hh} h + b_{hh}` of the gates,

    .. math:: r = \sigma(p_r + q_r), \quad z = \sigma(p_z + q_z), \quad n = \tanh(p_n + r q_n), \quad
              h' = (1 - z) \, n + z \, h.

    References
    ----------
    .. [1] K. Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical
       machine translation", EMNLP 2014.

    Examples
    --------
    >>> GRUCell(3, 4, rng=0)(np.ones((2, 3))).shape
    (2, 4)
    """

    gates = 3

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return h' of x, shape (N, input_size) or (input_size,), and h, zero by default."""
        hx = self._zeros(input) if hx is None else hx
        self._check(input, hx)
        return self._run(recurrence.GRU(), input, hx)[0]


def register_weights(module: Module, suffix: str, input_size: int, hidden_size: int, gates: int,
                     bias: bool, dtype: Any, rng: np.random.Generator) -> None:
    """Give a module the two weights and biases of one step, in PyTorch's order."""
    bound = 1 / math.sqrt(hidden_size) if hidden_size else 0.0
    for name, shape in weight_shapes(input_size, hidden_size, gates).items():
        wanted = bias or name.startswith("weight")
        module.register_parameter(name + suffix, init.uniform_(
            Parameter(np.empty(shape, dtype)), -bound, bound, rng=rng) if wanted else None)


def weight_shapes(input_size: int, hidden_size: int, gates: int) -> dict[str, tuple[int, ...]]:
    """Return the names of the weights and biases of one step, with their shapes."""
    rows = gates * hidden_size
    return {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,), "bias_hh": (rows,)}


def arrays_of_step(module: Any, suffix: str, input: Any, *states: Any) -> list:
    """Return input, weights, biases and states of one step in a common dtype.

    A bias that there is not is zero. Complex numbers and weights of another shape are refused.
    """
    shapes = weight_shapes(input.shape[-1], module.hidden_size, module.gates)
    weights = [getattr(module, name + suffix) for name in shapes]
    weights = [np.zeros(shape, input.dtype) if weight is None else weight
               for weight, shape in zip(weights, shapes.values())]
    arrays = to_common_dtype(input, *weights, *states)
    if arrays[0].dtype.kind != "f":
        raise NotImplementedError(f"input must be real, got dtype {arrays[0].dtype}")
    for (name, shape), weight in zip(shapes.items(), arrays[1:]):
        if weight.shape != shape:
            raise RuntimeError(f"{name} must have shape {shape}, got {weight.shape}")
    return arrays


def check_state(state: Any, shape: tuple[int, ...]) -> None:
    """Raise RuntimeError unless a state has this shape."""
    if state.shape != shape:
        raise RuntimeError(f"hx must have shape {shape}, got {state.shape}")


def as_pair(hx: Any) -> Any:
    """Return `hx`, or raise PyTorch's errors unless it is a pair of states."""
    if not isinstance(hx, (tuple, list)):
        raise TypeError(f"hx must be a pair of arrays, got {type(hx).__name__}")
    if len(hx) != 2:
        raise RuntimeError(f"hx must be a pair of arrays, got {len(hx)}")
    return hx
