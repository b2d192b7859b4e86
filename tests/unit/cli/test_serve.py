"""`gpuhub serve`: a real loop in a process of its own, with real saves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from watchfiles import Change

from gpuhub.cli.serving.loop import SourceFilter
from gpuhub.testing.emulator.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE_S = 60.0


class Serving:
    """A running `gpuhub serve --json`; its events as they come."""

    def __init__(self, project: Path, port: int, *targets: str) -> None:
        self.port = port
        self.events: list[dict[str, Any]] = []
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-c", "from gpuhub.cli import main; main()"),
                *("serve", "--json", *targets, "--port", str(port)),
            ],
            cwd=project,
            env={**os.environ, "WATCHFILES_FORCE_POLLING": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=self._read_events, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        self.errors: list[str] = []
        for thread in self._threads:
            thread.start()

    def _read_events(self) -> None:
        assert self.process.stdout
        with self.process.stdout as lines:
            self.events.extend(json.loads(line) for line in lines)

    def _read_errors(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            self.errors.extend(lines)

    def wait_for(self, event: str, count: int = 1) -> dict[str, Any]:
        """The so-maniest event of a kind."""
        found: dict[str, Any] = until(lambda: self.all(event)[count - 1 : count])[0]
        return found

    def all(self, event: str) -> list[dict[str, Any]]:
        """Events of a kind."""
        return [each for each in list(self.events) if each["event"] == event]

    def call(self, number: int) -> object:
        """Invoke the first function."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", "/invoke", json.dumps({"number": number}))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def end(self) -> int:
        """Press Ctrl-C and give the exit code, once all that was printed is read."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(PATIENCE_S)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        return code


def until(look):
    """What a look finds in the end."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.05)
    return found


@pytest.fixture
def serving(project):
    """Start loops; end those still running."""
    started: list[Serving] = []

    def start(*targets: str) -> Serving:
        started.append(Serving(project, free_port(2), *targets))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.end()


def test_save_reloads_and_errors_do_not_end_it(project, serving):
    """Serve, save a change, break it, mend it, end it."""
    file = project / "app.py"
    source = file.read_text()
    loop = serving("app.py::double")
    assert loop.wait_for("ready")["url"] == f"http://127.0.0.1:{loop.port}"
    assert loop.call(2) == {"result": {"value": 4, "label": "x"}}
    assert until(lambda: loop.all("log"))[0]["line"] == "doubling 2"

    file.write_text(source.replace("2 * number", "3 * number"))
    loop.wait_for("ready", 2)
    assert loop.call(2) == {"result": {"value": 6, "label": "x"}}

    file.write_text(source + "\ndef broken(:\n")
    assert loop.wait_for("refused")["serving"]
    assert until(lambda: "SyntaxError" in "".join(loop.errors))
    assert loop.call(2) == {"result": {"value": 6, "label": "x"}}

    file.write_text(source.replace("2 * number", "5 * number"))
    loop.wait_for("ready", 3)
    assert loop.call(2) == {"result": {"value": 10, "label": "x"}}

    assert loop.end() == 0
    with pytest.raises(ConnectionRefusedError):
        loop.call(2)


def test_broken_from_the_start(project, serving):
    """It waits for the save that mends it."""
    file = project / "app.py"
    source = file.read_text()
    file.write_text("import nowhere_to_be_found\n" + source)
    loop = serving("app.py")
    assert not loop.wait_for("refused")["serving"]
    assert until(lambda: "nowhere_to_be_found" in "".join(loop.errors))
    file.write_text(source)
    loop.wait_for("ready", 2)
    assert {each["function"] for each in loop.all("ready")} == {"double", "spell"}
    assert loop.call(1) == {"result": {"value": 2, "label": "x"}}
    assert loop.end() == 0


def test_failed_setup_is_shown(project, serving):
    """A class whose setup raises: the user's traceback, and the loop goes on."""
    source = (
        "import gpuhub\n"
        "@gpuhub.function\n"
        "class Model:\n"
        "    def setup(self) -> None: raise OSError('no weights')\n"
        "    def __call__(self, number: int) -> int: return number\n"
    )
    (project / "model.py").write_text(source)
    loop = serving("model.py")
    assert "no weights" in json.dumps(loop.wait_for("failed"))
    (project / "model.py").write_text(source.replace("raise OSError('no weights')", "pass"))
    loop.wait_for("ready")
    assert loop.call(3) == {"result": 3}


def test_workers_end_with_a_loop_that_is_killed(project, serving):
    """Nothing is left behind on the port."""
    loop = serving("app.py::double")
    loop.wait_for("ready")
    loop.process.kill()
    loop.process.wait(PATIENCE_S)

    def is_gone() -> bool:
        try:
            loop.call(1)
        except (OSError, http.client.HTTPException):
            return True
        return False

    assert until(is_gone)


def test_port_in_use(project, cli):
    """Refused at once, with the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = cli("serve", "app.py", "--port", str(port), "--json")
    assert answer.code == 2
    assert answer.error["message"] == f"port {port} is taken"


def test_only_changes_that_matter_are_looked_at(tmp_path):
    """Source and settings, and what `include` ships; nothing that gpuhub or Python write."""
    wanted = SourceFilter(tmp_path, ["data/*.txt"])
    paths = {
        "app.py": True,
        "lib/deep.py": True,
        "gpuhub.toml": True,
        "data/birds.txt": True,
        "notes.md": False,
        "other/birds.txt": False,
        ".gpuhub/journal.db": False,
        ".venv/lib/thing.py": False,
        "__pycache__/app.cpython-311.pyc": False,
        "lib/__pycache__/x.py": False,
    }
    found = {path: wanted(Change.modified, str(tmp_path / path)) for path in paths}
    assert found == paths
    assert not wanted(Change.modified, "/elsewhere/app.py")
