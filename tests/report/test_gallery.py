"""What is shown of the examples that changed most."""

import random
import re
import time
from dataclasses import replace

import pytest
from known_records import CHECK, FLIP

from pytest_quantcheck.report.gallery import Layout, render_gallery
from pytest_quantcheck.report.screen import display_width

SUM = replace(
    FLIP, example="orders-7", slice="over 100", prompt="Order: 71.41+15.08=", expected="86.49",
    reference_output="86.49", variant_output="86.59", reference_margin=None, variant_margin=None,
)  # fmt: skip
REFUND = "The customer is entitled to a refund within fourteen days of delivery. "
QUOTE = '{"sku": "RF2LF", "total": 86.49}'


def gallery(*examples, width=80, whole=False, **changes):
    check = replace(CHECK, worst=list(examples), **changes)
    return render_gallery(check, Layout(width=width, is_whole=whole))


def test_short_texts_stand_side_by_side_with_the_difference_marked():
    lines = gallery(SUM, replace(FLIP, is_worse=False), n_worse=97, n_better=18)

    assert lines == [
        "  worst flips, 1 of 97 lost and 1 of 18 gained:",
        "    orders-7 [over 100]  lost",
        "      Order: 71.41+15.08=",
        '      expected  "86.49"',
        '      reference "86.49" | variant   "86.59"',
        "                    ^   |               ^",
        "    e17 [billing]  gained, margin +1.25 -> -0.50 nats",
        "      Which queue? My card was charged twice.",
        '      expected  " billing"',
        '      reference " billing" | variant   " returns"',
    ]


def test_generated_outputs_say_at_which_token_they_part():
    lines = gallery(
        replace(SUM, first_divergence=11),
        n_worse=97,
        n_diverged=120,
        mean_first_divergence=13.25,
        n=1200,
    )

    assert lines[:3] == [
        "  worst flips, 1 of 97 lost:",
        "    120 of 1,200 differ, on average from token 14.2 on",
        "    orders-7 [over 100]  lost, first differs at token 12",
    ]


LONG = replace(
    SUM, reference_output=REFUND * 12 + QUOTE + REFUND,
    variant_output=REFUND * 12 + QUOTE.replace("49", "5") + REFUND,
)  # fmt: skip


def test_of_long_texts_the_place_where_they_part_is_shown():
    lines = gallery(LONG)

    assert lines[3:] == [
        '      expected  "86.49"',
        '      reference "…fourteen days of delivery. {"sku": "RF2LF", "total":',
        "                86.49}The customer is entitled to a refund within fourteen days",
        "                   ^^",
        '                of delivery. "',
        '      variant   "…fourteen days of delivery. {"sku": "RF2LF", "total": 86.5}The',
        "                                                                          ^",
        "                customer is entitled to a refund within fourteen days of",
        '                delivery. "',
        "      they part at character 882; -vv shows all 955 and 954 characters",
    ]


def test_long_texts_stand_side_by_side_where_the_terminal_is_wide():
    lines = gallery(LONG, width=120)

    assert any(
        line.startswith('      reference "…') and ' | variant   "…' in line for line in lines
    )
    assert any(re.fullmatch(r" +\^\^ +\| +\^", line) for line in lines)


def test_what_the_data_says_besides_stands_below_the_prompt():
    lines = gallery(replace(FLIP, fields={"source": "shop\n\x1b[31m", "level": "3"}))

    assert lines[2:4] == [
        "      Which queue? My card was charged twice.",
        "      source: shop \\x1b[31m, level: 3",
    ]


def test_all_of_a_text_is_shown_on_demand():
    prompt = "Be kind.\n" * 300 + "What is it?"
    long = replace(LONG, prompt=prompt)

    short, whole = (" ".join(" ".join(gallery(long, whole=w)).split()) for w in (False, True))

    assert "… -vv shows all 2,711 characters …" in short
    assert "is it?" in short
    assert whole.count("Be kind.\\n") == 300
    assert whole.count("The customer is entitled") == 26
    assert "-vv" not in whole


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("width", [60, 80, 100, 140, 200])
def test_no_line_is_wider_than_the_terminal(width, whole):
    rng = random.Random(width)

    def text(longest=2000):
        return "".join(rng.choices("ab cde 0123 価格は\n\t\x1b\u202e", k=rng.randrange(longest)))

    for _ in range(40):
        start = text()
        changed = replace(
            FLIP, example=text(60), slice=text(60), prompt=text(), expected=text(),
            reference_output=start + text(), variant_output=start + text(),
        )  # fmt: skip
        for line in gallery(changed, width=width, whole=whole)[1:]:
            assert display_width(line) <= width
            assert line.isprintable()


def test_an_empty_answer_is_seen():
    assert '      reference "86.49" | variant   ""' in gallery(replace(SUM, variant_output=""))


def test_documents_are_shown_by_nats_per_token():
    page = replace(
        FLIP, prompt="Returns are free. " * 20, expected="", reference_value=2.0, variant_value=2.5
    )

    lines = gallery(page, metric="perplexity", level_unit="perplexity", n_worse=900, n_better=100)

    assert lines[0] == "  worst documents, 1 of 900 that got worse:"
    assert lines[1] == "    e17 [billing]  2.000 -> 2.500 nats per token (+0.500)"
    assert not any("reference" in line for line in lines)


def test_scores_are_shown_with_both_outputs():
    lines = gallery(
        replace(FLIP, expected="", reference_value=1.0, variant_value=0.25, slice=None),
        metric="score", level_unit="score", n_worse=3, n_better=0,
    )  # fmt: skip

    assert lines[:2] == ["  worst examples, 1 of 3 that got worse:", "    e17  score 1 -> 0.25"]
    assert lines[-1] == '      reference " billing" | variant   " returns"'


@pytest.mark.parametrize(("metric", "shown"), [("json_valid", False), ("contains", True)])
def test_answers_are_shown_where_the_metric_compares_with_them(metric, shown):
    lines = gallery(SUM, metric=metric)

    assert ('      expected  "86.49"' in lines) == shown
    assert '      reference "86.49" | variant   "86.59"' in lines


def test_without_examples_there_is_no_gallery():
    assert gallery() == []


@pytest.mark.parametrize("alphabet", ["ab", "a ", "ab cd 0123."])
def test_outputs_of_a_hundred_thousand_characters_take_milliseconds(alphabet):
    rng = random.Random(0)
    first, second = ("".join(rng.choices(alphabet, k=100_000)) for _ in range(2))

    started = time.process_time()
    lines = gallery(replace(FLIP, prompt=first, reference_output=first, variant_output=second))

    # Measured: 1 to 12 ms.
    assert time.process_time() - started < 0.5
    assert len(lines) < 25
