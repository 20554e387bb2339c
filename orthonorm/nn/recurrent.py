"""Recurrent layers: single steps (cells), and the RNN that runs over a sequence."""
import math
from typing import Any

import autograd.numpy as np
from autograd.extend import defjvp_argnum, defvjp_argnum, primitive, vspace
from autograd.numpy.numpy_vjps import untake

from . import functional as F
from . import init
from .functional.arrays import as_int, as_size
from .module import Module
from .parameter import Parameter
from .utils.parametrize import cached

ACTIVATIONS = {"tanh": F.tanh, "relu": F.relu}


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
        _register(self, "", input_size, hidden_size, self.gates, bias, dtype, rng)

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
            _check_state(state, (*input.shape[:-1], self.hidden_size))

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
        if self.nonlinearity not in ACTIVATIONS:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return ACTIVATIONS[self.nonlinearity](
            F.linear(input, self.weight_ih, self.bias_ih) + F.linear(hx, self.weight_hh, self.bias_hh))

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
        if not isinstance(hx, (tuple, list)):
            raise TypeError(f"hx must be a pair of arrays, got {type(hx).__name__}")
        if len(hx) != 2:
            raise RuntimeError(f"hx must be a pair of arrays, got {len(hx)}")
        h, c = hx
        self._check(input, h, c)
        gates = (F.linear(input, self.weight_ih, self.bias_ih)
                 + F.linear(h, self.weight_hh, self.bias_hh))
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = F.sigmoid(f) * c + F.sigmoid(i) * F.tanh(g)
        return F.sigmoid(o) * F.tanh(c), c


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
        p_r, p_z, p_n = np.split(F.linear(input, self.weight_ih, self.bias_ih), 3, axis=-1)
        q_r, q_z, q_n = np.split(F.linear(hx, self.weight_hh, self.bias_hh), 3, axis=-1)
        r, z = F.sigmoid(p_r + q_r), F.sigmoid(p_z + q_z)
        n = F.tanh(p_n + r * q_n)
        return (1 - z) * n + z * hx


class RNN(Module):
    r"""Run :math:`h_t = \tanh(W_{ih} x_t + b_{ih} + W_{hh} h_{t-1} + b_{hh})` over a sequence.

    Parameters
    ----------
    input_size, hidden_size : int
        Lengths of x and h.
    num_layers : int
        The sequence of h's of each layer is the input of the next.
    nonlinearity : {"tanh", "relu"}
    bias : bool
        Whether there are b's.
    batch_first : bool
        Whether input and output have shape (N, L, ...) rather than (L, N, ...).
    dtype : dtype, optional
        float64 by default; float32 also.
    rng : None, int or numpy.random.Generator
        Draws the start.

    Attributes
    ----------
    weight_ih_l0, weight_ih_l1, ... : array, shape (hidden_size, input_size), then twice hidden_size
    weight_hh_l0, ... : array, shape (hidden_size, hidden_size)
    bias_ih_l0, ..., bias_hh_l0, ... : array, shape (hidden_size,)
        All start uniform on :math:`\pm 1 / \sqrt{\mathrm{hidden\_size}}`.

    Raises
    ------
    TypeError, ValueError
        If `nonlinearity` is neither, or a size not an integer or not positive; when called, if the
        input has not two or three dimensions.
    RuntimeError
        When called, if shapes do not fit, or the sequence is empty.

    Notes
    -----
    A parametrized weight is used at each time step but computed once a call, by
    :func:`.utils.parametrize.cached`; so spectral normalisation does one power iteration a call.

    Examples
    --------
    >>> from orthonorm.nn.utils.parametrizations import orthogonal
    >>> rnn = orthogonal(RNN(3, 4, rng=0), "weight_hh_l0")
    >>> output, h = rnn(np.ones((7, 2, 3)))
    >>> output.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1,
                 nonlinearity: str = "tanh", bias: bool = True, batch_first: bool = False, *,
                 dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        if nonlinearity not in ACTIVATIONS:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size),
                           ("num_layers", num_layers)):
            if as_int(name, size) <= 0:
                raise ValueError(f"{name} must be greater than zero, got {size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.nonlinearity, self.bias, self.batch_first = nonlinearity, bias, batch_first
        rng = np.random.default_rng(rng)
        for layer in range(num_layers):
            _register(self, f"_l{layer}", hidden_size if layer else input_size, hidden_size, 1, bias,
                      dtype, rng)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run over a sequence, from h = `hx`, zero by default.

        Parameters
        ----------
        input : array, shape (L, N, input_size), (N, L, input_size) or, without a batch, (L, input_size)
        hx : array, shape (num_layers, N, hidden_size) or (num_layers, hidden_size), optional

        Returns
        -------
        output : array
            The last layer's h at each time, shaped as the input.
        h_n : array, shaped as `hx`
            Each layer's h at the last time.
        """
        if input.ndim not in (2, 3):
            raise ValueError(f"RNN: Expected input to be 2D or 3D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input must have {self.input_size} entries in its last dimension, got "
                               f"shape {input.shape}")
        swapped = self.batch_first and input.ndim == 3
        sequence = np.swapaxes(input, 0, 1) if swapped else input
        if len(sequence) == 0:
            raise RuntimeError("input must have at least one time step")
        state_shape = (self.num_layers, *sequence.shape[1:-1], self.hidden_size)
        if hx is None:
            hx = np.zeros(state_shape, input.dtype)
        _check_state(hx, state_shape)
        steps, last = [sequence[t] for t in range(len(sequence))], []
        with cached():
            for layer in range(self.num_layers):
                steps = self._run(f"_l{layer}", steps, hx[layer])
                last.append(steps[-1])
        output = _stack(*steps)
        return np.swapaxes(output, 0, 1) if swapped else output, _stack(*last)

    def _run(self, suffix: str, steps: list, h: Any) -> list:
        """Return a layer's h at each time."""
        def parameter(name: str) -> Any:
            return getattr(self, name + suffix)

        activation, states = ACTIVATIONS[self.nonlinearity], []
        for x in steps:
            h = activation(F.linear(x, parameter("weight_ih"), parameter("bias_ih"))
                           + F.linear(h, parameter("weight_hh"), parameter("bias_hh")))
            states.append(h)
        return states

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.num_layers != 1:
            parts.append(f"num_layers={self.num_layers}")
        if not self.bias:
            parts.append("bias=False")
        if self.batch_first:
            parts.append("batch_first=True")
        return ", ".join(parts)


def _register(module: Module, suffix: str, input_size: int, hidden_size: int, gates: int, bias: bool,
              dtype: Any, rng: np.random.Generator) -> None:
    """Give a module the two weights and biases of one step, in PyTorch's order."""
    bound = 1 / math.sqrt(hidden_size) if hidden_size else 0.0
    rows = gates * hidden_size
    shapes: dict[str, tuple[int, ...]] = {
        "weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size),
        "bias_ih": (rows,), "bias_hh": (rows,)}
    for name, shape in shapes.items():
        wanted = bias or name.startswith("weight")
        module.register_parameter(name + suffix, init.uniform_(
            Parameter(np.empty(shape, dtype)), -bound, bound, rng=rng) if wanted else None)


def _check_state(state: Any, shape: tuple[int, ...]) -> None:
    if state.shape != shape:
        raise RuntimeError(f"hx must have shape {shape}, got {state.shape}")


# The rules of autograd's own `stack` take a time quadratic in the number of arrays.
@primitive
def _stack(*arrays: Any) -> Any:
    return np.stack(arrays)


defvjp_argnum(_stack, lambda i, ans, arrays, kwargs: lambda g: g[i])
defjvp_argnum(_stack, lambda i, g, ans, arrays, kwargs: untake(g, i, vspace(ans)))
