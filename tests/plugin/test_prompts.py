"""Chats, templates and few-shot examples, as a suite uses them."""

import json

INTERRUPTED, USAGE = 2, 4

CHAT = """
sums = Generation.from_jsonl(
    "sums.jsonl", chat=True, system="Answer well.", few_shot="shots.jsonl", shots=2)

@pytest.mark.quant_budget("int8", workload=sums, max_exact_match_drop=0.1)
def test_sums(quant):
    pass
"""


def write(project, name, rows):
    text = "\n".join(json.dumps(row) for row in rows)
    (project.pytester.path / name).write_text(text, encoding="utf-8")


def write_sums(project, n=300):
    write(project, "sums.jsonl", [{"prompt": f"write {i}", "answer": "right"} for i in range(n)])
    write(project, "shots.jsonl", [{"prompt": "write", "answer": "right"}] * 2)


def decoded(tokens):
    return "".join(chr(token) for token in tokens)


def test_a_chat_with_few_shot_examples_is_measured_and_recorded(project, how):
    write_sums(project)
    project.tests(CHAT)

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=1)
    run = json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))
    shot = "<user>write<assistant>right"
    assert [decoded(one["first_token_ids"]) for one in run["measurements"]] == [
        f"\0<system>Answer well.{shot}{shot}<user>write 0<assistant>"
    ] * 2
    (check,) = run["checks"]
    assert {check["prompt_fingerprint"]} == {
        one["prompt_fingerprint"] for one in run["measurements"]
    }
    assert len(check["prompt_fingerprint"]) == 64


def test_compare_asks_in_a_chat_with_shots_beside_the_test(project, how):
    write_sums(project)
    project.tests(
        "@pytest.mark.quant_budget('int8', max_score_drop=0.1)\n"
        "def test_own(quant):\n"
        "    def score(output, example): return output == 'right'\n"
        "    quant.compare([f'write {i}' for i in range(300)], score, chat=True,\n"
        "        system='Answer well.', few_shot='shots.jsonl', shots=1)\n"
    )

    result = project.run(*how, "--quant-json=run.json")

    result.assert_outcomes(passed=1)
    run = json.loads((project.pytester.path / "run.json").read_text(encoding="utf-8"))
    assert decoded(run["measurements"][0]["first_token_ids"]) == (
        "\0<system>Answer well.<user>write<assistant>right<user>write 0<assistant>"
    )


def test_prompts_that_were_cut_are_a_warning_of_the_run(project, how):
    project.tests(
        "long = Generation.from_examples(\n"
        "    [{'prompt': 'x' * (5000 if i < 3 else 9) + f' write {i}', 'answer': 'right'}\n"
        "     for i in range(300)], name='long', truncate='left')\n"
        "@pytest.mark.quant_budget('int8', workload=long, max_exact_match_drop=0.1)\n"
        "def test_long(quant): pass\n"
    )

    result = project.run(*how)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*long: 3 of 300 prompts are longer than the context and lost*"])


def test_a_wrong_recipe_is_an_error_of_its_module(project, how):
    project.tests(CHAT.replace("chat=True, ", ""))

    result = project.run(*how)

    assert result.ret == INTERRUPTED
    result.stdout.fnmatch_lines(["*workload sums: system= needs chat=True*"])


def test_texts_are_labelled_by_the_words_of_their_labels(project, how):
    project.tests(
        "from pytest_quantcheck import Classification\n"
        "tickets = Classification.from_examples(\n"
        "    [{'text': f'ticket {i}', 'label': 'good'} for i in range(300)], name='tickets',\n"
        "    labels={'good': 'right', 'bad': 'wrong'}, template='{text}. Topic:')\n"
        "@pytest.mark.quant_budget('int8', workload=tickets, max_accuracy_drop=0.1)\n"
        "@pytest.mark.quant_budget('int4', workload=tickets, max_accuracy_drop=0.1)\n"
        "def test_tickets(quant): pass\n"
    )

    result = project.run(*how)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*ticket *. Topic:*", "*tickets*int4*accuracy*FAIL*"])


def test_nothing_is_read_at_collection(project):
    project.tests(CHAT)

    assert project.run("--collect-only", "-q").ret == 0


def test_a_few_shot_file_that_is_too_short_is_an_error_of_the_test(project, how):
    write_sums(project)
    project.tests(CHAT.replace("shots=2", "shots=3"))

    result = project.run(*how)

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*few_shot holds 2 examples, expected at least 3*"])


def test_a_variant_with_another_tokenizer_is_not_compared(project, how):
    write_sums(project)
    project.settings(
        tables='[tool.quantcheck.variants.other]\nbackend = "fake"\nprecision = "foreign"'
    )
    project.tests(CHAT.replace('"int8"', '"other"'))

    result = project.run(*how)

    assert result.ret == USAGE
    result.stdout.fnmatch_lines(["*example 1 of sums: variant other*was given other tokens than*"])
