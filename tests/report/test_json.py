"""A run that was written can be read; what is no run is refused."""

import json
import math
from dataclasses import replace

import known_latencies
import known_records as known
import pytest

from pytest_quantcheck.core.supplements import FileRecord
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.report.json import read_json, render_json


def test_a_run_comes_back_as_it_was():
    check = replace(known.CHECK, low=-math.inf, high=None, worst=[known.FLIP], examples="ab" * 8)
    run = known.run(check, known.CHECK, warnings=["beware"])
    run = replace(run, examples=FileRecord(path="run.examples.jsonl.gz", sha256="0" * 64))

    assert read_json(render_json(run), place="run.json") == run
    assert read_json(render_json(replace(run, environment=None)), place="x").environment is None


def test_text_that_is_no_text_can_be_written_and_read():
    odd = replace(
        known.FLIP, prompt="nul \0 half \ud800 and \udfff", variant_output="\u2028 \\ud800"
    )
    run = known.run(replace(known.CHECK, worst=[odd]))

    assert read_json(render_json(run).encode("utf-8").decode("utf-8"), place="x") == run


def test_what_was_timed_comes_back_as_it_was():
    timed = known_latencies.LATENCY
    once = replace(
        timed, tpot_ratio=None, variant=replace(timed.variant, tpot=None), slice="batch 8"
    )
    run = known.run(latencies=[timed, once])

    assert read_json(render_json(run), place="run.json") == run


def test_peak_memory_is_the_larger_of_the_phases_that_are_known():
    memory = known_latencies.MEMORY

    assert memory.peak_bytes == memory.peak_prefill_bytes
    assert replace(memory, peak_prefill_bytes=None).peak_bytes == memory.peak_decode_bytes
    on_cpu = replace(memory, peak_prefill_bytes=None, peak_decode_bytes=None)
    assert on_cpu.peak_bytes is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"run\.json: expected JSON, as pytest --quant-json writes it"),
        ("[]", r"run\.json: no schema_version; expected what pytest --quant-json writes"),
        ("{}", r"run\.json: no schema_version"),
        ('{"schema_version": 7}', r"run\.json: it is of version 7, expected 1; run pytest"),
        ('{"schema_version": 1}', r"run\.json: a field is missing or of another kind: .*started"),
    ],
)
def test_what_is_no_run_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        read_json(text, place="run.json")


def test_a_run_with_a_field_of_another_kind_is_refused():
    data = json.loads(render_json(known.run(known.CHECK))) | {"checks": [{"nodeid": "a"}]}

    with pytest.raises(UsageError, match=r"another kind: KeyError\('path'\)"):
        read_json(json.dumps(data), place="run.json")
