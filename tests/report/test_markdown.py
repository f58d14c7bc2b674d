"""Markdown: every table, nothing that data could make of it, and never too large."""

import re
from dataclasses import replace

import known_latencies
import known_records as known
import pytest
from hostile_runs import hostile_run

from pytest_quantcheck.core.redaction import Redact, redacted_run
from pytest_quantcheck.report.formats import View, render
from pytest_quantcheck.report.markdown import MOST_BYTES, escape, step_summary

FAIL = replace(known.CHECK, outcome="fail", reason="shown_over")
SMALL = replace(
    known.MEASURED,
    variant="int4",
    variant_label="int4 (nf4)",
    is_reference=False,
    weight_bytes=4_500_000_000,
)
RUN = known.run(
    FAIL,
    replace(known.CHECK, variant="int8", variant_label="int8", outcome="pass"),
    measurements=[known.MEASURED, SMALL],
    warnings=["memory ran out"],
)


def rows(text):
    return [line.split(" | ") for line in text.split("\n") if line.startswith("| ")]


def test_it_shows_what_the_terminal_shows():
    lines = render("markdown", RUN, View()).split("\n")

    assert lines[0] == ("## quantcheck: 2 budgets decided: 1 pass, 1 fail, 0 inconclusive")
    assert lines[2].startswith("quantcheck · models/helpdesk · fp16 reference · NVIDIA H100")
    assert lines[4] == (
        "| workload | variant | metric | reference | variant | degradation \\[90 % CI\\] | budget "
        "| n | verdict |  |"
    )
    assert lines[5] == "| --- | --- | --- | ---: | --- | --- | --- | ---: | --- | --- |"
    assert lines[6].startswith(
        "| triage | int4 (nf4) | accuracy | 91.2 % | 88.9 % | 2.3 pp \\[1.5, 3.2\\] | &lt;= 3.0 pp "
        "| 1,200 | **FAIL** |"
    )
    assert "| fp16 | 14.9 GiB | 1.00 | 91.2 % |" in lines
    assert "- cheapest variant with every budget shown: int8 (1 budget; fp16 has none)" in lines
    assert "- warning: memory ran out" in lines


def test_a_table_has_as_many_cells_in_every_row():
    timed = known.run(
        FAIL, latencies=[known_latencies.LATENCY, replace(known_latencies.LATENCY, slice="batch 8")]
    )

    text = render("markdown", timed, View())

    tables = re.findall(r"(?:^\|.*\n)+", f"{text}\n", re.MULTILINE)
    assert len(tables) == 4
    for block in tables:
        assert len({len(line.split(" | ")) for line in block.splitlines()}) == 1


@pytest.mark.parametrize("name", ["markdown", "text"])
def test_a_loss_is_also_shown_by_word_and_byte(name):
    loss = known.LOSS
    after = replace(loss, word_perplexity=26.0, byte_perplexity=1.85, bits_per_byte=0.8875)
    measured = [replace(known.MEASURED, text_loss=loss), replace(SMALL, text_loss=after)]
    shown = render(name, known.run(FAIL, measurements=measured), View())

    assert (
        "triage perplexity per word and per byte: fp16 24.31 and 1.8124 (0.8579 bits), "
        "int4 (nf4) 26.00 and 1.8500 (0.8875 bits)"
    ) in shown
    assert " per byte: " not in render("terminal", known.run(FAIL, measurements=measured), View())


def test_a_red_budget_brings_its_failure_text():
    text = render("markdown", RUN, View())

    assert text.count("<details>") == text.count("</details>") == text.count("<pre>") == 1
    assert "<details><summary>FAIL: int4 (nf4) on triage: accuracy drop 2.3 pp" in text
    assert "My card was charged twice." in text
    assert "  reproduce: pytest &#x27;test_a.py::test_triage[int4]&#x27;" in text


def test_examples_are_left_out_of_it_where_they_are_redacted():
    text = render("markdown", redacted_run(RUN, Redact.IDS), View())

    assert "<details>" in text
    assert "charged twice" not in text
    assert "e17" not in text


def test_text_of_models_and_data_is_only_text():
    run, _ = hostile_run()
    strict = replace(run, checks=[replace(check, gate="strict") for check in run.checks])

    text = render("markdown", strict, View())

    assert text.count("<details>") == text.count("</pre>") == 2
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert [len({line.count(" | ") for line in table.splitlines()}) for table in tables] == [1, 1]
    assert not re.search(r"<(?!/?(?:details|summary|pre)>)", text)
    assert all(line.isprintable() or "\u2060" in line for line in text.split("\n"))
    assert len(text) < 100_000


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b\\|c", "a&#124;b&#92;&#124;c"),
        ("*x* _y_ `z` ~~w~~", "\\*x\\* \\_y\\_ \\`z\\` \\~\\~w\\~\\~"),
        ("[x](http://e.org) #12 $a$", "\\[x\\](http\\://e.org) \\#12 \\$a\\$"),
        ("&lt; <b>", "&amp;lt; &lt;b&gt;"),
        ("www.e.org a:b: c", "www\\.e.org a\\:b: c"),
        ("@team me@home", "@\u2060team me@home"),
        ("two\nlines\x00\u202e", "two&#92;nlines&#92;x00&#92;u202e"),
    ],
)
def test_escaping(text, shown):
    assert escape(text) == shown


def test_long_text_is_cut_in_the_middle():
    assert len(escape("x" * 10_000)) == 1_000


def test_a_large_run_is_cut_where_the_limit_is():
    names = [replace(FAIL, nodeid=f"test_a.py::test_{n}", n=n + 100) for n in range(1_200)]

    text = step_summary(known.run(*names), room_bytes=MOST_BYTES)

    assert MOST_BYTES - 4_000 < len(text.encode()) <= MOST_BYTES
    assert text.endswith("_The rest is left out: a step summary holds 1 MiB._\n")
    assert text.count("<details>") == text.count("</details>") > 100


@pytest.mark.parametrize("room", [-5, 0, 60, 200, 900, 1_500])
def test_it_never_takes_more_than_its_room(room):
    text = step_summary(RUN, room_bytes=room)

    assert len(text.encode()) <= max(room, 0)
    assert bool(text) == (room >= 200)


def test_a_run_without_a_test_of_ours_says_so():
    empty = replace(known.run(warnings=["ended early"]), environment=None, environments=[])

    assert render("markdown", empty, View()).split("\n") == [
        "## quantcheck: no budget was decided",
        "",
        "- warning: ended early",
    ]
