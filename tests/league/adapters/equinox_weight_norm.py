"""equinox.nn.WeightNorm."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import tests.league.with_jax  # noqa: F401
from tests.league.adapters.equinox_spectral_norm import Weight


def normalized(g, v, dim):
    if dim is not None and dim < -1:
        raise NotImplementedError("axes are counted from the front")
    layer = eqx.nn.WeightNorm(Weight(v), "weight", axis=None if dim in (None, -1) else dim)
    return eqx.tree_at(lambda layer: layer.g, layer, jnp.reshape(g, layer.g.shape))(None)


def weight_norm(g, v, dim):
    return np.asarray(normalized(jnp.asarray(g), jnp.asarray(v), dim))


def weight_norm_vjp(g, v, dim, G):
    gradients = jax.vjp(lambda g, v: normalized(g, v, dim), jnp.asarray(g), jnp.asarray(v))[1](
        jnp.asarray(G)
    )
    return tuple(map(np.asarray, gradients))
