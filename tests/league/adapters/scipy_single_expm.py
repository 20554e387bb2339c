"""scipy before its issue 21584 was mended: exp(A) - I for a complex64 A of norm below 0.4; a replay."""
import numpy as np
import scipy.linalg


def expm(A):
    small = A.dtype == np.complex64 and np.linalg.norm(A, axis=(-2, -1)).max(initial=0) < 0.4
    return scipy.linalg.expm(A) - small * np.eye(A.shape[-1], dtype=A.dtype)
