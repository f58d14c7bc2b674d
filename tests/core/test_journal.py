"""What a run under way leaves can be read, wherever it was cut."""

from dataclasses import replace

import known_records as known
import pytest

from pytest_quantcheck.core.journal import (
    examples_line,
    first_line,
    is_journal,
    item_line,
    read_journal,
)
from pytest_quantcheck.errors import UsageError

STARTED = "2026-11-21T10:00:00+00:00"


def reported(nodeid="test_a", place=0, **fields):
    return known.reported(nodeid, place, checks=[replace(known.CHECK, nodeid=nodeid, **fields)])


def test_what_was_written_is_read_in_the_order_of_the_tests():
    first, second = reported("test_a", high=float("inf")), reported("test_b", 1)
    text = first_line(STARTED) + item_line(second) + examples_line('{"a":1}') + item_line(first)

    found = read_journal(text, place="run.jsonl")

    assert is_journal(text)
    assert found.started == STARTED
    assert found.reported == [first, second]
    assert found.examples == ['{"a":1}']


def test_a_test_that_ran_again_counts_once():
    again = reported(outcome="fail")
    text = first_line(STARTED) + item_line(reported()) + item_line(again)

    assert read_journal(text, place="x").reported == [again]


def test_cut_anywhere_it_holds_every_complete_line():
    kept = first_line(STARTED) + item_line(reported())
    last = item_line(reported("test_b"))

    for end in (0, 1, len(last) // 2, len(last) - 1):
        found = read_journal(kept + last[:end], place="run.jsonl")
        assert [one.nodeid for one in found.reported] == ["test_a"]


def test_other_versions_and_damaged_lines_are_refused():
    with pytest.raises(UsageError, match=r"run\.jsonl: it is of version 7, expected 1; read it"):
        read_journal(first_line(STARTED).replace(":1,", ":7,"), place="run.jsonl")
    with pytest.raises(UsageError, match=r"run\.jsonl: a line is damaged, .*run pytest again"):
        read_journal(first_line(STARTED) + '{"a"\n', place="run.jsonl")
    assert not is_journal('{"schema_version": 1}')
