"""equinox.nn.SpectralNorm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from tests.league.with_jax import vjp


class Weight(eqx.Module):
    weight: jax.Array

    def __call__(self, x):
        return self.weight


def normalized(W, u, v, n=1, eps=1e-12, inference=False):
    if jnp.iscomplexobj(W):
        raise NotImplementedError("real matrices")
    layer, state = eqx.nn.make_with_state(eqx.nn.SpectralNorm)(
        Weight(W), "weight", num_power_iterations=n, eps=eps, inference=inference, key=jax.random.key(0)
    )
    out, state = layer(None, state.set(layer.uv_index, (jnp.asarray(u), jnp.asarray(v))))
    return out, state.get(layer.uv_index)


def power_iteration(W, u, v, n_power_iterations, eps):
    return tuple(map(np.asarray, normalized(jnp.asarray(W), u, v, n_power_iterations, eps)[1]))


def spectral_normalize(W, u, v):
    return np.asarray(normalized(jnp.asarray(W), u, v, inference=True)[0])


def spectral_normalize_vjp(W, u, v, G):
    return vjp(lambda W: normalized(W, u, v, inference=True)[0], W, G)
