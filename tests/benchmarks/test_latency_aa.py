"""The benchmark of latency tests finds a slowdown, and none where there is none."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from common.slowed import ExtraWork, calibrate, slow_down
from latency_aa import Benchmark, parse

from pytest_quantcheck.core.latency import RunTimes

BASE, EACH = 0.1, 0.0005


class Way:
    mode = "eager"

    def serve(self, first_token):
        first_token()
        return torch.zeros(1, 4)

    def cache_bytes(self):
        return 7

    def close(self):
        self.is_closed = True


class Server:
    """Takes 100 ms, within 0.2 %, and half a millisecond for each product."""

    mode, fallback = "eager", ""

    def __init__(self, rng):
        self._way, self._rng = Way(), rng

    def run(self):
        self._way.serve(lambda: None)
        work = getattr(self._way, "_work", None)
        extra = EACH * work.products if work else 0.0
        seconds = BASE * float(np.exp(self._rng.normal(0, 0.002))) + extra
        return RunTimes(
            ttft_seconds=0.2 * seconds,
            e2e_seconds=seconds,
            device_seconds=None,
            new_tokens=4,
            batch_size=1,
        )


@pytest.fixture
def work():
    return ExtraWork("cpu", torch.float32)


def test_work_is_found_that_takes_the_share_asked_for(work):
    server = Server(np.random.default_rng(0))
    slow_down(server, work)

    share = calibrate(server, work, excess=0.05, runs=10)

    assert work.products == pytest.approx(10, abs=1)
    assert share == pytest.approx(0.05, abs=0.006)


def test_a_slowed_way_is_the_way_and_more(work):
    server = Server(np.random.default_rng(0))
    way = server._way
    slow_down(server, work)
    stamps = []
    work.products = 2

    tokens = server._way.serve(lambda: stamps.append(1))

    assert (tokens.shape, stamps, server._way.mode) == ((1, 4), [1], "eager")
    assert torch.equal(work._found, torch.zeros_like(work._found))
    assert server._way.cache_bytes() == 7
    server._way.close()
    assert way.is_closed


@pytest.mark.parametrize(("slowdown", "is_as_it_should_be"), [(0.05, True), (0.02, False)])
def test_every_test_is_decided_and_kept(
    monkeypatch, tmp_path, capsys, slowdown, is_as_it_should_be
):
    file, rng = tmp_path / "aa.json", np.random.default_rng(3)
    monkeypatch.setattr(Benchmark, "_server", lambda _: Server(rng))
    options = ["--tests=4", f"--slowdown={slowdown}", "--slow-limit=1.02", f"--json={file}"]

    found = Benchmark(parse([*options, "--device=cpu", "--dtype=float32"])).run()

    assert found is is_as_it_should_be
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["aa"]["summary"]["PASS"] == 4
    assert (kept["slow"]["summary"]["FAIL"] == 4) is is_as_it_should_be
    assert [test["pairs"] for test in kept["aa"]["tests"]] == [18] * 4
    assert "against itself, limit 1.03: 0 FAIL of 4; slowed by" in capsys.readouterr().out


def test_time_that_is_over_ends_the_tests(monkeypatch, capsys):
    monkeypatch.setattr(Benchmark, "_server", lambda _: Server(np.random.default_rng(3)))
    with pytest.raises(SystemExit):
        parse(["--shape=none"])

    benchmark = Benchmark(parse(["--seconds=0", "--device=cpu", "--dtype=float32"]))

    assert not benchmark.run()
    assert "0 FAIL of 0" in capsys.readouterr().out
