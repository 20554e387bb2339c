"""This package: orthonorm.core for values, orthonorm.gradients for derivatives."""

from tests.conformance.own import *  # noqa: F401,F403
