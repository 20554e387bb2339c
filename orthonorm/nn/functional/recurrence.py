r"""Recurrent layers over a sequence, and back-propagation through time.

At each time t a layer multiplies the last state and the input by one matrix and turns the product, with
what else it remembers, into the next state:

.. math:: a_t = W z_t, \qquad z_t = (h_{t-1}, x_t, 1), \qquad W = (W_{hh}, W_{ih}, b), \qquad
          (h_t, c_t) = F(a_t, h_{t-1}, c_{t-1}).

**Back-propagation through time** [1]_ is the chain rule, with time reversed. The loss depends on
:math:`h_t` by the output, whose gradient :math:`g_t` is given, and by everything later, which
:math:`h_t` enters through :math:`a_{t+1}`. With :math:`\delta_t` the gradient of :math:`a_t`, from the
last time to the first,

.. math:: \bar h_t = g_t + W_{hh}^T \delta_{t+1} \; (+ \text{ where } F \text{ hands } h \text{ on}),
          \qquad \delta_t = \left(\frac{\partial F}{\partial a_t}\right)^{\!T} \bar h_t,

and, once all are known, what each time adds to the gradients of the weights and the inputs:

.. math:: \bar W = \sum_t \delta_t \, z_t^T, \qquad \bar x_t = W_{ih}^T \, \delta_t.

F acts on each unit alone, so its derivative is a few factors for each unit, the *slopes*:

* RNN, h = tanh a: :math:`\; \delta = (1 - h^2) \, \bar h`.
* LSTM, :math:`c_t = f c_{t-1} + i g`, :math:`h_t = o \tanh c_t`:
  :math:`\; \bar c_t = f_{t+1} \bar c_{t+1} + o \, (1 - \tanh^2 c_t) \, \bar h_t`, then
  :math:`\delta_i = i (1 - i) \, g \, \bar c`, :math:`\delta_f = f (1 - f) \, c_{t-1} \bar c`,
  :math:`\delta_g = (1 - g^2) \, i \, \bar c`, :math:`\delta_o = o (1 - o) \tanh(c) \, \bar h`.
* GRU, :math:`n = \tanh(p_n + r q_n)`, :math:`h_t = n + z (h_{t-1} - n)`:
  :math:`\; \delta_{p_n} = (1 - z)(1 - n^2) \, \bar h`, :math:`\delta_{q_n} = r \, \delta_{p_n}`,
  :math:`\delta_r = r (1 - r) \, q_n \delta_{p_n}`, :math:`\delta_z = z (1 - z)(h_{t-1} - n) \, \bar h`;
  and z hands :math:`h_{t-1}` on, so that :math:`\bar h_{t-1}` gains :math:`z \, \bar h_t`.

The slopes do not depend on the gradient: they are computed for many times at once, and only the
recursion itself goes step by step. States are columns here, of shape (hidden_size, N), as in the
formulas, so that each gate is a block of rows.

References
----------
.. [1] P. J. Werbos, "Backpropagation through time: what it does and how to do it", Proceedings of the
   IEEE 78 (1990).
"""
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defjvp, defjvp_argnum, defvjp, defvjp_argnum, primitive, vspace
from autograd.numpy.numpy_vjps import untake

from ...gradients.bookkeeping import fused
from .activations import relu, sigmoid, tanh
from .linear import linear

# Slopes are computed for so many units, times samples, at once: they stay in the cache until used.
BLOCK = 2**15


class RNN:
    """The layer h' = f(p + q), f the hyperbolic tangent or max(x, 0)."""

    gates = 1
    slopes = 1

    def __init__(self, nonlinearity: str):
        self.function = {"tanh": tanh, "relu": relu}[nonlinearity]
        self.is_tanh = nonlinearity == "tanh"

    def step(self, p: Any, q: Any, h: Any) -> tuple:
        """Return the next state, of p = W_ih x + b_ih, q = W_hh h + b_hh and h: the definition."""
        return self.function(p + q),

    def rows(self, hidden: int) -> tuple[Any, Any]:
        """Say which rows of W the rows of W_ih and of W_hh are in."""
        return slice(None), slice(None)

    def forward(self, W: Any, Z: Any) -> tuple:
        """Run over the columns of Z, and write each h into the next; return what is to be kept."""
        for z, h in zip(Z, Z[1:, :len(W)]):
            np.matmul(W, z, out=h)
            np.tanh(h, out=h) if self.is_tanh else np.maximum(h, 0, out=h)
        return ()

    def write_slopes(self, S: Any, h: Any, before: Any) -> None:
        """Write the derivatives of h' by the gates, for several times at once, into S."""
        s = S[:, 0]
        if self.is_tanh:
            np.multiply(h, h, out=s)
            np.subtract(1, s, out=s)
        else:
            np.logical_not(h <= 0, out=s)

    def pull(self, slopes: Any, hbar: Any) -> None:
        """Turn the slopes at one time into the gradients of the gates, of that of h'."""
        if self.is_tanh:
            slopes *= hbar
        else:  # where it is cut off, infinity is no harm
            np.copyto(slopes, hbar, where=slopes != 0)


class LSTM:
    """Long short-term memory: c' = f c + i g, h' = o tanh(c').

    The blocks of rows of W are those of g, i, f, o.
    """

    gates = 4
    slopes = 8  # g, i, f, o; of c' by h'; then i, f, o themselves

    def step(self, p: Any, q: Any, h: Any, c: Any) -> tuple:
        """Return the next states: the definition."""
        i, f, g, o = anp.split(p + q, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return sigmoid(o) * tanh(c), c

    def rows(self, hidden: int) -> tuple[Any, Any]:
        """Say which rows of W the rows of W_ih and of W_hh are in."""
        i_f_g_o = np.arange(4 * hidden).reshape(4, hidden)[[1, 2, 0, 3]].ravel()
        return i_f_g_o, i_f_g_o

    def forward(self, W: Any, Z: Any, c: Any) -> tuple:
        """Run over the columns of Z, and write each h into the next; return what is to be kept."""
        H = len(c)
        W = np.concatenate((W[:H], -W[H:]))  # the logistic function is 1 / (1 + exp(-a))
        record = np.empty((len(Z), 6, *c.shape), c.dtype)  # g, the inverses of i, f, o; c, tanh(c)
        record[0, 4], one, ig = c, c.dtype.type(1), np.empty_like(c)
        for z, c, new, h in zip(Z, record[:, 4], record[1:], Z[1:, :H]):
            np.matmul(W, z, out=new[:4].reshape(4 * H, -1))
            inverse, (g, i, f, o, c_new, tanh_c) = new[1:4], new
            np.exp(inverse, out=inverse)
            np.add(inverse, one, out=inverse)
            np.tanh(g, out=g)
            np.divide(g, i, out=ig)
            np.divide(c, f, out=c_new)
            np.add(c_new, ig, out=c_new)
            np.tanh(c_new, out=tanh_c)
            np.divide(tanh_c, o, out=h)
        return record[1:], record[:-1, 4], record[1:, 4]

    def write_slopes(self, S: Any, h: Any, before: Any, record: Any, c: Any, c_new: Any) -> None:
        """Write the derivatives by the gates, for several times at once, into S."""
        g, tanh_c, sigmoids, by_sigmoids = record[:, 0], record[:, 5], S[:, 5:], S[:, 1:4]
        np.divide(1, record[:, 1:4], out=sigmoids)
        np.subtract(1, sigmoids, out=by_sigmoids)
        by_sigmoids *= sigmoids
        by_g, by_i, by_f, by_o, c_by_h, i, f, o = np.moveaxis(S, 1, 0)
        by_i *= g
        by_f *= c
        by_o *= tanh_c
        for y, factor, slope in ((g, i, by_g), (tanh_c, o, c_by_h)):
            np.multiply(y, y, out=slope)
            np.subtract(1, slope, out=slope)
            slope *= factor

    def pull(self, slopes: Any, hbar: Any, cbar: Any) -> None:
        """Turn the slopes at one time into the gradients of the gates; take cbar one time back."""
        by_c, by_h = slopes[:3], slopes[3:5]
        by_h *= hbar
        cbar += slopes[4]
        by_c *= cbar
        cbar *= slopes[6]


class GRU:
    """The gated recurrent unit: h' = n + z (h - n), n = tanh(p_n + r q_n).

    Its q_n is not added to p_n, so W has four blocks of rows: those of z, r, p_n, q_n.
    """

    gates = 4
    slopes = 6  # z, r, p_n, q_n; then z, which is that of h' by h, and r themselves

    def step(self, p: Any, q: Any, h: Any) -> tuple:
        """Return the next state: the definition."""
        (p_r, p_z, p_n), (q_r, q_z, q_n) = anp.split(p, 3, axis=-1), anp.split(q, 3, axis=-1)
        r, z = sigmoid(p_r + q_r), sigmoid(p_z + q_z)
        n = tanh(p_n + r * q_n)
        return n + z * (h - n),

    def rows(self, hidden: int) -> tuple[Any, Any]:
        """Say which rows of W the rows of W_ih and of W_hh are in."""
        z, r, p, q = np.arange(4 * hidden).reshape(4, hidden)
        return np.concatenate((r, z, p)), np.concatenate((r, z, q))

    def forward(self, W: Any, Z: Any) -> tuple:
        """Run over the columns of Z, and write each h into the next; return what is to be kept."""
        H, N = len(W) // 4, Z.shape[-1]
        W = np.concatenate((-W[:2 * H], W[2 * H:]))
        A, one, product = (np.empty((len(Z) - 1, 4, H, N), Z.dtype), Z.dtype.type(1),
                           np.empty((H, N), Z.dtype))
        for z, a, h, h_new in zip(Z, A, Z[:, :H], Z[1:, :H]):
            np.matmul(W, z, out=a.reshape(4 * H, N))
            inverse, n = a[:2], a[2]
            np.exp(inverse, out=inverse)
            np.add(inverse, one, out=inverse)
            np.divide(a[3], a[1], out=product)
            np.add(n, product, out=n)
            np.tanh(n, out=n)
            np.subtract(h, n, out=product)
            np.divide(product, a[0], out=product)
            np.add(n, product, out=h_new)
        return A,

    def write_slopes(self, S: Any, h: Any, before: Any, A: Any) -> None:
        """Write the derivatives by the gates, and by h, for several times at once, into S."""
        n, q_n = A[:, 2], A[:, 3]
        np.divide(1, A[:, :2], out=S[:, 4:])
        by_z, by_r, by_p, by_q, z, r = np.moveaxis(S, 1, 0)
        np.subtract(1, z, out=by_p)
        np.subtract(before, n, out=by_z)
        by_z *= z
        by_z *= by_p
        np.multiply(n, n, out=by_r)
        np.subtract(1, by_r, out=by_r)
        by_p *= by_r
        np.multiply(by_p, r, out=by_q)
        np.subtract(1, r, out=by_r)
        by_r *= by_q
        by_r *= q_n

    def pull(self, slopes: Any, hbar: Any) -> Any:
        """Turn the slopes at one time into the gradients of the gates; return what h gets directly."""
        used = slopes[:5]
        used *= hbar
        return slopes[4]


# -- one step, and over a sequence ------------------------------------------------------------------

def _by_linear(net: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h: Any) -> Any:
    return net.step(linear(x, w_ih, b_ih), linear(h, w_hh, b_hh), h)[0]


@fused(_by_linear)
def step(net: RNN, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, h: Any) -> Any:
    """Return h' of one step, of x and h with or without a batch."""
    a = x @ w_ih.T
    a += h @ w_hh.T
    a += b_ih
    a += b_hh
    value = np.tanh(a, out=a) if net.is_tanh else np.maximum(a, 0, out=a)

    def pull(g: Any, wanted: Any) -> tuple:
        slope = 1 - value * value if net.is_tanh else np.logical_not(value <= 0)
        delta = slope * g if net.is_tanh else np.where(slope, g, value.dtype.type(0))
        rows, x_rows, h_rows = (y if y.ndim == 2 else y[None] for y in (delta, x, h))
        of_b = rows.sum(axis=0)
        return None, delta @ w_ih, rows.T @ x_rows, rows.T @ h_rows, of_b, of_b, delta @ w_hh

    return value, pull


def by_steps(net: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *states: Any) -> Any:
    """Run one layer, a step after the other: the definition of :func:`run`."""
    outputs = []
    for t in range(len(x)):
        states = net.step(linear(x[t], w_ih, b_ih), linear(states[0], w_hh, b_hh), *states)
        outputs.append(states[0])
    return stack(*outputs, *states[1:])


@fused(by_steps)
def run(net: Any, x: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, *states: Any) -> Any:
    """Run one layer over a sequence.

    Parameters
    ----------
    net : RNN, LSTM or GRU
    x : array, shape (L, N, input_size)
    w_ih, w_hh, b_ih, b_hh : array
    *states : array, shape (N, hidden_size)
        The h, and for LSTM the c, of before.

    Returns
    -------
    array, shape (L, N, hidden_size); for LSTM (L + 1, N, hidden_size)
        The h of all times; for LSTM, then the c of the last.
    """
    (L, N, inputs), H = x.shape, w_hh.shape[1]
    W, (of_x, of_h) = np.zeros((net.gates * H, H + inputs + 1), x.dtype), net.rows(H)
    W[of_h, :H], W[of_x, H:-1], W[of_x, -1] = w_hh, w_ih, b_ih
    W[of_h, -1] += b_hh
    Z = np.empty((L + 1, H + inputs + 1, N), x.dtype)
    Z[0, :H], Z[:-1, H:-1], Z[:, -1] = states[0].T, x.swapaxes(1, 2), 1
    with np.errstate(over="ignore", invalid="ignore"):
        kept = net.forward(W, Z, *(np.ascontiguousarray(state.T) for state in states[1:]))
    value = np.empty((L + len(states) - 1, N, H), x.dtype)
    value[:L] = Z[1:, :H].swapaxes(1, 2)
    if len(states) > 1:
        value[L] = kept[-1][-1].T

    def pull(g: Any, wanted: Any) -> tuple:
        xbar, Wbar, *others = through_time(net, W, Z, kept, g)
        return (None, xbar, Wbar[of_x, H:-1], Wbar[of_h, :H], Wbar[of_x, -1], Wbar[of_h, -1], *others)

    return value, pull


def through_time(net: Any, W: Any, Z: Any, kept: tuple, g: Any) -> list:
    """Propagate the gradient of :func:`run` back: the recursion of the module's docstring.

    Returns
    -------
    list
        The gradients of x, W and each of the states before.
    """
    L, N, H = len(Z) - 1, Z.shape[-1], W.shape[0] // net.gates
    hbar, others = np.zeros((H, N), W.dtype), [np.array(last.T, order="C") for last in g[L:]]
    to_h, to_x = np.ascontiguousarray(W[:, :H].T), np.ascontiguousarray(W[:, H:-1].T)
    Wbar, xbar = np.zeros_like(W), np.empty((L, len(to_x), N), W.dtype)
    length = min(L, max(1, BLOCK // max(1, H * N)))
    buffer = np.empty((length, net.slopes, H, N), W.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for stop in range(L, 0, -length):
            times = slice(max(0, stop - length), stop)
            before, slopes = Z[times], buffer[:stop - times.start]
            after = Z[times.start + 1:stop + 1, :H]
            net.write_slopes(slopes, after, before[:, :H], *(array[times] for array in kept))
            deltas = slopes[:, :net.gates].reshape(len(slopes), len(W), N)
            given = np.ascontiguousarray(g[times].swapaxes(1, 2))
            for g_t, slopes_t, delta in zip(given[::-1], slopes[::-1], deltas[::-1]):
                hbar += g_t
                handed_on = net.pull(slopes_t, hbar, *others)
                np.matmul(to_h, delta, out=hbar)
                if handed_on is not None:
                    hbar += handed_on
            Wbar += np.tensordot(deltas, before, ((0, 2), (0, 2)))
            np.matmul(to_x, deltas, out=xbar[times])
    return [xbar.swapaxes(1, 2), Wbar, hbar.T, *(other.T for other in others)]


# The rules of autograd's own `stack` take a time quadratic in the number of arrays.
@primitive
def stack(*arrays: Any) -> Any:
    """Stack arrays along a new first dimension."""
    return np.stack(arrays)


defvjp_argnum(stack, lambda i, ans, arrays, kwargs: lambda g: g[i])
defjvp_argnum(stack, lambda i, g, ans, arrays, kwargs: untake(g, i, vspace(ans)))


# A part of an array, and its transpose: linear, and each other's derivatives.

@primitive
def part(array: Any, at: Any) -> Any:
    """Return array[at], `at` a number or a slice."""
    return array[at]


@primitive
def placed(value: Any, at: Any, shape: tuple[int, ...]) -> Any:
    """Return zeros of a shape, but for the value at its place."""
    array = np.zeros(shape, value.dtype)
    array[at] = value
    return array


defvjp(part, lambda ans, array, at: lambda g: placed(g, at, array.shape), argnums=(0,))
defvjp(placed, lambda ans, value, at, shape: lambda g: part(g, at), argnums=(0,))
defjvp(part, "same")
defjvp(placed, "same")
