"""Recurrent layers that run over a sequence."""
from typing import Any

import autograd.numpy as np

from .cells import arrays_of_step, as_pair, check_state, register_weights
from .functional import recurrence
from .functional.arrays import as_int
from .module import Module


class _Recurrent(Module):
    """What RNN, LSTM and GRU share: weights for each layer, and the run over the layers."""

    gates: int
    states = 1  # h

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
                 batch_first: bool = False, *, dtype: Any = np.float64, rng: Any = None):
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size),
                           ("num_layers", num_layers)):
            if as_int(name, size) <= 0:
                raise ValueError(f"{name} must be greater than zero, got {size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first = bias, batch_first
        rng = np.random.default_rng(rng)
        for layer in range(num_layers):
            register_weights(self, f"_l{layer}", hidden_size if layer else input_size, hidden_size,
                             self.gates, bias, dtype, rng)

    def _net(self) -> Any:
        """Return what the layer does at one time, of :mod:`.functional.recurrence`."""
        raise NotImplementedError

    def _run(self, input: Any, states: list | None) -> tuple[Any, list]:
        """Return the output, and the list of the last states, of which `states` are the first."""
        if input.ndim not in (2, 3):
            raise ValueError(f"Expected input to be 2D or 3D, got {input.ndim}D instead")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input must have {self.input_size} entries in its last dimension, got "
                               f"shape {input.shape}")
        swapped, batched = self.batch_first and input.ndim == 3, input.ndim == 3
        x = np.swapaxes(input, 0, 1) if swapped else input
        if len(x) == 0:
            raise RuntimeError("input must have at least one time step")
        shape = (self.num_layers, *x.shape[1:-1], self.hidden_size)
        if states is None:
            states = self.states * [np.zeros(shape, input.dtype)]
        for state in states:
            check_state(state, shape)
        if not batched:
            x = np.reshape(x, (len(x), 1, -1))
            states = [np.reshape(state, (self.num_layers, 1, -1)) for state in states]
        x, lasts = self._run_layers(x, states)
        if not batched:
            x, lasts = np.reshape(x, (len(x), -1)), [np.reshape(last, shape) for last in lasts]
        return np.swapaxes(x, 0, 1) if swapped else x, lasts

    def _run_layers(self, x: Any, states: list) -> tuple[Any, list]:
        net, steps, lasts = self._net(), len(x), []
        for layer in range(self.num_layers):
            arrays = arrays_of_step(self, f"_l{layer}", x, *(state[layer] for state in states))
            values = recurrence.run(net, *arrays)
            x = recurrence.part(values, slice(steps)) if len(states) > 1 else values
            lasts.append([recurrence.part(values, steps - 1 + i) for i in range(len(states))])
        return x, [recurrence.stack(*last) for last in zip(*lasts)]

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


class RNN(_Recurrent):
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
    NotImplementedError
        When called, if the input or a weight is complex.

    Notes
    -----
    The layer is a single operation to autograd, whose adjoint is back-propagation through time:
    :mod:`orthonorm.nn.functional.recurrence` derives it. A parametrized weight is read, and so
    computed, once a call; so spectral normalisation does one power iteration a call in training mode.
    PyTorch reads it twice a call, and its vectors move further; under ``cached()`` both read it once
    and are equal.

    Examples
    --------
    >>> from orthonorm.nn.utils.parametrizations import orthogonal
    >>> rnn = orthogonal(RNN(3, 4, rng=0), "weight_hh_l0")
    >>> output, h = rnn(np.ones((7, 2, 3)))
    >>> output.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    gates = 1

    def __init__(self, input_size: int, hidden_size: int, num_layers: int = 1,
                 nonlinearity: str = "tanh", bias: bool = True, batch_first: bool = False, *,
                 dtype: Any = np.float64, rng: Any = None):
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dtype=dtype, rng=rng)
        self.nonlinearity = nonlinearity

    def _net(self) -> Any:
        return recurrence.RNN(self.nonlinearity)

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
        output, (h,) = self._run(input, None if hx is None else [hx])
        return output, h


class LSTM(_Recurrent):
    r"""Run a long short-term memory, the formula of :class:`LSTMCell`, over a sequence.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dtype, rng
        As for :class:`RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_ih_l1, ... : array, shape (4 hidden_size, input_size), then (4 h, h)
    weight_hh_l0, ... : array, shape (4 hidden_size, hidden_size)
    bias_ih_l0, ..., bias_hh_l0, ... : array, shape (4 hidden_size,)
        The gates i, f, g, o one below the other; all start as those of :class:`RNN`.

    Raises
    ------
    TypeError, ValueError, RuntimeError, NotImplementedError
        As for :class:`RNN`; TypeError and RuntimeError too when the state is not a pair.

    Examples
    --------
    >>> output, (h, c) = LSTM(3, 4, num_layers=2, rng=0)(np.ones((7, 2, 3)))
    >>> output.shape, h.shape, c.shape
    ((7, 2, 4), (2, 2, 4), (2, 2, 4))
    """

    gates = 4
    states = 2  # h and c

    def _net(self) -> Any:
        return recurrence.LSTM()

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, tuple[Any, Any]]:
        """Run over a sequence, from (h, c) = `hx`, zero by default.

        Parameters
        ----------
        input : array
            As for :meth:`RNN.forward`.
        hx : pair of array, each shape (num_layers, N, hidden_size), or without N, optional

        Returns
        -------
        output : array
            The last layer's h at each time, shaped as the input.
        (h_n, c_n) : pair of array, shaped as `hx`
            Each layer's h and c at the last time.
        """
        output, (h, c) = self._run(input, None if hx is None else [*as_pair(hx)])
        return output, (h, c)


class GRU(_Recurrent):
    r"""Run a gated recurrent unit, the formula of :class:`GRUCell`, over a sequence.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dtype, rng
        As for :class:`RNN`.

    Attributes
    ----------
    weight_ih_l0, weight_ih_l1, ... : array, shape (3 hidden_size, input_size), then (3 h, h)
    weight_hh_l0, ... : array, shape (3 hidden_size, hidden_size)
    bias_ih_l0, ..., bias_hh_l0, ... : array, shape (3 hidden_size,)
        The gates r, z, n one below the other; all start as those of :class:`RNN`.

    Raises
    ------
    TypeError, ValueError, RuntimeError, NotImplementedError
        As for :class:`RNN`.

    Examples
    --------
    >>> output, h = GRU(3, 4, rng=0)(np.ones((7, 2, 3)))
    >>> output.shape, h.shape
    ((7, 2, 4), (1, 2, 4))
    """

    gates = 3

    def _net(self) -> Any:
        return recurrence.GRU()

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """Run over a sequence, from h = `hx`, zero by default; shapes as for :meth:`RNN.forward`."""
        output, (h,) = self._run(input, None if hx is None else [hx])
        return output, h
