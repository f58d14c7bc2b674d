"""Servers: tokens of plain generate, one clock for all, and a reason where graphs cannot be."""

from __future__ import annotations

import pytest
import torch
from served import generated, relaunched, shape, with_graphs

from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.engine.llm_int8.layers import as_published
from pytest_quantcheck.measure.latency.agreement import disagreement
from pytest_quantcheck.measure.latency.protocols import Shape
from pytest_quantcheck.measure.latency.serving import open_server
from pytest_quantcheck.measure.latency.timers import Stopwatch

KINDS = [("llama", "fp16"), ("gpt2", "nf4"), ("gemma2", "fp16"), ("qwen3_moe", "fp16")]


@pytest.mark.parametrize(("kind", "variant"), [*KINDS, ("llama_outliers", "int8")])
def test_eager_tokens_are_those_of_generate(load, kind, variant):
    loaded = load(kind, variant)
    server = loaded.server(shape())
    times = server.run()
    with as_published(loaded.model):
        assert server.tokens == generated(loaded.model, shape())
    assert (server.mode, server.fallback) == ("eager", "")
    assert 0 < times.ttft_seconds < times.e2e_seconds
    assert (times.new_tokens, times.batch_size, times.device_seconds) == (24, 3, None)


def test_no_token_ends_a_sequence(load):
    loaded = load("llama", "fp16")
    server = loaded.server(shape())
    server.run()
    free = server.tokens
    own = loaded.model.generation_config
    own.eos_token_id = free[0][3]
    try:
        server.run()
    finally:
        own.eos_token_id = 2
    assert server.tokens == free
    assert loaded.model.generation_config is own


@pytest.mark.parametrize(("kind", "variant"), [*KINDS, ("mistral", "fp16")])
@pytest.mark.parametrize("new_tokens", [1, 24])
def test_a_static_cache_gives_the_same_tokens(load, kind, variant, new_tokens):
    loaded = load(kind, variant)
    asked = shape(mode="compiled", new_tokens=new_tokens, length=30)
    server = open_server(with_graphs(loaded, relaunched), asked)
    for _ in range(2):
        server.run()
        assert server.tokens == generated(loaded.model, asked)
    assert (server.mode, server.fallback) == ("compiled", "")


def refused(_work):
    raise RuntimeError("operation not permitted when stream is capturing\nand more")


def forgetful(work):
    work()
    return lambda: None


@pytest.mark.parametrize(
    ("kind", "variant", "capture", "reason"),
    [
        ("llama", "fp16", None, "CUDA graphs need a CUDA device, and this is cpu"),
        ("llama_outliers", "int8", relaunched, "LLM.int8 waits for the host in every layer"),
        ("mamba", "fp16", relaunched, "MambaForCausalLM does not decode with a static cache"),
        ("llama", "fp16", refused, "captured as a CUDA graph (operation not permitted when stre"),
        ("llama", "fp16", forgetful, "another one than in launched passes, and no near tie"),
    ],
)
def test_what_cannot_be_compiled_is_served_eagerly_and_says_why(
    load, kind, variant, capture, reason
):
    loaded = load(kind, variant)
    server = open_server(with_graphs(loaded, capture), shape(mode="compiled", new_tokens=5))
    server.run()
    assert server.mode == "eager"
    assert reason in server.fallback
    assert len(server.fallback.splitlines()) == 1
    assert [len(row) for row in server.tokens] == [5, 5, 5]


def test_a_near_tie_may_fall_the_other_way(load):
    model = load("llama", "fp16").model
    asked = shape(rows=1, new_tokens=4)
    expected = torch.tensor(generated(model, asked))
    whole = torch.cat([torch.tensor(asked.prompts), expected], dim=1)
    ranking = model(whole).logits[0, len(asked.prompts[0])].argsort(descending=True)
    assert ranking[0] == expected[0, 1]
    last, second = (expected.clone() for _ in range(2))
    second[0, 1], last[0, 1] = ranking[1], ranking[-1]

    embeddings = model.get_input_embeddings().weight
    head = model.get_output_embeddings().weight
    assert head is not embeddings
    own = head.data.clone()
    try:
        head.data[ranking[1]] = head.data[ranking[0]] * (1 - 1e-6)
        assert disagreement(model, asked, expected=expected, found=second) == ""
        head.data[ranking[1]] = head.data[ranking[0]] * 0.9
        wrong = disagreement(model, asked, expected=expected, found=second)
    finally:
        head.data = own
    assert wrong.startswith("token 2 of request 1 was another one")
    assert disagreement(model, asked, expected=expected, found=last)
    assert disagreement(model, asked, expected=expected, found=expected) == ""


def test_int8_is_timed_as_bitsandbytes_has_it(load):
    loaded = load("llama_outliers", "int8")
    layer = next(m for m in loaded.model.modules() if type(m).__name__ == "Linear8bitLt")
    own = layer.__dict__["forward"]
    seen = []
    handle = layer.register_forward_hook(lambda *_: seen.append("forward" in layer.__dict__))
    loaded.server(shape(new_tokens=2)).run()
    handle.remove()
    assert seen
    assert not any(seen)
    assert layer.__dict__["forward"] is own


def test_the_first_token_is_stamped_when_it_is_there():
    ticks = iter([10.0, 10.5, 12.0])
    watch = Stopwatch("cpu", clock=lambda: next(ticks))
    for _ in range(3):
        watch.stamp()
    times = watch.times(new_tokens=4, batch_size=2, device_seconds=1.25)
    assert (times.ttft_seconds, times.e2e_seconds, times.tpot_seconds) == (0.5, 2.0, 0.5)
    assert (times.tokens_per_second, times.device_seconds) == (4.0, 1.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "fast"}, "mode 'fast': expected 'eager' or 'compiled'"),
        ({"new_tokens": 0}, "with 0 new ones: expected prompts of one length"),
        ({"rows": 0}, "expected prompts of one length"),
        ({"length": 0}, "expected prompts of one length"),
        ({"length": 90, "new_tokens": 7}, "answers of 97 tokens: the model takes 96; shorten"),
    ],
)
def test_shapes_that_cannot_be_served_are_refused(load, options, message):
    with pytest.raises(UsageError, match=message):
        load("llama", "fp16").server(shape(**options))


def test_a_shape_may_take_all_of_the_context(load):
    assert load("llama", "fp16").server(shape(length=90, new_tokens=6)).mode == "eager"


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (((5, 6), (7,)), r"prompts of \[1, 2\] tokens"),
        (((5, 128),), "outside the vocabulary"),
        (((-1, 5),), "outside the vocabulary"),
    ],
)
def test_prompts_that_cannot_be_served_are_refused(load, prompts, message):
    with pytest.raises(UsageError, match=message):
        load("llama", "fp16").server(Shape(prompts=prompts, new_tokens=2, mode="eager"))


def test_memory_that_runs_out_says_what_to_lower(load, monkeypatch):
    loaded = load("llama", "fp16")
    server = loaded.server(shape())

    def forward(*_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(loaded.model, "forward", forward)
    with pytest.raises(MeasurementError, match="3 requests of 9 tokens with 24 new ones do not"):
        server.run()


def test_graphs_that_do_not_fit_are_no_reason_to_do_without(load):
    def capture(_work):
        raise torch.OutOfMemoryError

    served = with_graphs(load("llama", "fp16"), capture)
    with pytest.raises(MeasurementError, match="out of memory on cpu: 3 requests of 9 tokens"):
        open_server(served, shape(mode="compiled"))


def test_graphs_that_disagree_are_given_back(load):
    ways = []

    def capture(work):
        ways.append(work.__self__)
        return forgetful(work)

    open_server(with_graphs(load("llama", "fp16"), capture), shape(mode="compiled", new_tokens=5))
    assert not {"prefill", "step"} & vars(ways[0]).keys()


def test_a_model_that_breaks_is_no_regression(load, monkeypatch):
    loaded = load("llama", "fp16")
    server = loaded.server(shape())
    monkeypatch.setattr(loaded.model, "forward", lambda **_: None)
    with pytest.raises(MeasurementError, match="serving failed inside the model"):
        server.run()


def test_a_closed_server_is_not_run(load):
    served = with_graphs(load("llama", "fp16"), relaunched)
    server = open_server(served, shape(mode="compiled", new_tokens=2))
    server.close()
    server.close()
    with pytest.raises(MeasurementError, match="closed"):
        server.run()


def test_serving_leaves_no_trace(load):
    loaded = load("gpt2", "fp16")
    before = torch.get_rng_state()
    own = loaded.model.generation_config
    server = loaded.server(shape(new_tokens=2))
    server.run()
    server.close()
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.model.generation_config is own
