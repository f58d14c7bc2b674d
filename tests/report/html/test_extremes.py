"""Whatever figures a record holds, the page is drawn, and no place in it is infinite."""

import math
import random
import re
from dataclasses import replace

import known_records as known
import pytest
from example_records import measured_record, rows

from pytest_quantcheck.core.limit import Statistic
from pytest_quantcheck.core.metric import METRICS
from pytest_quantcheck.core.quantity import Unit
from pytest_quantcheck.core.tokens import DivergenceRecord
from pytest_quantcheck.report.html.page import render_html

NUMBERS = (0.0, 1.0, -1.0, math.inf, -math.inf, 1e-12, 1e12, 0.03, 1.06)
SHARES = (0.0, 0.5, 0.999, 1.0)
PLACES = re.compile(r'\s(?:d|x|y|x1|cx|cy|points|width)="[^"]*(?:nan|inf)')


def extreme_check(rng, metric):
    return replace(
        known.CHECK,
        statistic=rng.choice([*Statistic]).value,
        unit=rng.choice([*Unit]).value,
        metric=metric.name,
        level_unit=metric.level_unit.value,
        bound=rng.choice(["upper", "lower"]),
        limit=rng.choice([0.0, 1.0, 0.03, 1.06]),
        value=rng.choice(NUMBERS),
        low=rng.choice([None, *NUMBERS]),
        high=rng.choice([None, *NUMBERS]),
        variant_level=rng.choice(NUMBERS),
        n=rng.choice([0, 5]),
        counts=rng.choice([{}, known.CHECK.counts]),
        examples="var",
        worst=[],
    )


def extreme_measurement(rng, metric, name):
    size = rng.choice(SHARES), abs(rng.choice(NUMBERS)), abs(rng.choice(NUMBERS))
    divergence = DivergenceRecord(
        n_tokens=5,
        mean_kl=size[0],
        p99_kl=size[1],
        max_kl=size[2],
        top1_agreement=0.5,
        delta_p_mean=0.0,
        delta_p_rms=0.0,
        worst=[],
    )
    return replace(
        known.MEASURED,
        variant=name,
        variant_label=name,
        is_reference=name == "fp16",
        metric=metric.name,
        level=rng.choice(SHARES if metric.level_unit is Unit.FRACTION else NUMBERS),
        level_unit=metric.level_unit.value,
        weight_bytes=rng.choice([1, 10**4, 10**10]),
        divergence=rng.choice([None, divergence]),
    )


@pytest.mark.parametrize("seed", range(2))
def test_extreme_figures_never_break_the_page(seed):
    rng = random.Random(seed)
    for metric in METRICS.values():
        values = [[rng.choice(NUMBERS) for _ in range(2)] for _ in range(2)]
        before = measured_record(rows(metric.name, values[0], weights=[1.0, 2.0]), variant="fp16")
        after = measured_record(
            rows(metric.name, values[1], weights=[1.0, 2.0]),
            rows("p99_kl", [0, 1], observations=[[0.0, math.inf], [1e-9]]),
            reference="ref",
        )
        run = known.run(
            *(replace(extreme_check(rng, metric), variant_label="int4") for _ in range(3)),
            measurements=[extreme_measurement(rng, metric, name) for name in ("fp16", "int4")],
        )

        text = render_html(run, {"ref": before, "var": after})

        assert not PLACES.search(text)
