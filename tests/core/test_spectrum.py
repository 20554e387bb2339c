"""Functions of ad Z, against series and dense matrices of ad."""
import numpy as np
import pytest

from orthonorm.core.exponential import expm
from orthonorm.core.skew import skew_part
from orthonorm.core.spectrum import Spectrum
from tests.helpers import H, assert_within, sample

both = pytest.mark.parametrize("dtype", [np.float64, np.complex128])


def skew(n, dtype, seed=0, scale=0.4):
    return skew_part(sample((n, n), dtype, seed, scale))


@both
def test_function_of_Z(dtype):
    Z = skew(5, dtype)
    spectrum = Spectrum.of(Z, 2)
    assert_within(spectrum.function_of_Z(np.exp(1j * spectrum.theta)), expm(Z), 1e-14)


@both
def test_apply_is_the_power_series_in_ad(dtype):
    Z, M = skew(5, dtype), skew(5, dtype, 1)
    spectrum = Spectrum.of(Z, 2)
    ad = Z @ M - M @ Z
    assert_within(spectrum.apply(1j * spectrum.differences, M), ad, 1e-14)
    assert_within(spectrum.apply(-spectrum.differences**2, M), Z @ ad - ad @ Z, 1e-14)


@both
def test_inverse_derivative_inverts_that_of_the_exponential(dtype):
    """V^H dV = (1 - exp(-ad)) / ad dZ."""
    Z, dZ = skew(5, dtype), skew(5, dtype, 1)
    h = 1e-3
    dV = (8 * (expm(Z + h * dZ) - expm(Z - h * dZ))
          - (expm(Z + 2 * h * dZ) - expm(Z - 2 * h * dZ))) / (12 * h)
    spectrum = Spectrum.of(Z, 2)
    assert_within(spectrum.apply(spectrum.inverse_derivative(), H(expm(Z)) @ dV), dZ, 1e-11)


def corner(Z, k, Gamma):
    """The first terms of (ad / 2i) cot(ad / 2i) = 1 + ad^2 / 12 - ad^4 / 720 + ad^6 / 30240 - ..."""
    M = np.zeros_like(Z)
    M[k:, k:] = Gamma
    total = M.copy()
    for coefficient in (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160):
        for _ in range(2):
            M = Z @ M - M @ Z
        total += coefficient * M
    return total[k:, k:]


@both
def test_solve(dtype):
    Z, Gamma = skew(6, dtype, scale=0.05), skew(4, dtype, 1)
    found = Spectrum.of(Z, 2).solve(corner(Z, 2, Gamma), tolerance=1e-15)
    assert_within(found, Gamma, 1e-13)
    rough = Spectrum.of(Z, 2).solve(corner(Z, 2, Gamma), tolerance=0.5)
    assert 1e-6 < np.abs(rough - Gamma).max() < 1


def test_solve_where_it_is_not_definite_steps_along_negative_curvature():
    Z = np.zeros((4, 4))
    Z[1, 0], Z[3, 2] = 3.0, 3.1
    P = np.linalg.qr(sample((4, 4)))[0]
    spectrum = Spectrum.of(P @ (Z - Z.T) @ P.T, 1)
    C = skew(3, float, 2, scale=1e-8)
    assert np.linalg.norm(spectrum.solve(C, 1e-3)) > 0.9
