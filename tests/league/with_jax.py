"""What the adapters of JAX packages share: double precision, and the derivatives that JAX takes.

JAX transposes without conjugation: its gradients of complex arguments are the conjugates of ours.
"""

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def vjp(f, X, G):
    return np.asarray(jax.vjp(f, jnp.asarray(X))[1](jnp.conj(G))[0]).conj()


def jvp(f, X, dX):
    return np.asarray(jax.jvp(f, (jnp.asarray(X),), (jnp.asarray(dX),))[1])


def hvp(f, X, G, dX):
    def gradient(X):
        return jnp.conj(jax.vjp(f, X)[1](jnp.conj(G))[0])

    return jvp(gradient, X, dX)


def map_operations(name, f):
    """Return the operations of a map f(X): the value and three derivatives."""
    return {
        name: lambda X: np.asarray(f(jnp.asarray(X))),
        f"{name}_vjp": lambda X, G: vjp(f, X, G),
        f"{name}_jvp": lambda X, dX: jvp(f, X, dX),
        f"{name}_hvp": lambda X, G, dX: hvp(f, X, G, dX),
    }
