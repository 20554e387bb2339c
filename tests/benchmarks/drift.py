"""100 000 steps of SGD on an orthogonal float32 weight: does it stay orthogonal?"""
import multiprocessing
import os
import time
from itertools import product
from typing import Any

import autograd.numpy as np

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal

from .cells import MAPS

SHAPES = [(16, 16), (24, 8)]
STEPS = 100_000
WINDOW = 0.01  # the orthogonality error is averaged over this part of the steps, first and last
LEARNING_RATE = 0.05


def measure(steps: int = STEPS) -> list[dict[str, Any]]:
    """Run every map and shape, in as many processes as there are cores."""
    jobs = [(name, shape, steps) for name, shape in product(MAPS, SHAPES)]
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    before = {name: os.environ.get(name) for name in one_thread}
    os.environ.update(one_thread)  # for the processes, whose matrices are too small to share
    try:
        with multiprocessing.get_context("spawn").Pool(len(os.sched_getaffinity(0))) as pool:
            return pool.starmap(run, jobs, chunksize=1)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def run(name: str, shape: tuple[int, int], steps: int = STEPS) -> dict[str, Any]:
    """Pull the weight towards a target that turns on and on; compare start and end.

    One turn takes 1000 steps. It winds ``original`` up without limit: the hardest case, since the
    rounding error of an exponential grows with the norm of its argument.
    """
    rng = np.random.default_rng(0)
    layer = nn.Module()
    layer.weight = nn.Parameter(rng.standard_normal(shape, np.float32))
    orthogonal(layer, orthogonal_map=name, rng=0)
    original = layer.parametrizations.weight.original
    frames = [np.linalg.qr(rng.standard_normal(shape))[0] for _ in range(2)]
    weights: list[Any] = []

    def loss(target: Any) -> Any:
        weight = layer.weight
        weights.append(weight)
        return np.sum((weight - target)**2) / 2

    descend = value_and_grad(loss, layer)
    errors, window, start = [], round(WINDOW * steps), time.perf_counter()
    for step in range(steps):
        angle = 2 * np.pi * step / 1000
        target = (np.cos(angle) * frames[0] + np.sin(angle) * frames[1]).astype(np.float32)
        _, gradients = descend(target)
        weight = weights.pop()
        if not window <= step < steps - window:
            errors.append(_orthogonality_error(weight._value))
        original -= np.float32(LEARNING_RATE) * gradients["parametrizations.weight.original"]
    return {"map": name, "shape": list(shape), "steps": steps,
            "start": float(np.mean(errors[:window])), "end": float(np.mean(errors[-window:])),
            "seconds": time.perf_counter() - start}


def _orthogonality_error(Q: Any) -> float:
    Q = Q.astype(float)
    return np.linalg.norm(Q.T @ Q - np.eye(Q.shape[1]))


def closing(drifts: list[dict[str, Any]]) -> str:
    lines = ["", "Orthogonality error of a float32 weight under SGD, mean of the first and last steps"]
    for run in drifts:
        reached = run["end"] <= 2 * run["start"]
        what = "{map} {0}x{1}: {start:.2e} at first, {end:.2e} after {steps} steps ({seconds:.0f} s)"
        word = "reached     " if reached else "NOT REACHED "
        lines.append(word + what.format(*run["shape"], **run))
    return "\n".join(lines) if drifts else ""
