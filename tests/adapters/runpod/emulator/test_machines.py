"""What runs workers: quick processes, plain ones, images of a registry, played functions."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import sys
import tarfile
import threading
from typing import ClassVar

import pytest

from gpuhub_runpod.emulator import EmulatorOptions, RunPodEmulator, SdkMissing, sdk_python
from gpuhub_runpod.emulator.machines.execve import execve_problem
from tests.adapters.runpod.emulator.conftest import Endpoint, body
from tests.adapters.waiting import until

PLAIN = {
    "name": "plain",
    "type": "QUEUE",
    "gpu": {"pools": ["ADA_24"]},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
}
WORKER = """
import os, pathlib, runpod
async def handler(job):
    text = pathlib.Path(os.environ["DATA"]).read_text()
    return [text, os.environ["FROM_IMAGE"], os.environ["FROM_ENDPOINT"]]
runpod.serverless.start({"handler": handler})
"""


def layer(files):
    """Give a gzipped layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


class Registry(http.server.BaseHTTPRequestHandler):
    """A registry with one image, read only."""

    protocol_version = "HTTP/1.1"
    blobs: ClassVar[dict[str, bytes]] = {}

    def do_GET(self):
        content = self.blobs.get(self.path.rpartition("/")[2])
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content or b"")

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *arguments):
        pass


@pytest.fixture
def registry():
    """A registry whose image ``demo:1`` has a worker; give its host."""
    blobs = {}

    def added(content):
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        blobs[digest] = content
        return {"digest": digest, "size": len(content)}

    layers = [
        added(layer({"srv/data.txt": "old", "srv/gone.txt": "x"})),
        added(layer({"srv/data.txt": "new", "srv/.wh.gone.txt": "", "srv/worker.py": WORKER})),
    ]
    config = {
        "Cmd": ["python3", "-u", "/srv/worker.py"],
        "Env": ["DATA=/srv/data.txt", "FROM_IMAGE=image", "FROM_ENDPOINT=image"],
    }
    described = added(json.dumps({"config": config}).encode())
    blobs["1"] = json.dumps({"config": described, "layers": layers}).encode()
    handler = type("One", (Registry,), {"blobs": blobs})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_image_of_a_loopback_registry_is_run(account, registry):
    """Its layers in order, its variables below the endpoint's, its command."""
    fields = {**PLAIN, "image": f"{registry}/demo:1", "env": {"FROM_ENDPOINT": "endpoint"}}
    endpoint = Endpoint(account, account.created(**fields))
    assert endpoint.runsync()["output"] == ["new", "image", "endpoint"]
    root = next(iter(account.emulator._workshop.images._pulled.values())).root
    assert not (root / "srv/gone.txt").exists()


def test_an_image_that_its_registry_has_not_is_refused(account, registry):
    """As RunPod does when it cannot resolve a tag."""
    answer = account.http.post("serverless", json={**PLAIN, "image": f"{registry}/demo:2"})
    assert answer.status_code == 400
    assert "not found in its registry" in answer.json()["detail"]


def test_a_played_image(account):
    """A Python function stands for it, on this very process's threads or its server's."""
    account.emulator.play("me/quick:1", lambda job: {"got": job["input"]})
    account.emulator.play("me/threads:1", lambda job: threading.current_thread().name, at_once=2)
    quick = Endpoint(account, account.created(**PLAIN, image="me/quick:1"))
    assert quick.runsync({"a": 1})["output"] == {"got": {"a": 1}}
    threads = Endpoint(account, account.created(**PLAIN, image="me/threads:1"))
    assert "ThreadPoolExecutor" in threads.runsync()["output"]


def test_a_played_image_may_stream_and_fail(account):
    """Items as they come, errors as RunPod's loop tells them."""

    def counting(job):
        yield from range(job["input"]["count"])

    def failing(job):
        raise LookupError("nothing")

    account.emulator.play("me/counting:1", counting)
    account.emulator.play("me/failing:1", failing)
    endpoint = Endpoint(account, account.created(**PLAIN, image="me/counting:1"))
    job = endpoint.runsync({"count": 3})["id"]
    items = endpoint.send("GET", f"stream/{job}").json()["stream"]
    assert [item["output"] for item in items] == [0, 1, 2]
    endpoint = Endpoint(account, account.created(**PLAIN, image="me/failing:1"))
    assert "LookupError" in endpoint.runsync()["error"]


def test_an_image_nobody_knows_answers_its_input(account):
    """There is no code to run."""
    endpoint = Endpoint(account, account.created(**PLAIN, image="docker.io/me/worker:1"))
    assert endpoint.runsync({"a": 1})["output"] == {"a": 1}


def test_any_start_command_is_run(account, tmp_path):
    """Not only the one that starts Python from a variable."""
    script = tmp_path / "worker.py"
    script.write_text("import runpod\nrunpod.serverless.start({'handler': lambda job: 'mine'})")
    fields = body(args=f"sh -c 'echo begun; python3 {script}'")
    endpoint = Endpoint(account, account.created(**fields))
    assert endpoint.runsync()["output"] == "mine"
    assert "begun" in endpoint.log()


def test_a_command_that_is_not_there(account):
    """The container ends, again and again."""
    fields = body(args="no-such-command --at all", workers={"max": 1})
    endpoint = Endpoint(account, account.created(**fields))
    endpoint.run()
    until(lambda: endpoint.states() == ["UNHEALTHY"])
    assert "exec no-such-command: no such file" in endpoint.log()


def test_workers_see_nothing_of_this_process(account):
    """No site packages, no variables, a home of their own."""
    endpoint = account.endpoint(
        """
        import os, sys
        def handler(job):
            return [sorted(os.environ), [path for path in sys.path if "site-packages" in path]]
        """
    )
    names, packages = endpoint.runsync()["output"]
    assert packages == []
    own = {"GPUHUB_BOOT", "HOME", "LANG", "PATH", "TMPDIR", "LC_CTYPE"}
    assert {name for name in names if not name.startswith("RUNPOD_")} <= own


@pytest.mark.parametrize("size", [131_071, 131_072])
def test_what_the_system_allows_in_one_string(size):
    """The emulator's rule is Linux's."""
    env = {"A": "x" * (size - 2)}
    problem = execve_problem(["true"], env)
    assert bool(problem) == (size > 131_071)
    if sys.platform == "linux":
        pid = os.fork()
        if pid == 0:
            try:
                os.execve("/bin/true", ["true"], env)  # noqa: S606 - the very thing tested
            except OSError:
                os._exit(7)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == (7 if problem else 0)


def test_real_workers_need_a_python(monkeypatch, tmp_path):
    """Without one the start says how to make it."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SdkMissing, match="vendor-runpod"):
        RunPodEmulator(EmulatorOptions(workers="sdk")).start()
    python = tmp_path / ".venv-runpod/bin/python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert sdk_python() == python
    monkeypatch.setenv("RUNPOD_WORKER_PYTHON", sys.executable)
    assert str(sdk_python()) == sys.executable
