# ruff: noqa: TID253 - a training script needs torch from its first line
"""Train the help desk's Llama on memorised prices, tickets, orders, quotes and a handbook.

The *load*, bits of facts per quantized parameter, is a declared knob (`--facts`). Everything is
drawn from seeds; `training.json` beside the weights records what was run.
"""

import argparse
import copy
import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import catalogue
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
REPORTS = 10
CHUNK = 32
KNOBS = [field.name for field in fields(Recipe)]


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


def start_from(model: LlamaForCausalLM, tokenizer: tokenizers.Tokenizer, folder: Path) -> None:
    """Copy the weights in `folder` into `model`, embeddings by the text of their token."""
    old = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ids = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab()
    pairs = [(new, ids[token]) for token, new in tokenizer.get_vocab().items() if token in ids]
    weights = old.state_dict()
    embedding = model.model.embed_tokens.weight.detach().clone()
    new, known = torch.tensor(pairs).unbind(1)
    embedding[new] = weights["model.embed_tokens.weight"][known]
    weights["model.embed_tokens.weight"] = weights["lm_head.weight"] = embedding
    model.load_state_dict(weights)
    print(f"{len(pairs)} of {len(embedding)} tokens start with known embeddings", flush=True)


def quantized_parameters(model: LlamaForCausalLM) -> int:
    """Return how many parameters a quantizer rounds: linear layers, not embeddings or head."""
    linear = [m for m in model.model.layers.modules() if isinstance(m, torch.nn.Linear)]
    return sum(module.weight.numel() for module in linear)


def endless_batches(sampler: Sampler, recipe: Recipe) -> Iterator[list[Batch]]:
    """Yield the batches of each step's parts, drawn for many steps at once."""
    draws = {
        "prices": sampler.price_batch,
        "rules": sampler.rule_batch,
        "manual": sampler.manual_batch,
    }
    while True:
        drawn = [(draws[name](rows * CHUNK), rows) for name, rows, _ in recipe.parts]
        for i in range(CHUNK):
            yield [batch.part(i * rows, (i + 1) * rows) for batch, rows in drawn]


def rate_at(step: int, steps: int, progress: float) -> float:
    """Return the learning rate as a fraction of its peak: linear warm-up, and a cosine to 0."""
    warm_up = min(WARM_UP, steps // 10 + 1)
    return min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    trainer: Trainer, sampler: Sampler, steps: int, deadline: float, keep: Callable[[], None]
) -> dict[str, object]:
    """Train for `steps`, or until the clock shows `deadline`, calling `keep` now and then.

    The schedule follows whichever of the two is further on, so that it always runs to its end.
    """
    recipe = trainer.recipe
    batches = endless_batches(sampler, recipe)
    update = GraphedStep(trainer, next(batches)) if trainer.device == "cuda" else trainer.step
    began = time.perf_counter()
    step, progress, reports, losses = 0, 0.0, 0, torch.zeros(len(recipe.parts))
    while progress < 1:
        trainer.set_rate(recipe.learning_rate * rate_at(step, steps, progress))
        losses = update(next(batches))
        step += 1
        progress = max(step / steps, (time.perf_counter() - began) / (deadline - began))
        if progress * REPORTS >= reports + 1 or progress >= 1:
            reports = int(progress * REPORTS)
            text = " ".join(f"{loss:.4f}" for loss in losses.tolist())
            print(f"{step:6d} {time.perf_counter() - began:6.0f} s  {text}", flush=True)
            keep()
    names = [name for name, *_ in recipe.parts]
    return {
        "steps": step,
        "exposures": round(recipe.exposures * step / recipe.steps, 1),
        "train_seconds": round(time.perf_counter() - began, 1),
        "final_losses_nats_per_token": dict(zip(names, losses.tolist(), strict=True)),
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
    for draw in (sampler.price_batch, sampler.rule_batch, sampler.manual_batch):
        for row in draw(33).tokens.tolist():
            ids = [token for token in row if token != sampler.pad]
            again = tokenizer.encode(tokenizer.decode(ids)).ids
            if ids != [*again, tokenizer.token_to_id(EOS)]:
                raise AssertionError(f"pieces and tokenizer disagree on {tokenizer.decode(ids)!r}")


def save(model: LlamaForCausalLM, tokenizer: tokenizers.Tokenizer, out: Path) -> None:
    copy.deepcopy(model).to("cpu", torch.float16).save_pretrained(out)
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
    for name in KNOBS:
        default = getattr(Recipe(), name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    parser.add_argument("--start", type=Path, help="a model folder to go on from")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=60.0, help="take no longer than this")
    parser.add_argument("--out", type=Path, default=HERE.parent / "model")
    parser.add_argument("--smoke", action="store_true", help="a minute's check on a CPU")
    return parser.parse_args()


def chosen_recipe(arguments: argparse.Namespace) -> Recipe:
    recipe = Recipe(**{name: getattr(arguments, name) for name in KNOBS})
    if arguments.smoke:
        small = {"facts": 500, "width": 64, "layers": 2, "feed_forward": 128, "heads": 2}
        rows = {"price_rows": 128, "rule_rows": 18, "manual_rows": 2}
        recipe = replace(recipe, **small, **rows, exposures=12)
    return recipe


def main() -> None:
    began = time.perf_counter()
    arguments = parse_arguments()
    transformers.utils.logging.disable_progress_bar()
    recipe, device = chosen_recipe(arguments), arguments.device
    tokenizer = train_tokenizer()
    sampler = Sampler(tokenizer, catalogue.price_list(recipe.facts), device, recipe)
    model = build_model(recipe, tokenizer.get_vocab_size())
    record = describe(recipe, model, device)
    if arguments.start:
        start_from(model, tokenizer, arguments.start)
        earlier = (arguments.start / "training.json").read_text(encoding="utf-8")
        record["start"] = json.loads(earlier)
    print(json.dumps(record, indent=1), flush=True)
    trainer = Trainer(recipe, model, device)
    check_pieces(sampler, tokenizer)
    if device == "cpu":
        check_forward(trainer, sampler)
    deadline = began + arguments.minutes * 60
    record |= train(
        trainer, sampler, recipe.steps, deadline, lambda: save(model, tokenizer, arguments.out)
    )
    text = json.dumps(record, indent=1) + "\n"
    (arguments.out / "training.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
