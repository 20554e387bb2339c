import mpmath
import torch


def f(t):
    matrix = torch.stack([1 + t, t, -t, 1 + t * t]).reshape(2, 2)
    return torch.linalg.solve(matrix, torch.ones(2, 1, dtype=t.dtype)).sum()


def derivative(f):
    return lambda t: torch.func.jvp(f, (t,), (torch.ones_like(t),))[1]


mpmath.mp.dps = 50
exact = mpmath.diff(
    lambda t: mpmath.fsum(mpmath.matrix([[1 + t, t], [-t, 1 + t * t]]) ** -1 * mpmath.ones(2, 1)),
    0.5,
    2,
)
computed = derivative(derivative(f))(torch.tensor(0.5, dtype=torch.float64))
print(f"computed {computed:.16f}, exact {mpmath.nstr(exact, 20)}")
