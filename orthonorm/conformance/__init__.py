"""Questions with exact answers, and the judge of anybody's implementation of the maps.

* :mod:`.questions`: what is asked, read from the files in ``vectors``;
* :mod:`.adapters`: what can be judged; :mod:`.asking` puts a question to a function, :mod:`.worker`
  does so in a process of its own, and :mod:`.answers` reads a file of answers;
* :mod:`.exact`: the maps in 60 digits, to judge their inverses;
* :mod:`.judge`: how far from the exact answer is right;
* :mod:`.report`: the table: ``python -m orthonorm conformance judge``.
"""
from .judge import judge
from .questions import ConformanceError, questions

__all__ = ["ConformanceError", "judge", "questions"]
