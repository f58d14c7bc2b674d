"""What is asked becomes tokens: rendered, cut only where allowed, equal for both models."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_model import BOS, INT8, REFERENCE, FakeModel, make_pool, run

from pytest_quantcheck import Classification, Documents, Generation, MultipleChoice
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.runner import Runner
from pytest_quantcheck.measure.selfcheck import check_same_prompts

SHOTS = [{"prompt": "one", "answer": "1"}, {"prompt": "two", "answer": "2"}]


def generation(*prompts, **options):
    rows = [{"prompt": prompt, "answer": "x"} for prompt in prompts]
    return Generation.from_examples(rows, name="gen", max_new_tokens=4, **options)


def choice(context, *choices, **options):
    row = {"context": context, "choices": list(choices), "answer": 0}
    return MultipleChoice.from_examples([row], name="mc", **options)


def text_of(tokens):
    return FakeModel().decode(tokens)


def test_a_chat_is_rendered_by_the_model():
    options = {"chat": True, "system": "short", "chat_template_kwargs": {"think": False}}
    result = run(generation("three", few_shot=SHOTS[:1], **options))

    assert result.first_token_ids[0] == BOS
    assert text_of(result.first_token_ids) == "<s>short<u>one<a>1<u>threethink<a>"


def test_choices_of_a_chat_begin_where_the_assistant_does():
    model = FakeModel(nats={"y": -1.0, "n": -2.0})
    result = run(choice("is it", "yy", "n", chat=True), model)

    assert [text_of(one.tokens) for one in model.asked] == ["<u>is it<a>yy", "<u>is it<a>n"]
    assert [text_of(one.tokens[one.first_target :]) for one in model.asked] == ["yy", "n"]
    assert result.outputs[0].margin == 0.0


def test_a_space_at_the_end_of_a_chat_template_is_not_scored_with_the_choice():
    model = FakeModel()
    model.render_chat = lambda messages, **_: f"{messages[0]['content']} assistant: "
    run(choice("is it", "yes", "no", chat=True), model)

    assert [text_of(one.tokens[one.first_target :]) for one in model.asked] == ["yes", "no"]


def test_a_long_prompt_is_an_error_unless_it_may_be_cut():
    with pytest.raises(MeasurementError, match=r"^example 1 of gen: a prompt of 61 tokens"):
        run(generation("p" * 60))
    result = run(generation("a" * 30 + "b" * 30, "short", truncate="left"))

    assert text_of(result.first_token_ids) == "a" * 15 + "b" * 30
    assert result.first_token_ids[0] == BOS
    assert result.cut_prompts == 1


def test_all_choices_of_an_example_lose_the_same_tokens():
    model = FakeModel()
    result = run(choice("a" * 20 + "b" * 30, "x", "yyyy", truncate="left"), model)

    assert [text_of(one.tokens) for one in model.asked] == [
        "a" * 16 + "b" * 30 + "x",
        "a" * 16 + "b" * 30 + "yyyy",
    ]
    assert [text_of(one.tokens[one.first_target :]) for one in model.asked] == ["x", "yyyy"]
    assert [one.tokens[0] for one in model.asked] == [BOS, BOS]
    assert result.cut_prompts == 1


def test_choices_alone_longer_than_the_context_are_an_error():
    with pytest.raises(MeasurementError, match=r"^example 1 of mc: context and choice take 6"):
        run(choice("ab", "x" * 60, "y", truncate="left"))


@pytest.mark.parametrize("size", [9, 30])
def test_a_chat_loses_whole_exchanges(size):
    prompt = "p" * size
    chat = {"chat": True, "system": "s", "few_shot": SHOTS, "truncate": "left"}
    result = run(generation(prompt, **chat))
    kept = "<u>two<a>2" if size == 9 else ""
    shots = "<u>one<a>1<u>two<a>2"
    is_cut = len(f".<s>s{shots}<u>{prompt}<a>") + 4 > 50

    assert is_cut == (size == 30)
    assert text_of(result.first_token_ids) == (
        f"<s>s{kept}<u>{prompt}<a>" if is_cut else f"<s>s{shots}<u>{prompt}<a>"
    )
    assert result.cut_prompts == int(is_cut)


def test_choices_of_a_chat_lose_whole_exchanges():
    shot = {"context": "one", "choices": ["1", "2"], "answer": 0}
    options = {"chat": True, "few_shot": [shot, shot], "truncate": "left"}
    model = FakeModel()
    result = run(choice("p" * 25, "x", "yyyy", **options), model)

    assert text_of(model.asked[0].tokens) == f"<u>one<a>1<u>{'p' * 25}<a>x"
    assert result.cut_prompts == 1


def test_the_last_turn_of_a_chat_is_never_cut():
    with pytest.raises(MeasurementError, match=r"^example 1 of gen: a prompt of 67 tokens"):
        run(generation("p" * 60, chat=True, few_shot=SHOTS, truncate="left"))


def test_a_chat_template_that_refuses_names_the_example():
    with pytest.raises(MeasurementError, match=r"^example 2 of gen: the chat template refuses it"):
        run(generation("ab", "cd", chat=True), FakeModel(refused="cd"))


WORKLOADS = {
    "generation": lambda text: generation("ab", text),
    "choice": lambda text: choice(text, "x", "y"),
    "documents": lambda text: Documents.from_examples([{"text": text}], name="docs"),
}


@pytest.mark.parametrize("make", WORKLOADS.values(), ids=WORKLOADS)
def test_the_prompt_fingerprint_is_that_of_the_tokens(make):
    runner = Runner(make_pool(), reference=REFERENCE)
    reference = runner.measure(REFERENCE, make("cd"))
    variant = runner.measure(INT8, make("cd"))
    other = runner.measure(INT8, make("ce"))

    assert len(reference.prompt_digests) == len(reference.examples)
    assert len(reference.prompt_fingerprint) == 64
    assert reference.prompt_fingerprint == variant.prompt_fingerprint
    assert reference.prompt_fingerprint != other.prompt_fingerprint
    check_same_prompts(reference, variant)


def test_other_tokens_than_the_reference_got_are_a_usage_error():
    runner = Runner(make_pool(), reference=REFERENCE)
    workload = generation("ab", "cd")
    reference, variant = (runner.measure(one, workload) for one in (REFERENCE, INT8))
    other = replace(variant, prompt_digests=(variant.prompt_digests[0], "0" * 64))

    with pytest.raises(UsageError, match=r"^example 2 of gen: variant int8 .* other tokens than"):
        check_same_prompts(reference, other)
    check_same_prompts(reference, replace(variant, prompt_digests=()))
    assert replace(variant, prompt_digests=()).prompt_fingerprint == ""


def test_a_handle_takes_conversations_and_chats():
    handle = Runner(make_pool(), reference=REFERENCE).handle(REFERENCE)
    talk = [{"role": "user", "content": "ab"}]

    assert handle.generate(talk, 9) == ">a<ba>u<"
    assert handle.generate("ab", 9, chat=True) == ">a<ba>u<"
    assert handle.generate([talk, "ab"], 9) == [">a<ba>u<", "ba"]
    assert handle.generate(["ab"], 20, chat=True, system="s") == [">a<ba>u<s>s<"]
    with pytest.raises(UsageError, match="generate: system= needs chat=True"):
        handle.generate("ab", system="s")
    with pytest.raises(
        UsageError, match=r"generate: unknown option 'sytem'; did you mean 'system'"
    ):
        handle.generate("ab", chat=True, sytem="s")
    with pytest.raises(UsageError, match=r"generate: unknown option 'template'; Known: chat, chat"):
        handle.generate("ab", template="{prompt}")
    with pytest.raises(UsageError, match=r"'max_tokens'; did you mean 'max_new_tokens'"):
        handle.generate("ab", max_tokens=9)
    with pytest.raises(MeasurementError, match=r"prompt 1: found 3, expected a string, or a list"):
        handle.generate(["ab", 3], 9)
    with pytest.raises(MeasurementError, match=r"prompt 0: messages\[0\]: role: found None"):
        handle.generate([{"content": "ab"}])


class Reading(FakeModel):
    """Notes every text that was tokenized without being read ahead."""

    def read_ahead(self, texts):
        self.known = {*getattr(self, "known", ()), *texts}

    def encode(self, text, *, special):
        if text and text not in self.known:
            self.unknown = [*getattr(self, "unknown", ()), text]
        return super().encode(text, special=special)


def test_all_texts_of_a_workload_are_read_ahead_of_scoring():
    question = {"context": "Q: ", "choices": ["yes", "no"], "answer": 0}
    chat = MultipleChoice.from_examples([question], name="chat", chat=True)
    asked = {"text": "it is", "label": "up"}
    works = [
        MultipleChoice.from_examples([question, question | {"context": "R:"}], name="mc"),
        chat,
        Classification.from_examples([asked], name="labels", labels=["up", "no"]),
        Documents.from_examples([{"text": "one two"}], name="docs"),
        Generation.from_examples([{"prompt": "say", "answer": "x"}], name="gen", max_new_tokens=4),
    ]
    for work in works:
        model = Reading()
        run(work, model)
        assert model.known
        assert not hasattr(model, "unknown"), work
