import mpmath
import torch

mpmath.mp.dps = 50
t = 0.0493
computed = torch.linalg.matrix_exp(torch.tensor([[0, t], [-t, 0]], dtype=torch.float64))[0, 0]
exact = mpmath.cos(mpmath.mpf(t))
print(f"computed {computed.item()!r}, exact {mpmath.nstr(exact, 20)}")
