# ruff: noqa: ANN001, ANN201 - tests as a user writes them
"""What the help desk may lose to quantization: budgets set before any quantized run."""

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice, contains, json_valid

triage = MultipleChoice.from_jsonl("../data/triage.jsonl")
shelf = MultipleChoice.from_jsonl("../data/shelf.jsonl")
prices = Generation.from_jsonl("../data/prices.jsonl", max_new_tokens=8)
orders = Generation.from_jsonl("../data/orders.jsonl", max_new_tokens=24, extract=r"=(.+)")
quotes = Generation.from_jsonl(
    "../data/quotes.jsonl",
    max_new_tokens=32,
    score=[json_valid("../data/quote.schema.json"), contains()],
)
manual = Documents.from_jsonl("../data/manual.jsonl")


@pytest.mark.quant_budget("int8", workload=triage, max_accuracy_drop=0.01)
@pytest.mark.quant_budget("int4", workload=triage, max_accuracy_drop=0.02, max_flip_rate=0.05)
@pytest.mark.quant_budget(workload=triage, min_reference_accuracy=0.95)
def test_triage(quant): ...


@pytest.mark.quant_budget("int8", workload=shelf, max_accuracy_drop=0.01)
@pytest.mark.quant_budget("int4", workload=shelf, max_accuracy_drop=0.03)
def test_shelf(quant): ...


@pytest.mark.quant_budget("int8", workload=prices, max_exact_match_drop=0.01)
@pytest.mark.quant_budget("int4", workload=prices, max_exact_match_drop=0.03)
@pytest.mark.quant_budget("int4", workload=prices, slice="bestseller", max_exact_match_drop=0.03)
@pytest.mark.quant_budget(workload=prices, min_reference_exact_match=0.80)
def test_prices(quant): ...


@pytest.mark.quant_budget("int8", workload=orders, max_exact_match_drop=0.01)
@pytest.mark.quant_budget("int4", workload=orders, max_exact_match_drop=0.03)
def test_order_totals(quant): ...


@pytest.mark.quant_budget("int8", workload=quotes, max_json_valid_drop=0.01, max_contains_drop=0.01)
@pytest.mark.quant_budget("int4", workload=quotes, max_json_valid_drop=0.01, max_contains_drop=0.03)
def test_quotes(quant): ...


@pytest.mark.quant_budget("int8", workload=manual, max_perplexity_ratio=1.01)
@pytest.mark.quant_budget("int4", workload=manual, max_perplexity_ratio=1.06)
def test_manual(quant): ...


@pytest.mark.quant_budget("int8", max_weight_memory_ratio=0.70)
@pytest.mark.quant_budget("int4", max_weight_memory_ratio=0.55)
def test_weights(quant): ...
