"""An instruction-tuned model asked through its chat template: does it still answer, in JSON?

usage: pytest -c benchmarks/instructions/pyproject.toml benchmarks/instructions
              --quant-model=SmolLM2-135M-Instruct [--quant-device=cuda] [--quant-json=run.json]

Two solved examples stand before each question. The limits are round numbers chosen before the
first run, and none of them was changed since.
"""

import pytest

from pytest_quantcheck import Generation, contains, json_valid

SHOTS = [
    {"prompt": "Tom has a grey dog. What colour is the dog?", "answer": '{"answer": "grey"}'},
    {"prompt": "How many legs does a spider have?", "answer": '{"answer": "8"}'},
]
instructions = Generation.from_jsonl(
    "instructions.jsonl",
    chat=True,
    system='Answer with a JSON object on one line: {"answer": "..."}',
    few_shot=SHOTS,
    score=[contains(ignore_case=True), json_valid("answer.schema.json")],
    stop="\n",
    max_new_tokens=24,
)


@pytest.mark.quant_budget("int8", workload=instructions, max_contains_drop=0.05)
@pytest.mark.quant_budget("nf4", workload=instructions, max_contains_drop=0.10)
def test_answers(quant): ...


@pytest.mark.quant_budget("int8", workload=instructions, max_json_valid_drop=0.02)
@pytest.mark.quant_budget("nf4", workload=instructions, max_json_valid_drop=0.05)
def test_json(quant): ...


@pytest.mark.quant_budget("int8", workload=instructions, max_degenerate_rise=0.02)
@pytest.mark.quant_budget("nf4", workload=instructions, max_degenerate_rise=0.05)
def test_sound(quant): ...


@pytest.mark.quant_budget("int8", workload=instructions, max_flip_rate=0.05)
@pytest.mark.quant_budget("nf4", workload=instructions, max_flip_rate=0.15)
def test_flips(quant): ...
