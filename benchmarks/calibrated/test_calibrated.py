"""Calibrated 4 bits beside NF4, LLM.int8 and rounding: what do they cost against fp16?

usage: calibrate.py --model MODEL --data DATA
       pytest -c benchmarks/calibrated/pyproject.toml benchmarks/calibrated
              --quant-model=MODEL [--quant-device=cuda] [--quant-json=run.json]

Every variant of 4 bits has the same limits: round numbers chosen before the first run, and none
of them was changed since. The articles are none of those calibrated on, but of their kind; the
questions are of another.
"""

import pytest

from pytest_quantcheck import Documents, MultipleChoice

wikitext = Documents.from_jsonl("made/wikitext.jsonl")
arc_easy = MultipleChoice.from_jsonl("made/arc_easy.jsonl", fields={"answer": "gold"})

FOUR_BITS = ["nf4", "gptq", "awq", "rtn"]


@pytest.mark.quant_budget("int8", workload=wikitext, max_perplexity_ratio=1.02)
@pytest.mark.quant_budget(*FOUR_BITS, workload=wikitext, max_perplexity_ratio=1.10)
def test_text(quant): ...


@pytest.mark.quant_budget("int8", workload=arc_easy, max_accuracy_drop=0.02)
@pytest.mark.quant_budget(*FOUR_BITS, workload=arc_easy, max_accuracy_drop=0.05)
def test_questions(quant): ...


@pytest.mark.quant_budget("int8", workload=arc_easy, max_flip_rate=0.05)
@pytest.mark.quant_budget(*FOUR_BITS, workload=arc_easy, max_flip_rate=0.15)
def test_flips(quant): ...
