"""What a short script does without the plugin: load a variant, and say by which releases."""

from __future__ import annotations

from typing import Any

import torch
import transformers


def load_plain(folder: str, variant: str, device: str) -> tuple[Any, Any]:
    """Return a variant in evaluation mode and its tokenizer, loaded by transformers alone."""
    dtype = torch.float16 if device.startswith("cuda") else torch.float32
    options: dict[str, Any] = {}
    if variant == "int8":
        options["quantization_config"] = transformers.BitsAndBytesConfig(load_in_8bit=True)
    elif variant != "fp16":
        options["quantization_config"] = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type=variant, bnb_4bit_compute_dtype=dtype
        )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, device_map={"": device}, **options
    )
    return model.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def releases() -> dict[str, str]:
    """Return the releases that figures depend on most."""
    return {"torch": torch.__version__, "transformers": transformers.__version__}
