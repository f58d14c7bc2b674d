"""What is redacted is nowhere in a record; figures stay, so that verdicts can be checked."""

from dataclasses import fields, replace

import known_records as known
import pytest
from example_records import measured_record, rows

from pytest_quantcheck.core.redaction import REPEATED, Redact, redacted_examples, redacted_run
from pytest_quantcheck.core.supplements import FileRecord
from pytest_quantcheck.report.json import render_json

NAMES = {"example", "slice", "ids", "slices"}
"""Fields that name examples, which `ids` leaves out; all other texts `text` does."""


def with_private(record, private, kind):
    """Return a record whose every field of a kind of text, be it new, holds a private one."""
    found = {field.name: field.type for field in fields(record)}
    names = {name for name, hint in found.items() if hint.startswith(kind)} - NAMES
    assert names
    return replace(record, **dict.fromkeys(names, private))


TOKEN = with_private(replace(known.TOKEN, example="SECRET-7", slice="billing"), "PRIVATE", "str")
DIVERGENCE = replace(known.DIVERGENCE, worst=[TOKEN])
FLIP = with_private(replace(known.FLIP, example="SECRET-7"), "PRIVATE", "str")
FLIP = with_private(FLIP, {"PRIVATE": "PRIVATE"}, "dict")
RUN = known.run(
    replace(known.CHECK, worst=[FLIP], divergence=DIVERGENCE),
    measurements=[replace(known.MEASURED, divergence=DIVERGENCE, first_token_ids=[7070, 7071])],
)
EXAMPLES = measured_record(
    rows("accuracy", [1, 0]),
    rows("perplexity", [3.0, 4.0], ids=["SECRET-7#1", "SECRET-7#2"], clusters=[0, 0]),
    ids=["SECRET-7", "SECRET-8"],
    slices=["billing", None],
    margins=[1.5, -0.5],
)
EXAMPLES = with_private(EXAMPLES, ["PRIVATE", "PRIVATE"], "list[str")


def leaks(record):
    shown = record if isinstance(record, str) else repr(record)
    return {word for word in ("PRIVATE", "SECRET", "7070") if word in shown}


@pytest.mark.parametrize(
    ("redact", "left"),
    [(Redact.OFF, {"PRIVATE", "SECRET", "7070"}), (Redact.TEXT, {"SECRET"}), (Redact.IDS, set())],
)
def test_a_run_holds_what_may_leave_and_nothing_else(redact, left):
    assert leaks(render_json(redacted_run(RUN, redact))) == left
    assert leaks(redacted_examples(EXAMPLES, redact)) == left - {"7070"}


@pytest.mark.parametrize("redact", Redact)
def test_figures_stay(redact):
    (check,) = redacted_run(RUN, redact).checks
    examples = redacted_examples(EXAMPLES, redact)

    assert (check.value, check.n_worse, check.fingerprint) == (0.023, 40, "f" * 64)
    assert check.divergence.max_kl == 0.5
    assert [scores.values for scores in examples.scores] == [[1.0, 0.0], [3.0, 4.0]]
    assert (examples.margins, examples.slices) == ([1.5, -0.5], ["billing", None])
    assert len(examples.outputs) == 2


def test_margins_of_examples_stay_where_only_texts_go():
    (check,) = redacted_run(RUN, Redact.TEXT).checks

    (flip,) = check.worst
    assert (flip.example, flip.slice, flip.variant_margin) == ("SECRET-7", "billing", -0.5)
    assert check.divergence.worst[0].kl == 0.5


def test_examples_without_names_can_still_be_paired():
    found = redacted_examples(EXAMPLES, Redact.IDS)

    assert found.ids == ["#1", "#2"]
    assert found.rows_of("accuracy").ids == ["#1", "#2"]
    assert found.rows_of("perplexity").ids == ["#1", "#2"]


@pytest.mark.parametrize(("redact", "is_named"), [(Redact.TEXT, True), (Redact.IDS, False)])
def test_warnings_about_copies_name_ids_where_these_may_leave(redact, is_named):
    warned = f"quiz: 2 of 9 examples repeat another one {REPEATED} (SECRET-1 and (b); those that"

    (text,) = redacted_run(replace(RUN, warnings=[warned]), redact).warnings

    assert text == (
        warned if is_named else f"quiz: 2 of 9 examples repeat another one {REPEATED}; those that"
    )


def test_a_run_says_what_was_left_out_and_names_no_file_that_tells_more():
    run = replace(RUN, examples=FileRecord(path="run.examples.jsonl.gz", sha256="0" * 64))

    found = redacted_run(redacted_run(run, Redact.IDS), Redact.TEXT)

    assert found.environment.redact == found.environments[0].redact == "ids"
    assert found.examples is None
