"""Time orthonorm and PyTorch in pairs; print the table, write JSON and figures."""
import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from . import figures, growth, jax_programs, report, training
from .cells import Cell, cells, flops, pytorch_bytes, pytorch_flops
from .libraries import NOT_INSTALLED, PROGRAMS
from .report import PYTORCH_LIMIT
from .timing import available_bytes, clock, cores, machine, paired, product_rates, quartiles, threads

RESULTS = Path(__file__).parent / "results"
YARDSTICK_LIMIT = 5.0  # the same for the other libraries, which are timed on one thread only


def main() -> None:
    options = arguments().parse_args()
    output = options.output or (None if options.quick else RESULTS)
    if options.redraw:
        results = json.loads((RESULTS / "benchmarks.json").read_text())
    else:
        results = measure(options)
        if output:
            output.mkdir(parents=True, exist_ok=True)
            (output / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n")
    print(report.closing(results))
    if output:
        figures.draw(results, output)
        (output / "readme-table.rst").write_text(report.readme_table(results))
        print(f"Written to {output}")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small shapes, one thread, in 1-2 minutes")
    parser.add_argument("--seconds", type=float, help="time for a cell (default 0.8, quick 0.1)")
    parser.add_argument("--only", default="", metavar="REGEX",
                        help="only the cells and steps of training whose name matches")
    parser.add_argument("--no-growth", action="store_true", help="leave out time and memory against n")
    parser.add_argument("--output", type=Path, help="folder for JSON and figures (quick: none)")
    parser.add_argument("--redraw", action="store_true", help="only draw the results again")
    return parser


def measure(options: argparse.Namespace) -> dict[str, Any]:
    start = time.time()
    seconds = options.seconds or (0.1 if options.quick else 0.8)
    chosen = [cell for cell in cells(quick=options.quick) if re.search(options.only, str(cell))]
    counts = [1] if options.quick or cores() == 1 else [1, cores()]
    results: dict[str, Any] = {"machine": machine(), "not installed": NOT_INSTALLED, "rates": {},
                               "cells": []}
    print(report.header(results["machine"]))
    for count in counts:
        with threads(count):
            rates = {dtype: product_rates(dtype, count) for dtype in ("float32", "float64")}
            results["rates"][str(count)] = rates
            print(report.rates(count, rates), report.column_names(), sep="\n\n")
            for cell in chosen:
                record = timed(cell, count, seconds, rates[cell.dtype])
                results["cells"].append(record)
                print(report.row(record), flush=True)
    results["training"] = measure_training(options)
    if not options.no_growth:
        results["growth"] = growth.measure(options.quick)
    results["minutes"] = round((time.time() - start) / 60, 1)
    return results


def measure_training(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time steps of training, on one thread."""
    records = []
    with threads(1):
        for workload in training.workloads():
            if re.search(options.only, str(workload)):
                if not records:
                    print(report.training_column_names())
                records.append(training.measure(workload, options.seconds or (
                    0.1 if options.quick else 1.6)))
                print(report.training_row(records[-1]), flush=True)
    return records


def timed(cell: Cell, count: int, seconds: float, rates: dict[str, Any]) -> dict[str, Any]:
    """Time one cell in all libraries that have it and are not too slow."""
    rate = 1e9 * max(library["gflops"] for library in rates.values())
    programs, skipped = {}, {}
    for name, prepare in PROGRAMS.items():
        reason = "" if name == "orthonorm" else why_skipped(name, cell, count, rate)
        if not reason:
            programs[name] = prepare(cell)
        elif name == "PyTorch":
            skipped[name] = reason
    times = paired({name: program for name, program in programs.items() if program}, seconds,
                   clock(count))
    record = {
        "map": cell.map, "shape": list(cell.shape), "kind": cell.kind, "dtype": cell.dtype,
        "direction": cell.direction, "threads": count, "rounds": len(times["orthonorm"]),
        "seconds": {name: quartiles(values) for name, values in times.items()},
        "skipped": skipped,
        "gflop": flops(cell) / 1e9,
    }
    record["fraction of product rate"] = flops(cell) / rate / record["seconds"]["orthonorm"][1]
    ratios = {name: quartiles([theirs / ours for ours, theirs in zip(times["orthonorm"], values)])
              for name, values in times.items()}
    if "PyTorch" in times:
        record["ratio"] = ratios["PyTorch"]
    record["JAX"] = {name: {"ratio": ratios[name], "compile seconds": programs[name].compile_seconds}
                     for name in jax_programs.NAMES if name in times}
    return record


def why_skipped(name: str, cell: Cell, count: int, rate: float) -> str:
    """Tell why a cell is not timed in a library other than ours; "" if it is."""
    estimate = pytorch_flops(cell) / rate
    if name == "JAX, closed form":
        return "" if count == 1 else "one thread only"
    if name != "PyTorch":
        slow = name != "torch-householder" and estimate > YARDSTICK_LIMIT
        slow |= name == "JAX, n x n" and cell.shape[-2] > 4096  # a dozen n x n matrices
        return "too slow" if name in NOT_INSTALLED or count > 1 or slow else ""
    if pytorch_bytes(cell) > 0.8 * available_bytes():
        return f"needs about {pytorch_bytes(cell) / 2**30:.0f} GiB"
    return f"takes about {estimate:.0f} s" if estimate > PYTORCH_LIMIT else ""


if __name__ == "__main__":
    main()
