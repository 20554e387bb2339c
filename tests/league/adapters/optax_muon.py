"""optax.contrib.muon: orthogonalize_via_newton_schulz."""

import jax.numpy as jnp
import numpy as np
from optax.contrib._muon import orthogonalize_via_newton_schulz

from tests.league.with_jax import vjp


def _iterate(A, coefficients, steps):
    if A.ndim != 2:
        raise NotImplementedError("one matrix")
    return orthogonalize_via_newton_schulz(A, jnp.asarray(coefficients, A.real.dtype), steps, eps=0)


def newton_schulz(A, coefficients, steps):
    return np.asarray(_iterate(jnp.asarray(A), coefficients, steps))


def newton_schulz_vjp(A, coefficients, steps, G):
    return vjp(lambda A: _iterate(A, coefficients, steps), A, G)
