# ruff: noqa: ANN001, ANN201 - tests as a user writes them
"""Plain asserts on one variant, beside the budgets."""

import json


def test_a_quote_names_part_and_quantity(int4_model):
    quote = json.loads(int4_model.generate("Quote 3 x JR4GC as JSON:", max_new_tokens=32))

    assert (quote["sku"], quote["quantity"]) == ("JR4GC", 3)
