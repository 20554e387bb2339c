"""The pictures of the README: time against n, ratios, growth. Colours of Okabe and Ito."""
from itertools import product
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402

from .cells import MAPS  # noqa: E402
from .report import size  # noqa: E402

COLOURS = {"orthonorm": "#0072B2", "PyTorch": "#D55E00", "geotorch": "#009E73",
           "torch-householder": "#CC79A7", "scipy.linalg.expm": "#000000",
           "JAX, n x n": "#56B4E9", "JAX, closed form": "#E69F00"}
MARKERS = {"orthonorm": "o", "PyTorch": "s", "geotorch": "^", "torch-householder": "v",
           "scipy.linalg.expm": "d", "JAX, n x n": "<", "JAX, closed form": ">"}
DTYPE_COLOURS = {"float32": "#E69F00", "float64": "#0072B2"}
MAP_COLOURS = dict(zip(MAPS, ("#0072B2", "#D55E00", "#009E73")))
STYLE = {"font.size": 9, "axes.grid": True, "grid.alpha": 0.3, "axes.axisbelow": True,
         "axes.spines.top": False, "axes.spines.right": False, "savefig.dpi": 110,
         "legend.frameon": False}
LEAST = 1e-17  # errors of zero are drawn here
Results = dict[str, Any]


def draw(results: Results, folder: Path) -> None:
    """Draw every figure whose measurements are there."""
    with plt.rc_context(STYLE):
        draw_times(results, folder / "times.png")
        draw_ratios(results, folder / "ratios.png")
        if results.get("training"):
            draw_training(results["training"], folder / "training.png")
        if "growth" in results:
            draw_growth(results["growth"], folder / "growth.png")


def draw_times(results: Results, path: Path, dtype: str = "float64") -> None:
    """Plot time against n for forward+backward on one thread: square above, 64 columns below."""
    chosen = [r for r in results["cells"] if r["dtype"] == dtype and r["threads"] == 1
              and r["direction"] == "forward+backward"]
    rows = [("square, n x n", "square", lambda r: True),
            ("tall, n x 64", "tall", lambda r: r["shape"][-1] == 64)]
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 6), sharey="row", layout="constrained")
    for line, (title, kind, belongs) in zip(axes, rows):
        for axis, name in zip(line, MAPS):
            records = [r for r in chosen if r["map"] == name and r["kind"] == kind and belongs(r)]
            for library in COLOURS:
                points = [(r["shape"][-2], [1e3 * s for s in r["seconds"][library]])
                          for r in records if library in r["seconds"]]
                if points:
                    n, (low, median, high) = [x for x, _ in points], zip(*(q for _, q in points))
                    axis.fill_between(n, low, high, color=COLOURS[library], alpha=0.2, lw=0)
                    axis.plot(n, median, MARKERS[library] + "-", color=COLOURS[library],
                              label=library, ms=5)
            axis.set(xscale="log", yscale="log", xlabel="n", title=f"{name}\n{title}")
            ticks = sorted({r["shape"][-2] for r in records})
            axis.set_xticks(ticks, [str(n) for n in ticks])
            axis.minorticks_off()
        line[0].set_ylabel("time, ms")
    _one_legend(figure, axes)
    figure.suptitle(f"Forward + backward, {dtype}, one thread (median; band: quartiles)")
    _save(figure, path)


def draw_ratios(results: Results, path: Path) -> None:
    """Plot PyTorch's time over ours, every cell of forward+backward on one thread."""
    chosen = [r for r in results["cells"] if r["threads"] == 1 and "ratio" in r
              and r["direction"] == "forward+backward"]
    names = [name for name in (*MAPS, "spectral_norm") if any(r["map"] == name for r in chosen)]
    if not names:
        return
    figure, axes = plt.subplots(2, 2, figsize=(8.4, 7.4), sharex=True, layout="constrained")
    for axis, name in zip(axes.flat, names):
        records = [r for r in chosen if r["map"] == name]
        sizes = list(dict.fromkeys(size(r) for r in records))
        for offset, (dtype, colour) in zip((-0.2, 0.2), DTYPE_COLOURS.items()):
            bars = [r for r in records if r["dtype"] == dtype]
            where = [sizes.index(size(r)) + offset for r in bars]
            medians = [r["ratio"][1] for r in bars]
            errors = [[r["ratio"][1] - r["ratio"][0] for r in bars],
                      [r["ratio"][2] - r["ratio"][1] for r in bars]]
            axis.barh(where, [m - 1 for m in medians], 0.4, left=1, color=colour, label=dtype,
                      xerr=errors, error_kw={"lw": 0.8})
            for y, r in zip(where, bars):
                axis.text(max(r["ratio"][2], 1) * 1.08, y, f"{r['ratio'][1]:.3g}", va="center",
                          fontsize=7)
        axis.axvline(1, color="black", lw=1)
        axis.set_yticks(range(len(sizes)), sizes)
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.set(xscale="log", title=name)
    largest = max(r["ratio"][2] for r in chosen)
    axes[0, 0].set_xlim(min(0.5, *(r["ratio"][0] for r in chosen)), 4 * largest)
    axes[0, 0].xaxis.set_major_formatter("{x:g}")
    for axis in axes[1]:
        axis.set_xlabel("PyTorch's time / orthonorm's time")
    _one_legend(figure, axes)
    figure.suptitle("How many times faster than PyTorch: forward + backward, one thread\n"
                    "(median of paired runs; whiskers: quartiles; to the left of 1: slower)")
    _save(figure, path)


def draw_training(records: list[Results], path: Path) -> None:
    """Plot, for steps of training, PyTorch's time over ours, and our memory over PyTorch's."""
    names = list(dict.fromkeys(r["name"] for r in records))
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8.4, 1 + 0.27 * len(names)), sharey=True,
                                          layout="constrained")
    for offset, (dtype, colour) in zip((-0.2, 0.2), DTYPE_COLOURS.items()):
        bars = [r for r in records if r["dtype"] == dtype]
        where = [names.index(r["name"]) + offset for r in bars]
        for axis, values in ((time, [r["ratio"] for r in bars]),
                             (memory, [3 * [r["memory ratio"]] for r in bars])):
            axis.barh(where, [m - 1 for _, m, _ in values], 0.4, left=1, color=colour, label=dtype,
                      xerr=[[m - low for low, m, _ in values], [high - m for _, m, high in values]],
                      error_kw={"lw": 0.8})
            for y, (_, m, high) in zip(where, values):
                axis.text(max(high, 1) * 1.05, y, f"{m:.2g}", va="center", fontsize=6.5)
    for axis, label, base in ((time, "PyTorch's time / orthonorm's time", 2),
                              (memory, "peak memory, orthonorm's / PyTorch's", 4)):
        axis.axvline(1, color="black", lw=1)
        axis.grid(axis="y", visible=False)
        axis.set(xscale="log", xlabel=label)
        axis.xaxis.set_major_locator(matplotlib.ticker.LogLocator(base=base, numticks=20))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.minorticks_off()
        axis.margins(x=0.15)
    time.set_yticks(range(len(names)), names)
    time.invert_yaxis()
    _one_legend(figure, [time, memory])
    figure.suptitle("One step of training, one thread (median of paired runs; whiskers: quartiles)")
    _save(figure, path)


def draw_growth(growth: Results, path: Path) -> None:
    """Plot time and peak memory against n, one line a map, and the limits."""
    curves = [c for c in growth["curves"] if c["dtype"] == growth["curves"][-1]["dtype"]]
    figure, (time, memory) = plt.subplots(1, 2, figsize=(8.4, 3.6), layout="constrained")
    for curve in curves:
        points = [p for p in curve["points"] if "error" not in p]
        n = [p["n"] for p in points]
        style = {"color": MAP_COLOURS[curve["map"]], "marker": "o", "ms": 5}
        label = f"{curve['map']}, $n^{{{curve['exponent']:.2f}}}$"
        time.plot(n, [1e3 * p["seconds"] for p in points], label=label, **style)
        memory.plot(n, [p["peak"] / 1e6 for p in points], label=curve["map"], **style)
    points = curves[0]["points"]
    n = [p["n"] for p in points]
    memory.plot(n, [p["allowed"] / 1e6 for p in points], "k--", label="16 n k itemsize + 100 MB")
    dense = [p["n"]**2 * (4 if curves[0]["dtype"] == "float32" else 8) / 1e6 for p in points]
    memory.plot(n, dense, "k:", label="one n x n matrix")
    for axis, label in ((time, "time, ms"), (memory, "peak memory, MB")):
        axis.set(xscale="log", yscale="log", xlabel="n", ylabel=label)
        axis.set_xticks(n, [f"{x // 1024}k" for x in n])
        axis.minorticks_off()
        axis.legend(fontsize=8)
    memory.set_ylim(top=3 * max(p["allowed"] / 1e6 for p in points))
    figure.suptitle(f"n x {growth['k']} with trivialization: forward + backward, "
                    f"{curves[0]['dtype']}, one thread")
    _save(figure, path)


def draw_accuracy(rows: list[Results], path: Path) -> None:
    """Plot our error against PyTorch's, a point a cell: below the diagonal ours is smaller."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(1, 3, figsize=(8.4, 3.6), sharex=True, sharey=True,
                                    layout="constrained")
        for axis, name in zip(axes, MAPS):
            for (dtype, colour), what in product(DTYPE_COLOURS.items(), ("value", "gradient")):
                errors = [row["errors"] for row in rows
                          if row["map"] == name and row["dtype"] == dtype]
                axis.plot([max(e["PyTorch"][what], LEAST) for e in errors],
                          [max(e["orthonorm"][what], LEAST) for e in errors],
                          "o" if what == "value" else "^", color=colour, ms=4, alpha=0.7,
                          markeredgewidth=0, label=f"{dtype}, {what}")
            axis.plot([LEAST, 1], [LEAST, 1], "k-", lw=0.8, label="equal")
            axis.set(xscale="log", yscale="log", title=name, xlabel="PyTorch's relative error")
        axes[0].set_ylabel("orthonorm's relative error")
        _one_legend(figure, axes)
        figure.suptitle("Distance from the exact answer, a point a cell")
        _save(figure, path)


def _one_legend(figure: Any, axes: Any) -> None:
    found = {label: handle for axis in np.ravel(axes)
             for handle, label in zip(*axis.get_legend_handles_labels())}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=len(found))


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path)
    plt.close(figure)
