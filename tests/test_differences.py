"""The differences from PyTorch in README, and those that the random programs know: the same."""
import importlib.util
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def known():
    """Return the list without importing its package, which needs PyTorch."""
    path = ROOT / "tests" / "live" / "differential" / "differences.py"
    spec = importlib.util.spec_from_file_location("differences", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def items():
    """Return the items of the list in README, each on one line."""
    text = (ROOT / "README.rst").read_text()
    section = text.partition("Differences, on purpose:")[2].partition("\nLicense")[0]
    found = re.findall(r"^\* (.*(?:\n  .*)*)", section, re.MULTILINE)
    return [" ".join(item.split()) for item in found]


def test_each_item_has_its_reason_and_each_reason_its_item():
    words = known().README
    assert len(items()) > 10 and all(words.values())
    for item in items():
        assert [w for w in words if w in item], f"no reason in tests/live/differential for: {item}"
    for w in words:
        assert len([item for item in items() if w in item]) == 1, f"not once in README: {w}"


def test_what_may_differ():
    is_known = known().is_known
    assert is_known("assign shape to layer0.weight", "ValueError", "")
    assert is_known("assign values to layer0.weight", "", "NotImplementedError")
    assert is_known("call layer0", "RuntimeError", "TypeError")
    assert not is_known("call layer0", "", "TypeError")
    assert not is_known("call layer0", "KeyError", "TypeError")
    assert not is_known("assign values to layer0.weight", "ValueError", "")
    assert not is_known("remove layer0.weight", "ValueError", "KeyError")
