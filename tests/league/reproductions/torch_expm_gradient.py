import mpmath
import torch

mpmath.mp.dps = 50
A = torch.tensor([[0, 0.1], [-0.1, 0]], requires_grad=True)
G = torch.tensor([[1.0, 0], [0, 0]])
(computed,) = torch.autograd.grad(torch.linalg.matrix_exp(A), A, G)
block = mpmath.matrix(4)
for i in range(2):
    for j in range(2):
        block[i, j] = block[2 + i, 2 + j] = mpmath.mpf(A[j, i].item())
        block[i, 2 + j] = G[i, j].item()
exact = mpmath.expm(block)[:2, 2:]
error = max(
    abs(mpmath.mpf(computed[i, j].item()) - exact[i, j]) for i in range(2) for j in range(2)
)
print(f"largest error {mpmath.nstr(error / mpmath.mpf(2) ** -23, 3)} eps of float32")
