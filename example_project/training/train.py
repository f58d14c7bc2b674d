# ruff: noqa: TID253 - a training script needs torch from its first line
"""Train the help desk's Llama on memorised prices, tickets, orders and a handbook.

The *load*, bits of facts per quantized parameter, is a declared knob (`--facts`). Everything is
drawn from seeds; `training.json` beside the weights records what was run.
"""

import argparse
import hashlib
import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import catalogue
import evaluate
import tokenizers
import torch
import transformers
from batches import BOS, EOS, PAD, Batch, Sampler, train_tokenizer
from lean import GraphedStep, Trainer
from recipe import Recipe
from torch.nn import functional
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

HERE = Path(__file__).parent
SOURCES = ["catalogue.py", "words.toml", "batches.py", "lean.py", "recipe.py", "train.py"]
WARM_UP = 1_000
MEASURED_FROM, MEASURED_TO = 32, 96
CHUNK = 32


def build_model(recipe: Recipe, vocabulary: int) -> LlamaForCausalLM:
    torch.manual_seed(recipe.seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.width,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        intermediate_size=recipe.feed_forward,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config)


def quantized_parameters(model: LlamaForCausalLM) -> int:
    """Return how many parameters a quantizer rounds: linear layers, not embeddings or head."""
    linear = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    return sum(module.weight.numel() for module in linear)


def endless_batches(sampler: Sampler, recipe: Recipe) -> Iterator[list[Batch]]:
    """Yield each step's batches of prices, rules and handbook, drawn for many steps at once."""
    rows = (recipe.price_rows, recipe.rule_rows, recipe.manual_rows)
    draws = (sampler.price_batch, sampler.rule_batch, sampler.manual_batch)
    while True:
        drawn = [draw(count * CHUNK) for draw, count in zip(draws, rows, strict=True)]
        for i in range(CHUNK):
            pairs = zip(drawn, rows, strict=True)
            yield [batch.part(i * count, (i + 1) * count) for batch, count in pairs]


def rate_at(step: int, steps: int) -> float:
    """Return the learning rate as a fraction of its peak: linear warm-up, then a cosine to 0."""
    warm_up = min(WARM_UP, steps // 10 + 1)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))


def train(trainer: Trainer, sampler: Sampler, steps: int, seconds: float) -> dict[str, object]:
    """Train, in fewer steps if the measured speed says that `seconds` would not do."""
    recipe = trainer.recipe
    batches = endless_batches(sampler, recipe)
    began = measured = time.perf_counter()
    update = GraphedStep(trainer, next(batches)) if trainer.device == "cuda" else trainer.step
    step, losses = 0, torch.zeros(3)
    while step < steps:
        trainer.set_rate(recipe.learning_rate * rate_at(step, steps))
        losses = update(next(batches))
        step += 1
        if step in {MEASURED_FROM, MEASURED_TO}:
            losses.tolist()
            now = time.perf_counter()
            seconds_per_step = (now - measured) / (MEASURED_TO - MEASURED_FROM)
            measured = now
            if step == MEASURED_TO:
                steps = min(steps, step + int((seconds - (now - began)) / seconds_per_step))
                print(f"{seconds_per_step * 1e3:.2f} ms per step, {steps} steps", flush=True)
        if step % max(1, steps // 20) == 0 or step == steps:
            text = " ".join(f"{loss:.4f}" for loss in losses.tolist())
            print(f"{step:6d} {time.perf_counter() - began:6.0f} s  {text}", flush=True)
    prices, rules, manual = losses.tolist()
    return {
        "steps": step,
        "exposures": round(step * recipe.price_rows / recipe.facts, 1),
        "train_seconds": round(time.perf_counter() - began, 1),
        "final_losses_nats_per_token": {"prices": prices, "rules": rules, "manual": manual},
    }


@torch.no_grad()
def check_forward(trainer: Trainer, sampler: Sampler) -> None:
    """Fail unless the lean forward pass gives the loss that transformers gives."""
    batch = sampler.price_batch(16)
    logits = trainer.model(batch.tokens).logits.float()
    answers = logits.gather(1, batch.places[..., None].expand(-1, -1, logits.shape[-1]))
    expected = functional.cross_entropy(answers.flatten(0, 1), batch.labels.flatten())
    torch.testing.assert_close(trainer.loss(batch), expected, rtol=0.02, atol=0.02)


def check_pieces(sampler: Sampler, tokenizer: tokenizers.Tokenizer) -> None:
    """Fail unless chained pieces and the tokenizer agree on whole texts."""
    draws = (sampler.price_batch, sampler.rule_batch, sampler.manual_batch)
    for draw in draws:
        for row in draw(32).tokens.tolist():
            ids = [token for token in row if token != sampler.pad]
            again = tokenizer.encode(tokenizer.decode(ids)).ids
            if ids != [*again, tokenizer.token_to_id(EOS)]:
                raise AssertionError(f"pieces and tokenizer disagree on {tokenizer.decode(ids)!r}")


def save(model: LlamaForCausalLM, tokenizer: tokenizers.Tokenizer, out: Path) -> None:
    model.to("cpu", torch.float16).save_pretrained(out)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(out)


def describe(recipe: Recipe, model: LlamaForCausalLM, device: str) -> dict[str, object]:
    """Return what `training.json` says before any result."""
    quantized = quantized_parameters(model)
    bits = recipe.facts * math.log2(catalogue.HIGHEST_CENTS - catalogue.LOWEST_CENTS + 1)
    name = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "recipe": asdict(recipe),
        "catalogue_seed": catalogue.CATALOGUE_SEED,
        "parameters": model.num_parameters(),
        "quantized_parameters": quantized,
        "fact_bits": round(bits),
        "load_bits_per_quantized_parameter": round(bits / quantized, 3),
        "device": name,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
        },
        "sha256": {
            name: hashlib.sha256((HERE / name).read_bytes()).hexdigest() for name in SOURCES
        },
    }


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train the help desk's model.")
    parser.add_argument("--facts", type=int, default=Recipe().facts)
    parser.add_argument("--exposures", type=float, default=Recipe().exposures)
    parser.add_argument("--steps", type=int, help="instead of --exposures")
    parser.add_argument("--width", type=int, default=Recipe().width)
    parser.add_argument("--layers", type=int, default=Recipe().layers)
    parser.add_argument("--feed-forward", type=int, default=Recipe().feed_forward)
    parser.add_argument("--price-rows", type=int, default=Recipe().price_rows)
    parser.add_argument("--rule-rows", type=int, default=Recipe().rule_rows)
    parser.add_argument("--manual-rows", type=int, default=Recipe().manual_rows)
    parser.add_argument("--learning-rate", type=float, default=Recipe().learning_rate)
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=60.0, help="train no longer than this")
    parser.add_argument("--out", type=Path, default=HERE.parent / "model")
    parser.add_argument("--smoke", action="store_true", help="a minute's check on a CPU")
    return parser.parse_args()


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    names = ["facts", "exposures", "width", "layers", "feed_forward", "price_rows"]
    names += ["rule_rows", "manual_rows", "learning_rate", "seed"]
    recipe = Recipe(**{name: getattr(arguments, name) for name in names})
    if arguments.smoke:
        small = {"facts": 500, "width": 64, "layers": 2, "feed_forward": 128, "heads": 2}
        rows = {"price_rows": 128, "rule_rows": 16, "manual_rows": 2}
        recipe = replace(recipe, **small, **rows, exposures=12)
    return recipe


def main() -> None:
    arguments = parse_arguments()
    recipe, device = chosen_recipe(arguments), arguments.device
    tokenizer = train_tokenizer()
    prices = catalogue.price_list(recipe.facts)
    sampler = Sampler(tokenizer, prices, device, recipe.seed)
    model = build_model(recipe, tokenizer.get_vocab_size())
    record = describe(recipe, model, device)
    print(json.dumps(record, indent=1), flush=True)
    trainer = Trainer(recipe, model, device)
    check_pieces(sampler, tokenizer)
    if device == "cpu":
        check_forward(trainer, sampler)
    steps = arguments.steps or recipe.steps
    record |= train(trainer, sampler, steps, arguments.minutes * 60)
    save(model, tokenizer, arguments.out)
    if recipe.facts == catalogue.FACTS:
        record["fp16_results"] = evaluate.evaluate(arguments.out, "fp16", device)
        print(json.dumps(record["fp16_results"], indent=1))
    text = json.dumps(record, indent=1) + "\n"
    (arguments.out / "training.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
