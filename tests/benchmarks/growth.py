"""Time and peak memory against n for k = 32 columns, and one large embedding.

Each measurement runs in a process of its own, without PyTorch, on one thread, and counts its processor
time, user and system. Its peak memory is what the operating system saw (``VmHWM``) above what it
held before it made the weight.
"""
import json
import math
import os
import resource
import subprocess
import sys
import time
from typing import Any

from .cells import MAPS

K = 32
ROWS = [2**10, 2**12, 2**14, 2**16, 2**18]
EMBEDDING = (30000, 50)
DTYPES = ("float32", "float64")
SECONDS = 120  # a process that takes longer is stopped
BYTES = 8 * 2**30  # and so is one that wants more memory than this


def measure(quick: bool = False) -> dict[str, Any]:
    """Measure all curves; `quick` stops at n = 16384 and float32."""
    rows, dtypes = (ROWS[:3], DTYPES[:1]) if quick else (ROWS, DTYPES)
    curves = [_curve(name, dtype, rows) for dtype in dtypes for name in MAPS]
    embedding = [{"map": name, "dtype": dtype, **_in_process(name, *EMBEDDING, dtype)}
                 for dtype in dtypes for name in MAPS]
    return {"k": K, "curves": curves, "embedding": embedding}


def _curve(name: str, dtype: str, rows: list[int]) -> dict[str, Any]:
    points = []
    for n in rows:
        points.append({"n": n, "allowed": allowed_bytes(n, dtype), **_in_process(name, n, K, dtype)})
        if "error" in points[-1]:
            break  # what is larger fails too
    measured = [p for p in points if "error" not in p]
    return {
        "map": name, "dtype": dtype, "points": points,
        "complete": len(measured) == len(rows),
        "exponent": _slope([(math.log(p["n"]), math.log(p["seconds"])) for p in measured]),
        "within memory": all(p["peak"] <= p["allowed"] for p in measured),
    }


def allowed_bytes(n: int, dtype: str) -> int:
    return 16 * n * K * (4 if dtype == "float32" else 8) + 100 * 10**6


def _slope(points: list[tuple[float, float]]) -> float:
    """Fit a line by least squares; its slope."""
    if len(points) < 2:
        return math.nan
    x0 = sum(x for x, _ in points) / len(points)
    y0 = sum(y for _, y in points) / len(points)
    return sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0)**2 for x, _ in points)


def _in_process(name: str, n: int, k: int, dtype: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.growth", name, str(n), str(k), dtype]
    one_thread = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    try:
        done = subprocess.run(command, env={**os.environ, **one_thread}, timeout=SECONDS,
                              capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {SECONDS} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[-1]}
    return json.loads(done.stdout)


def one(name: str, n: int, k: int, dtype: str) -> dict[str, float]:
    """Register, read, differentiate; return seconds a gradient, seconds in all, and bytes at peak."""
    import autograd.numpy as np

    from orthonorm import nn
    from orthonorm.func import value_and_grad
    from orthonorm.nn.utils.parametrizations import orthogonal

    rng = np.random.default_rng(0)
    before = _resident_bytes()
    start = time.process_time()
    layer = orthogonal(nn.Embedding(n, k, dtype=dtype, rng=0), orthogonal_map=name, rng=0)
    cotangent = rng.standard_normal((n, k), dtype)
    layer.weight
    gradient = value_and_grad(lambda: np.sum(cotangent * layer.weight), layer)
    gradient()
    total = time.process_time() - start
    layer.parametrizations.weight.original[...] += rng.standard_normal((n, k), dtype) * np.tri(
        n, k, -1, dtype=dtype) / math.sqrt(n)
    seconds = []
    while len(seconds) < 5 or sum(seconds) < 1:
        start = time.process_time()
        gradient()
        seconds.append(time.process_time() - start)
    return {"seconds": sorted(seconds)[len(seconds) // 2], "total": total,
            "peak": _peak_bytes() - before}


def _peak_bytes() -> int:
    # Not ru_maxrss, which a process inherits from the one that started it.
    with open("/proc/self/status") as status:
        return 1024 * int(next(line for line in status if line.startswith("VmHWM")).split()[1])


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    map_name, rows, columns, type_name = sys.argv[1:]
    print(json.dumps(one(map_name, int(rows), int(columns), type_name)))
