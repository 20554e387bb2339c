"""mlx on the CPU: the update of optimizers.Muon, and the polar factor by linalg.svd; float32."""

import mlx.core as mx
import mlx.optimizers
import numpy as np

mx.set_default_device(mx.cpu)


def newton_schulz(A, coefficients, steps):
    if (
        A.dtype != np.float32
        or A.ndim != 2
        or not np.allclose(coefficients, (3.4445, -4.7750, 2.0315), atol=1e-12)
    ):
        raise NotImplementedError("one float32 matrix, its own triple")
    return np.array(mlx.optimizers.Muon(1.0)._zeropower_via_newtonschulz5(mx.array(A), steps))


def polar(A):
    if A.dtype != np.float32 or A.ndim != 2:
        raise NotImplementedError("one float32 matrix")
    U, _, Vh = mx.linalg.svd(mx.array(A), stream=mx.cpu)
    k = min(A.shape)
    return np.array(U[:, :k] @ Vh[:k])
