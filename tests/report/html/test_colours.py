"""Colours can be read in both themes, and outcomes told apart by those who see fewer colours."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from pytest_quantcheck.report.html import page

CSS = (Path(page.__file__).parent / "assets" / "page.css").read_text(encoding="utf-8")
THEMES = dict(
    zip(("light", "dark"), re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2], strict=True)
)
OUTCOMES = ("pass", "fail", "inconclusive")
# Machado, Oliveira and Fernandes (2009), table 1: full deficiency, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
LEAST_CONTRAST = 4.5  # WCAG 2.2, criterion 1.4.3
LEAST_DISTANCE = 20  # CIE 1976, some ten times what can just be told apart


def linear(theme, name):
    found = re.search(rf"--{name}: #([0-9a-f]{{6}});", THEMES[theme])[1]
    srgb = np.array([int(found[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def contrast(theme, one, other):
    lights = sorted(0.05 + np.dot(XYZ[1], linear(theme, name)) for name in (one, other))
    return lights[1] / lights[0]


def lab(colour):
    x, y, z = np.cbrt(np.matmul(XYZ, np.clip(colour, 0, 1)) / [0.9505, 1.0, 1.089])
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("ink", "ground"),
    [
        *((ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "raised")),
        *((outcome, "ground") for outcome in OUTCOMES),
        *((outcome, f"{outcome}-tint") for outcome in OUTCOMES),
        ("mark-ink", "mark"),
    ],
)
def test_text_has_contrast(theme, ink, ground):
    assert contrast(theme, ink, ground) >= LEAST_CONTRAST


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_outcomes_look_different_to_everyone(theme, sight):
    seen = [lab(np.matmul(SIGHTS[sight], linear(theme, outcome))) for outcome in OUTCOMES]

    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) >= LEAST_DISTANCE
