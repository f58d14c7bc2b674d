"""Two models' predictions compared in chunks equal a loop over all their logits."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from engines import in_batches

from pytest_quantcheck.errors import MeasurementError
from pytest_quantcheck.measure.engine import causal, predictions
from pytest_quantcheck.measure.engine.states import StateArrays, StateReader
from pytest_quantcheck.measure.protocols import NonFiniteLogitsError, RequestError, ScoreRequest

RELATIVE = 1e-5
ROUNDING = 1e-7
"""Nats a token: of float32 logits."""
LEAST_BY_EXP = -4 * 2.0**-23
"""Of exp in float32, within 2 units in the last place for each of two distributions."""
LENGTHS = (40, 33, 21, 7, 2)


def requests():
    """Return sequences of different lengths, so that each is a pack of its own."""
    rng = np.random.default_rng(0)
    return [
        ScoreRequest(
            tokens=tuple(rng.integers(4, 80, size=length).tolist()),
            first_target=int(rng.integers(1, length)),
        )
        for length in LENGTHS
    ]


def naive(reference, variant, request):
    """Return KL, change of the next token's probability and both top tokens, from all logits."""
    inputs = torch.tensor([request.tokens[:-1]])
    with torch.inference_mode():
        logs = [
            one.model(inputs).logits[0, request.first_target - 1 :].double().log_softmax(-1)
            for one in (reference, variant)
        ]
    kl = (logs[0].exp() * (logs[0] - logs[1])).sum(-1)
    targets = torch.tensor(request.tokens[request.first_target :])[:, None]
    p, q = (one.exp().gather(1, targets)[:, 0] for one in logs)
    return kl.numpy(), (q - p).numpy(), [one.argmax(-1).numpy() for one in logs]


@pytest.mark.parametrize(
    ("kind", "variant"),
    [
        *((kind, name) for kind in ("llama", "gemma2") for name in ("int8", "nf4")),
        ("gpt2", "nf4"),  # LLM.int8 leaves its Conv1D as it is
        ("llama_outliers", "int8"),
    ],
)
def test_divergences_are_those_of_all_logits(load, kind, variant):
    reference, other = load(kind, "fp32"), load(kind, variant)
    if variant == "int8":  # its packs give each row the outlier columns of the rows before it
        other = in_batches(other)
    asked = requests()

    found = reference.predictions(asked).divergences(other.predictions(asked))

    wholes = []
    for request, one in zip(asked, found, strict=True):
        kl, delta, tops = naive(reference, other, request)
        assert one.kl == pytest.approx(kl, rel=RELATIVE, abs=ROUNDING)
        wholes.append((one.kl.sum(), kl.sum()))
        assert one.delta_p == pytest.approx(delta, abs=1e-6)
        assert np.array_equal(one.reference_top, tops[0])
        assert np.array_equal(one.variant_top, tops[1])
        assert one.kl.min() >= 0
        assert ((one.reference_p > 0) & (one.reference_p <= 1)).all()
    total, expected = np.sum(wholes, axis=0)
    assert total == pytest.approx(expected, rel=RELATIVE)
    assert total > 1e-3


def test_a_model_is_not_apart_from_itself_by_a_bit(load):
    asked = requests()
    kept = load("gemma2", "fp16").predictions(asked)
    for one in kept.divergences(kept):
        assert not one.kl.any()
        assert not one.delta_p.any()
        assert np.array_equal(one.reference_top, one.variant_top)


def test_packs_and_batches_keep_the_same_states(load):
    asked = [*requests(), requests()[1]]
    shared = ScoreRequest(tokens=(*asked[0].tokens[:20], 5, 6, 7), first_target=20)
    asked.append(shared)
    loaded = load("llama", "fp32")
    in_packs = loaded.predictions(asked).states
    assert "tree" in loaded.plan
    for one, other in zip(
        in_packs.arrays, in_batches(loaded).predictions(asked).states.arrays, strict=True
    ):
        assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("forwarded", [lambda loaded: loaded, in_batches])
def test_reading_and_comparing_count_requests_and_scored_tokens(load, forwarded):
    asked, told = requests(), []
    loaded = forwarded(load("llama", "fp32"))
    found = loaded.predictions(asked, advance=lambda *so_far: told.append(so_far))
    scored = sum(len(one.tokens) - one.first_target for one in asked)
    assert [requests for requests, _ in told] == [1, 2, 3, 4, 5]
    assert told[-1] == (5, scored)
    read, told[:] = [*told], []
    found.divergences(found, advance=lambda *so_far: told.append(so_far))
    assert told == read


def test_chunks_of_any_size_say_the_same(load, monkeypatch):
    asked = requests()
    kept, other = (load("llama", name).predictions(asked) for name in ("fp32", "nf4"))
    whole = kept.divergences(other)
    monkeypatch.setattr(predictions, "_CHUNK_ELEMENTS", 3 * tiny_models.VOCABULARY)
    for one, same in zip(kept.divergences(other), whole, strict=True):
        assert one.kl == pytest.approx(same.kl, rel=RELATIVE, abs=ROUNDING)


def test_what_is_kept_is_compared_when_its_model_is_gone(load):
    asked = requests()
    loaded = load("llama", "fp32")
    twin = in_batches(loaded, model=tiny_models.make_model("llama").float())
    other = load("llama", "nf4").predictions(asked)
    kept = twin.predictions(asked)
    resident = [one.kl for one in kept.divergences(other)]

    twin.close()

    assert not kept.needs_model
    for one, same in zip(kept.divergences(other), resident, strict=True):
        assert np.array_equal(one.kl, same)


def test_states_are_kept_bit_for_bit_in_plain_arrays(load):
    loaded = load("llama", "fp32")
    half = in_batches(loaded, model=tiny_models.make_model("llama").bfloat16())
    found = half.predictions(requests()).states
    assert (found.dtype, {one.dtype for one in found.arrays}) == ("bfloat16", {np.dtype("u2")})
    again = StateArrays(arrays=tuple(map(np.copy, found.arrays)), dtype=found.dtype)
    for index, request in enumerate(requests()):
        assert again.tensor(index).shape == (len(request.tokens) - request.first_target, 64)
        assert again.tensor(index).dtype is torch.bfloat16
        assert torch.equal(again.tensor(index), found.tensor(index))


def test_without_a_head_of_its_own_the_model_is_asked_itself(load, monkeypatch):
    asked = requests()
    reference, other = load("llama", "fp32"), load("llama", "nf4")
    expected = reference.predictions(asked).divergences(other.predictions(asked))
    models = [in_batches(one) for one in (reference, other)]
    monkeypatch.setattr(causal, "split_model", lambda *_: None)

    whole = [one.predictions(asked) for one in models]

    assert whole[0].needs_model
    for one, same in zip(whole[0].divergences(whole[1]), expected, strict=True):
        assert one.kl == pytest.approx(same.kl, rel=RELATIVE, abs=ROUNDING)
    models[0].close()
    with pytest.raises(MeasurementError, match="this variant was closed"):
        whole[0].divergences(whole[1])


def test_scores_do_not_depend_on_it(load):
    asked = requests()
    loaded = load("gemma2", "nf4")
    before = loaded.score(asked)
    loaded.predictions(asked)
    for one, other in zip(before, loaded.score(asked), strict=True):
        assert np.array_equal(one, other)


def test_logits_that_are_not_finite_name_their_request(load):
    kept = load("llama", "fp32").predictions(requests())
    kept.states.arrays[2][0] = np.nan
    with pytest.raises(NonFiniteLogitsError, match="not finite") as caught:
        kept.divergences(load("llama", "nf4").predictions(requests()))
    assert caught.value.request == 2


@pytest.mark.parametrize("vocabulary", [7, 32_000])
@pytest.mark.parametrize("noise", [0.0, 1e-7, 1e-6, 1e-5])
def test_rounding_leaves_a_divergence_hardly_below_zero(vocabulary, noise):
    generator = torch.Generator().manual_seed(0)
    rows = 4 * torch.randn(32, vocabulary, generator=generator)
    other = rows * (1 + noise * torch.randn(rows.shape, generator=generator)) - 90
    targets = torch.zeros(len(rows), dtype=torch.long)

    kl = predictions._compare_rows(rows, other, targets)[0]

    assert kl.min() >= LEAST_BY_EXP


def test_what_rounding_leaves_is_0_and_less_is_an_error():
    columns = np.zeros((6, 3))
    columns[0] = (0.25, LEAST_BY_EXP, 0.0)
    assert predictions._as_divergences(columns, 2).kl.tolist() == [0.25, 0.0, 0.0]

    columns[0, 2] = 3 * LEAST_BY_EXP
    message = (
        r"divergence is -1\.43e-06 nats, .* no less than -9\.5e-07: the device computes wrongly"
    )
    with pytest.raises(RequestError, match=message) as caught:
        predictions._as_divergences(columns, 2)
    assert caught.value.request == 2


def test_memory_that_runs_out_makes_packs_smaller_until_one_sequence_is_too_long(load, monkeypatch):
    tokens = tuple(range(4, 24))
    asked = [ScoreRequest(tokens=tokens[i:] + tokens[:i], first_target=1) for i in range(8)]
    loaded = load("llama", "fp16")
    expected = loaded.predictions(asked).states
    attempt = StateReader._attempt

    def scarce(most):
        def found(self, work):
            forwarded = work.args[-1]  # a pack, or a batch
            n = getattr(forwarded, "sequences", 0) or len(forwarded.units)
            return None if n > most else attempt(self, work)

        return found

    monkeypatch.setattr(StateReader, "_attempt", scarce(3))
    found = loaded.predictions(asked).states
    assert loaded.pack_limit == 2
    for one, other in zip(found.arrays, expected.arrays, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    monkeypatch.setattr(StateReader, "_attempt", scarce(0))
    with pytest.raises(MeasurementError, match="out of memory on cpu: the states of one sequence"):
        loaded.predictions(asked)
    loaded.pack_limit = None
