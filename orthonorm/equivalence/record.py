"""Record PyTorch's answers: ``python -m orthonorm.equivalence.record`` (needs PyTorch)."""
from pathlib import Path
from typing import Any

import numpy as np

from . import programs
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


if __name__ == "__main__":
    main()
