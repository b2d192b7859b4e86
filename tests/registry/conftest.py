"""Debian's docker-registry on loopback, and what is needed to fill and read it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gpuhub import _drive
from gpuhub._http import Connections
from gpuhub.adapter import AdapterInfo
from gpuhub.settings import ProviderSettings
from gpuhub.testing.emulator.processes import free_port

# docker-registry reads bcrypt only; the password is «open-sesame».
HTPASSWD = "ann:$2b$04$cfc8qirCjPdHewHo/8FQfeNRsXrYoWz4rCcZdK9R3c8zJFuzLDyw.\n"
INSTALL = "apt-get install docker-registry skopeo"


def needed(program: str) -> str:
    """Give the path of a program; without it, skip, or fail where everything must run."""
    found = shutil.which(program)
    if found is None:
        reason = f"NOT TESTED AGAINST A REAL REGISTRY: {program} is missing ({INSTALL})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@dataclass
class RealRegistry:
    """A running docker-registry.

    Attributes:
        address: ``127.0.0.1:port``.
        log: What it has printed; one line for each request.
    """

    address: str
    log: Path

    def writes(self, last: tuple[str, str], times: int = 1) -> list[tuple[str, str]]:
        """Give method and path of all requests that change something.

        Waits until the last one is there so many times: the registry writes a line only after
        it has answered.
        """
        end = time.monotonic() + 30
        found: list[tuple[str, str]] = []
        while found.count(last) < times:
            assert time.monotonic() < end, f"{last} is not in the log {times} times"
            time.sleep(0.02)
            found = [line for line in self._answered() if line[0] not in {"GET", "HEAD"}]
        return found

    def _answered(self) -> Iterator[tuple[str, str]]:
        *lines, _unfinished = self.log.read_text().split("\n")
        for text in lines:
            line = json.loads(text) if text.endswith("}") and text.startswith("{") else {}
            if line.get("msg") == "response completed":
                path = line["http.request.uri"].partition("?")[0]
                yield line["http.request.method"], path

    def skopeo(self, *arguments: str) -> str:
        """Run skopeo, which is told that there is no TLS."""
        command = [needed("skopeo"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def start_registry(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], RealRegistry]]:
    """Start registries with an ``auth:`` section of the configuration; stopped at the end."""
    program = needed("docker-registry")
    running: list[subprocess.Popen[bytes]] = []

    def start(auth: str) -> RealRegistry:
        folder = tmp_path_factory.mktemp("registry")
        address = f"127.0.0.1:{free_port()}"
        (folder / "htpasswd").write_text(HTPASSWD)
        config = folder / "config.yml"
        config.write_text(configuration(folder, address, auth))
        log = folder / "log"
        with log.open("wb") as output:
            environ = {
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "OTEL_TRACES_EXPORTER": "none",
            }
            process = subprocess.Popen(
                [program, "serve", str(config)], stdout=output, stderr=output, env=environ
            )
        running.append(process)
        wait_for(address, process, log)
        return RealRegistry(address, log)

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


def configuration(folder: Path, address: str, auth: str) -> str:
    """Give the content of a configuration file."""
    return f"""\
version: 0.1
log: {{level: info, formatter: json}}
storage:
  filesystem: {{rootdirectory: {folder / "storage"}}}
  delete: {{enabled: true}}
http: {{addr: "{address}", relativeurls: false}}
{auth.format(folder=folder)}
"""


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the registry listens."""
    host, _, port = address.partition(":")
    end = time.monotonic() + 50
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"docker-registry did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """The first part of the names of repositories of the test's own."""
    return "".join(letter if letter.isalnum() else "-" for letter in request.node.name).strip("-")


@pytest.fixture(params=["sync", "async", "fast"])
def use(request: pytest.FixtureRequest) -> Iterator[Callable[[Callable[[Any], Any]], Any]]:
    """Run a coroutine over a real ``Io``, in each way there is."""
    info = AdapterInfo(name="acme", title="Acme", docs_url="https://acme.example/docs")
    settings = ProviderSettings(provider="acme")
    connections = Connections(info, settings, fast=request.param == "fast")
    with asyncio.Runner() as runner:

        def run(make: Callable[[Any], Any]) -> Any:
            if request.param == "sync":
                return _drive.run(make(connections.blocking()))
            return runner.run(on_loop(connections, make))

        yield run
        runner.run(connections.aclose())


async def on_loop(connections: Connections, make: Callable[[Any], Any]) -> Any:
    """Await it on the running loop."""
    return await make(connections.asynchronous())
