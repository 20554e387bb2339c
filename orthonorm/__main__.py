"""The command line: ``python -m orthonorm``, or ``orthonorm``."""
import argparse
import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.linalg import LinAlgError

from .checkpoints import CheckpointError, adapters, files, inspection, plain_weights, save
from .conformance import ConformanceError, judge
from .conformance.questions import DTYPES, as_lines, operations
from .equivalence import report, sources

LARGE_FILE = 20_000_000  # bytes; above it, examining takes long enough for a progress bar


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status: 0, 1 if the command found something wrong, 2 if it could not do its work.
    """
    parser = argparse.ArgumentParser(
        prog="orthonorm", description="PyTorch's weight parametrizations in NumPy.")
    commands = parser.add_subparsers(dest="command", required=True)
    equivalence = commands.add_parser(
        "equivalence", help="compare every answer with PyTorch's",
        description="Compare orthonorm's answers with PyTorch's: recorded ones, or those of the "
                    "PyTorch that is installed. Exit status 1 if one differs.")
    what = equivalence.add_mutually_exclusive_group()
    what.add_argument("--live", action="store_true",
                      help="fresh random inputs, answered by the installed PyTorch")
    what.add_argument("--record", type=npz, metavar="FILE.npz",
                      help="compare nothing, but write down the installed PyTorch's answers")
    what.add_argument("--recording", type=npz, metavar="FILE.npz",
                      help="compare with the answers that --record wrote, elsewhere perhaps")
    equivalence.add_argument("--seed", type=seed, default=0,
                             help="of the inputs for --live and --record")
    equivalence.add_argument("--device", default="cpu", help="of PyTorch, for --live and --record")
    equivalence.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    equivalence.set_defaults(run=compare)
    inspector = commands.add_parser(
        "inspect", help="check the weights in a checkpoint",
        description="Show the singular values of every weight in a checkpoint, of the parametrized "
                    "ones too, and warn of what is wrong. Exit status 0 if nothing is, 1 if there are "
                    "warnings, 2 if the file cannot be read or exported.")
    inspector.add_argument("file", type=Path, help=" ".join(files.READERS))
    inspector.add_argument("--orthogonal-map", action="append", default=[], metavar="[TENSOR=]NAME",
                           help="the map of all orthogonal weights, or of one (may be repeated); by "
                                "default PyTorch's default for the shape and dtype")
    inspector.add_argument("--json", action="store_true", help="print the report as JSON")
    inspector.add_argument("--export", type=Path, metavar="OUT",
                           help="write the plain weights, without parametrizations, and the rotations "
                                "of PEFT's adapters to this .safetensors or .npz file")
    inspector.set_defaults(run=inspect)
    add_conformance(commands)
    options = parser.parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name may have characters that the terminal lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status: int = options.run(options)
        print(end="", flush=True)
        return status
    except (CheckpointError, ConformanceError, ImportError, LinAlgError, MemoryError, OSError) as error:
        reason = str(error) or type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.filename or 'the report'}: {error.strerror}"
            if error.filename is None:  # what is left of the report would fail again when Python ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("orthonorm:", *reason.split(), file=sys.stderr)
        return 2


def add_conformance(commands: Any) -> None:
    """Add the command ``conformance`` and what belongs to it."""
    conformance = commands.add_parser(
        "conformance", help="judge any implementation of the maps by exact answers",
        description="Questions with exact answers, for implementations in any language.")
    actions = conformance.add_subparsers(dest="action", required=True)
    judging = actions.add_parser(
        "judge", help="put the questions to a program, or judge its answers",
        description="Ask a program for all operations that it has, and compare with the exact answers. "
                    "Exit status 0 if all are right, 1 if not, 2 if there is nothing to judge.")
    judging.add_argument("program", metavar="FILE.py|package.module|ANSWERS.jsonl")
    judging.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    judging.set_defaults(run=judge_program)
    asking = actions.add_parser("questions", help="print the questions, a line of JSON each")
    asking.set_defaults(run=print_questions)
    for parser in (judging, asking):
        parser.add_argument("--operation", choices=operations(), metavar="OP", help="only this one")
        parser.add_argument("--dtype", choices=DTYPES, help="only this one")


def judge_program(options: argparse.Namespace) -> int:
    """Judge a program, print the report, and return the exit status."""
    verdicts = judge(options.program, options.operation, options.dtype, _bar("questions"))
    print(verdicts)
    if options.json:
        options.json.write_text(verdicts.as_json())
    return 0 if verdicts.passed else 1


def print_questions(options: argparse.Namespace) -> int:
    """Print the questions, and return the exit status."""
    for line in as_lines(options.operation, options.dtype):
        print(line)
    return 0


def seed(text: str) -> int:
    """Read the value of ``--seed``, of which NumPy takes no negative one."""
    if not text.isdecimal():
        raise ValueError
    return int(text)


def npz(text: str) -> Path:
    """Read the name of a recording."""
    if not text.endswith(".npz"):
        raise ValueError
    return Path(text)


def compare(options: argparse.Namespace) -> int:
    """Run the comparison, print the rows of the report as they are done, and return the exit status."""
    try:
        if options.record:
            bar = _bar("cases and runs")
            print(sources.record(options.record, options.seed, options.device, bar))
            return 0
        source = (sources.live(options.seed, options.device) if options.live
                  else sources.from_file(options.recording) if options.recording
                  else sources.recorded())
    except ImportError as error:
        print(f"orthonorm: --{'record' if options.record else 'live'} needs PyTorch ({error}): "
              "pip install torch", file=sys.stderr)
        return 2
    except RuntimeError as error:  # PyTorch has no such device
        print("orthonorm:", *str(error).split(), file=sys.stderr)
        return 2
    print(report.head(source.name), flush=True)
    rows = []
    for row in _above_a_bar(source.rows(), sources.number_of_rows(), "rows"):
        print(report.line(row), flush=True)
        rows.append(row)
    print(report.tail(rows))
    if options.json:
        options.json.write_text(report.as_json(rows, source.name))
    return 1 if any(row.failures for row in rows) else 0


def inspect(options: argparse.Namespace) -> int:
    """Examine a checkpoint, print the report, and return the exit status."""
    maps = inspection.as_maps(options.orthogonal_map)
    state_dict, dtypes = files.read(options.file)
    found = inspection.examine(state_dict, dtypes, maps)
    if sys.stderr.isatty() and options.file.stat().st_size > LARGE_FILE:
        found = _with_progress_bar(found, len(state_dict))
    rows = [row for tensor in found for row in tensor]
    print(inspection.as_json(rows, str(options.file)) if options.json
          else inspection.table(rows, str(options.file)))
    if options.export:
        rotated = adapters.with_rotations(state_dict, options.file.with_name("adapter_config.json"))
        save(plain_weights(rotated, maps), options.export)
    return 1 if inspection.warnings(rows) else 0


def _with_progress_bar(tensors: Iterator[list[Any]], total: int) -> Iterator[list[Any]]:
    done, bar = 0, _Bar("entries")
    for rows in tensors:
        yield rows
        done += max(1, len(rows) - 1)
        bar(done, total)


def _above_a_bar(items: Iterator[Any], total: int, what: str) -> Iterator[Any]:
    """Yield items, with a bar on a terminal while the next one is made, but not while it is printed."""
    bar = _bar(what)
    for done, item in enumerate(items, 1):
        if bar:
            bar.clear()
        yield item
        if bar and done < total:
            bar(done, total)


def _bar(what: str) -> "_Bar | None":
    return _Bar(what, after=1.0) if sys.stderr.isatty() else None


class _Bar:
    """A bar on the standard error, gone when all is done.

    Parameters
    ----------
    what : str
        What is counted.
    after : float
        Seconds before it appears.
    """

    def __init__(self, what: str, after: float = 0.0) -> None:
        self.what, self.begin = what, time.monotonic() + after

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() >= self.begin:
            bar = "#" * (30 * done // total)
            print(f"\r[{bar:30}] {done}/{total} {self.what}", end="", file=sys.stderr, flush=True)
            if done == total:
                self.clear()

    def clear(self) -> None:
        """Take it from the screen."""
        print(f"\r{'':60}\r", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
