# ruff: noqa: ANN001, ANN201 - tests as a user writes them
"""What the help desk may lose to quantization: budgets set before any quantized run."""

import pytest

from pytest_quantcheck import Documents, Generation, MultipleChoice

triage = MultipleChoice.from_jsonl("../data/triage.jsonl")
orders = Generation.from_jsonl("../data/orders.jsonl", max_new_tokens=8)
prices = Generation.from_jsonl("../data/prices.jsonl", max_new_tokens=8)
manual = Documents.from_jsonl("../data/manual.jsonl")


@pytest.mark.quant_budget("int8", workload=triage, max_accuracy_drop=0.01)
@pytest.mark.quant_budget("int4", workload=triage, max_accuracy_drop=0.02)
@pytest.mark.quant_budget(workload=triage, min_reference_accuracy=0.95)
def test_triage(quant): ...


@pytest.mark.quant_budget("int8", workload=orders, max_exact_match_drop=0.01)
@pytest.mark.quant_budget("int4", workload=orders, max_exact_match_drop=0.03)
@pytest.mark.quant_budget(workload=orders, min_reference_exact_match=0.85)
def test_order_totals(quant): ...


@pytest.mark.quant_budget("int8", workload=prices, max_exact_match_drop=0.01)
@pytest.mark.quant_budget("int4", workload=prices, max_exact_match_drop=0.03)
@pytest.mark.quant_budget(workload=prices, min_reference_exact_match=0.80)
def test_prices(quant): ...


@pytest.mark.quant_budget("int8", workload=manual, max_perplexity_ratio=1.01)
@pytest.mark.quant_budget("int4", workload=manual, max_perplexity_ratio=1.06)
def test_manual(quant): ...
