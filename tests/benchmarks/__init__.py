"""Speed, growth and accuracy, measured side by side with PyTorch and JAX.

``python -m tests.benchmarks`` times the cells of :mod:`.cells`, the steps of :mod:`.training` and the
growth of :mod:`.growth`;
``python -m tests.benchmarks.accuracy`` measures errors against 50-digit truth. Both print tables, and
write JSON and figures into ``tests/benchmarks/results``. Neither is part of the test suite.
"""
