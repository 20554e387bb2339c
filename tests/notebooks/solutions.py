"""Execute every lesson with the code of its solutions: ``python -m tests.notebooks.solutions``.

Needs the extra ``[notebooks]``. Names of files, such as ``06_convolutions.ipynb``, choose lessons. Exit
status 1 if a cell or a solution raises or warns, or if the check of an exercise does not accept its
solution. With ``--write``, what the solutions print is written into them.
"""
import argparse
import contextlib
import io
import json
import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from .lessons import FOLDER, LESSONS, PRINTED, code_of, label_of, read, source, with_tag


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.solutions", description=__doc__)
    parser.add_argument("lesson", nargs="*", help="default: all")
    parser.add_argument("--write", action="store_true", help="write what the solutions print into them")
    options = parser.parse_args()
    chosen = [FOLDER / Path(name).name for name in options.lesson] or LESSONS
    os.chdir(FOLDER)
    sys.path.insert(0, str(FOLDER))
    import matplotlib
    matplotlib.use("Agg")
    return int(not all([check(path, options.write) for path in chosen]))


def check(path: Path, write: bool) -> bool:
    """Run one lesson and its solutions in one namespace; print what fails."""
    started = time.perf_counter()
    notebook = read(path)
    found = with_tag(notebook, "solution")
    blocks = [(f"solution of {label_of(cell)}", code_of(source(cell)), cell) if cell in found
              else (f"cell {i}", source(cell), None)
              for i, cell in enumerate(notebook["cells"])
              if cell["cell_type"] == "code" or cell in found]
    namespace = {"__name__": "__main__"}
    for name, code, solution in blocks:
        printed = io.StringIO()
        try:
            run(f"{path.name}, {name}", code, namespace, printed)
            if solution is not None:
                right = f"{label_of(solution)}: right.\n"
                assert printed.getvalue().endswith(right), printed.getvalue()
        except Exception:
            print(f"FAIL {path.name}, {name}\n{traceback.format_exc()}", flush=True)
            return False
        if solution is not None and write:
            text = PRINTED.sub(lambda match: match[1] + printed.getvalue() + match[3], source(solution))
            solution["source"] = text.splitlines(keepends=True)
    if write:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
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
