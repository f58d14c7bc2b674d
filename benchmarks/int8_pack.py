"""Time the body of a model on one pack: in 16 bits, and by LLM.int8 with and without waiting.

usage: int8_pack.py [--shape 1b] [--workloads hellaswag,mmlu,documents] [--repeats 5]
                    [--kernels 14] [--device auto]

Ways of LLM.int8: `counted` has the outlier columns of every input counted by the host; `rooms`
knows how many to expect from one counted pass, which is how packs are scored; `wide` has room for
far more than there are; `plain` is `rooms` by the kernels of torch and bitsandbytes
alone. All must give the same
states, to the bit but for `plain`. Milliseconds are medians: `host` until everything is handed to
the GPU, `pack` until it is done. Then what the kernels of `rooms` take.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
import torch
from common.requests import WORKLOADS, make_work
from common.shapes import SHAPES, make_model, quantize

from pytest_quantcheck.measure.device import choose_device
from pytest_quantcheck.measure.engine.llm_int8 import codes, products
from pytest_quantcheck.measure.engine.llm_int8.fused import fused_search
from pytest_quantcheck.measure.engine.llm_int8.layers import separate_sequences
from pytest_quantcheck.measure.engine.llm_int8.rooms import Rooms
from pytest_quantcheck.measure.engine.packs import plan_packs
from pytest_quantcheck.measure.engine.plan import Limits
from pytest_quantcheck.measure.engine.probe import choose_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_quantcheck.measure.engine.packs import Pack
    from pytest_quantcheck.measure.engine.tree import PackForward

_ITEMS = {"hellaswag": 90, "mmlu": 120, "documents": 16}
_PACK_TOKENS = 16_384
_WIDE = 12.0


class Timer:
    """Times passes of one model."""

    def __init__(self, forward: PackForward, repeats: int) -> None:
        self.forward = forward
        self._repeats = repeats
        self._handed_over = 0.0
        states = forward.split.body.states

        def timed(*inputs: torch.Tensor) -> torch.Tensor:
            found = states(*inputs)
            self._handed_over = time.perf_counter()
            return found

        vars(forward.split.body)["states"] = timed

    @torch.inference_mode()
    def run(self, pack: Pack, before: Callable[[], object]) -> tuple[float, float, torch.Tensor]:
        """Return host and whole milliseconds, and the states."""
        host, whole = [], []
        found = self.states(pack, before)
        for _ in range(self._repeats):
            before()
            _wait()
            started = time.perf_counter()
            with self.forward.ready():
                found = self.forward.states(pack)
            _wait()
            whole.append((time.perf_counter() - started) * 1e3)
            host.append((self._handed_over - started) * 1e3)
        return statistics.median(host), statistics.median(whole), found

    @torch.inference_mode()
    def states(self, pack: Pack, before: Callable[[], object]) -> torch.Tensor:
        """Return the states after one pass."""
        before()
        with self.forward.ready():
            return self.forward.states(pack)


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def make_timer(shape: str, variant: str, device: str, repeats: int) -> Timer:
    """Return what times passes of a model."""
    dtype = torch.float32 if device == "cpu" else torch.float16
    model = make_model(shape, dtype, device)
    quantize(model, variant, dtype)
    if variant == "int8":
        separate_sequences(model)
    with torch.inference_mode():
        choice = choose_plan(model, device)
    if choice.packs is None:
        raise SystemExit(f"no packs on this device: {choice.text}")
    return Timer(choice.packs, repeats)


def largest_pack(workload: str, vocabulary: int, tokens: int = _PACK_TOKENS) -> Pack:
    """Return the pack of a workload with most tokens; `tokens` is the limit."""
    work = make_work(workload, _ITEMS[workload], vocabulary)
    limits = Limits(batch_tokens=tokens, logits=1)
    return max(plan_packs(work.requests, limits), key=lambda pack: pack.tokens.size)


def compare_ways(timer: Timer, pack: Pack) -> None:
    """Print the milliseconds of each way, and whether all give the same states."""
    forward = timer.forward

    def use(rooms: Rooms) -> None:
        forward.rooms = rooms

    host, whole, expected = timer.run(pack, lambda: use(Rooms()))
    _say("counted", host, whole, "")
    for name, margin in (("rooms", None), ("wide", _WIDE)):
        use(Rooms() if margin is None else Rooms(margin=margin))
        host, whole, found = timer.run(pack, lambda: None)
        same = "the same states" if torch.equal(found, expected) else "OTHER STATES"
        _say(name, host, whole, f"{same}; {_rooms_of(forward)}")
    use(Rooms())
    with (
        mock.patch.object(codes, "fused_search", return_value=None),
        mock.patch.object(products, "fused_products", return_value=None),
    ):
        host, whole, found = timer.run(pack, lambda: None)
    difference = float((found - expected).float().square().mean().sqrt())
    share = difference / float(expected.float().square().mean().sqrt())
    _say("plain", host, whole, f"states differ by {share:.2g} of their size")
    use(Rooms())
    timer.states(pack, lambda: None)


def _rooms_of(forward: PackForward) -> str:
    """Return the rooms of each kind of layer, as counts of sizes."""
    by_kind: dict[str, list[int]] = defaultdict(list)
    sizes = forward.rooms.sizes() if forward.rooms else {}
    for name, room in sizes.items():
        by_kind[name.rpartition(".")[2]].append(room)
    kinds = []
    for kind, rooms in by_kind.items():
        different, counts = np.unique(rooms, return_counts=True)
        kinds.append(
            f"{kind} " + " ".join(f"{n}x{size}" for size, n in zip(different, counts, strict=True))
        )
    return ", ".join(kinds)


def _say(way: str, host: float, whole: float, rest: str) -> None:
    print(f"  {way:8} host {host:7.1f} ms  pack {whole:7.1f} ms  {rest}", flush=True)


def show_kernels(timer: Timer, pack: Pack, most: int) -> None:
    """Print what a pass is made of."""
    if not torch.cuda.is_available():
        return
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        started = time.perf_counter()
        timer.states(pack, lambda: None)
        _wait()
        whole = (time.perf_counter() - started) * 1e3
    spent: dict[str, list[float]] = defaultdict(list)
    events: Any = profiler.profiler.kineto_results.events()
    for event in events:
        if event.device_type() == torch.autograd.DeviceType.CUDA:
            spent[event.name()].append(event.duration_ns() / 1e6)
    busy = sum(map(sum, spent.values()))
    count = sum(map(len, spent.values()))
    print(f"  GPU busy {busy:.1f} of {whole:.1f} ms, {count} kernels and copies")
    for name, times in sorted(spent.items(), key=lambda pair: -sum(pair[1]))[:most]:
        print(f"    {sum(times):7.2f} ms  {len(times):5} x  {name[:150]}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", choices=SHAPES, default="1b")
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--kernels", type=int, default=14)
    parser.add_argument("--device", default="auto")
    arguments = parser.parse_args()
    found = choose_device(arguments.device)
    print(f"{found.name}, shape {arguments.shape}", flush=True)
    started = time.perf_counter()
    timers = [
        make_timer(arguments.shape, variant, found.device, arguments.repeats)
        for variant in ("fp16", "int8")
    ]
    if found.device != "cpu":
        device = torch.device(found.device)
        kernels = {
            "fused search": fused_search(device),
            "fused products": products.fused_products(device, 0, has_bias=False),
        }
        for name, kernel in kernels.items():
            print(f"{name}: {'used' if kernel else 'CANNOT BE USED HERE'}")
    for workload in arguments.workloads.split(","):
        pack = largest_pack(workload, SHAPES[arguments.shape]["vocab_size"])
        print(f"{workload}: {pack.tokens.size} tokens, {pack.parents.size} segments")
        host, whole, _ = timers[0].run(pack, lambda: None)
        _say("fp16", host, whole, "")
        compare_ways(timers[1], pack)
        show_kernels(timers[1], pack, arguments.kernels)
    print(f"{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
