"""Documents in words: loss by word and byte, and where two models' predictions part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_quantcheck.core.quantity import Unit, format_count, format_quantity
from pytest_quantcheck.core.redaction import REDACTED
from pytest_quantcheck.report.screen import ascii_safe, cells, text_of, wrap

if TYPE_CHECKING:
    from pytest_quantcheck.core.record import CheckRecord
    from pytest_quantcheck.core.tokens import DivergenceRecord, TokenRecord
    from pytest_quantcheck.report.gallery import Layout

_INDENT = "      "
_CONTEXT = 48
"""Characters shown before a token."""


def render_tokens(found: DivergenceRecord | None, layout: Layout) -> list[str]:
    """Return the lines on the tokens that changed most; none where none was compared."""
    if found is None or not found.worst:
        return []
    lines = [f"  worst tokens, {len(found.worst)} of {format_count(found.n_tokens)}:"]
    for token in found.worst:
        place = f"[{ascii_safe(token.slice)}]" if token.slice else ""
        is_redacted = token.text == REDACTED
        head = f"    {ascii_safe(token.example)}{place} token {format_count(token.position + 1)}"
        lines.append(f"{head}  KL {_nats(token.kl)}")
        for line in () if is_redacted else (_context(token), _tops(token)):
            lines += [_INDENT + text_of(part) for part in wrap(cells(line), layout.columns)]
    return lines


def describe_text_loss(check: CheckRecord) -> list[str]:
    """Return a loss over words and bytes, of reference and variant; none of other metrics."""
    before, after = check.reference_text_loss, check.variant_text_loss
    if before is None or after is None:
        return []
    words = [format_quantity(one.word_perplexity, Unit.PERPLEXITY) for one in (before, after)]
    parts = (
        f"perplexity per word {words[0]} and {words[1]}",
        f"per byte {before.byte_perplexity:.4f} and {after.byte_perplexity:.4f}",
        f"{before.bits_per_byte:.4f} and {after.bits_per_byte:.4f} bits per byte",
    )
    return [", ".join(parts)]


def describe_divergence(found: DivergenceRecord | None) -> list[str]:
    """Return how far predictions are apart over all tokens; none where none was compared."""
    if found is None:
        return []
    figures = {"mean": found.mean_kl, "p99": found.p99_kl, "max": found.max_kl}
    kl = ", ".join(f"{name} {_nats(value)}" for name, value in figures.items())
    mean, rms = (
        format_quantity(value, Unit.POINTS) for value in (found.delta_p_mean, found.delta_p_rms)
    )
    same = format_quantity(found.top1_agreement, Unit.FRACTION)
    change = f"{mean} on average and {rms} RMS, variant minus reference"
    return [
        f"KL of {format_count(found.n_tokens)} tokens: {kl}",
        f"probability of the token that follows: {change}; same token on top {same}",
    ]


def _context(token: TokenRecord) -> str:
    before = " ".join(token.context.split())[-_CONTEXT:]
    return f"after {before!r}: {token.text!r} ({format_quantity(token.delta_p, Unit.POINTS)})"


def _tops(token: TokenRecord) -> str:
    reference, variant = (
        f"{text!r} {format_quantity(p, Unit.FRACTION)}"
        for text, p in (
            (token.reference_top, token.reference_p),
            (token.variant_top, token.variant_p),
        )
    )
    return f"reference {reference}, variant {variant}"


def _nats(value: float) -> str:
    return format_quantity(value, Unit.NATS)
