"""Requests that begin alike, and attention with a mask of every row and key: slow and plain."""

from __future__ import annotations

import numpy as np
import torch

from pytest_quantcheck.measure.engine.packs import plan_packs
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.protocols import ScoreRequest

AMPLE = Limits(batch_tokens=2**20, logits=1)


def limits(tokens, sequences=None):
    return Limits(batch_tokens=tokens, logits=1, sequences=sequences)


def ask(tokens, first_target=1):
    return ScoreRequest(tokens=tuple(tokens), first_target=first_target)


def requests(seed=0, count=24, longest=40):
    """Return sequences of mixed lengths; some share their inputs."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        length = int(rng.integers(2, longest))
        tokens = tuple(rng.integers(4, 80, size=length).tolist())
        found.append(ScoreRequest(tokens=tokens, first_target=int(rng.integers(1, length))))
    twin = found[3]
    other = ScoreRequest(tokens=(*twin.tokens[:-1], 9), first_target=len(twin.tokens) - 1)
    return [*found, twin, other]


def few_shot(seed=0, *, questions=5, options=3, shots=20):
    """Return choices after questions after the same shots, and sequences of their own."""
    rng = np.random.default_rng(seed)

    def tokens(most):
        return tuple(rng.integers(4, 80, size=int(rng.integers(1, most + 1))).tolist())

    beginning = tuple(rng.integers(4, 80, size=shots).tolist())
    found = []
    for _ in range(questions):
        context = beginning + tokens(25)
        found += [ask(context + tokens(12), len(context)) for _ in range(options)]
    for _ in range(4):
        alone = tokens(60) + tokens(3)
        found.append(ask(alone, int(rng.integers(1, len(alone)))))
    return found


def one_pack(requests, most=AMPLE):
    (pack,) = plan_packs(requests, most)
    return pack


def dense_attention(query, key, value, pack, scale):
    """Return (t, h, d): a row sees its own segment up to itself, and all segments above."""
    segments, parents = pack.segments, pack.parents
    mask = np.zeros((len(segments), len(segments)), dtype=bool)
    for row, segment in enumerate(segments):
        mask[row, : row + 1] = segments[: row + 1] == segment
        while (segment := parents[segment]) >= 0:
            mask[row] |= segments == segment
    times = query.shape[1] // key.shape[1]
    key, value = (one.repeat_interleave(times, dim=1) for one in (key, value))
    logits = torch.einsum("thd,shd->hts", query.float(), key.float()) * scale
    logits = logits.masked_fill(~torch.from_numpy(mask).to(query.device), -torch.inf)
    return torch.einsum("hts,shd->thd", logits.softmax(-1), value.float())
