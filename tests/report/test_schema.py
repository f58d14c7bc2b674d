"""The published schema says what a run is, and follows the records."""

import json
import math
import runpy
from dataclasses import replace
from pathlib import Path

import known_latencies
import known_records as known
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from pytest_quantcheck.report.json import render_json

TOOL = Path(__file__).parent.parent.parent / "tools" / "write_schema.py"


@pytest.fixture(scope="module")
def tool():
    return runpy.run_path(str(TOOL))


@pytest.fixture(scope="module")
def validator(tool):
    schema = json.loads(tool["TARGET"].read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_published_schema_is_that_of_the_records(tool):
    published = tool["TARGET"].read_text(encoding="utf-8")

    assert published == tool["render"](), "run python tools/write_schema.py"


def test_the_published_list_of_fields_is_that_of_the_records(tool):
    published = tool["PAGE"].read_text(encoding="utf-8")

    assert published == tool["render_page"](), "run python tools/write_schema.py"


def test_a_run_follows_it(validator):
    check = replace(known.CHECK, low=-math.inf, high=None)
    run = known.run(check, latencies=[known_latencies.LATENCY], warnings=["beware"])

    assert [*validator.iter_errors(json.loads(render_json(run)))] == []


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"schema_version": 2}, ["schema_version"]),
        ({"warnings": [1]}, ["warnings", 0]),
        ({"surprise": True}, []),
        ({"environment": {}}, ["environment"]),
    ],
)
def test_what_is_no_run_does_not(validator, change, where):
    data = json.loads(render_json(known.run(known.CHECK))) | change

    with pytest.raises(ValidationError) as raised:
        validator.validate(data)

    assert [*raised.value.absolute_path] == where


def test_fields_are_described(validator):
    parts = validator.schema["$defs"]

    assert parts["CheckRecord"]["description"].startswith("One budget")
    assert "in `unit`" in parts["CheckRecord"]["properties"]["value"]["description"]
    assert {"ExamplesRecord", "RunRecord", "ServingRecord"} <= set(parts)
