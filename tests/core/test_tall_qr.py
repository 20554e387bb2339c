import numpy as np
import pytest

from orthonorm.core.tall_qr import tall_qr
from tests.helpers import assert_identical, dtypes, eps, gram_error, sample


@dtypes
@pytest.mark.parametrize("shape", [(3, 3), (1023, 2), (1024, 2), (1537, 5), (2, 2, 1100, 3), (5000, 1),
                                   (700_000, 1), (1024, 520)], ids=str)
@pytest.mark.parametrize("kind", ["full rank", "rank one", "zero"])
def test_tall_qr_in_one_block_or_many(shape, dtype, kind):
    """At 700 000 rows the triangles are in several blocks again."""
    B = {"full rank": sample(shape, dtype), "zero": np.zeros(shape, dtype),
         "rank one": sample(shape[:-1] + (1,), dtype) * np.ones(shape[-1], dtype)}[kind]
    P, R = tall_qr(B)
    assert P.dtype == R.dtype == dtype
    assert gram_error(P) <= 20 * shape[-1] * eps(dtype)
    assert_identical(R, np.triu(R))
    lengths = np.linalg.norm(B, axis=-2, keepdims=True)
    assert np.all(np.abs(P @ R - B) <= 20 * eps(dtype) * lengths)
