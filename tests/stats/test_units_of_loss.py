"""A loss per word or byte is decided as one per token, with other weights."""

import math

import numpy as np
import pytest
from scipy import stats

from pytest_quantcheck.core.grammar import parse_limit
from pytest_quantcheck.core.verdict import Outcome
from pytest_quantcheck.stats.family import levels
from pytest_quantcheck.stats.procedures import judge

N = 40


@pytest.fixture
def losses():
    """Tokens of 40 documents, nats of a reference, and of a variant about 2 % per token worse."""
    rng = np.random.default_rng(5)
    tokens = rng.integers(50, 400, N).astype(float)
    reference = tokens * rng.normal(2.5, 0.2, N)
    return tokens, reference, reference + tokens * rng.normal(0.02, 0.01, N)


def decided(make_scores, keyword, value, *, nats, weights):
    limit = parse_limit(keyword, value)
    sides = [make_scores(one, limit.metric, weights=weights) for one in nats]
    return judge(limit, sides[0], variant=sides[1], levels=levels(0.05, 1))


@pytest.mark.parametrize(("metric", "share"), [("word_perplexity", 0.75), ("byte_perplexity", 4.5)])
@pytest.mark.parametrize("value", [1.01, 1.02, 1.04])
def test_where_every_token_has_as_many_the_verdict_is_that_of_perplexity(
    make_scores, losses, metric, share, value
):
    tokens, *nats = losses
    by_token = decided(make_scores, "max_perplexity_ratio", value, nats=nats, weights=tokens)
    found = decided(
        make_scores,
        f"max_{metric}_ratio",
        value ** (1 / share),
        nats=nats,
        weights=tokens * share,
    )
    assert found.outcome is by_token.outcome
    for name in ("p_pass", "p_fail"):
        assert getattr(found.estimate, name) == pytest.approx(getattr(by_token.estimate, name))
    for name in ("value", "low", "high"):
        assert getattr(found.estimate, name) ** share == pytest.approx(
            getattr(by_token.estimate, name)
        )


def test_where_they_differ_the_interval_is_that_of_the_ratio_mean(make_scores, losses):
    tokens, *nats = losses
    words = np.round(tokens / np.linspace(1.1, 2.0, N))
    found = decided(make_scores, "max_word_perplexity_ratio", 1.05, nats=nats, weights=words)

    # Bell and McCaffrey (2002) by matrices: weighted regression of nats per word on a constant.
    x = np.sqrt(words)[:, None]
    hat = x @ x.T / words.sum()
    y = (nats[1] - nats[0]) / np.sqrt(words)
    residuals = (np.eye(N) - hat) @ y
    adjusted = 1 / np.sqrt(1 - np.diag(hat))
    error = math.sqrt(np.sum((x[:, 0] * adjusted * residuals) ** 2)) / words.sum()
    columns = (np.eye(N) - hat) * (x[:, 0] * adjusted)[None, :]
    gram = columns.T @ columns
    df = np.trace(gram) ** 2 / np.trace(gram @ gram)
    mean = np.sum(nats[1] - nats[0]) / words.sum()
    half = stats.t.ppf(0.95, df) * error
    expected = np.exp([mean, mean - half, mean + half])
    estimate = found.estimate
    assert [estimate.value, estimate.low, estimate.high] == pytest.approx(expected)
    assert found.outcome is Outcome.PASS
