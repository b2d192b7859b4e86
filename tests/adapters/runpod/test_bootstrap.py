"""The start script, run as a container runs it: alone, in a process, from the environment."""

from __future__ import annotations

import base64
import http.server
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gpuhub.bundle import Bundle
from gpuhub.worker.target import Target
from gpuhub_runpod.container import boot_script, code_env

ENTRY = """
import os, sys
def main(folder):
    print("running", sorted(each.name for each in folder.iterdir()), flush=True)
    {body}
"""


def bundle(body: str = "", kind: str = "function") -> Bundle:
    """Give a bundle whose entry does something simple."""
    target = Target("shop", "echo", kind)  # type: ignore[arg-type]
    manifest = {"target": target.to_dict()}
    entry = textwrap.dedent(ENTRY).format(body=body).encode()
    files = {
        "manifest.json": json.dumps(manifest).encode(),
        "runtime/gpuhub_runpod/__init__.py": b"",
        "runtime/gpuhub_runpod/entry.py": entry,
    }
    return Bundle(files, target, "")


def environment(tmp_path: Path, made: Bundle, **more: str) -> dict[str, str]:
    """Give a container's variables."""
    return {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path),
        **code_env(made.tar_gz()),
        **more,
    }


def boot(env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the script to its end; ``-I`` as proof that it needs nothing of this project."""
    command = [sys.executable, "-I", "-u", "-c", boot_script()]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=50, check=False)


def test_code_is_unpacked_and_run(tmp_path):
    """The entry gets the folder of the bundle."""
    ran = boot(environment(tmp_path, bundle(kind="web")))
    assert "running ['manifest.json', 'runtime']" in ran.stdout, ran.stderr
    assert ran.returncode == 0


def test_a_second_start_finds_the_folder(tmp_path):
    """It is unpacked once, and a folder that is there is complete."""
    env = environment(tmp_path, bundle(kind="web"))
    boot(env)
    (folder,) = tmp_path.glob("gpuhub-*")
    (folder / "kept").touch()
    assert "'kept'" in boot(env).stdout


def test_code_in_the_image(tmp_path):
    """A pushed image has the folder already."""
    folder = bundle(kind="web").write_to(tmp_path / "inside")
    env = {"PATH": os.environ["PATH"], "GPUHUB_BUNDLE": str(folder)}
    assert "running ['manifest.json', 'runtime']" in boot(env).stdout


def test_commands_run_before_the_function(tmp_path):
    """Their output is in the log, and one that fails stops the start."""
    made = bundle("print(os.path.exists('made'))", kind="web")
    env = environment(tmp_path, made, GPUHUB_COMMANDS=json.dumps(["touch made"]))
    ran = subprocess.run(
        [sys.executable, "-I", "-c", boot_script()],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.stdout.endswith("True\n")
    assert "sh -c touch made" in ran.stderr
    env["GPUHUB_COMMANDS"] = json.dumps(["exit 3"])
    assert "exit status 3" in boot(env).stderr


def test_packages_are_installed_by_pip(tmp_path):
    """Requirements travel as they are; what is there already stays."""
    made = bundle(kind="web")
    fake = tmp_path / "bin" / "python"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n')
    fake.chmod(0o755)
    env = environment(tmp_path, made, GPUHUB_PIP=json.dumps(["numpy>=2", "a b"]))
    script = boot_script().replace("sys.executable", repr(str(fake)))
    subprocess.run([sys.executable, "-I", "-c", script], env=env, check=True, capture_output=True)
    asked = (tmp_path / "asked").read_text()
    assert asked.startswith("-m pip install --no-input")
    assert asked.endswith("numpy>=2 a b\n")


def test_a_mount_is_a_link(tmp_path):
    """The path that was asked for leads to RunPod's place."""
    place = tmp_path / "models" / "deep"
    env = environment(tmp_path, bundle(kind="web"), GPUHUB_MOUNTS=json.dumps([str(place)]))
    assert boot(env).returncode == 0
    assert place.readlink() == Path("/runpod-volume")
    assert boot(env).returncode == 0, "a second start finds the link"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"GPUHUB_CODE_SHA256": "0" * 64}, "its checksum differs"),
        ({"GPUHUB_CODE_PARTS": "9"}, "GPUHUB_CODE_1"),
    ],
)
def test_damaged_code_is_not_run(tmp_path, change, words):
    """Without a queue to answer, the worker ends as unhealthy and says why."""
    ran = boot({**environment(tmp_path, bundle()), **change})
    assert ran.returncode == 1
    assert words in ran.stderr
    assert "running" not in ran.stdout


def test_code_stays_in_its_folder(tmp_path):
    """A path that leads out of it is refused."""
    bad = Bundle({"../outside": b"x", "manifest.json": b"{}"}, Target("a", "b"), "")
    ran = boot(environment(tmp_path, bad))
    assert "no file inside" in ran.stderr
    assert not (tmp_path.parent / "outside").exists()


class WorkerApi(http.server.ThreadingHTTPServer):
    """RunPod's worker API with one job to take."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.answered = threading.Event()
        super().__init__(("127.0.0.1", 0), _WorkerApiRequest)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Say nothing when a worker was killed while it waited."""


class _WorkerApiRequest(http.server.BaseHTTPRequestHandler):
    server: WorkerApi

    def do_GET(self) -> None:
        first = not self.server.asked
        self.server.asked.append(("GET", self.path, self.headers["Authorization"]))
        if not first:
            self.server.answered.wait(50)
        body = json.dumps({"id": "job-1", "input": {"a": 1}}).encode() if first else b""
        self.send_response(200 if first else 204)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append(("POST", self.path, body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answered.set()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def worker_api() -> Iterator[WorkerApi]:
    """Serve the worker API."""
    server = WorkerApi()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.answered.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_kept_a_worker_from_starting_is_answered(tmp_path):
    """Without RunPod's SDK: jobs are taken, and each gets the error with its traceback."""
    with worker_api() as api:
        env = environment(
            tmp_path,
            bundle("raise OSError('no GPU here')", kind="web"),
            RUNPOD_WEBHOOK_GET_JOB=f"{api.url}/job-take/$ID?gpu=x",
            RUNPOD_WEBHOOK_POST_OUTPUT=f"{api.url}/job-done/$RUNPOD_POD_ID/$ID?gpu=x",
            RUNPOD_AI_API_KEY="key",
            RUNPOD_POD_ID="w1",
        )
        command = [sys.executable, "-I", "-c", boot_script()]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE) as process:
            assert api.answered.wait(40)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    (_, taken, key), (_, done, body) = api.asked[:2]
    assert (taken, key) == ("/job-take/w1?gpu=x&job_in_progress=0", "key")
    assert done == "/job-done/w1/job-1?gpu=x&isStream=false"
    failure = json.loads(body)["output"]["gpuhub_error"]
    assert failure["type"] == "gpuhub.BootstrapError"
    assert "no GPU here" in failure["message"]
    assert "OSError: no GPU here" in failure["traceback"]


def test_the_code_is_what_was_sent():
    """The variables hold base64 of the very archive."""
    made = bundle()
    assert base64.b64decode(code_env(made.tar_gz())["GPUHUB_CODE_0"]) == made.tar_gz()
