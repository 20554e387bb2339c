"""The command line: ``python -m orthonorm``, or ``orthonorm``."""
import argparse
import sys
from pathlib import Path

from .equivalence import recording, report, runs


def main(argv: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status: 0, 1 if the comparison fails, 2 if it cannot be made.
    """
    parser = argparse.ArgumentParser(
        prog="orthonorm", description="PyTorch's weight parametrizations in NumPy.")
    commands = parser.add_subparsers(dest="command", required=True)
    equivalence = commands.add_parser(
        "equivalence", help="compare every answer with PyTorch's",
        description="Compare orthonorm's answers with PyTorch's: recorded ones, or those of the "
                    "PyTorch that is installed. Exit status 1 if one differs.")
    equivalence.add_argument("--live", action="store_true",
                             help="fresh random inputs, answered by the installed PyTorch")
    equivalence.add_argument("--seed", type=int, default=0, help="of the inputs for --live")
    equivalence.add_argument("--json", type=Path, metavar="FILE", help="write the report there too")
    return compare(parser.parse_args(argv))


def compare(options: argparse.Namespace) -> int:
    """Run the comparison, print the report, and return the exit status."""
    _, digits, followed = runs.load()
    if options.live:
        from .equivalence.cases import all_cases
        from .equivalence.libraries import PyTorch
        from .equivalence.record import ask_pytorch
        try:
            pytorch = PyTorch()
        except ImportError as error:
            print(f"orthonorm: --live needs PyTorch ({error}): pip install torch", file=sys.stderr)
            return 2
        source = f"PyTorch {pytorch.version}, live, seed {options.seed}"
        answers = {case.id: ask_pytorch(pytorch, case, options.seed) for case in all_cases()}
        followed = {run.name: runs.ask_pytorch(pytorch, run, digits, options.seed)
                    for run in runs.all_runs()}
    else:
        header, answers = recording.load()
        source = f"PyTorch {header['pytorch']}, recorded"
    rows = report.compare(answers) + runs.compare(followed, digits)
    print(report.table(rows, source))
    if options.json:
        options.json.write_text(report.as_json(rows, source))
    return 1 if any(row.failures for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
