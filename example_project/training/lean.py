# ruff: noqa: TID253 - a training script needs torch from its first line
"""A Llama's training step without what a small model cannot afford.

No masks, logits at answer tokens only, and the whole step replayed as one CUDA graph. The weights
are those of a transformers model; `train.py --smoke` compares the two forward passes.
"""

import torch
from batches import IGNORED, Batch
from recipe import Recipe
from torch import Tensor
from torch.nn import functional
from transformers import LlamaForCausalLM


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


def block(x: Tensor, cos: Tensor, sin: Tensor, heads: int, weights: list[Tensor]) -> Tensor:
    """Return one Llama layer's output; products in the dtype of `cos`, the rest in float32."""
    norm_1, query, key, value, output, norm_2, gate, up, down = weights
    rows, length, width = x.shape
    dtype = cos.dtype

    def project(y: Tensor, weight: Tensor) -> Tensor:
        return functional.linear(y.to(dtype), weight.to(dtype))

    y = functional.rms_norm(x, (width,), norm_1, 1e-6)
    q, k, v = (
        project(y, weight).view(rows, length, heads, width // heads).transpose(1, 2)
        for weight in (query, key, value)
    )
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + project(y.transpose(1, 2).reshape(rows, length, width), output).float()
    y = functional.rms_norm(x, (width,), norm_2, 1e-6)
    y = functional.silu(project(y, gate)) * project(y, up)
    return x + project(y, down).float()


def block_weights(layer: torch.nn.Module) -> list[Tensor]:
    attention, mlp = layer.self_attn, layer.mlp
    projections = [attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj]
    modules = [layer.input_layernorm, *projections, layer.post_attention_layernorm]
    return [m.weight for m in (*modules, mlp.gate_proj, mlp.up_proj, mlp.down_proj)]


def head_loss(
    x: Tensor, norm: Tensor, embedding: Tensor, labels: Tensor, dtype: torch.dtype
) -> Tensor:
    x = functional.rms_norm(x, x.shape[-1:], norm, 1e-6)
    logits = functional.linear(x.to(dtype), embedding.to(dtype)).float()
    return functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


class Trainer:
    """The model with a lean forward pass: no masks, logits at answer tokens only."""

    def __init__(self, recipe: Recipe, model: LlamaForCausalLM, device: str) -> None:
        self.recipe, self.model, self.device = recipe, model.to(device), device
        self.weights = torch.tensor([weight for *_, weight in recipe.parts], device=device)
        self.optimizer = self.make_optimizer()
        self.dtype = torch.bfloat16 if device == "cuda" else torch.float32
        compiled = torch.compile if device == "cuda" else lambda f, **_: f
        self.block = compiled(block, dynamic=False)
        self.head_loss = compiled(head_loss, dynamic=False)
        self.embed = compiled(functional.embedding, dynamic=False)
        positions = torch.arange(256, device=device)[None]
        probe = torch.zeros(1, device=device)
        cos, sin = model.model.rotary_emb(probe, positions)
        self.cos, self.sin = cos[0].to(self.dtype), sin[0].to(self.dtype)

    def loss(self, batch: Batch) -> Tensor:
        """Return the mean cross-entropy of the batch's labels, nats per token."""
        core = self.model.model
        x = self.embed(batch.tokens, core.embed_tokens.weight)
        length = batch.tokens.shape[1]
        for layer in core.layers:
            cos, sin = self.cos[:length], self.sin[:length]
            x = self.block(x, cos, sin, self.recipe.heads, block_weights(layer))
        x = x.gather(1, batch.places[..., None].expand(-1, -1, x.shape[-1]))
        return self.head_loss(
            x, core.norm.weight, core.embed_tokens.weight, batch.labels, self.dtype
        )

    def step(self, batches: list[Batch]) -> Tensor:
        """Update the weights once; return the loss of each part."""
        losses = torch.stack([self.loss(batch) for batch in batches])
        (losses * self.weights).sum().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return losses.detach()

    def set_rate(self, rate: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"].fill_(rate)

    def make_optimizer(self) -> torch.optim.AdamW:
        parameters = list(self.model.parameters())
        groups = [
            {"params": [p for p in parameters if p.ndim == 2]},
            {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(
            groups,
            torch.zeros((), device=self.device),
            betas=(0.9, 0.98),
            weight_decay=self.recipe.weight_decay,
            fused=True,
            capturable=self.device == "cuda",
        )


class GraphedStep:
    """`Trainer.step` recorded once as a CUDA graph and replayed: a small model is launch-bound."""

    def __init__(self, trainer: Trainer, batches: list[Batch]) -> None:
        self.inputs = [Batch(b.tokens.clone(), b.places.clone(), b.labels.clone()) for b in batches]
        trainer.set_rate(0.0)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                trainer.step(self.inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.losses = trainer.step(self.inputs)

    def __call__(self, batches: list[Batch]) -> Tensor:
        for mine, fresh in zip(self.inputs, batches, strict=True):
            mine.copy_(fresh)
        self.graph.replay()
        return self.losses
