"""The page shows what the records say, loads nothing, and nothing in it can act."""

import base64
import hashlib
import math
import re
from dataclasses import replace

import known_latencies
import known_records as known
import pytest
from example_records import measured_record, rows
from hostile_runs import BROKEN, ENDING, SCRIPT, TURNED, hostile_run

from pytest_quantcheck.core.redaction import Redact, redacted_examples, redacted_run
from pytest_quantcheck.report.html.page import render_html

INT4 = replace(
    known.MEASURED,
    variant="int4",
    variant_label="int4 (nf4)",
    is_reference=False,
    level=0.889,
    weight_bytes=4_500_000_000,
)
RUN = known.run(
    known.CHECK,
    replace(known.CHECK, variant="int8", variant_label="int8", outcome="pass", value=0.002),
    measurements=[known.MEASURED, INT4, replace(INT4, variant="int8", variant_label="int8")],
    latencies=[known_latencies.LATENCY],
    warnings=["beware of the dog"],
)


def test_each_budget_is_shown_with_its_figures_and_its_argument(read):
    shown = read(render_html(RUN, {})).text_of()

    for text in (
        "1 of 2 budgets shown to be kept; 1 need more evidence.",
        "91.2 %",
        "88.9 %",
        "2.3 pp",
        "[1.5, 3.2]",
        "≤ 3.0 pp",
        "1,200",
        "INCONCLUSIVE",
        "PASS",
        "exact unconditional test",
        "40 lost, 12 gained",
        "0.9 > 0.0025",
        "max_accuracy_drop=0.03",
        "~2,900 more examples",
        "test_a.py:12",
        "beware of the dog",
        "NVIDIA H100",
        "torch 2.13.0",
        "26.00 ms",
        "0.770 [0.762, 0.778]",
        "4.2 GiB",
    ):
        assert text in " ".join(shown.split())


def test_infinite_losses_are_shown_as_what_they_are(read):
    ppl = {"metric": "perplexity", "level_unit": "perplexity"}
    check = replace(
        known.CHECK,
        metric="perplexity",
        statistic="log_ratio",
        unit="ratio",
        limit=1.06,
        level_unit="perplexity",
        variant_level=math.inf,
        value=math.inf,
        low=math.inf,
        high=math.inf,
        counts={},
        outcome="fail",
        reason="non_finite",
        worst=[],
    )
    broken = replace(known.MEASURED, level=8.4, **ppl)
    run = known.run(
        check,
        measurements=[
            broken,
            replace(INT4, level=math.inf, **ppl),
            replace(INT4, level=8.5, **ppl, variant_label="int8"),
        ],
    )
    before = measured_record(rows("perplexity", [4.0], weights=[2.0]), variant="fp16")
    after = measured_record(rows("perplexity", [math.inf], weights=[2.0]), reference="ref")

    text = render_html(run, {"ref": before, "var": after})

    assert 'data-used="1000000000.0"' in text
    assert not re.findall(r'(?:d|x|y|cx|cy|points)="[^"]*(?:nan|inf)', text)
    assert "inf" in read(text).text_of("td", "b")


def test_what_was_timed_stands_behind_its_budget(read):
    timing = known_latencies.LATENCY
    check = replace(
        known.CHECK,
        workload=timing.workload,
        fingerprint=timing.fingerprint,
        metric="ttft",
        keyword="max_ttft_ratio",
        statistic="latency_ratio",
        unit="ratio",
        level_unit="milliseconds",
        counts={},
        worst=[],
        value=1.25,
        low=1.2,
        high=1.3,
        limit=1.5,
    )

    shown = " ".join(read(render_html(known.run(check, latencies=[timing]), {})).text_of().split())

    assert "512 prompt tokens, 64 new, batch 1" in shown
    assert "TTFT 24.00 -> 30.00 ms" in shown
    assert "1,200 pairs" in shown
    assert "50 % of the budget" in render_html(known.run(check), {})


def test_what_all_budgets_show_together_stands_first(read):
    check = replace(known.CHECK, outcome="pass")

    page = read(render_html(known.run(check, measurements=[known.MEASURED, INT4]), {}))

    assert "cheapest variant with every budget shown: int4 (1 budget)" in page.text_of("bdi")


def test_a_run_without_any_budget_has_a_page(read):
    empty = replace(known.run(measurements=()), environment=None, environments=[])

    assert "No budget was decided." in read(render_html(empty, {})).text_of()


@pytest.mark.parametrize("run", [RUN, hostile_run()[0]], ids=["plain", "hostile"])
def test_the_page_loads_nothing_and_admits_its_own_script_alone(read, run):
    text = render_html(run, {})

    page = read(text)
    policy = next(
        attributes["content"]
        for tag, attributes in page.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        own = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(own) == 1
        digest = base64.b64encode(hashlib.sha256(own[0].encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy
    assert not re.search(r"url\(|@import|innerHTML|eval\(", text)
    for tag, attributes in page.elements:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form"}
        assert not {"src", "style"} & set(attributes)
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith(("#", "data:,"))


def test_text_of_models_and_data_is_no_markup(read, cards_of):
    run, examples = hostile_run()

    text = render_html(run, examples)

    page = read(text)
    assert sum(tag == "script" for tag, _ in page.elements) == 2
    assert SCRIPT in page.text_of("bdi")
    assert page.text_of("bdi").count(ENDING) > 5
    assert "49" not in re.findall(r"<bdi>(.*?)</bdi>", text)
    assert not set(TURNED + BROKEN) & set(text) - set("abcdefghijklmnopqrstuvwxyz[]0123456789 \\m")
    assert r"ab\u202ecd\u2066ef" in page.text_of("bdi")
    cards = cards_of(text)
    assert {card["b"] for card in cards} >= {SCRIPT, ENDING, r"ab\u202ecd\u2066ef"}
    assert any(r"nul \x00 bell \x07 escape \x1b[31m half \ud800 end" in card["b"] for card in cards)
    assert len(max((card["b"] for card in cards), key=len)) < 5_000
    text.encode("utf-8")


def test_each_workload_that_falls_has_a_line_of_its_own(read):
    falls = [
        replace(known.CHECK, workload=name, value=0.4, low=0.38, high=0.42, **variant)
        for name in ("orders", "quotes")
        for variant in ({}, {"variant": "int3", "variant_label": "int3"})
    ]
    sizes = [replace(known.MEASURED, workload=one.workload, variant_label=one.variant_label,
                     weight_bytes=10**9, is_reference=False) for one in falls]  # fmt: skip

    page = read(render_html(known.run(*falls, measurements=[known.MEASURED, *sizes]), {}))

    lines = [text for tag, text in page.texts if tag == "bdi" and " falls between " in text]
    assert [line.partition(" falls")[0] for line in lines] == ["cliff: orders", "quotes"]


@pytest.mark.parametrize("redact", [Redact.TEXT, Redact.IDS])
def test_what_may_not_leave_is_not_on_the_page(redact, cards_of):
    examples = measured_record(rows("accuracy", [1]), ids=["e17"], outputs=["charged twice"])
    run = redacted_run(RUN, redact)
    run = replace(run, environments=[replace(known.ENVIRONMENT, redact=redact.value)])

    text = render_html(run, {"k": redacted_examples(examples, redact)})

    assert {word for word in ("charged", "returns", "e17") if word in text} == set()
    assert cards_of(text) == []
    assert f"quant_redact={redact.value}" in text
