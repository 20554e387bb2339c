"""Parametrizations of the parameters of modules."""
from . import parametrizations, parametrize

__all__ = ["parametrizations", "parametrize"]
