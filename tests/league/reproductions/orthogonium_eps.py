import torch
from orthogonium.reparametrizers import BatchedCholeskyOrthogonalization

A = torch.eye(2, dtype=torch.float64)[None]
for scale in 1, 1e-2, 1e-3:
    Q = BatchedCholeskyOrthogonalization(A.shape)(scale * A)[0]
    print(f"Q of {scale} I:", Q.tolist(), "exact: I")
