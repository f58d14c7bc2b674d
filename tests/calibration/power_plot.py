"""Draw how the chance of a verdict grows with the examples, from the figures of its table."""

from __future__ import annotations

import math

import tabulation
from tabulation import DOCS, Row

PATH = DOCS / "explanation" / "power.svg"
WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 200, 20, 50
SERIES = {
    "pass_2": ("PASS, 2 % flips", "#2a7d4f", ""),
    "pass_5": ("PASS, 5 % flips", "#2a7d4f", "7 4"),
    "pass_10": ("PASS, 10 % flips", "#2a7d4f", "2 3"),
    "fail_2": ("FAIL, 3 % flips", "#b3362b", ""),
    "fail_5": ("FAIL, 5 % flips", "#b3362b", "7 4"),
    "fail_10": ("FAIL, 10 % flips", "#b3362b", "2 3"),
}
"""What is drawn: the key of the figure, its name, colour and dashes."""


def draw(rows: list[Row]) -> str:
    """Return the plot as SVG."""
    ns = [row.cell["n"] for row in rows]
    scale = (WIDTH - LEFT - RIGHT) / math.log(ns[-1] / ns[0])

    def x(n):
        return LEFT + scale * math.log(n / ns[0])

    def y(chance):
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - chance)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for chance in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        height, grey = f"{y(chance):.1f}", "#999" if chance == 0.8 else "#ddd"
        parts.append(
            f'<path d="M{LEFT} {height}H{WIDTH - RIGHT}" stroke="{grey}"/>'
            f'<text x="{LEFT - 8}" y="{height}" dy="4" text-anchor="end">{chance:.0%}</text>'
        )
    parts += [
        f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{n:,}</text>'
        for n in (100, 300, 1000, 3000, 10_000)
    ]
    for number, (key, (name, colour, dashes)) in enumerate(SERIES.items()):
        points = " ".join(f"{x(r.cell['n']):.1f},{y(r.found[key]):.1f}" for r in rows)
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}" fill="none"'
        parts.append(f'<polyline points="{points}" {style}/>')
        edge, height = WIDTH - RIGHT + 15, TOP + 20 + 22 * number
        parts.append(
            f'<path d="M{edge} {height}h30" {style}/>'
            f'<text x="{edge + 38}" y="{height}" dy="4">{name}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">'
        "examples</text></svg>"
    )
    return "\n".join(parts) + "\n"


def write() -> None:
    """Draw the figures computed last."""
    rows = tabulation.read("power-by-examples")
    if rows:
        PATH.write_text(draw(rows), encoding="utf-8")
