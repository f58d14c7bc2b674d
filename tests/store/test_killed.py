"""Runs that are killed, and runs side by side, measure nothing twice and find the same."""

from __future__ import annotations

import random

import pytest
from kill_at_random import Subject, clean_run, trial

TIMES = 6


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return clean_run(tmp_path_factory.mktemp("clean") / "run", is_pytest=False)


def test_runs_killed_at_random_moments_lose_nothing_that_was_recorded(tmp_path, clean):
    moments = random.Random(5)
    recorded = [
        trial(tmp_path / f"{number}", clean, moment=moments.random(), is_pytest=False)
        for number in range(TIMES)
    ]
    assert any(0 < count < clean.n_parts for count in recorded)


def test_processes_that_want_the_same_measure_it_once(tmp_path, clean):
    subject = Subject(folder=tmp_path, is_pytest=False)
    processes = [subject.start() for _ in range(2)]
    assert [subject.result(process) for process in processes] == [clean.result] * 2
    measured = subject.measured()
    assert len(measured) == len(set(measured)) == clean.n_parts
    assert subject.leftovers() == []
