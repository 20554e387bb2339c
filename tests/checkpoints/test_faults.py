"""A save that is killed at any system call, or finds the disk full, leaves a whole file: old or new."""
import re
import subprocess
import sys

import numpy as np
import pytest

from orthonorm.checkpoints import save


@pytest.mark.skipif(sys.platform != "linux", reason="needs ptrace of Linux")
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("export", [[], ["export"]], ids=["save", "inspect --export"])
def test_no_fault_damages_the_file(tmp_path, suffix, export):
    folder = tmp_path / "folder"
    folder.mkdir()
    save({"w": np.ones((2, 2))}, folder / f"x{suffix}")
    done = subprocess.run(
        [sys.executable, "-m", "tests.checkpoints.faults", str(folder / f"x{suffix}"), *export],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kills, finished, disks = map(int, re.findall(r"\d+", done.stdout))
    assert 0 < finished < kills and kills > 30 and disks > 10
