"""Cards show the examples that changed, as many as a page holds."""

import json
import re
from dataclasses import replace

import html_report
import known_records as known
from example_records import measured_record, rows

from pytest_quantcheck.core.examples import key_of, to_line
from pytest_quantcheck.report.html.page import render_html


def test_flips_are_found_in_the_per_example_records(cards_of):
    before = rows("accuracy", [1, 1, 0, 1])
    first = measured_record(before, variant="fp16", outputs=["a", "b", "c", "d"], margins=[1.0] * 4)
    key = key_of(to_line(first))
    second = measured_record(
        rows("accuracy", [0, 1, 1, 0]),
        reference=key,
        outputs=["x", "b", "y", "z"],
        prompts=["p0", None, "p2", "p3"],
        expected=["a", None, "y", "d"],
        slices=["billing", None, None, "returns"],
        margins=[-0.5, 1.0, 2.0, -4.0],
    )
    check = replace(known.CHECK, examples=key_of(to_line(second)), worst=[])

    cards = cards_of(render_html(known.run(check), {key: first, check.examples: second}))

    assert [(card["i"], card["k"]) for card in cards] == [
        ("e3", "worse"),
        ("e0", "worse"),
        ("e2", "better"),
    ]
    assert cards[1] == {
        "w": "triage",
        "v": "int4 (nf4)",
        "m": "accuracy",
        "i": "e0",
        "s": "billing",
        "p": "p0",
        "e": "a",
        "a": "a",
        "b": "x",
        "k": "worse",
        "f": True,
        "c": "margin +1.00 → -0.50 nats",
    }


def test_without_per_example_records_the_worst_of_each_budget_are_shown(cards_of):
    other = replace(known.CHECK, variant="int8", variant_label="int8")
    cards = cards_of(render_html(known.run(known.CHECK, other), {}))

    assert [card["v"] for card in cards] == ["int4 (nf4)", "int8"]
    assert (cards[0]["i"], cards[0]["p"]) == ("e17", "Which queue?\nMy card was charged twice.")


def test_other_fields_of_the_data_are_shown(cards_of):
    flip = replace(known.FLIP, fields={"source": "<b>", "level": "3"})
    (card,) = cards_of(render_html(known.run(replace(known.CHECK, worst=[flip])), {}))

    assert card["d"] == "source: <b>, level: 3"


def test_only_what_is_right_or_wrong_is_a_flip(cards_of):
    loss = replace(known.FLIP, reference_value=2.0, variant_value=2.5)
    document = replace(known.CHECK, metric="perplexity", level_unit="perplexity", worst=[loss])

    flip, text = cards_of(render_html(known.run(known.CHECK, document), {}))

    assert (flip["f"], flip["k"], flip["a"]) == (True, "worse", " billing")
    assert "f" not in text
    assert (text["k"], text["a"], text["b"]) == ("worse", "", "")
    assert text["c"] == "2.000 → 2.500 nats per token"


def test_a_page_of_thousands_of_examples_stays_small(cards_of):
    run, examples = html_report.large_run(2_000, 50)

    text = render_html(run, examples)

    assert len(text.encode()) < 2_000_000
    assert len(cards_of(text)) > 800


def test_more_cards_than_a_page_can_hold_are_cut_and_counted(monkeypatch, cards_of):
    monkeypatch.setattr("pytest_quantcheck.report.html.cards.MOST_CARDS", 30)
    run, examples = html_report.large_run(200, 4)

    text = render_html(run, examples)

    cards = cards_of(text)
    assert len(cards) == 30
    assert len({card["v"] for card in cards[:4]}) == 4
    assert re.search(r"The page holds the 30 of \d+ changed examples", text)


def test_texts_become_short_where_a_page_is_full(monkeypatch, cards_of):
    monkeypatch.setattr("pytest_quantcheck.report.html.cards.LONG_BYTES", 5_000)
    monkeypatch.setattr("pytest_quantcheck.report.html.cards.MOST_BYTES", 20_000)
    run, examples = html_report.large_run(400, 4)

    cards = cards_of(render_html(run, examples))

    assert len(cards[0]["p"]) > 250 > len(cards[-1]["p"])
    assert len(json.dumps(cards).encode()) < 25_000
