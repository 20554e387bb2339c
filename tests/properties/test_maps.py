"""What holds of the maps, and of their derivatives, for every argument."""
import numpy as np
import pytest
from autograd import make_jvp, make_vjp
from hypothesis import assume, given
from hypothesis import strategies as st

from orthonorm import core, gradients
from tests.helpers import H, assert_identical, assert_within, eps, gram_error, is_complex, with_signs

from .strategies import entries, examples, matrices, skew_norm

MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
every_map = pytest.mark.parametrize("name", MAPS)
every_frame = pytest.mark.parametrize("name", [*MAPS, "orthonormalize"])


def value(name, X):
    """Map X; None where matrix_exp refuses it, beyond a norm of 0.01 / eps and nowhere else."""
    if name != "matrix_exp" or skew_norm(X) < 0.005 / eps(float):
        return getattr(core, name)(X)
    try:
        return core.matrix_exp(X)
    except ValueError as error:
        assert str(error).startswith("X must stand for a skew matrix of norm at most 4.5e+13")


@every_frame
@examples
@given(st.data())
def test_is_orthonormal_whatever_the_argument(name, data):
    """matrix_exp too: to 100 eps up to a norm of 100, beyond which its orthonormal factor is taken."""
    X = data.draw(matrices(name))
    before, layout = X.copy(), (X.strides, X.flags.writeable)
    Q = value(name, X)
    assert np.array_equal(X, before) and (X.strides, X.flags.writeable) == layout
    if Q is not None:
        n, norm = max(X.shape[-2:]), max(1, skew_norm(X))
        lost = min(100, norm) if name == "matrix_exp" else 1
        assert Q.dtype == X.dtype and Q.shape == X.shape
        assert gram_error(Q) <= 20 * n * eps(X.dtype) * lost


@every_frame
@examples
@given(st.data())
def test_wide_is_the_transpose_of_tall(name, data):
    X = data.draw(matrices(name, kinds=["tall", "column"]))
    assume(X.shape[-2] > X.shape[-1])
    Q = value(name, X)
    if Q is not None:
        assert_identical(getattr(core, name)(X.swapaxes(-1, -2)), Q.swapaxes(-1, -2))


@every_frame
@examples
@given(st.data())
def test_a_batch_is_a_loop(name, data):
    X = data.draw(matrices(name, exponent=4, largest=32))
    Q = getattr(core, name)(X)
    error = 20 * max(X.shape[-2:]) * eps(X.dtype)
    if name == "matrix_exp":
        error *= max(1, skew_norm(X))
    if name == "orthonormalize":
        error *= np.max(np.linalg.cond(X), initial=1) if X.size else 1
    for index in np.ndindex(X.shape[:-2]):
        assert_within(Q[index], getattr(core, name)(X[index]), error)


@pytest.mark.parametrize("name", MAPS)
@examples
@given(st.data())
def test_what_is_not_read_does_not_matter(name, data):
    """Above the diagonal anything may stand, and the real diagonal of a skew matrix is zero."""
    X = data.draw(matrices(name, kinds=["tall", "square"])).copy()  # of one layout: one rounding
    other = X.copy()
    other += np.triu(entries(0, X.shape, X.dtype), 1)
    if name in ("matrix_exp", "cayley") and not is_complex(X.dtype):
        other += np.eye(*X.shape[-2:], dtype=X.dtype)
    Q = value(name, X)
    if Q is not None:
        assert_identical(getattr(core, name)(other), Q)


@examples
@given(st.data())
def test_powers_of_two_do_not_change_the_orthonormal_factor(data):
    X = data.draw(matrices(exponent=3, kinds=["tall", "square"]))
    exponents = data.draw(st.lists(st.integers(-60, 60), min_size=X.shape[-1], max_size=X.shape[-1]))
    scale = np.ldexp(np.ones((), X.real.dtype), np.array(exponents, int))
    assert_identical(core.orthonormalize(X * scale), core.orthonormalize(X))


@pytest.mark.parametrize("name", MAPS)
@examples
@given(st.data())
def test_the_inverse_is_mapped_back(name, data):
    """Unless it says that there is none, as for half of the square matrices."""
    A = data.draw(matrices(name, exponent=3, largest=16))
    Q = core.orthonormalize(A)
    try:
        X = getattr(core, f"{name}_inverse")(Q)
    except ValueError as error:
        assert name in ("cayley", "matrix_exp")
        assert str(error).startswith("Q must")
        return
    assert X.dtype == Q.dtype and np.all(np.isfinite(X))
    error = 100 * max(X.shape[-2:]) * eps(X.dtype) * max(1, skew_norm(X))
    if name == "cayley":
        error = max(error, np.sqrt(eps(X.dtype)))  # as it promises, near the eigenvalue -1
    assert_within(getattr(core, name)(X), Q, error)


# -- derivatives ---------------------------------------------------------------------------------------

def moderate(data, name):
    """Draw a matrix whose derivative is known to many digits."""
    X = data.draw(matrices(name, exponent=1, largest=16))
    if name == "orthonormalize":
        assume(X.size and np.max(np.linalg.cond(X)) < 1e3)
    return X


@every_frame
@examples
@given(st.data())
def test_tangents_are_tangent(name, data):
    r"""Q^H dQ is skew-Hermitian, since Q^H Q stays the identity."""
    X = moderate(data, name)
    Q, dQ = make_jvp(getattr(gradients, name))(X)(entries(1, X.shape, X.dtype))
    assert dQ.dtype == X.dtype and np.all(np.isfinite(dQ))
    if X.shape[-2] < X.shape[-1]:
        Q, dQ = Q.swapaxes(-1, -2), dQ.swapaxes(-1, -2)
    M = H(Q) @ dQ
    size = np.max(np.abs(dQ), initial=1) * max(X.shape[-2:])
    assert_within(M + H(M), np.zeros_like(M), 100 * size * eps(X.dtype) * max(1, skew_norm(X)))


@every_frame
@examples
@given(st.data())
def test_the_adjoint_is_the_adjoint_of_the_tangent(name, data):
    X = moderate(data, name)
    dX, C = entries(1, X.shape, X.dtype), entries(2, X.shape, X.dtype)
    f = getattr(gradients, name)
    _, dQ = make_jvp(f)(X)(dX)
    Xbar = np.conj(make_vjp(f)(X)[0](np.conj(C)))
    forward, backward = np.sum(np.conj(C) * dQ).real, np.sum(np.conj(Xbar) * dX).real
    size = np.linalg.norm(Xbar) * np.linalg.norm(dX) + np.linalg.norm(C) * np.linalg.norm(dQ)
    tolerance = 100 * eps(X.dtype) * max(1, skew_norm(X)) * size
    assert Xbar.dtype == X.dtype
    assert abs(forward - backward) <= tolerance


@every_map
@examples
@given(st.data())
def test_gradients_are_finite_and_lie_where_the_map_reads(name, data):
    X = data.draw(matrices(name, exponent=6 if name == "matrix_exp" else None, largest=32))
    if name == "unitary_householder":
        X = with_signs(X)  # zero has no phase, nor has what rounds to it
    G = make_vjp(getattr(gradients, name))(X)[0](entries(1, X.shape, X.dtype))
    assert G.dtype == X.dtype and G.shape == X.shape and np.all(np.isfinite(G))
    tall = G if X.shape[-2] >= X.shape[-1] else G.swapaxes(-1, -2)
    assert not np.any(np.triu(tall, 1))
    diagonal = np.diagonal(tall, axis1=-2, axis2=-1)
    if name in ("matrix_exp", "cayley"):
        assert not np.any(diagonal.real)
    elif not is_complex(X.dtype):
        assert not np.any(diagonal)
