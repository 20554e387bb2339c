"""jax.scipy.linalg: expm, expm_frechet, polar; jax.lax.linalg.householder_product."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import expm as _expm

from tests.league.with_jax import map_operations


def _householder(X):
    if jnp.iscomplexobj(X):
        raise NotImplementedError("real matrices")
    if X.shape[-2] < X.shape[-1]:
        return _householder(X.mT).mT
    V = jnp.tril(X, -1) + jnp.eye(*X.shape[-2:], dtype=X.dtype)
    signs = jnp.copysign(1, jnp.diagonal(X, axis1=-2, axis2=-1)).astype(X.dtype)
    return jax.lax.linalg.householder_product(V, 2 / jnp.sum(V * V, axis=-2)) * signs[..., None, :]


globals().update(map_operations("expm", _expm))
globals().update(map_operations("householder", _householder))
globals().update(map_operations("polar", lambda A: jax.scipy.linalg.polar(A)[0]))


def expm_frechet(A, E):
    return np.asarray(jax.scipy.linalg.expm_frechet(jnp.asarray(A), jnp.asarray(E), compute_expm=False))
