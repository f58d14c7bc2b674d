"""The products of LLM.int8: by bitsandbytes' operators, or by kernels that give the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Protocol

import torch

from pytest_quantcheck.measure.engine.kernels.replaced import holds

_PRODUCT_UNIT = 6.200012e-05
"""1 / 127² as bitsandbytes has it for products."""
_WEIGHT_UNIT = 7.874015718698502e-3
"""1 / 127 as it has it for weights."""
_BAND = 8
_ALIGNED = 16
"""Codes that one load takes."""
_FEWEST_ROWS = 1024
"""From which on tiles were faster for nearly all shapes (H100, 576 to 14,336 features)."""
_MOST_COLUMNS = 256
_COLUMN_ELEMENTS = 2048
"""Of a weight, dequantized by one program."""
_TRIAL = (150, 300)
"""Rows and outputs: more than one program's of each, and less than all of the next."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weight:
    """A weight in 8 bits, as bitsandbytes stores it."""

    codes: torch.Tensor
    """(n, k) int8"""
    scales: torch.Tensor
    """(n,) float32: the largest value of each row."""
    bias: torch.Tensor | None
    """(n,) floating"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """What one program multiplies, and what it takes of a GPU."""

    rows: int
    outputs: int
    width: int
    warps: int
    stages: int


TILES = (
    Tile(rows=128, outputs=256, width=128, warps=8, stages=3),
    Tile(rows=128, outputs=128, width=64, warps=4, stages=3),
)
"""The faster one needs 144 KiB of shared memory."""


class Products(Protocol):
    """What multiplies with a weight."""

    def product(self, codes: torch.Tensor, scales: torch.Tensor, weight: Weight) -> torch.Tensor:
        """Return (t, n): codes (t, k) with scales (t,) times the weight, and its bias added."""
        ...

    def columns(self, weight: Weight, columns: torch.Tensor) -> torch.Tensor:
        """Return (c, n): some columns of the weight, dequantized and turned."""
        ...


class PlainProducts:
    """Multiplies by bitsandbytes' own operators.

    Parameters
    ----------
    dtype : torch.dtype
        Of what is returned.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype = dtype

    def product(self, codes: torch.Tensor, scales: torch.Tensor, weight: Weight) -> torch.Tensor:
        """Return (t, n): codes (t, k) with scales (t,) times the weight, and its bias added."""
        return torch.ops.bitsandbytes.int8_scaled_mm.default(  # type: ignore[no-any-return]
            codes, weight.codes, scales, weight.scales, bias=weight.bias, dtype=self._dtype
        )

    def columns(self, weight: Weight, columns: torch.Tensor) -> torch.Tensor:
        """Return (c, n): some columns of the weight, dequantized and turned."""
        chosen = weight.codes.index_select(1, columns)
        found: torch.Tensor = torch.ops.bitsandbytes.int8_vectorwise_dequant.default(
            chosen, weight.scales
        )
        return found.to(self._dtype).t()


class FusedProducts:
    """Multiplies by kernels of our own, in float16 on a GPU.

    Parameters
    ----------
    tile : Tile
        What suits the GPU.

    Notes
    -----
    bitsandbytes writes sums in 32 bits and reads them again for their scales, and its product
    was made for an earlier generation of GPUs.
    """

    def __init__(self, tile: Tile) -> None:
        self._tile = tile

    def product(self, codes: torch.Tensor, scales: torch.Tensor, weight: Weight) -> torch.Tensor:
        """Return (t, n): codes (t, k) with scales (t,) times the weight, and its bias added."""
        from pytest_quantcheck.measure.engine.llm_int8.triton_products import product_kernel

        tile, (rows, width), outputs = self._tile, codes.shape, len(weight.codes)
        found = torch.empty((rows, outputs), dtype=torch.float16, device=codes.device)
        with torch.cuda.device_of(codes):  # type: ignore[no-untyped-call]
            product_kernel[(-(-rows // tile.rows) * -(-outputs // tile.outputs),)](
                codes,
                weight.codes,
                scales,
                weight.scales,
                weight.bias,
                found,
                rows,
                outputs,
                width,
                UNIT=_PRODUCT_UNIT,
                HAS_BIAS=weight.bias is not None,
                IS_WHOLE=width % tile.width == 0,
                ROWS=tile.rows,
                OUTPUTS=tile.outputs,
                WIDTH=tile.width,
                BAND=_BAND,
                num_warps=tile.warps,
                num_stages=tile.stages,
            )
        return found

    def columns(self, weight: Weight, columns: torch.Tensor) -> torch.Tensor:
        """Return (c, n): some columns of the weight, dequantized and turned."""
        from pytest_quantcheck.measure.engine.llm_int8.triton_products import columns_kernel

        (outputs, width), count = weight.codes.shape, len(columns)
        found = torch.empty((outputs, count), dtype=torch.float16, device=columns.device)
        wide = min(_MOST_COLUMNS, 1 << (count - 1).bit_length())
        high = _COLUMN_ELEMENTS // wide
        with torch.cuda.device_of(columns):  # type: ignore[no-untyped-call]
            columns_kernel[(-(-outputs // high), -(-count // wide))](
                weight.codes,
                weight.scales,
                columns,
                found,
                outputs,
                width,
                count,
                UNIT=_WEIGHT_UNIT,
                OUTPUTS=high,
                COLUMNS=wide,
            )
        return found.t()


def products_for(weight: Weight, dtype: torch.dtype, rows: int) -> Products:
    """Return what multiplies with a weight: kernels of our own where they can, else bitsandbytes'.

    Parameters
    ----------
    weight : Weight
        Of one layer.
    dtype : torch.dtype
        Of its inputs and outputs.
    rows : int
        Of its inputs. Few would leave most of a GPU without a tile.
    """
    fused = None
    codes, bias = weight.codes, weight.bias
    is_plain = codes.is_contiguous() and codes.shape[1] % _ALIGNED == 0
    if codes.is_cuda and dtype == torch.float16 and is_plain and rows >= _FEWEST_ROWS:
        remainder = codes.shape[1] % max(tile.width for tile in TILES)
        fused = fused_products(codes.device, remainder, has_bias=bias is not None)
    return fused or PlainProducts(dtype)


@lru_cache(maxsize=64)
def fused_products(device: torch.device, remainder: int, *, has_bias: bool) -> FusedProducts | None:
    """Return the fused products with the first tile that runs and gives what bitsandbytes gives.

    Parameters
    ----------
    device : torch.device
        A GPU.
    remainder : int
        Of the width, above a multiple of the widest tile's.
    has_bias : bool
        Whether one is added.

    Notes
    -----
    Tried, not looked up: Triton, a compiler for its launcher, or memory of the device may lack.
    """
    weight, codes, scales = _trial(device, remainder, has_bias=has_bias)
    columns = torch.arange(0, weight.codes.shape[1], 3, device=device)

    def found(products: Products) -> tuple[torch.Tensor, torch.Tensor]:
        return products.product(codes, scales, weight), products.columns(weight, columns)

    def is_same(fused: FusedProducts) -> bool:
        pairs = zip(found(fused), found(PlainProducts(torch.float16)), strict=True)
        return all(torch.equal(one, other) for one, other in pairs)

    for fused in map(FusedProducts, TILES):
        if holds(partial(is_same, fused)):
            return fused
    return None


def _trial(
    device: torch.device, remainder: int, *, has_bias: bool
) -> tuple[Weight, torch.Tensor, torch.Tensor]:
    """Return a weight, and codes and scales of inputs."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator)

    rows, outputs, width = *_TRIAL, 2 * max(tile.width for tile in TILES) + remainder
    codes, other = (
        random(length, width).sub(0.5).mul(254).round().to(device=device, dtype=torch.int8)
        for length in (outputs, rows)
    )
    bias = random(outputs).to(device=device, dtype=torch.float16) if has_bias else None
    weight = Weight(codes=codes, scales=random(outputs).to(device), bias=bias)
    return weight, other, random(rows).mul(6).to(device)
