"""Record PyTorch's answers: ``python -m orthonorm.equivalence.record``.

Needs PyTorch, and scikit-learn for its pictures of digits.
"""
from pathlib import Path
from typing import Any

import numpy as np

from . import programs, runs
from .cases import Case, all_cases
from .libraries import PyTorch
from .recording import PATH, save

SEED = 0
WIDER = {"float32": "float64", "complex64": "complex128"}


def ask_pytorch(pytorch: PyTorch, case: Case, seed: int) -> dict[str, Any]:
    """Run one case in PyTorch, and in double precision too where it is in single.

    Parameters
    ----------
    pytorch : PyTorch
    case : Case
    seed : int
        For the inputs.

    Returns
    -------
    dict
        With the keys "inputs", "answers" and, for single precision, "exact".
    """
    program = getattr(programs, case.program)
    inputs = case.draw(seed)
    result = {"inputs": inputs, "answers": program(pytorch, inputs, **case.options)}
    if case.dtype in WIDER:
        wide = {name: array.astype(WIDER[case.dtype]) for name, array in inputs.items()}
        result["exact"] = program(pytorch, wide, **case.options)
    return result


def main(path: Path = PATH) -> None:
    """Run every case in PyTorch and write the recording.

    Parameters
    ----------
    path : Path
    """
    pytorch = PyTorch()
    answers = {case.id: ask_pytorch(pytorch, case, SEED) for case in all_cases()}
    header = {"pytorch": pytorch.version, "numpy": np.__version__, "seed": SEED}
    save(path, header, answers)
    print(f"{len(answers)} cases of PyTorch {pytorch.version} in {path}, "
          f"{path.stat().st_size / 1e6:.2f} MB")


def record_runs(path: Path = runs.PATH) -> None:
    """Make every training run in PyTorch and write the recording.

    Parameters
    ----------
    path : Path
    """
    from sklearn.datasets import load_digits
    pixels, labels = load_digits(return_X_y=True)
    digits = {"pixels": pixels[:360].reshape(-1, 8, 8).astype(np.uint8),
              "labels": labels[:360].astype(np.uint8)}
    pytorch = PyTorch()
    answers = {run.name: runs.ask_pytorch(pytorch, run, digits, SEED) for run in runs.all_runs()}
    header = {"pytorch": pytorch.version, "numpy": np.__version__, "seed": SEED}
    runs.save(path, header, digits, answers)
    print(f"{len(answers)} training runs of PyTorch {pytorch.version} in {path}, "
          f"{path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
    record_runs()
