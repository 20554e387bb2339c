"""Steps of training: the recorded runs of :mod:`orthonorm.equivalence.training`, and single layers.

Each is written once and made with both libraries of :mod:`orthonorm.equivalence.libraries`. A step of a
run computes the loss and its gradient and lets the optimiser move the parameters; a step of a layer
computes sum(C * output) and the gradient of every parameter and of the input.
"""
import os
import tracemalloc
from dataclasses import dataclass
from itertools import count, product
from typing import Any, Callable, Iterator

import numpy as np
import torch

from orthonorm.equivalence import runs
from orthonorm.equivalence.libraries import Orthonorm, PyTorch

from .timing import clock, paired, quartiles

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # PyTorch's profiler says when it starts and stops
DTYPES = ("float32", "float64")
Step = Callable[[], Any]


@dataclass(frozen=True)
class Workload:
    """What is trained, in one dtype.

    Parameters
    ----------
    name : str
    kind : str
        "run", "recurrent", "convolution" or "other".
    dtype : str
    prepare : callable
        From a library and the name of the dtype to the step.
    """

    name: str
    kind: str
    dtype: str
    prepare: Callable[[Any, str], Step]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}"


def workloads() -> Iterator[Workload]:
    """Yield the recorded runs, then the layers, in both precisions."""
    _, digits, recorded = runs.load()
    for dtype, run in product(DTYPES, runs.all_runs()):
        yield Workload(run.name, "run", dtype, run_step(run, digits, recorded[run.name]))
    for dtype, (kind, name, layer, shape) in product(DTYPES, LAYERS):
        yield Workload(name, kind, dtype, layer_step(layer, shape))


# -- what a step is ----------------------------------------------------------------------------------

def run_step(run: runs.Run, digits: Any, recorded: Any) -> Callable[[Any, str], Step]:
    """Train on the recorded batches, over and over."""
    def prepare(library: Any, dtype: str) -> Step:
        trained = run.program(library, dtype, digits, recorded["inputs"], **run.options)
        library.load(trained.model, recorded["start"])
        steps = count()
        return lambda: trained.step(next(steps) % run.program.steps)
    return prepare


def layer_step(make: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> Callable[[Any, str], Step]:
    """Differentiate sum(C * output), C normal, by all parameters and the input."""
    def prepare(library: Any, dtype: str) -> Step:
        rng = np.random.default_rng(0)
        holder = library.module(x=rng.standard_normal(shape).astype(dtype))
        holder.layer = make(library, library.dtype(dtype))

        def output() -> Any:
            y = holder.layer(holder.x)
            return y[0] if isinstance(y, tuple) else y

        weights = library.array(rng.standard_normal(output().shape).astype(dtype))
        return lambda: library.gradients(holder, lambda: (weights * output()).sum())
    return prepare


def _recurrent(name: str, orthogonal: bool) -> Callable[[Any, Any], Any]:
    def make(library: Any, kind: Any) -> Any:
        layer = getattr(library.nn, name)(8, 64, dtype=kind)
        return library.orthogonal(layer, "weight_hh_l0") if orthogonal else layer
    return make


def _stack(library: Any, kind: Any) -> Any:
    nn = library.nn
    layers = [(library.orthogonal(nn.Linear(128, 128, dtype=kind)), nn.Tanh()) for _ in range(6)]
    return nn.Sequential(*(part for pair in layers for part in pair))


SEQUENCE = (100, 32, 8)  # time, batch, input
LAYERS: list[tuple[str, str, Callable[[Any, Any], Any], tuple[int, ...]]] = [
    *(("recurrent", f"{name} 8 to 64, {'orthogonal, ' if orthogonal else ''}100 steps",
       _recurrent(name, orthogonal), SEQUENCE)
      for name in ("RNN", "LSTM", "GRU") for orthogonal in (False, True)),
    ("convolution", "Conv2d 16 to 32, 3x3 on 32x32",
     lambda library, kind: library.nn.Conv2d(16, 32, 3, padding=1, dtype=kind), (16, 16, 32, 32)),
    ("convolution", "Conv2d 64 to 64, 3x3, stride 2 on 16x16",
     lambda library, kind: library.nn.Conv2d(64, 64, 3, stride=2, padding=1, dtype=kind),
     (16, 64, 16, 16)),
    ("convolution", "ConvTranspose2d 32 to 16, 4x4, stride 2 on 16x16",
     lambda library, kind: library.nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, dtype=kind),
     (16, 32, 16, 16)),
    ("other", "Linear 512 to 512, batch 128",
     lambda library, kind: library.nn.Linear(512, 512, dtype=kind), (128, 512)),
    ("other", "six orthogonal 128 x 128 with tanh", _stack, (32, 128)),
]


# -- measuring ---------------------------------------------------------------------------------------

def measure(workload: Workload, seconds: float) -> dict[str, Any]:
    """Time a step of both libraries in alternation, and compare the memory at its peak."""
    libraries = {"orthonorm": Orthonorm(), "PyTorch": PyTorch()}
    steps = {name: workload.prepare(library, workload.dtype) for name, library in libraries.items()}
    times = paired(steps, seconds, clock(1))
    memory = {"orthonorm": our_peak(steps["orthonorm"]), "PyTorch": torch_peak(steps["PyTorch"])}
    return {
        "name": workload.name, "kind": workload.kind, "dtype": workload.dtype,
        "rounds": len(times["orthonorm"]),
        "seconds": {name: quartiles(values) for name, values in times.items()},
        "ratio": quartiles(np.divide(times["PyTorch"], times["orthonorm"])),
        "peak bytes": memory,
        "memory ratio": memory["orthonorm"] / memory["PyTorch"],
    }


def our_peak(step: Step) -> int:
    """Return how many bytes Python and NumPy hold at the peak of a step above those before it."""
    step()
    tracemalloc.start()
    try:
        step()
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        step()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def torch_peak(step: Step) -> int:
    """Return how many bytes PyTorch's tensors hold at the peak of a step above those before it.

    Its profiler sees every block that the allocator hands out and takes back; what its C++ objects
    need is not counted, nor what oneDNN takes for itself.
    """
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU],
                                profile_memory=True) as profile:
        step()
    events = profile.profiler.kineto_results.events()  # type: ignore[union-attr]
    blocks = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    return max(0, int(np.cumsum([size for _, size in blocks]).max(initial=0)))
