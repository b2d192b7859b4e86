"""``python -m gpuhub.worker serve`` as a provider would start it: a bare Python and a bundle."""

from __future__ import annotations

import contextlib
import http.client
import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpuhub.bundle import build_bundle
from gpuhub.worker.__main__ import main

LIMIT_S = 30
"""Far below what a call or a setup that holds a worker would take."""

APP = """
import dataclasses
import sys
import gpuhub
from gpuhub import RemoteError
from helper import OFFSET

@dataclasses.dataclass
class Point:
    x: int
    y: float = 0.0

@gpuhub.function(gpu="A100", image=gpuhub.Image(python="3.12"))
class Model:
    def setup(self) -> None:
        print("setting up")
        self.offset = OFFSET

    def __call__(self, point: Point, data: bytes) -> tuple[Point, bytes]:
        print("called")
        print("to stderr", file=sys.stderr)
        if point.x < 0:
            raise ValueError("below zero")
        if point.x > 1000:
            import threading
            threading.Event().wait(600)
        return Point(point.x + self.offset), data[::-1]
"""
SLOW = """
import threading
class Model:
    def setup(self):
        print("loading", flush=True)
        threading.Event().wait(600)
    def __call__(self): ...
"""


@pytest.fixture
def make_bundle(tmp_path, monkeypatch):
    """Bundle ``Model`` of an ``app.py``."""

    def make(source: str, name: str):
        root = tmp_path / name
        root.mkdir()
        (root / f"{name}.py").write_text(source)
        (root / "helper.py").write_text("OFFSET = 10\n")
        monkeypatch.syspath_prepend(str(root))
        importlib.invalidate_caches()
        module = importlib.import_module(name)
        monkeypatch.delitem(sys.modules, "helper", raising=False)
        return build_bundle(module.Model, root)

    return make


class Worker:
    """A worker process."""

    def __init__(self, runtime: Path, bundle: Path, *options: str) -> None:
        # No site-packages (-S), and nothing of this process's environment.
        command = [sys.executable, "-S", "-m", "gpuhub.worker", "serve", "--bundle", str(bundle)]
        self.process = subprocess.Popen(
            [*command, *options],
            env={"PYTHONPATH": str(runtime), "TMPDIR": str(bundle.parent)},
            cwd=bundle.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed: list[str] = []

    def wait_ready(self) -> dict[str, Any]:
        """Read lines up to the announcement."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"gpuhub_worker"'):
                facts: dict[str, Any] = json.loads(line)["gpuhub_worker"]
                self.port = facts["port"]
                return facts
            self.printed.append(line.rstrip())
        raise AssertionError(self.process.communicate()[1])

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body is not None else None)
            response = connection.getresponse()
            return response.status, response.read()

    def end(self, signum: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Signal it and give exit code and outputs."""
        self.process.send_signal(signum)
        out, err = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, out, err


@pytest.fixture
def start():
    """Start workers and see that none is left."""
    with contextlib.ExitStack() as stack:

        def run(runtime: Path, bundle: Path, *options: str) -> Worker:
            worker = Worker(runtime, bundle, *options)
            stack.callback(worker.process.communicate)
            stack.callback(worker.process.kill)
            return worker

        yield run


@pytest.mark.parametrize("form", ["folder", "tar.gz", "zip"])
def test_a_bundle_runs_on_a_bare_python(make_bundle, start, tmp_path, form):
    """The bundle is all it takes: no package, no gpuhub, no environment."""
    bundle = make_bundle(APP, f"served_{form.replace('.', '_')}")
    folder = bundle.write_to(tmp_path / "out")
    place = folder
    if form != "folder":
        place = tmp_path / f"bundle.{form}"
        place.write_bytes(bundle.tar_gz() if form == "tar.gz" else bundle.zip())
    worker = start(folder / "runtime", place, "--announce")
    assert worker.wait_ready()["status"] == "ready"
    assert worker.printed == ["setting up"]
    assert json.loads(worker.send("GET", "/health")[1])["target"] == bundle.target.to_dict()
    status, body = worker.send("POST", "/invoke", {"point": {"x": 1}, "data": "YWI="})
    assert (status, body) == (200, b'{"result":[{"x":11,"y":0.0},"YmE="]}')
    status, body = worker.send("POST", "/stream", {"point": {"x": -1}, "data": ""})
    report = json.loads(body)["gpuhub_error"]
    assert report["type"] == "ValueError"
    frames = [line for line in report["traceback"].splitlines() if line.startswith("  File")]
    assert len(frames) == 1
    assert "app" in frames[0]
    code, out, err = worker.end()
    assert (code, out, err) == (0, "called\ncalled\n", "to stderr\nto stderr\n")


def test_a_killed_worker_leaves_nothing(make_bundle, start, tmp_path):
    """On a folder it makes no files of its own, which nobody would remove."""
    place = tmp_path / "out"
    folder = make_bundle(APP, "served_killed").write_to(place / "bundle")
    worker = start(folder / "runtime", folder, "--announce")
    worker.wait_ready()
    worker.end(signal.SIGKILL)
    assert [path.name for path in place.iterdir()] == [folder.name]


def test_sigterm_ends_it_within_a_call(make_bundle, start, tmp_path):
    """A call in flight does not hold a worker that is told to end."""
    folder = make_bundle(APP, "served_busy").write_to(tmp_path / "out")
    worker = start(folder / "runtime", folder, "--announce")
    worker.wait_ready()
    connection = http.client.HTTPConnection("127.0.0.1", worker.port, timeout=LIMIT_S)
    with contextlib.closing(connection):
        connection.request("POST", "/invoke", json.dumps({"point": {"x": 2000}, "data": ""}))
        assert worker.process.stdout is not None
        assert worker.process.stdout.readline() == "called\n"
        assert worker.end()[0] == 0


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_signals_end_it_while_it_loads(make_bundle, start, tmp_path, signum):
    """Loading a model takes minutes; ending must not."""
    folder = make_bundle(SLOW, f"served_slow_{signum.name.lower()}").write_to(tmp_path / "out")
    worker = start(folder / "runtime", folder, "--announce")
    assert worker.process.stdout is not None
    assert worker.process.stdout.readline() == "loading\n"
    assert worker.end(signum)[0] == 128 + signum


def test_it_ends_with_its_parent(make_bundle, start, tmp_path):
    """An orphan would keep a GPU busy."""
    folder = make_bundle(APP, "served_orphan").write_to(tmp_path / "out")
    parent = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    worker = start(folder / "runtime", folder, "--announce", "--parent-pid", str(parent.pid))
    worker.wait_ready()
    parent.communicate()
    assert worker.process.wait(LIMIT_S) == 128 + signal.SIGTERM


def test_code_that_cannot_be_imported_is_announced_as_failed(start, make_bundle, tmp_path):
    """It stays up and answers why."""
    folder = make_bundle(APP, "served_broken").write_to(tmp_path / "out")
    (folder / "app" / "helper.py").write_text("import nothere_at_all")
    worker = start(folder / "runtime", folder, "--announce")
    assert worker.wait_ready()["status"] == "failed"
    report = json.loads(worker.send("POST", "/invoke", {})[1])["gpuhub_error"]
    assert report["type"] == "ModuleNotFoundError"
    assert "helper.py" in report["traceback"]


@pytest.mark.parametrize("content", [None, b"text"])
def test_what_is_no_bundle_ends_with_2(start, make_bundle, tmp_path, content):
    """Missing or broken: one line on stderr."""
    folder = make_bundle(APP, f"served_none_{content is None}").write_to(tmp_path / "out")
    place = tmp_path / "bundle.tar.gz"
    if content is not None:
        place.write_bytes(content)
    worker = start(folder / "runtime", place)
    _, err = worker.process.communicate(timeout=LIMIT_S)
    assert worker.process.returncode == 2
    assert err.startswith("gpuhub.worker: ")
    assert len(err.splitlines()) == 1


def test_the_library_itself_can_serve_a_bundle(make_bundle, tmp_path, monkeypatch):
    """With gpuhub installed, the decorators are the real ones and are taken off."""
    folder = make_bundle(APP, "served_real").write_to(tmp_path / "out")
    code = (
        "import sys; from gpuhub.worker.load import load_bundle\n"
        f"handler = load_bundle({str(folder)!r})\n"
        "print(handler.invoke({'point': {'x': 1}, 'data': ''}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "{'result': [{'x': 11, 'y': 0.0}, '']}"


@pytest.mark.parametrize("arguments", [[], ["serve"], ["serve", "--bundle", "b", "--port", "x"]])
def test_a_wrong_command_line_is_refused(arguments, capsys):
    """Usage on stderr, exit code 2."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m gpuhub.worker" in capsys.readouterr().err
