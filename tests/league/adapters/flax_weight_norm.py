"""flax.linen.WeightNorm. (SpectralNorm keeps only one singular vector, so no question fits it.)"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

import tests.league.with_jax  # noqa: F401


class Weight(nn.Module):
    v: jax.Array

    @nn.compact
    def __call__(self):
        return self.param("kernel", lambda key: self.v)


def normalized(g, v, dim):
    layer = nn.WeightNorm(
        Weight(v), feature_axes=None if dim in (None, -1) else dim % v.ndim, epsilon=0
    )
    scale = jnp.reshape(g, () if dim in (None, -1) else -1)
    params = {"params": {"layer_instance": {"kernel": v}, "layer_instance/kernel/scale": scale}}
    return layer.apply(params)


def weight_norm(g, v, dim):
    return np.asarray(normalized(jnp.asarray(g), jnp.asarray(v), dim))


def weight_norm_vjp(g, v, dim, G):
    gradients = jax.vjp(lambda g, v: normalized(g, v, dim), jnp.asarray(g), jnp.asarray(v))[1](
        jnp.asarray(G)
    )
    return tuple(map(np.asarray, gradients))
