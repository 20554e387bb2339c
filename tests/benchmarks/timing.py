"""Clocks, threads, and the machine.

On one thread the clock is the processor time of this process, user and system: the time it would take
alone, which other programs on the machine hardly move. On several threads it is the clock on the wall.
"""
import os
import platform
import time
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Callable, Iterator

import numpy as np
import scipy.linalg  # noqa: F401  (SciPy brings a BLAS of its own, whose threads are set below)
import torch
from threadpoolctl import threadpool_info, threadpool_limits

BLOCK = 20e-3  # seconds: shorter calls are timed in blocks, since the first finds cold caches
SLOW = 5.0  # seconds: a call as long as this is timed once
ROUNDS = 3, 100


def clock(count: int) -> Callable[[], float]:
    """Return the clock for so many threads."""
    return time.process_time if count == 1 else time.perf_counter


def paired(programs: dict[str, Callable[[], Any]], seconds: float,
           now: Callable[[], float]) -> dict[str, list[float]]:
    """Time programs in turn, A B A B ..., for about so many seconds.

    Parameters
    ----------
    programs : dict of str to callable
    seconds : float
        The time for all of them. At least three rounds are made, unless a call takes over 5 s.
    now : callable
        The clock.

    Returns
    -------
    dict of str to list of float
        Seconds a call takes, one number a round.
    """
    warm = {name: _seconds(program, now) for name, program in programs.items()}
    if max(warm.values()) > SLOW:
        return {name: [once] for name, once in warm.items()}
    warm = {name: _seconds(program, now) for name, program in programs.items()}
    calls = {name: max(1, round(BLOCK / once)) for name, once in warm.items()}
    times: dict[str, list[float]] = {name: [] for name in programs}
    start = time.perf_counter()
    for done in range(ROUNDS[1]):
        if done >= ROUNDS[0] and time.perf_counter() - start > seconds:
            break
        for name, program in programs.items():
            times[name].append(_seconds(program, now, calls[name]))
    return times


def _seconds(program: Callable[[], Any], now: Callable[[], float], calls: int = 1) -> float:
    start = now()
    for _ in range(calls):
        program()
    return (now() - start) / calls


def quartiles(values: Any) -> list[float]:
    """Return the first quartile, the median and the third."""
    return [float(q) for q in np.percentile(values, [25, 50, 75])]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Give NumPy's BLAS, SciPy's and PyTorch's as many threads, and check that they have them."""
    before = torch.get_num_threads()
    with threadpool_limits(count):
        torch.set_num_threads(count)
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
        if torch.get_num_threads() != count or set(pools.values()) != {count}:
            raise RuntimeError(f"wanted {count} threads everywhere, got {pools} "
                               f"and {torch.get_num_threads()} in PyTorch")
        try:
            yield
        finally:
            torch.set_num_threads(before)


def product_rates(dtype: str, count: int, n: int = 1536) -> dict[str, dict[str, float]]:
    """Measure the product of two n x n matrices: GFLOP/s, and how many cores are busy in it.

    Returns
    -------
    dict
        For each of NumPy and PyTorch ``{"gflops": ..., "cores": ...}``, the best of five.
    """
    A = np.random.default_rng(0).standard_normal((n, n)).astype(dtype)
    T = torch.from_numpy(A)
    rates = {}
    for name, product in [("NumPy", lambda: A @ A), ("PyTorch", lambda: T @ T)]:
        product()
        runs = []
        for _ in range(5):
            wall, cpu = time.perf_counter(), time.process_time()
            product()
            cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
            runs.append((cpu if count == 1 else wall, cpu / wall))
        rates[name] = {"gflops": 2 * n**3 / min(runs)[0] / 1e9,
                       "cores": round(max(cores for _, cores in runs), 2)}
    return rates


def machine() -> dict[str, Any]:
    """Describe the processor, the BLAS libraries and the versions."""
    names = ["numpy", "scipy", "autograd", "torch", "jax", "geotorch", "torch-householder"]
    return {
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in names},
        "blas": {
            "numpy, scipy": sorted({f"{pool['internal_api']} {pool['version']} {pool['architecture']}"
                                    for pool in threadpool_info() if pool["user_api"] == "blas"}),
            "torch": next(line.strip(" -") for line in torch.__config__.show().splitlines()
                          if "Kernel Library" in line or "BLAS_INFO" in line),
        },
        "date": time.strftime("%Y-%m-%d"),
    }


def cores() -> int:
    """Count the cores this process may use."""
    return len(os.sched_getaffinity(0))


def available_bytes() -> int:
    """Return the memory that is free."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def _cpu_model() -> str:
    with open("/proc/cpuinfo") as info:
        lines = dict(line.split(":", 1) for line in info if ":" in line)
    fields = {key.strip(): value.strip() for key, value in lines.items()}
    return "{} (family {}, model {})".format(
        *(fields.get(key, "?") for key in ("model name", "cpu family", "model")))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
