"""Workers of xdist that are forked from one process, which has imported what they need.

A worker of its own imports for a second what a forked one has at once. `WarmWorkers` is a plugin
of the run that has the workers; `python warm_workers.py PATH` is the process that forks; what
xdist starts is `_CLIENT`, which hands its streams over and waits.
"""

from __future__ import annotations

import gc
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

_CLIENT = """\
import json, os, socket, sys
asked = socket.socket(socket.AF_UNIX)
asked.connect(sys.argv[1])
place = json.dumps({"folder": os.getcwd(), "environment": dict(os.environ)})
socket.send_fds(asked, [b"3"], [0, 1, 2])
asked.sendall(place.encode() + b"\\n")
os.close(0)
os.close(1)
asked.recv(1)  # until the worker is gone
"""
PLUGIN_MODULES = tuple(
    f"pytest_quantcheck.plugin.{name}"
    for name in ("fixtures", "laboratory", "plan", "session", "summary")
)
"""What a run of the plugin imports, apart from models."""


class WarmWorkers:
    """Has xdist take its workers from the process that forks them, which it starts when asked."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm")
        self._process: subprocess.Popen[bytes] | None = None

    def pytest_xdist_setupnodes(self, specs):
        """Name the client as the workers' Python."""
        folder = Path(self._folder.name)
        if self._process is None:
            (folder / "client.py").write_text(_CLIENT, encoding="utf-8")
            self._process = _start(folder)
        command = [sys.executable, "-I", "-S", str(folder / "client.py"), str(folder / "socket")]
        for spec in specs:
            spec.python = shlex.join(command)

    def close(self) -> None:
        """End the process: its input ends."""
        if self._process is not None:
            self._process.communicate()
        self._folder.cleanup()


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """Return the process that forks, once it listens."""
    process = subprocess.Popen(
        [sys.executable, __file__, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OMP_NUM_THREADS": "1"},
        cwd=folder,
    )
    assert process.stdout is not None
    if process.stdout.readline() != b"ready\n":
        raise RuntimeError("no process that forks workers; see its error above")
    return process


def serve(folder: Path) -> None:
    """Fork a worker for each connection, until the input ends."""
    _import_all()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        listener.listen()
        os.write(1, b"ready\n")
        gc.freeze()
        while True:
            ready, _, _ = select.select([listener, 0], [], [])
            if 0 in ready:
                return
            connection, _ = listener.accept()
            if not os.fork():
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                become_worker(connection)
                return
            connection.close()


def _import_all() -> None:
    """Import what a worker imports."""
    for name in ("pytest", *PLUGIN_MODULES):
        import_module(name)


def become_worker(connection: socket.socket) -> None:
    """Take over the streams, folder and environment of a client, and do what xdist writes."""
    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    place = json.loads(connection.makefile().readline())
    os.chdir(place["folder"])
    os.environ.clear()
    os.environ.update(place["environment"])
    sys.argv = ["-c"]
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - for as long as the worker lives
    exec(eval(sys.stdin.readline()), {"__name__": "__main__"})  # noqa: S102, S307 - as execnet has it


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
