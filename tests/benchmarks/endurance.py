"""Train for 200 000 steps and watch the memory of the process: it must not grow.

``python -m tests.benchmarks.endurance`` trains one model with a weight of each kind, prints the
resident memory at twenty times, and exits with status 1 if it is more than 1 MiB higher at the end than
after a tenth of the steps, when all caches are warm.
"""
import argparse
import sys

import autograd.numpy as np

from orthonorm import nn, optim
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import cached

ALLOWED = 1024  # KiB


def model():
    return nn.Sequential(
        orthogonal(nn.Linear(8, 8, rng=0)),
        orthogonal(nn.Linear(8, 6, rng=1), orthogonal_map="cayley"),
        orthogonal(nn.Linear(6, 4, rng=2), orthogonal_map="householder"),
        spectral_norm(nn.Linear(4, 6, rng=3), rng=3),
        weight_norm(nn.Linear(6, 3, rng=4)))


def resident():
    """Return the resident memory in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def main():
    parser = argparse.ArgumentParser(description="Train and watch the memory.")
    parser.add_argument("--steps", type=int, default=200_000)
    steps = parser.parse_args().steps
    trained, rng = model(), np.random.default_rng(5)
    optimizer = optim.Adam(trained.named_parameters(), lr=1e-3)
    # The model is linear and cannot fit this: the weights move until the last step.
    step = value_and_grad(lambda x: np.mean((trained(x) - np.abs(x[:, :3])) ** 2), trained)
    seen = []
    for i in range(1, steps + 1):
        with cached():
            value, gradients = step(rng.standard_normal((4, 8)))
        optimizer.step(gradients)
        if i % (steps // 20) == 0:
            seen.append(resident())
            print(f"{i} steps: {seen[-1]} KiB, loss {value:.1e}", flush=True)
    growth = seen[-1] - seen[1]
    print(f"growth after the first tenth: {growth} KiB, allowed are {ALLOWED}")
    return int(growth > ALLOWED)


if __name__ == "__main__":
    sys.exit(main())
