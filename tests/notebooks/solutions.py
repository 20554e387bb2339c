"""Execute every lesson, then the code of its solutions: ``python -m tests.notebooks.solutions``.

Needs the extra ``[notebooks]``. Names of files, such as ``06_convolutions.ipynb``, choose lessons. Exit
status 1 if a cell or a solution raises or warns.
"""
import argparse
import contextlib
import io
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from .lessons import FOLDER, LESSONS, cells, code_of, read, solutions, source


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.solutions", description=__doc__)
    parser.add_argument("lesson", nargs="*", help="default: all")
    parser.add_argument("--verbose", action="store_true", help="show what the solutions print")
    options = parser.parse_args()
    chosen = [FOLDER / Path(name).name for name in options.lesson] or LESSONS
    os.chdir(FOLDER)
    import matplotlib
    matplotlib.use("Agg")
    return int(not all([check(path, options.verbose) for path in chosen]))


def check(path: Path, verbose: bool) -> bool:
    """Run one lesson and its solutions in one namespace; print what fails."""
    started = time.perf_counter()
    notebook = read(path)
    blocks = [(f"cell {i}", source(cell)) for i, cell in enumerate(cells(notebook, "code"), 1)]
    found = solutions(notebook)
    blocks += [(f"solution {i}", code_of(solution)) for i, solution in enumerate(found, 1)]
    namespace = {"__name__": "__main__"}
    for name, code in blocks:
        printed = io.StringIO()
        try:
            run(f"{path.name}, {name}", code, namespace, printed)
        except Exception:
            print(f"FAIL {path.name}, {name}\n{traceback.format_exc()}", flush=True)
            return False
        if verbose and name.startswith("solution"):
            print(f"-- {name}\n{printed.getvalue()}", end="")
    seconds = time.perf_counter() - started
    print(f"ok   {path.name}, {len(found)} solutions, {seconds:.0f} s", flush=True)
    return True


def run(title: str, code: str, namespace: dict, printed: io.StringIO) -> None:
    from matplotlib import pyplot
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("error")
        # plt.show, which a notebook needs and Agg cannot do, only warns.
        warnings.filterwarnings("ignore", message=".*non-interactive")
        exec(compile(code, title, "exec"), namespace)
    pyplot.close("all")


if __name__ == "__main__":
    sys.exit(main())
