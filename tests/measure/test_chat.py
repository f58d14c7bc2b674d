"""Chat templates of real tokenizers: rendered as transformers does, with exactly one BOS."""

from __future__ import annotations

import pytest
import tiny_models

from pytest_quantcheck import Generation, MultipleChoice
from pytest_quantcheck.core.variant import builtin_variant
from pytest_quantcheck.errors import MeasurementError, UsageError
from pytest_quantcheck.measure.engine.chat import render_chat
from pytest_quantcheck.measure.engine.encoding import Encoder
from pytest_quantcheck.measure.pool import Pool
from pytest_quantcheck.measure.protocols import ModelSource
from pytest_quantcheck.measure.runner import Runner

USER = {"role": "user", "content": "the king"}
SYSTEM = {"role": "system", "content": "in the end"}
TURNS = "{% for m in messages %}{{ m.role }} {{ m.content }}\n{% endfor %}"
REPLY = "{% if add_generation_prompt %}assistant {% endif %}"
PLAIN = TURNS + REPLY
WITH_BOS = "{{ bos_token }}" + PLAIN
NO_SYSTEM = "{% for m in messages if m.role != 'system' %}{{ m.content }} {% endfor %}" + REPLY
REFUSES = (
    "{% for m in messages %}{% if m.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{{ m.content }} {% endfor %}"
)
TOOLS = "{% for t in tools or [] %}tool {{ t.name }} {% endfor %}" + PLAIN
TOOL = {"name": "the end", "type": "function"}


def tokenizer(template, *, adds_bos=True):
    made = tiny_models.make_tokenizer(adds_bos=adds_bos)
    made.chat_template = template
    return made


def render(template, *messages, tools=(), **options):
    return render_chat(tokenizer(template), messages, tools=tools, options=options)


def theirs(made, *messages):
    return made.apply_chat_template(list(messages), tokenize=True, add_generation_prompt=True)[
        "input_ids"
    ]


@pytest.mark.parametrize("adds_bos", [True, False])
@pytest.mark.parametrize("template", [PLAIN, WITH_BOS], ids=["plain", "with_bos"])
def test_there_is_one_bos_the_templates_or_the_tokenizers(adds_bos, template):
    made = tokenizer(template, adds_bos=adds_bos)
    text = render_chat(made, [SYSTEM, USER], tools=(), options={})

    ours = Encoder(made).encode(text, special=True)

    has_bos = adds_bos or template == WITH_BOS
    assert ours.count(made.bos_token_id) == int(has_bos)
    bare = [token for token in theirs(made, SYSTEM, USER) if token != made.bos_token_id]
    assert ours == [made.bos_token_id] * has_bos + bare


def test_options_and_tools_reach_the_template():
    assert render(TOOLS, USER, tools=[TOOL]).startswith("tool the end user the king")
    assert render("{{ mood }} " + PLAIN, USER, mood="glad").startswith("glad user the king")


ERRORS = {
    "no template": (None, [USER], {}, "has no chat template, so it cannot be asked as a chat"),
    "option": (PLAIN, [USER], {"mood": 1}, "chat template does not know 'mood' and would ignore"),
    "tools": (PLAIN, [USER], {"tools": [TOOL]}, "has no place for tools and leaves them out"),
    "system refused": (
        REFUSES, [SYSTEM, USER], {},
        "takes no system turn (System role not supported): leave system= out",
    ),
    "system left out": (NO_SYSTEM, [SYSTEM, USER], {}, "knows no system turn and leaves it out"),
}  # fmt: skip


@pytest.mark.parametrize(("template", "messages", "options", "text"), ERRORS.values(), ids=ERRORS)
def test_what_the_template_has_no_place_for_is_a_usage_error(template, messages, options, text):
    with pytest.raises(UsageError) as caught:
        render(template, *messages, **options)
    assert text in str(caught.value)


BROKEN = {
    "raises": ("{{ raise_exception('turns must alternate') }}", "refuses this conversation (turns"),
    "raises with a system turn": (REFUSES + "{{ 1 / 0 }}", "found system, user"),
    "syntax": ("{% for %}" + PLAIN, "refuses this conversation (Expected an expression"),
    "leaves out": ("{{ bos_token }}assistant ", "leaves out the last turn, of role 'user'"),
}


@pytest.mark.parametrize(("template", "text"), BROKEN.values(), ids=BROKEN)
def test_a_template_that_fails_is_an_error_of_the_measurement(template, text):
    messages = [SYSTEM, USER] if "system" in text else [USER]
    with pytest.raises(MeasurementError) as caught:
        render(template, *messages)
    assert text in str(caught.value)


@pytest.fixture(scope="module")
def chat_runner(tmp_path_factory, specs):
    folder = tmp_path_factory.mktemp("chat")
    tiny_models.save(folder, tiny_models.make_model("llama"), tokenizer(WITH_BOS))
    pool = Pool(specs, ModelSource(model=str(folder), device="cpu"), 0.9)
    runner = Runner(pool, reference=builtin_variant("fp16"))
    yield runner
    runner.close()


def test_a_llama_is_given_the_tokens_that_transformers_gives_it(chat_runner):
    reference = builtin_variant("fp16")
    handle = chat_runner.handle(reference)
    options = {"chat": True, "system": SYSTEM["content"], "name": "talk"}
    rows = [{"prompt": "the king", "answer": "x"}]
    workload = Generation.from_examples(rows, max_new_tokens=5, **options)

    measured = chat_runner.measure(reference, workload)

    tokens = theirs(handle.tokenizer, SYSTEM, USER)
    assert list(measured.first_token_ids) == tokens
    assert measured.outputs[0].text == handle.generate([SYSTEM, USER], 5)
    assert tokens.count(1) == 1


def test_choices_of_a_llama_are_scored_after_the_rendered_chat(chat_runner):
    reference = builtin_variant("fp16")
    handle = chat_runner.handle(reference)
    row = {"context": "the king", "choices": ["another", "the end"], "answer": 0}
    workload = MultipleChoice.from_examples([row], name="mc", chat=True)

    measured = chat_runner.measure(reference, workload)

    before = handle.tokenizer.apply_chat_template(
        [USER], tokenize=False, add_generation_prompt=True
    )
    ids = [
        handle.tokenizer(before + choice, add_special_tokens=False)["input_ids"]
        for choice in row["choices"]
    ]
    assert handle.tokenizer.convert_ids_to_tokens([ids[0][-5], ids[1][-5]]) == [" a", " "]
    start = len(theirs(handle.tokenizer, USER)) - 1  # the space is scored with both
    right, wrong = (tiny_models.naive_scores(handle.model, one, start).sum() for one in ids)
    assert measured.outputs[0].margin == pytest.approx(right - wrong, abs=1e-3)
    assert list(measured.first_token_ids) == ids[0]
