import numpy as np
from scipy.linalg import expm

A = np.array([[[0.0, 10.0], [-10.0, 0.0]], [[0.0, 0.1], [-0.1, 0.0]]])
print(
    "second of a stack:",
    expm(A)[1].tolist(),
    "exact: cos and sin of 0.1,",
    [np.cos(0.1), np.sin(0.1)],
)
