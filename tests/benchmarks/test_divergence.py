"""The benchmark of divergences agrees with all logits, one article at a time."""

from __future__ import annotations

from argparse import Namespace

import pytest
import tiny_models
from divergence import measure


def test_articles_are_compared_and_the_naive_loop_agrees(tmp_path):
    model, text = tmp_path / "model", tmp_path / "text"
    tiny_models.save(model, tiny_models.make_model("llama"))
    articles = [f" = Title {i} = \n{'the thing and the hand. ' * (2 + i)}\n" for i in range(4)]
    text.write_text("".join(articles), encoding="utf-8")

    (row,) = measure(
        Namespace(
            model=model, text=text, variants="nf4", reference="fp16", articles=3, tokens=40,
            naive=2, device="cpu", out=tmp_path / "out.json",
        )
    )  # fmt: skip

    assert (row["variant"], row["n_tokens"]) == ("nf4", 120)
    assert 0 < row["mean_kl"] < row["p99_kl"] <= row["max_kl"]
    assert row["naive_error"] == pytest.approx(0, abs=1e-5)
    assert (tmp_path / "out.json").is_file()
