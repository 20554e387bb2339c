"""The table, and the verdict on each target."""
from statistics import geometric_mean
from typing import Any, Callable, Iterator

Record = dict[str, Any]


def header(machine: Record) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GB, "
            f"{machine['date']}\n{machine['system']}, Python {machine['python']}, {versions}\n"
            f"BLAS: {', '.join(machine['blas']['numpy, scipy'])} (NumPy, SciPy); "
            f"{machine['blas']['torch']} (PyTorch)")


def rates(count: int, measured: Record) -> str:
    parts = [f"{dtype} {library} {rate['gflops']:.0f} GFLOP/s, {rate['cores']} cores busy"
             for dtype, libraries in measured.items() for library, rate in libraries.items()]
    text = f"\n{count} thread(s). Matrix product: " + "; ".join(parts)
    busy = min(rate["cores"] for libraries in measured.values() for rate in libraries.values())
    if busy < 0.8 * count:
        text += "\nThe machine is busy with other work" + (
            ": processor time is counted, but caches are shared." if count == 1 else
            ": the times below are not to be trusted.")
    return text


def column_names() -> str:
    return (f"{'':50}{'orthonorm, ms':>26}{'PyTorch, ms':>26}{'PyTorch/orthonorm':>22}"
            f"{'JAX n x n, closed':>20}{'limit':>7}   others, ms\n{'':50}{'median [quartiles]':>26}"
            f"{'median [quartiles]':>26}{'median [quartiles]':>22}{'/orthonorm':>20}")


def row(record: Record) -> str:
    """Format one cell; `limit` is the fraction of the machine's matrix-product rate."""
    seconds = record["seconds"]
    name = "{map} {size} {dtype} {direction}".format(size=size(record), **record)
    theirs = (spread(seconds["PyTorch"], 1e3) if "PyTorch" in seconds
              else f"skipped: {record['skipped']['PyTorch']}")
    ratio = spread(record["ratio"]) if "ratio" in record else ""
    others = ", ".join(f"{name} {1e3 * times[1]:.3g}" for name, times in seconds.items()
                       if name not in ("orthonorm", "PyTorch", *record.get("JAX", ())))
    jax = " ".join(f"{peer['ratio'][1]:.3g}" for peer in record.get("JAX", {}).values())
    once = " (timed once)" if record["rounds"] == 1 else ""
    return (f"{name:50}{spread(seconds['orthonorm'], 1e3):>26}{theirs:>26}{ratio:>22}"
            f"{jax:>20}{record['fraction of product rate']:>7.0%}   {others}{once}")


def training_column_names() -> str:
    return (f"\nSteps of training, one thread\n{'':59}{'orthonorm, ms':>24}{'PyTorch, ms':>24}"
            f"{'PyTorch/orthonorm':>22}{'memory at peak, ours/theirs':>30}")


def training_row(record: Record) -> str:
    """Format one step of training."""
    ours, theirs = (record["seconds"][name] for name in ("orthonorm", "PyTorch"))
    memory = "{orthonorm:.3g}/{PyTorch:.3g} MB".format(
        **{name: peak / 1e6 for name, peak in record["peak bytes"].items()})
    return (f"{record['name'] + ' ' + record['dtype']:59}{spread(ours, 1e3):>24}"
            f"{spread(theirs, 1e3):>24}{spread(record['ratio']):>22}"
            f"{memory:>22} {record['memory ratio']:7.2f}")


def size(record: Record) -> str:
    return "x".join(map(str, record["shape"]))


def spread(quartiles: list[float], unit: float = 1) -> str:
    low, median, high = (f"{unit * q:.3g}" for q in quartiles)
    return f"{median} [{low}, {high}]"


# ---------------------------------------------------------------------------------------------------
# Targets
# ---------------------------------------------------------------------------------------------------

def _wide(factor: int) -> Callable[[Record], bool]:
    return lambda r: r["kind"] == "tall" and r["shape"][-2] >= factor * r["shape"][-1]


def _square_of(name: str) -> Callable[[Record], bool]:
    return lambda r: r["map"] == name and r["kind"] == "square" and r["shape"][-1] >= 64


# (what, direction, which cells, at least). 1.0 is meant within noise: there the third quartile of
# the paired ratios counts, elsewhere their median.
TARGETS = [
    ("any cell", "forward+backward", lambda r: True, 1.0),
    ("householder, square, n >= 64", "forward+backward", _square_of("householder"), 5.0),
    ("matrix_exp, square, n >= 64", "forward+backward", _square_of("matrix_exp"), 2.0),
    ("any map, n >= 8 k", "forward+backward", _wide(8), 25.0),
    ("any map, n >= 16 k", "forward+backward", _wide(16), 60.0),
    ("spectral_norm", "forward+backward", lambda r: r["kind"] == "spectral", 1.5),
    ("any cell", "forward", lambda r: True, 1.0),
]
TRAINING_TARGETS = [
    ("training runs", ("run",), 1.0), ("RNN, LSTM, GRU, 64 hidden, 100 steps", ("recurrent",), 1.0),
    ("convolutions", ("convolution",), 0.85), ("other layers", ("other",), 1.0)]
GEOMETRIC_MEAN = 12.0
PYTORCH_LIMIT = 60.0  # seconds a call


def closing(results: Record) -> str:
    """Hold the paired ratios on one thread against the targets, then the growth against its."""
    single = [r for r in results["cells"] if r["threads"] == 1 and "ratio" in r]
    lines = ["", "Targets (one thread, PyTorch's time over ours)"]
    for what, direction, belongs, least in TARGETS:
        found = [r for r in single if r["direction"] == direction and belongs(r)]
        if found:
            lines.append(_verdict(what, direction, found, least))
    lines += _mean_lines([r for r in results["cells"]
                          if r["threads"] == 1 and r["direction"] == "forward+backward"])
    lines += _training_lines(results.get("training", []))
    lines += _jax_lines(results["cells"])
    skipped = sorted({f"{r['map']} {size(r)} {r['dtype']} {r['direction']} "
                      f"({reason})" for r in results["cells"] for reason in r["skipped"].values()})
    if skipped:
        lines += ["PyTorch not timed: " + "; ".join(skipped)]
    if results["not installed"]:
        lines += [f"{name}: not installed" for name in results["not installed"]]
    lines += growth_lines(results.get("growth"))
    return "\n".join([*lines, f"Took {results['minutes']} minutes."])


def _mean_lines(records: list[Record]) -> list[str]:
    """Judge the geometric mean; where PyTorch was not timed, the limit stands for its time."""
    if not records:
        return []
    timed = [r["ratio"][1] for r in records if "ratio" in r]
    least = [PYTORCH_LIMIT / r["seconds"]["orthonorm"][1] for r in records if "ratio" not in r]
    mean = geometric_mean(timed + least)
    return [f"{_word(mean >= GEOMETRIC_MEAN)} geometric mean, forward+backward: to reach "
            f"{GEOMETRIC_MEAN}; {mean:.1f} of all {len(records)} cells, with {PYTORCH_LIMIT:.0f} s for "
            f"PyTorch in the {len(least)} where it was not timed, {geometric_mean(timed):.1f} of the "
            f"{len(timed)} others"]


def _verdict(what: str, direction: str, found: list[Record], least: float) -> str:
    judged = [r["ratio"][2 if least == 1 else 1] for r in found]
    missed = [r for r, ratio in zip(found, judged) if ratio < least]
    worst = min(found, key=lambda r: r["ratio"][1])
    line = (f"{_word(not missed)} {what}, {direction}: to reach {least}; worst of {len(found)} "
            f"{worst['ratio'][1]:.2f} ({worst['map']} {size(worst)} {worst['dtype']})")
    for r in sorted(missed, key=lambda r: r["ratio"][1]):
        line += f"\n                missed: {r['map']} {size(r)} {r['dtype']} {spread(r['ratio'])}"
    return line


def _jax_lines(records: list[Record]) -> list[str]:
    """Judge the ratios to JAX, which counts from n = 256 on, and say how long it compiles."""
    lines = []
    for name in dict.fromkeys(name for r in records for name in r.get("JAX", ())):
        cells = [(r, r["JAX"][name]) for r in records if name in r.get("JAX", ())]
        found = [(r, peer["ratio"]) for r, peer in cells if r["shape"][-2] >= 256]
        compiling = [peer["compile seconds"] for _, peer in cells]
        small = [peer["ratio"][1] for r, peer in cells if r["shape"][-2] < 256]
        if found:
            missed = [(r, ratio) for r, ratio in found if ratio[2] < 1]
            worst, ratio = min(found, key=lambda pair: pair[1][1])
            lines.append(
                f"{_word(not missed)} {name}, compiled, n >= 256, forward+backward: to reach 1.0; "
                f"worst of {len(found)} {ratio[1]:.2f} "
                f"({worst['map']} {size(worst)} {worst['dtype']})")
            lines += [f"                missed: {r['map']} {size(r)} {r['dtype']} {spread(ratio)}"
                      for r, ratio in sorted(missed, key=lambda pair: pair[1][1])]
        if small:
            lines.append(f"            {name}, n < 256: {min(small):.2f} to {max(small):.2f}")
        lines.append(f"            {name}: compiled in {min(compiling):.1f} to "
                     f"{max(compiling):.1f} s a cell, not counted above")
    return lines


def _training_lines(records: list[Record]) -> list[str]:
    lines = []
    for what, kinds, least in TRAINING_TARGETS:
        found = sorted((r for r in records if r["kind"] in kinds), key=lambda r: r["ratio"][1])
        if found:
            # As above: at 1.0, within noise.
            missed = [r for r in found if r["ratio"][2 if least == 1 else 1] < least]
            memory = geometric_mean(r["memory ratio"] for r in found)
            lines.append(
                f"{_word(not missed)} steps of {what}: to reach {least}; worst of {len(found)} "
                f"{found[0]['ratio'][1]:.2f} ({found[0]['name']} {found[0]['dtype']}), geometric mean "
                f"{geometric_mean(r['ratio'][1] for r in found):.2f}; memory at its peak "
                f"{memory:.2f} times PyTorch's in the geometric mean")
            lines += [f"                missed: {r['name']} {r['dtype']} {spread(r['ratio'])}"
                      for r in missed]
    return lines


def _word(reached: bool) -> str:
    return "reached    " if reached else "NOT REACHED"


def growth_lines(growth: Record | None) -> list[str]:
    """Judge time and memory against n, and the embedding."""
    if not growth:
        return []
    lines = ["", f"Growth, k = {growth['k']}, forward+backward with trivialization, one thread"]
    for curve in growth["curves"]:
        good = curve["complete"] and curve["exponent"] <= 1.1 and curve["within memory"]
        points = ", ".join(f"{p['n']}: {p['error']}" if "error" in p else
                           f"{p['n']}: {1e3 * p['seconds']:.3g} ms {p['peak'] / 2**20:.0f} MiB"
                           for p in curve["points"])
        lines.append(f"{_word(good)} {curve['map']} {curve['dtype']}: time n^{curve['exponent']:.2f}, "
                     f"to stay below n^1.1 and 16 n k itemsize + 100 MB ({points})")
    for entry in growth["embedding"]:
        what = f"orthogonal(Embedding(30000, 50)), {entry['map']} {entry['dtype']}"
        if "error" in entry:
            lines.append(f"{_word(False)} {what}: {entry['error']}")
            continue
        good = entry["total"] < 2 and entry["peak"] < 500e6
        lines.append(f"{_word(good)} {what}: registered, read and differentiated in "
                     f"{entry['total']:.2f} s and {entry['peak'] / 1e6:.0f} MB, to stay below 2 s and "
                     "500 MB")
    return lines


# ---------------------------------------------------------------------------------------------------
# The table of tests/benchmarks/README.rst
# ---------------------------------------------------------------------------------------------------

def readme_table(results: Record) -> str:
    """Write the float32 and float64 medians of forward+backward on one thread as a list-table."""
    lines = [".. list-table::", "   :header-rows: 1", "",
             "   * - forward + backward", *(f"     - {dtype} {what}" for dtype in ("float32", "float64")
                                            for what in ("orthonorm, ms", "PyTorch, ms", "ratio"))]
    for name, shape, records in _by_shape(results):
        lines.append(f"   * - {name} {shape}")
        for dtype in ("float32", "float64"):
            r = records[dtype]
            ours = f"{1e3 * r['seconds']['orthonorm'][1]:.3g}"
            theirs = (f"{1e3 * r['seconds']['PyTorch'][1]:.3g}" if "ratio" in r
                      else r["skipped"]["PyTorch"])
            ratio = f"{r['ratio'][1]:.3g}" if "ratio" in r else ""
            lines += [f"     - {cell}" if cell else "     -" for cell in (ours, theirs, ratio)]
    return "\n".join(lines) + "\n"


def _by_shape(results: Record) -> Iterator[tuple[str, str, dict[str, Record]]]:
    chosen = [r for r in results["cells"]
              if r["threads"] == 1 and r["direction"] == "forward+backward"]
    for first in chosen:
        if first["dtype"] == chosen[0]["dtype"]:
            same = {r["dtype"]: r for r in chosen
                    if (r["map"], r["shape"]) == (first["map"], first["shape"])}
            if len(same) == 2:
                yield first["map"], size(first), same
