"""Runs on one GPU and on two are compared in all that they recorded."""

from __future__ import annotations

import json

import pytest
from two_gpus import differing, requests, write_suite

from pytest_quantcheck import Documents, Generation, MultipleChoice


def test_what_differs_or_is_missing_is_named():
    assert differing({"a": [1, 2], "b": [3]}, {"a": [1, 2], "b": [3]}) == []
    assert differing({"a": [1, 2], "b": [3]}, {"a": [1, 9], "c": [3]}) == ["a", "b", "c"]


def test_the_suite_is_the_same_each_time_and_has_three_workloads(tmp_path):
    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_suite(tmp_path / name, vocabulary=4096, examples=8)
        texts.append((tmp_path / name / "rows.json").read_text(encoding="utf-8"))

    assert texts[0] == texts[1]
    rows = json.loads(texts[0])
    made = (
        MultipleChoice.from_examples(rows["quiz"], name="quiz"),
        Documents.from_examples(rows["manual"], name="manual"),
        Generation.from_examples(rows["essay"], max_new_tokens=8, name="essay"),
    )
    assert [len(one.examples()) for one in made] == [8, 2, 2]


@pytest.mark.parametrize("vocabulary", [4096, 128_256])
def test_requests_share_a_beginning_and_differ_after_it(vocabulary):
    asked = requests(vocabulary)

    assert len({one.tokens[: one.first_target] for one in asked}) == 1
    assert len({one.tokens for one in asked}) == len(asked)
    assert max(max(one.tokens) for one in asked) < vocabulary
