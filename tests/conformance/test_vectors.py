"""The vector files: what the schema says of them, and what they hold."""

import json
import math
import pathlib

import jsonschema
import pytest

import orthonorm

VECTORS = pathlib.Path(orthonorm.__file__).parent / "conformance" / "vectors"
FILES = sorted(path for path in VECTORS.glob("*.json") if path.name != "schema.json")
SCHEMA = json.loads((VECTORS / "schema.json").read_text())
validator = jsonschema.Draft202012Validator(SCHEMA)

each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text())


def test_the_schema_is_a_schema():
    validator.check_schema(SCHEMA)


def arrays(value):
    """Yield every array in a test."""
    if isinstance(value, dict) and "data" in value:
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from arrays(part)


@each_file
def test_a_file_is_what_the_schema_says(path):
    file = read(path)
    for array in arrays(file):
        numbers = math.prod(array["shape"]) * (2 if array["dtype"].startswith("complex") else 1)
        assert len(array["data"]) == numbers
        assert all(type(x) is float or x in ("NaN", "Infinity", "-Infinity") for x in array["data"])
        array["data"] = array["data"][:1]  # the validator takes seconds for all of them
    validator.validate(file)


@each_file
def test_every_flag_has_a_note_and_every_id_comes_once(path):
    file = read(path)
    assert file["operation"] == path.stem
    tests = file["tests"]
    assert {flag for test in tests for flag in test["flags"]} == set(file["notes"])
    assert len({test["id"] for test in tests}) == len(tests)
    assert all(test["id"].startswith(f"{path.stem}/") for test in tests)


@pytest.mark.parametrize(
    "change",
    [
        {"expect": "maybe"},
        {"tolerance": -1},
        {"answer": {"high": []}},
        {"flags": ["a", "a"]},
        {"more": 1},
        {"arguments": {"X": {"dtype": "float16", "shape": [0], "data": []}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_schema_notices_a_wrong_test(change):
    file = read(VECTORS / "cayley.json")
    file["tests"] = [file["tests"][0] | change]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(file)
