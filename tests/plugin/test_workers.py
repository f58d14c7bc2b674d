"""What workers of pytest-xdist get of a host, and which of them may use a GPU."""

import json
from types import SimpleNamespace

import execnet
import pytest

from pytest_quantcheck.plugin.alone import N_SHARING, VISIBLE
from pytest_quantcheck.plugin.workers import Workers, n_cores, visible_gpus

USAGE = 4
GPUS = """
import os, sys, types
import pytest

WORKER = []

@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        return
    WORKER.append(config.workerinput["workerid"])
    sys.modules["torch"] = torch = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(
        is_available=lambda: True,
        device_count=lambda: len(os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")),
        get_device_name=lambda index: "Fake GPU",
        mem_get_info=lambda device: (2**30, 2**30),
        memory_reserved=lambda device: 0,
        memory_allocated=lambda device: 0,
        empty_cache=lambda: None,
    )

def pytest_runtest_logreport(report):
    if WORKER and report.when == "call":
        names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
        with open(WORKER[0] + ".json", "w") as file:
            file.write(str([os.environ.get(name) for name in names]).replace("'", '"'))
"""
SUITE = """
@pytest.mark.quant_budget("int8", "int4", workload=quiz, max_accuracy_drop=0.5)
def test_quiz(quant): ...

@pytest.mark.parametrize("number", range(4))
def test_other(number): ...
"""


@pytest.fixture
def host(tmp_path):
    """A function that returns a root folder with the driver's files of so many GPUs."""

    def make(n_devices=0, n_listed=0):
        for number in range(n_devices):
            (tmp_path / "dev").mkdir(exist_ok=True)
            (tmp_path / "dev" / f"nvidia{number}").touch()
        for name in ("nvidiactl", "nvidia-uvm") if n_devices else ():
            (tmp_path / "dev" / name).touch()
        for number in range(n_listed):
            (tmp_path / f"proc/driver/nvidia/gpus/0000:0{number}:00.0").mkdir(parents=True)
        return tmp_path

    return make


@pytest.fixture
def specs(monkeypatch):
    """A function that returns the environments of workers as a run prepares them."""

    def make(*texts, visible=None, device="auto", **environ):
        for name in (VISIBLE, "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (environ | ({VISIBLE: visible} if visible else {})).items():
            monkeypatch.setenv(name, value)
        made = [execnet.XSpec(text) for text in texts]
        Workers(device).pytest_xdist_setupnodes(made)
        return [spec.env for spec in made]

    return make


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("0,1", ("0", "1")),
        (" 3 , 1", ("3", "1")),
        ("GPU-6d3f,MIG-77aa", ("GPU-6d3f", "MIG-77aa")),
        ("1,-1,2", ("1",)),
        ("0,0", ("0",)),
        ("", ()),
        ("2,4,3", ("2",)),
    ],
)
def test_the_callers_list_is_taken_as_cuda_takes_it(host, listed, expected):
    assert visible_gpus({VISIBLE: listed}, root=host(n_devices=4)) == expected


def test_without_a_list_the_drivers_files_are_counted(host, tmp_path):
    assert visible_gpus({}, root=host()) == ()
    assert visible_gpus({VISIBLE: "5"}, root=tmp_path) == ("5",)
    assert visible_gpus({}, root=host(n_listed=3)) == ("0", "1", "2")
    assert visible_gpus({}, root=host(n_devices=2)) == ("0", "1")


@pytest.mark.parametrize(("cores", "share"), [(9, "4"), (2, "1"), (1, "1")])
def test_each_worker_gets_a_gpu_and_its_share_of_cores(specs, monkeypatch, cores, share):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    first, second = specs("popen", "popen", visible="GPU-a,MIG-b,GPU-c")
    assert first == {VISIBLE: "GPU-a", "OMP_NUM_THREADS": share}
    assert second == {VISIBLE: "MIG-b", "OMP_NUM_THREADS": share}


def test_more_workers_than_gpus_get_none(specs):
    assert all(
        VISIBLE not in env for env in specs("popen", "popen", "popen", visible="GPU-a,GPU-b")
    )


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_a_device_that_is_named_pins_nobody(specs, device):
    found = specs("popen", "popen", visible="GPU-a,GPU-b", device=device)
    assert all(VISIBLE not in env for env in found)


def test_one_worker_keeps_every_gpu(specs):
    assert specs("popen", visible="GPU-a,GPU-b") == [{}]


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS"])
def test_threads_that_the_caller_chose_stay(specs, name):
    assert specs("popen", "popen", **{name: "3"}) == [{}, {}]


def test_what_a_worker_was_given_and_other_hosts_stay(specs):
    own, far = specs(f"popen//env:{VISIBLE}=9//env:OMP_NUM_THREADS=5", "ssh=far", visible="GPU-a")
    assert own == {VISIBLE: "9", "OMP_NUM_THREADS": "5"}
    assert far == {}


def test_a_gpu_that_one_worker_names_goes_to_no_other(specs):
    found = specs("popen", f"popen//env:{VISIBLE}=GPU-a", "popen", visible="GPU-a,GPU-b,GPU-c")
    assert [env[VISIBLE] for env in found] == ["GPU-b", "GPU-a", "GPU-c"]


@pytest.mark.parametrize(("second", "n_sharing"), [("0", 2), ("1", 1)])
def test_a_worker_is_told_how_many_share_its_gpu(monkeypatch, second, n_sharing):
    monkeypatch.delenv(VISIBLE, raising=False)
    made = [execnet.XSpec(f"popen//env:{VISIBLE}={number}") for number in ("0", second)]
    workers = Workers("auto")
    workers.pytest_xdist_setupnodes(made)
    nodes = [SimpleNamespace(gateway=SimpleNamespace(spec=spec), workerinput={}) for spec in made]

    for node in nodes:
        workers.pytest_configure_node(node)

    assert [node.workerinput[N_SHARING] for node in nodes] == [n_sharing, n_sharing]


@pytest.fixture
def spread(project, monkeypatch):
    """A function that runs a suite on two workers of a host with GPUs."""

    def run(*args, visible):
        monkeypatch.setenv(VISIBLE, visible)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        path = project.pytester.path / "conftest.py"
        path.write_text(path.read_text(encoding="utf-8") + GPUS, encoding="utf-8")
        project.tests(SUITE)
        return project.run("-n2", *args)

    return run


def test_workers_measure_on_a_gpu_each(spread, project):
    result = spread("--quant-device=auto", "--quant-json=run.json", visible="GPU-a,GPU-b")

    result.assert_outcomes(passed=6)
    share = str(max(1, n_cores() // 2))
    for worker, gpu in (("gw0", "GPU-a"), ("gw1", "GPU-b")):
        path = project.pytester.path / f"{worker}.json"
        assert json.loads(path.read_text(encoding="utf-8")) == [gpu, share]
    (environment,) = project.record()["environments"]
    assert (environment["device"], environment["device_name"]) == ("cuda:0", "Fake GPU")


@pytest.mark.parametrize(
    ("visible", "device", "message"),
    [
        ("GPU-a", "auto", "* and 1 GPU: each worker needs one for itself; run with -n1,*"),
        ("GPU-a,GPU-b", "cuda:1", "* and quant_device=cuda:1 is one GPU for all: run with *=auto*"),
    ],
)
def test_workers_that_would_share_a_gpu_fail_at_their_tests(spread, visible, device, message):
    result = spread(f"--quant-device={device}", visible=visible)

    assert result.ret == USAGE
    result.assert_outcomes(passed=4, errors=2)
    result.stdout.fnmatch_lines([message])


def test_on_a_cpu_any_number_of_workers_measures(spread):
    spread("--quant-device=cpu", visible="GPU-a").assert_outcomes(passed=6)
