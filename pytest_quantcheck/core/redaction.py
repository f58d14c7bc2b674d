"""What of the data leaves in reports: applied to records where they are made, so that all obey."""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_quantcheck.core.examples import ExamplesRecord, ScoresRecord
    from pytest_quantcheck.core.record import (
        CheckRecord,
        EnvironmentRecord,
        ExampleRecord,
        ItemRecord,
        MeasurementRecord,
        RunRecord,
    )
    from pytest_quantcheck.core.tokens import DivergenceRecord, TokenRecord

REDACTED = "[redacted]"
"""Stands for a text that was left out."""


REPEATED = "under an id of their own"
"""After this a warning names two examples, in brackets."""
_NAMED = re.compile(rf"({REPEATED}) \(.*\)(; )", re.DOTALL)


class Redact(Enum):
    """What is left out of records, and so of every report."""

    OFF = "off"
    """Nothing."""
    TEXT = "text"
    """Every text of the data and of the models: prompts, answers, outputs, tokens."""
    IDS = "ids"
    """Beside these whatever tells one example from another: figures of workloads are left."""


def redacted_item(item: ItemRecord, redact: Redact) -> ItemRecord:
    """Return what one test sends to the reports, without what is to be left out."""
    if redact is Redact.OFF:
        return item
    return replace(
        item,
        checks=[redacted_check(check, redact) for check in item.checks],
        measurements=[_measurement(found, redact) for found in item.measurements],
        warnings=[_warning(text, redact) for text in item.warnings],
    )


def redacted_run(run: RunRecord, redact: Redact) -> RunRecord:
    """Return a run for a report that tells less than the run itself does."""
    if redact is Redact.OFF:
        return run
    environments = [_environment(one, redact) for one in run.environments]
    return replace(
        run,
        environment=environments[0] if environments else None,
        environments=environments,
        warnings=[_warning(text, redact) for text in run.warnings],
        examples=None,  # the file beside the run tells more
        checks=[redacted_check(check, redact) for check in run.checks],
        measurements=[_measurement(found, redact) for found in run.measurements],
    )


def redacted_check(check: CheckRecord, redact: Redact) -> CheckRecord:
    """Return one check without what is to be left out."""
    if redact is Redact.OFF:
        return check
    is_named = redact is not Redact.IDS
    return replace(
        check,
        worst=[_example(example) for example in check.worst if is_named],
        divergence=_divergence(check.divergence, redact),
    )


def redacted_examples(record: ExamplesRecord, redact: Redact) -> ExamplesRecord:
    """Return per-example records without what is to be left out; scores stay, in their order."""
    if redact is Redact.OFF:
        return record
    found = replace(record, outputs=[REDACTED] * len(record.outputs), prompts=None, expected=None)
    if redact is Redact.TEXT:
        return found
    return replace(
        found, ids=_places(record.ids), scores=[_scores(scores) for scores in record.scores]
    )


def _example(example: ExampleRecord) -> ExampleRecord:
    return replace(
        example,
        prompt=REDACTED,
        expected=REDACTED,
        fields={},
        reference_output=REDACTED,
        variant_output=REDACTED,
    )


def _environment(found: EnvironmentRecord, redact: Redact) -> EnvironmentRecord:
    is_stricter = found.redact == Redact.IDS.value
    return found if is_stricter else replace(found, redact=redact.value)


def _warning(text: str, redact: Redact) -> str:
    return _NAMED.sub(r"\1\2", text) if redact is Redact.IDS else text


def _measurement(found: MeasurementRecord, redact: Redact) -> MeasurementRecord:
    # Token ids spell the prompt.
    return replace(found, first_token_ids=[], divergence=_divergence(found.divergence, redact))


def _divergence(found: DivergenceRecord | None, redact: Redact) -> DivergenceRecord | None:
    if found is None:
        return None
    is_named = redact is not Redact.IDS
    return replace(found, worst=[_token(token) for token in found.worst if is_named])


def _token(token: TokenRecord) -> TokenRecord:
    return replace(
        token, context=REDACTED, text=REDACTED, reference_top=REDACTED, variant_top=REDACTED
    )


def _scores(scores: ScoresRecord) -> ScoresRecord:
    return scores if scores.ids is None else replace(scores, ids=_places(scores.ids))


def _places(ids: list[str]) -> list[str]:
    """Return names that say nothing, and pair the same examples of two records."""
    return [f"#{place}" for place in range(1, len(ids) + 1)]
