"""Parameter: what it holds, what it refuses, how NumPy sees it."""
import copy
import pickle

import numpy as np
import pytest

from orthonorm.nn import Parameter

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


@pytest.mark.parametrize("dtype", DTYPES)
def test_attributes_are_those_of_the_array(dtype):
    data = np.ones((2, 3), dtype)
    p = Parameter(data)
    assert p.data is data
    assert (p.shape, p.ndim, p.size, p.dtype) == ((2, 3), 2, 6, np.dtype(dtype))
    assert p.requires_grad is True


def test_a_list_of_floats_becomes_float64():
    p = Parameter([1.0, 2.0])
    assert isinstance(p.data, np.ndarray) and p.dtype == np.float64


@pytest.mark.parametrize("bad", [np.zeros(2, int), np.zeros(2, bool), np.zeros(2, np.float16), "x",
                                 None, [1, 2]], ids=repr)
def test_other_dtypes_are_refused(bad):
    with pytest.raises(TypeError, match="a parameter must have dtype float32, float64"):
        Parameter(bad)
    p = Parameter(np.zeros(2))
    with pytest.raises(TypeError, match="a parameter must have dtype"):
        p.data = bad
    np.testing.assert_array_equal(p.data, np.zeros(2))


def test_data_can_be_set():
    p, new = Parameter(np.zeros(2)), np.ones((3, 1), np.float32)
    p.data = new
    assert p.data is new and p.shape == (3, 1) and p.dtype == np.float32


def test_requires_grad_is_set_and_the_parameter_returned():
    p = Parameter(np.zeros(2), requires_grad=False)
    assert p.requires_grad is False
    assert p.requires_grad_() is p and p.requires_grad is True
    assert p.requires_grad_(False) is p and p.requires_grad is False


def test_numpy_sees_the_array():
    p = Parameter(np.arange(3.0))
    assert np.asarray(p) is p.data
    copied = np.array(p)
    copied[0] = 7.0
    assert p.data[0] == 0.0
    single = np.asarray(p, dtype=np.float32)
    assert single.dtype == np.float32 and single.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="copy= is NumPy 2's")
def test_numpy_copy_argument():
    p = Parameter(np.arange(3.0))
    assert np.asarray(p, copy=False) is p.data
    assert not np.shares_memory(np.asarray(p, copy=True), p.data)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(p, dtype=np.float32, copy=False)


@pytest.mark.parametrize("data", [np.zeros(2), np.zeros((), np.float32)], ids=str)
@pytest.mark.parametrize("requires_grad, note", [(True, ""), (False, ", requires_grad=False")])
def test_repr(data, requires_grad, note):
    assert repr(Parameter(data, requires_grad)) == f"Parameter({data!r}{note})"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
def test_copies_share_nothing(copied):
    p = Parameter(np.arange(3.0), requires_grad=False)
    twin = copied(p)
    twin.data[0] = 7.0
    assert p.data[0] == 0.0 and twin.requires_grad is False and twin != p


def test_parameters_are_told_apart_by_identity():
    p, q = Parameter(np.zeros(2)), Parameter(np.zeros(2))
    assert p == p and p != q and len({p, q, p}) == 2
