"""Runs the user's code from the stored bundle, in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from gpuhub_mock.emulator.refusals import Refusal
from gpuhub_mock.emulator.workers import WorkerDied

__all__ = ["SubprocessRunner"]

_PASSED_ON = ("HOME", "LANG", "LC_ALL", "PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "TZ")
_ANNOUNCEMENT = "gpuhub_worker"
_BOOT_S = 300.0


class SubprocessRunner:
    """``python -m gpuhub.worker serve`` on the bundle; it ends with this process.

    Args:
        bundle: Folder of the unpacked bundle.
        variables: Environment variables of the worker, beside the few a shell needs.
        concurrency: Calls it runs at once.
        timeout_s: Real seconds to wait for one answer.
        log: Takes ``(line, "stdout" or "stderr")``.
    """

    slow_start = True
    can_be_killed = True

    def __init__(
        self,
        bundle: Path,
        *,
        variables: Mapping[str, str],
        concurrency: int,
        timeout_s: float,
        log: Callable[[str, str], None],
    ) -> None:
        self._bundle = bundle
        self._variables = variables
        self._concurrency = concurrency
        self._timeout_s = timeout_s
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopped = False
        self._announced: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._free: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        self.port = 0
        self.failure = ""

    def boot(self) -> None:
        """Start the process and wait until the user's code is set up.

        Raises:
            WorkerDied: The process ended instead.
        """
        with self._lock:
            if self._stopped:
                raise WorkerDied("the worker was stopped before it was up")
            self._process = self._start()
        weakref.finalize(self, _kill, self._process)
        for stream, name in ((self._process.stdout, "stdout"), (self._process.stderr, "stderr")):
            threading.Thread(target=self._read, args=(stream, name), daemon=True).start()
        try:
            announced = self._announced.get(timeout=_BOOT_S)
        except Empty:
            announced = None
        if announced is None:
            self.stop()
            raise WorkerDied("the worker's process ended before it was up; its log says why")
        self.port = int(announced["port"])
        if announced.get("status") == "failed":
            self.failure = self._why_it_failed()

    def invoke(self, payload: bytes) -> bytes:
        """Run one call; gives the envelope."""
        with self._answer("/invoke", payload) as answer:
            return answer.read()

    def stream(self, payload: bytes) -> Iterator[bytes]:
        """Run one call; yields envelopes."""
        with self._answer("/stream", payload) as answer:
            for line in answer:
                if line.strip():
                    yield line.rstrip(b"\n")

    def stop(self) -> None:
        """Kill the process."""
        with self._lock:
            self._stopped = True
            process, self._process = self._process, None
        if process is not None:
            _kill(process)
        self._close_free()

    def _close_free(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                self._free.get_nowait().close()

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gpuhub.worker", "serve", "--announce"]
        command += ["--bundle", str(self._bundle), "--parent-pid", str(os.getpid())]
        command += ["--concurrency", str(self._concurrency)]
        return subprocess.Popen(  # noqa: S603 - our own worker
            command,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def _environment(self) -> dict[str, str]:
        """Give what a container would have: not the developer's own variables."""
        passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return {
            **passed,
            "PYTHONPATH": str(self._bundle / "runtime"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **self._variables,
        }

    def _read(self, stream: IO[str], name: str) -> None:
        with stream:
            for line in stream:
                if name == "stdout" and (facts := _announcement(line)) is not None:
                    self._announced.put(facts)
                else:
                    self._log(line.rstrip("\n"), name)
        if name == "stdout":
            self._announced.put(None)

    def _why_it_failed(self) -> str:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            connection = self._connect()
            connection.request("GET", "/health")
            error = json.loads(connection.getresponse().read()).get("error", {})
            connection.close()
            return str(error.get("gpuhub_error", {}).get("traceback", "")) or "setup failed"
        return "setup failed"

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._timeout_s)

    @contextlib.contextmanager
    def _answer(self, path: str, payload: bytes) -> Iterator[http.client.HTTPResponse]:
        """Send one request; the connection is used again if its answer was read to the end."""
        answer: http.client.HTTPResponse | None = None
        try:
            connection = self._free.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            connection.request("POST", path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise _refusal(answer)
            yield answer
        except TimeoutError:
            raise Refusal(
                504, "timed_out", f"the call ran longer than {self._timeout_s:g} s"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise WorkerDied(f"the worker's process is gone: {type(error).__name__}") from None
        finally:
            if answer is not None and answer.isclosed():
                self._free.put(connection)
                if self._stopped:
                    self._close_free()
            else:
                connection.close()


def _announcement(line: str) -> dict[str, Any] | None:
    if _ANNOUNCEMENT not in line:
        return None
    try:
        facts = json.loads(line)[_ANNOUNCEMENT]
    except (ValueError, KeyError, TypeError):
        return None
    return facts if isinstance(facts, dict) else None


def _refusal(answer: http.client.HTTPResponse) -> Refusal:
    text = answer.read().decode("utf-8", "replace")
    return Refusal(answer.status, "bad_request", f"the worker refused the call: {text[:500]}")


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5.0)
