"""What every lesson has to be, as it stands in the repository. Nothing is executed here."""
import ast
import re

import pytest

from .lessons import LESSONS, PRINTED, SOLUTION, cells, code_of, label_of, read, source, tags, with_tag

LARGEST = 1_000_000  # bytes
# Where outputs would show the machine they come from.
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(home|root|work|tmp|opt|usr|Users|mnt|var)/|\b[A-Z]:\\\\")


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return read(path)


DRAWS = re.compile(r"\bplt\.|\bax(es|is)?(\[\d\])?\.")
COMPUTES = re.compile(
    r"\b(core|definitions|gradients|nn|optim|conformance)\.|\blinalg\.(svd|eig|solve|qr|det|inv)"
    r"|\bprint\(") >= 2, printed
