"""What models predict of texts, as records: losses, and two predictions compared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLossRecord:
    """The loss of documents over words and bytes of their texts, which no tokenizer decides."""

    n_words: int
    """Parts between whitespace, as lm-evaluation-harness counts them."""
    n_bytes: int
    """Of the texts in UTF-8."""
    word_perplexity: float
    """exp(nats per word)."""
    byte_perplexity: float
    bits_per_byte: float
    """The logarithm of `byte_perplexity` to base 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShift:
    """One token whose prediction changed much."""

    position: int
    """Place in its document, counted from 0."""
    context: str
    """The text just before it."""
    text: str
    """What follows in the document."""
    kl: float
    """KL(reference || variant) in nats."""
    delta_p: float
    """Change of the probability of `text`, variant minus reference."""
    reference_top: str
    """What the reference finds most probable."""
    reference_p: float
    variant_top: str
    variant_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord(TokenShift):
    """One such token, and whose it is."""

    example: str
    """Id of its document."""
    slice: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DivergenceRecord:
    """How far a variant's predictions are from the reference's, over all tokens: a description."""

    n_tokens: int
    mean_kl: float
    """Nats, as the next two."""
    p99_kl: float
    max_kl: float
    top1_agreement: float
    delta_p_mean: float
    """Mean change of the probability of the token that follows, variant minus reference."""
    delta_p_rms: float
    """Its root mean square."""
    worst: list[TokenRecord]
    """The tokens of largest divergence, at most three of a document."""
