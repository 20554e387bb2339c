"""The definitions of this package, in the precision of the question."""

from orthonorm.core.definitions import *  # noqa: F401,F403
