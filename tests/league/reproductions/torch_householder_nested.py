import mpmath
import torch


def f(t):
    reflector = torch.stack([torch.ones_like(t), t]).reshape(2, 1)
    return torch.linalg.householder_product(reflector, (2 / (1 + t * t)).reshape(1)).sum()


def derivative(f):
    return lambda t: torch.func.jvp(f, (t,), (torch.ones_like(t),))[1]


mpmath.mp.dps = 50
exact = mpmath.diff(lambda t: 1 - 2 * (1 + t) / (1 + t * t), mpmath.mpf(0.7), 2)
computed = derivative(derivative(f))(torch.tensor(0.7, dtype=torch.float64))
print(f"computed {computed:.16f}, exact {mpmath.nstr(exact, 20)}")
