"""What all maps of core promise alike: shapes, dtypes, batches, layouts, errors, imports."""
import itertools
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import orthonorm
from orthonorm import core
from tests.helpers import (
    DTYPES, REAL, SHAPES, assert_identical, assert_within, empty_shapes, eps, is_complex, layouts,
    sample, shapes, wrong_dtypes,
)

ROOT = pathlib.Path(orthonorm.__file__).parent.parent

# name: what error messages call its argument
ARGUMENT = {"matrix_exp": "X", "cayley": "X", "householder": "X", "householder_inverse": "Q",
            "orthonormalize": "A", "polar": "A", "expm": "A", "matrix_exp_inverse": "Q",
            "cayley_inverse": "Q", "unitary_householder": "X", "unitary_householder_inverse": "Q"}
MAPS = ["matrix_exp", "cayley", "householder", "householder_inverse", "orthonormalize", "polar",
        "unitary_householder"]
CASES = [(name, dtype) for name in ARGUMENT for dtype in DTYPES
         if not (name.startswith("householder") and is_complex(dtype))]

every_case = pytest.mark.parametrize("name, dtype", CASES, ids=lambda x: getattr(x, "__name__", x))
every_map = pytest.mark.parametrize("name", ARGUMENT)


def point(name, shape, dtype, seed=0):
    X = sample(shape, dtype, seed)
    if name in ("matrix_exp_inverse", "cayley_inverse"):  # only some square frames have one
        return getattr(core, name.removesuffix("_inverse"))(dtype(0.3) * X)
    return X


def fits(name, shape):
    return name != "expm" or shape[-1] == shape[-2]


@every_case
@shapes
def test_shape_and_dtype_stay(name, dtype, shape):
    if fits(name, shape):
        Y = getattr(core, name)(point(name, shape, dtype))
        assert Y.shape == shape and Y.dtype == dtype and type(Y) is np.ndarray


@every_case
@empty_shapes
def test_empty_gives_empty(name, dtype, shape):
    if fits(name, shape):
        assert_identical(getattr(core, name)(np.zeros(shape, dtype)), np.zeros(shape, dtype))


@every_case
@shapes
@pytest.mark.parametrize("batch", [(1,), (3,), (2, 2), (1, 2, 1)], ids=str)
def test_batch_equals_loop(name, dtype, shape, batch):
    """To rounding: a stack may take another LAPACK path than one matrix."""
    if not fits(name, shape):
        return
    function = getattr(core, name)
    X = point(name, batch + shape, dtype)
    Y = function(X)
    assert Y.shape == X.shape and Y.dtype == dtype
    for index in np.ndindex(batch):
        one = function(X[index])
        # 300: the error, 4 n eps, times the condition number of the worst of these samples.
        assert_within(Y[index], one, 300 * max(shape) * eps(dtype) * max(1, np.abs(one).max()))


@pytest.mark.parametrize("name, dtype", [case for case in CASES if case[0] != "expm"],
                         ids=lambda x: getattr(x, "__name__", x))
@pytest.mark.parametrize("shape", [(2, 7), (3, 5), (1, 4), (2, 3, 5), (2, 1, 2, 7)], ids=str)
def test_wide_is_the_plain_transpose(name, dtype, shape):
    """Not the conjugate transpose, for complex matrices either."""
    function = getattr(core, name)
    X = point(name, shape, dtype)
    assert_identical(function(X), function(X.swapaxes(-1, -2)).swapaxes(-1, -2))


@every_case
@pytest.mark.parametrize("shape", [(4, 4), (7, 2), (5, 3), (2, 7), (2, 3, 3), (2, 5, 2)], ids=str)
def test_input_is_not_modified_in_any_layout(name, dtype, shape):
    if not fits(name, shape):
        return
    function = getattr(core, name)
    X = point(name, shape, dtype)
    X.flags.writeable = False
    Y = function(X)
    for layout, view in layouts(X).items():
        before = view.copy()
        tolerance = 100 * max(shape) * eps(dtype) * max(1, np.abs(Y).max())
        assert_within(function(view), Y, tolerance)
        assert np.array_equal(view, before), layout


@every_case
@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (1, 1), (3, 3), (4, 2), (2, 4), (2, 3, 3)], ids=str)
def test_answer_is_new_and_writable(name, dtype, shape):
    if fits(name, shape):
        X = np.zeros(shape, dtype) + np.eye(*shape[-2:], dtype=dtype)
        Y = getattr(core, name)(X)
        assert not np.shares_memory(X, Y)
        Y[...] = 1


@every_map
def test_nested_lists_are_arrays(name):
    X = [[1.0, 0.0], [0.5, 1.0]]
    assert_identical(getattr(core, name)(X), getattr(core, name)(np.array(X)))


@every_map
@wrong_dtypes
def test_wrong_dtype_raises(name, wrong):
    with pytest.raises(TypeError, match=f"^{ARGUMENT[name]} must have dtype float32, float64"):
        getattr(core, name)(np.ones((2, 2)).astype(wrong))


@every_map
@pytest.mark.parametrize("X", [1.0, np.ones(3), []], ids=["0-d", "1-d", "empty list"])
def test_fewer_than_two_dimensions_raise(name, X):
    with pytest.raises(ValueError, match=rf"^{ARGUMENT[name]} must be a matrix or a stack"):
        getattr(core, name)(X)


@every_case
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (0, 2), (2, 0)], ids=str)
def test_not_finite_raises(name, dtype, bad, place):
    """Wherever it stands: also where the map does not read."""
    for shape, index in itertools.product([(3, 3), (2, 3, 3)], [place]):
        X = point(name, shape, dtype)
        X[(-1,) * (len(shape) - 2) + index] = bad * (1j if is_complex(dtype) else 1)
        with np.errstate(all="ignore"), pytest.raises(
                ValueError, match=f"^{ARGUMENT[name]} must be finite, got 1 NaN .* of {X.size}"):
            getattr(core, name)(X)


@pytest.mark.parametrize("name", MAPS)
def test_frames_of_random_shape_are_orthonormal(name):
    """One hundred draws of shape, batch, dtype and scale."""
    rng = np.random.default_rng(1)
    for seed in range(100):
        shape = tuple(rng.integers(1, 12, size=2))
        batch = tuple(rng.integers(0, 3, size=rng.integers(0, 3)))
        dtype = rng.choice(REAL if name.startswith("householder") else DTYPES)
        X = point(name, batch + shape, dtype, seed) * dtype(rng.choice([0.1, 1]))
        Q = getattr(core, name)(X)
        if name == "householder_inverse":
            Q = core.householder(Q)
        tall = Q if shape[0] >= shape[1] else Q.swapaxes(-1, -2)
        gram = tall.conj().swapaxes(-1, -2) @ tall
        assert_within(gram, np.broadcast_to(np.eye(min(shape), dtype=dtype), gram.shape),
                      30 * max(shape) * eps(dtype))


def run(program):
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


def test_core_needs_only_numpy_and_scipy():
    """Every third-party module but the two is blocked, and so is the rest of orthonorm."""
    done = run("""
import importlib, pkgutil, sys, types
import numpy, scipy.linalg
allowed = set(sys.stdlib_module_names) | {"numpy", "scipy"}

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in allowed and not name.startswith("orthonorm.core"):
            raise ImportError("blocked: " + name)

# The package above core, without running its __init__, which imports everything.
package = sys.modules["orthonorm"] = types.ModuleType("orthonorm")
package.__path__ = ["orthonorm"]
sys.meta_path.insert(0, Block())
core = importlib.import_module("orthonorm.core")
for module in pkgutil.iter_modules(core.__path__):
    importlib.import_module("orthonorm.core." + module.name)
try:
    import autograd
except ImportError as error:
    print(error)
assert core.matrix_exp(numpy.zeros((3, 2))).shape == (3, 2)
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "blocked: autograd\n"


@pytest.mark.parametrize("module", ["orthonorm", "orthonorm.core", "orthonorm.gradients"])
def test_import_is_light(module):
    done = run(f"""
import importlib, sys
importlib.import_module({module!r})
print(sorted({{name.split(".")[0] for name in sys.modules}}
             & {{"torch", "matplotlib", "jupyter", "IPython", "notebook", "sklearn", "safetensors",
                "pytest", "hypothesis", "mpmath"}}))
""")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"


def test_all_names_exist():
    names = set(ARGUMENT) | {"expm_frechet", "power_iteration", "spectral_normalize"}
    assert names <= set(core.__all__)
    assert all(callable(getattr(core, name)) for name in core.__all__)


def test_shapes_cover_every_class():
    """The tests above are only as good as their list of shapes."""
    tall = [(max(shape), min(shape)) for shape in SHAPES]
    assert any(n == k for n, k in tall) and any(2 * k < n for n, k in tall)
    assert any(2 * k == n for n, k in tall) and any(n > k and 2 * k > n for n, k in tall)
