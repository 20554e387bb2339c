"""The comparison with PyTorch: the same programs run by both libraries, the answers compared.

* :mod:`.cases`: what is compared, as data;
* :mod:`.programs`: what is run for each case, written once for both libraries;
* :mod:`.libraries`: orthonorm and PyTorch behind the few operations that the programs need;
* :mod:`.training`: whole training runs, written once for both libraries too;
* :mod:`.runs`: the list of them, and the comparison step by step;
* :mod:`.recording`: PyTorch's recorded answers, a compressed file; the runs have their own;
* :mod:`.record`: the recorder (needs PyTorch): ``python -m orthonorm.equivalence.record``;
* :mod:`.report`: the comparison, and the table it prints: ``python -m orthonorm equivalence``;
* :mod:`.modules`: the comparison of any module with the same one in PyTorch, :func:`compare_modules`.
"""
from .modules import compare_modules

__all__ = ["compare_modules"]
