"""The examples of notebooks/fine_tuning.rst."""
import doctest
import pathlib

PAGE = pathlib.Path(__file__).parents[2] / "notebooks" / "fine_tuning.rst"


def test_the_examples_of_the_page_print_what_it_says():
    failed, tried = doctest.testfile(str(PAGE), module_relative=False,
                                     optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0 and tried > 20
