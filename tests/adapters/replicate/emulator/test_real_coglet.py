"""What was pushed, in Cog's own server: a part of the contract suite, and what it does further.

The processes run in real time with the ``cog`` package of an environment of its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import gpuhub_replicate
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.invocations import Invocations
from gpuhub.testing.contract.operations import Operations
from gpuhub.testing.contract.spawns import Spawns
from gpuhub.testing.contract.streams import Streams
from gpuhub.testing.contract.subject import Subject
from gpuhub_replicate.emulator import (
    CogletMissing,
    EmulatorOptions,
    ReplicateEmulator,
    coglet_python,
    emulator,
)
from tests.adapters.blocking_only import BlockingOnly
from tests.adapters.needed import present
from tests.adapters.replicate.emulator.conftest import LINES, is_running, schema
from tests.adapters.replicate.emulator.test_streams import events, streamed
from tests.adapters.waiting import until

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

COGLET = EmulatorOptions(workers="coglet", cold_start_s=0.1)
WHO = """
import os, sys, cog, coglet
from cog import BaseRunner
class Runner(BaseRunner):
    def run(self, payload: str) -> str:
        return " ".join([cog.__version__, cog.__file__, coglet.__version__, str(os.getpid())])
"""
GATED = """
import time
from pathlib import Path
from cog import BaseRunner
class Runner(BaseRunner):
    def run(self, payload: str) -> str:
        Path(payload + ".began").touch()
        while not Path(payload).exists():
            time.sleep(0.005)
        return "opened"
"""
TOGETHER = """
import asyncio
from cog import BaseRunner
inside, most = 0, 0
class Runner(BaseRunner):
    async def run(self, payload: str) -> str:
        global inside, most
        inside += 1
        most = max(most, inside)
        while most < 4:
            await asyncio.sleep(0.001)
        return str(most)
"""
COUNTING = """
from collections.abc import Iterator
from cog import BaseRunner
class Runner(BaseRunner):
    def run(self, payload: str) -> Iterator[str]:
        for number in range(int(payload)):
            yield f"line {number}\\n"
"""
FAILING = """
from cog import BaseRunner
class Runner(BaseRunner):
    def run(self, payload: str) -> str:
        raise ValueError(payload)
"""
DYING = """
import os
from cog import BaseRunner
class Runner(BaseRunner):
    def run(self, payload: str) -> str:
        if payload == "die":
            os._exit(3)
        return payload
"""
FILES = """
from cog import BaseRunner, Path
class Runner(BaseRunner):
    def run(self, image: Path) -> Path:
        out = Path("/".join((str(image.parent), "out.txt")))
        out.write_bytes(image.read_bytes()[::-1])
        return out
"""


@pytest.fixture(scope="module", autouse=True)
def _python():
    """Real workers need their environment; in CI it must be there."""
    present(coglet_python, CogletMissing)


@pytest.fixture
def options():
    """Real workers, for the tests with runners of a few lines."""
    return COGLET


class TestContract(BlockingOnly, Invocations, Streams, Spawns, Operations, Fixtures):
    """What calls, streams, spawned calls and operations promise, in the blocking mode."""

    adapter = Subject(gpuhub_replicate, lambda: ReplicateEmulator(COGLET))


def test_it_is_the_real_package(account):
    """Not the stand-in of the quick workers."""
    cog, place, coglet, _ = account.deployment(WHO).run()["output"].split()
    assert cog == coglet
    assert cog.startswith("0.")
    assert "standin" not in place


def test_the_emulator_of_the_command_line_has_it():
    """In real time, with the documented limits."""
    made = emulator()
    assert made.options.workers == "coglet"
    assert made.options.quotas


def test_logs_and_output_as_they_are(account):
    """What is printed while it runs, to the letter."""
    found = account.deployment().run("grüße\u2028")
    assert found["output"] == "grüße\u2028"
    assert found["logs"] == "echo grüße\u2028\n"


def test_stub_workers_word_failures_alike(account):
    """The text of an exception, of a function and of a generator."""
    found = account.deployment(FAILING).run("boom")
    assert found["error"] == "Prediction failed: Prediction failed: ValueError: boom"
    broken = "from cog import BaseRunner\nfrom collections.abc import Iterator\n"
    broken += "class Runner(BaseRunner):\n def run(self, payload: str) -> Iterator[str]:\n"
    broken += "  yield '1'\n  raise ValueError('boom')\n"
    account.http.patch(
        "deployments/gpuhub-tester/tested",
        json={"version": account.version(broken, document=schema(LINES))},
    )
    body = {"input": {"payload": "x"}}
    path = "deployments/gpuhub-tester/tested/predictions"
    answer = account.http.post(path, json=body, headers={"Prefer": "wait"})
    words = "Prediction failed: Generator iteration error: ValueError: boom"
    assert answer.json()["error"] == words


def test_a_setup_that_fails(account):
    """Predictions that wait fail with what was printed."""
    broken = "from cog import BaseRunner\nclass Runner(BaseRunner):\n"
    broken += " def setup(self) -> None:\n  print('loading')\n  raise OSError('no weights')\n"
    broken += " def run(self, payload: str) -> str: return ''\n"
    found = account.deployment(broken).run()
    assert found["status"] == "failed"
    assert "no weights" in found["logs"]


def test_events_of_an_iterator(account):
    """Newlines and order kept."""
    begun = account.deployment(COUNTING, document=schema(LINES)).begin("40")
    found = events(streamed(begun))
    assert found[:-1] == [("output", f"line {number}\n") for number in range(40)]
    assert found[-1] == ("done", "{}")


def test_four_at_once_in_one_worker(account):
    """As ``COG_MAX_CONCURRENCY`` says."""
    deployed = account.deployment(TOGETHER, env=("COG_MAX_CONCURRENCY=4",))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: deployed.run()["output"], range(4)))
    assert found == ["4"] * 4
    assert len(account.emulator.billed_seconds) == 1


def test_predictions_are_each_run_once(account):
    """Many at a time, by two workers."""
    deployed = account.deployment(max_instances=2)
    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(lambda number: deployed.run(str(number)), range(100)))
    assert [each["output"] for each in found] == [str(number) for number in range(100)]
    assert [each["logs"] for each in found] == [f"echo {number}\n" for number in range(100)]


def test_a_running_prediction_is_cancelled(account, tmp_path):
    """Its code is stopped; the same worker takes the next one."""
    deployed = account.deployment(GATED)
    running = deployed.begin(str(tmp_path / "never"))
    account.emulator.clock.advance(1)
    until((tmp_path / "never.began").exists)
    account.http.post(f"predictions/{running['id']}/cancel")
    (tmp_path / "gate").touch()
    assert deployed.run(str(tmp_path / "gate"))["output"] == "opened"
    assert account.get(running)["status"] == "canceled"
    assert len(account.emulator.billed_seconds) == 1


def test_a_worker_that_crashes(account):
    """Its prediction fails in the platform's words; the server, which is defunct, is replaced."""
    deployed = account.deployment(DYING)
    assert deployed.run("first")["output"] == "first"
    assert "interrupted" in deployed.run("die")["error"]
    assert deployed.run("next")["output"] == "next"
    assert len(account.emulator.billed_seconds) == 2


def test_files_in_and_out(account):
    """The worker fetches the input; the output is a link."""
    answer = account.http.post("files", files={"content": ("a.txt", b"abc", "text/plain")})
    wanted = schema({"type": "string", "format": "uri"}, image={"type": "string", "format": "uri"})
    deployed = account.deployment(FILES, document=wanted)
    found = deployed.run({"image": answer.json()["urls"]["get"]})
    assert found["status"] == "succeeded", found
    assert httpx.get(found["output"], timeout=60).content == b"cba"


def test_scaling_to_zero_ends_the_processes(account, clock):
    """Server and worker; so does the end of the emulator."""
    deployed = account.deployment(WHO)
    first = int(deployed.run()["output"].split()[-1])
    clock.advance(200)
    assert deployed.pool.workers == {}
    until(lambda: not is_running(first))
    second = int(deployed.run()["output"].split()[-1])
    account.emulator.stop()
    until(lambda: not is_running(second))
    assert first != second
