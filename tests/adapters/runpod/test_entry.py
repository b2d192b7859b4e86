"""The worker entry: the user's function behind a stand-in of RunPod's worker loop."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.testing.emulator.processes import free_port
from gpuhub.worker.handler import Handler
from gpuhub.worker.target import Target
from gpuhub_runpod import entry
from gpuhub_runpod.container import runnable
from gpuhub_runpod.entry import EMPTY, WARM, Slots, make_handler


def handler_of(shop: Any, name: str) -> Handler:
    """Give gpuhub's handler of a function of the module."""
    kinds = {"count": "generator", "count_later": "generator", "large_item": "generator"}
    kind: Any = kinds.get(name, "class" if name == "Counter" else "function")
    return Handler(getattr(shop, name), Target("shop", name, kind, name.endswith("later")))


def plain(function: Callable[..., None]) -> Handler:
    """Give gpuhub's handler of a function of a test's own."""
    return Handler(function, Target("shop", function.__name__, "function"))


async def play(handle: Any, arguments: Any, job_id: str = "job-1") -> Any:
    """Run one job as RunPod's loop does."""
    job = {"id": job_id, "input": arguments}
    if hasattr(outcome := handle(job), "__anext__"):
        return [item async for item in outcome]
    return await outcome


def answer(shop: Any, name: str, arguments: Any, job_id: str = "job-1") -> Any:
    """Run one job of a function."""
    handler = handler_of(shop, name)
    try:
        return asyncio.run(play(make_handler(handler, Slots(1)), arguments, job_id))
    finally:
        handler.close()


@pytest.mark.parametrize(
    "value", [{}, [], "", 0, False, None, {"error": 1, "refresh_worker": True}]
)
def test_results_keep_their_envelope(shop, value):
    """What RunPod would drop or take for its own is one level down."""
    assert answer(shop, "echo", {"value": value}) == {"result": value}


@pytest.mark.parametrize("given", [EMPTY, {}, None])
def test_no_arguments(shop, given):
    """RunPod's mark for an empty input, and what becomes of one without it."""
    assert answer(shop, "echo", given) == {"result": None}


def test_an_exception_is_an_answer(shop):
    """With type, message and traceback: a failed job would lose them."""
    failure = answer(shop, "fail", {"message": "no"})["gpuhub_error"]
    assert failure["type"] == "ValueError"
    assert failure["message"] == "no"
    assert "shop.py" in failure["traceback"]


def test_a_job_that_warms_runs_nothing(shop):
    """Neither a function nor a generator is called."""
    assert answer(shop, "fail", WARM) == {"result": None}
    assert answer(shop, "count", WARM) == []


def test_an_async_function_runs_on_the_loop(shop):
    """It is awaited."""
    assert answer(shop, "later", {"seconds": 0}) == {"result": 0.0}


@pytest.mark.parametrize("name", ["count", "count_later"])
def test_generators_stream(shop, name):
    """An envelope an item, and an end with their number."""
    items = answer(shop, name, {"number": 2})
    assert items == [{"result": 0}, {"result": 1}, {"gpuhub_end": {"items": 2, "wire": 1}}]


@pytest.mark.parametrize(
    ("job_id", "size", "fits"),
    [
        ("sync-1-u1", 19_990_000, True),
        ("sync-1-u1", 20_000_000, False),
        ("1-u1", 9_990_000, True),
        ("1-u1", 10_000_000, False),
    ],
)
def test_results_that_runpod_drops_are_errors(shop, job_id, size, fits):
    """The limit is that of the way the job came."""
    envelope = answer(shop, "large", {"size": size}, job_id)
    if fits:
        assert len(envelope["result"]) == size
        return
    failure = envelope["gpuhub_error"]
    assert failure["type"] == "gpuhub_runpod.entry.ResultTooLarge"
    assert "payload_store" in failure["message"]


def test_an_item_that_runpod_drops_ends_the_stream(shop):
    """The error is the last envelope."""
    (only,) = answer(shop, "large_item", {"size": 1_000_000})
    assert "gpuhub_error" in only


def flooded(function: Callable[[], None], slots: int, jobs: int) -> list[Any]:
    """Run so many jobs of a function at once; give their answers."""

    async def flood() -> list[Any]:
        handle = make_handler(plain(function), Slots(slots))
        return await asyncio.gather(*[play(handle, {}) for _ in range(jobs)])

    return asyncio.run(flood())


def test_the_limit_of_concurrency_holds_for_threads():
    """More jobs than slots are held; no more than the slots run."""
    lock, pair = threading.Lock(), threading.Barrier(2)
    running, most = 0, 0

    def work() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait(30)
        time.sleep(0.02)  # in which a third would come in
        with lock:
            running -= 1

    assert flooded(work, 2, 4) == [{"result": None}] * 4
    assert most == 2


def test_many_threads_run_at_once():
    """Concurrency is not cut to what asyncio's own pool of threads has."""
    together = threading.Barrier(40)

    def meet() -> None:
        together.wait(30)

    assert flooded(meet, 40, 40) == [{"result": None}] * 40, "they ran in turns"


def test_the_limit_of_concurrency_holds_on_the_loop():
    """For async functions a semaphore keeps it."""
    running, most = 0, 0

    async def later() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.005)
        running -= 1

    async def flood() -> None:
        handler = Handler(later, Target("shop", "later", "function", is_async=True))
        handle = make_handler(handler, Slots(3))
        await asyncio.gather(*[play(handle, {}) for _ in range(9)])

    asyncio.run(flood())
    assert most == 3


def test_a_cancelled_job_frees_the_loop_and_keeps_the_thread():
    """The next job waits until the user's code has returned: no more run than allowed."""
    begun, gate = threading.Event(), threading.Event()
    seen: list[str] = []

    def held(name: str) -> None:
        seen.append(f"{name} begins")
        begun.set()
        gate.wait(30)
        seen.append(f"{name} ends")

    async def cancel_one() -> None:
        handle = make_handler(plain(held), Slots(1))
        job = asyncio.ensure_future(play(handle, {"name": "first"}))
        assert await asyncio.to_thread(begun.wait, 30)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        following = asyncio.ensure_future(play(handle, {"name": "next"}))
        await asyncio.sleep(0.02)  # in which it would begin
        assert seen == ["first begins"]
        gate.set()
        await following

    asyncio.run(cancel_one())
    assert seen == ["first begins", "first ends", "next begins", "next ends"]


def test_a_cancelled_async_job_is_cancelled():
    """The user's coroutine sees it."""
    seen = []
    begun = asyncio.Event()

    async def later() -> None:
        try:
            begun.set()
            await asyncio.sleep(50)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def cancel_one() -> None:
        handler = Handler(later, Target("shop", "later", "function", is_async=True))
        job = asyncio.ensure_future(play(make_handler(handler, Slots(1)), {}))
        await begun.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    asyncio.run(cancel_one())
    assert seen == ["cancelled"]


class Stopwatch:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run_for(slots: Slots, clock: Stopwatch, seconds: float) -> None:
    """Run a job for some time of the clock."""
    with slots.timed():
        clock.now += seconds


def test_a_worker_holds_no_more_than_it_runs_until_it_knows():
    """The first jobs may be long: others could take what waits."""
    assert Slots(1).wanted() == 1
    assert Slots(8).wanted() == 8


@pytest.mark.parametrize(
    ("concurrency", "seconds", "held"),
    [(1, 1.0, 4), (1, 0.3, 4), (1, 0.2, 16), (1, 0.001, 100), (8, 1.0, 16), (8, 0.2, 64)],
)
def test_short_jobs_are_held_ahead(concurrency, seconds, held):
    """As many as end in a second: RunPod's loop gives no more a second than may be held."""
    clock = Stopwatch()
    slots = Slots(concurrency, 100, clock)
    run_for(slots, clock, seconds)
    assert slots.wanted() == held


def test_the_number_is_kept_while_it_is_near():
    """RunPod's loop lets the worker run empty before it changes it."""
    clock = Stopwatch()
    slots = Slots(1, 100, clock)
    run_for(slots, clock, 0.1)
    assert slots.wanted() == 16
    for seconds in (0.2, 0.4, 0.07, 0.9):
        for _ in range(8):
            run_for(slots, clock, seconds)
        assert slots.wanted() == 16, seconds
    for _ in range(8):
        run_for(slots, clock, 0.01)
    assert slots.wanted() == 100


def test_long_jobs_are_not_held():
    """One long job among the last eight, or one that is running, is enough."""
    clock = Stopwatch()
    slots = Slots(1, 100, clock)
    run_for(slots, clock, 0.3)
    assert slots.wanted() == 4
    with slots.timed():
        clock.now += 1.5
        assert slots.wanted() == 1
    for _ in range(7):
        run_for(slots, clock, 0.3)
        assert slots.wanted() == 1
    run_for(slots, clock, 0.3)
    assert slots.wanted() == 4


@pytest.mark.parametrize(("prefetch", "held"), [(1, 2), (2, 2), (3, 3), (100, 100)])
def test_prefetch_is_a_limit(prefetch, held):
    """With 1 a worker never holds more than it runs."""
    clock = Stopwatch()
    slots = Slots(2, prefetch, clock)
    run_for(slots, clock, 0.001)
    assert slots.wanted() == held


@given(st.integers(1, 64), st.integers(1, 200), st.lists(st.floats(0, 3), max_size=20))
def test_a_worker_never_holds_less_than_it_runs(concurrency, prefetch, seconds):
    """Nor more than it may, whatever the jobs were like."""
    clock = Stopwatch()
    slots = Slots(concurrency, prefetch, clock)
    for each in seconds:
        run_for(slots, clock, each)
        assert concurrency <= slots.wanted() <= max(prefetch, concurrency)


@pytest.fixture
def sdk(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A stand-in for RunPod's package that notes what it is started with."""
    started: list[dict[str, Any]] = []
    fake = SimpleNamespace(serverless=SimpleNamespace(start=started.append))
    monkeypatch.setitem(sys.modules, "runpod", fake)
    return started


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the path back that loading a bundle extends."""
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.usefixtures("path")
def test_main_starts_the_sdk(sdk, bundle_of, tmp_path, monkeypatch):
    """With the bundle's function and our number of slots."""
    monkeypatch.setenv("GPUHUB_CONCURRENCY", "3")
    entry.main(runnable(bundle_of("echo")).write_to(tmp_path))
    (config,) = sdk
    assert asyncio.iscoroutinefunction(config["handler"])
    assert config["concurrency_modifier"](1) == 3
    assert asyncio.run(play(config["handler"], {"value": 7})) == {"result": 7}


@pytest.mark.usefixtures("path")
def test_a_module_that_cannot_be_imported_answers(sdk, bundle_of, tmp_path):
    """Jobs are taken, and each gets the error of the import."""
    folder = runnable(bundle_of("echo")).write_to(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["target"] |= {"module": "shop_that_is_not_there"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    entry.main(folder)
    failure = asyncio.run(play(sdk[0]["handler"], {"value": 7}))["gpuhub_error"]
    assert failure["type"] == "ModuleNotFoundError"


@pytest.mark.usefixtures("path")
def test_a_secret_that_runpod_does_not_have(sdk, bundle_of, tmp_path, monkeypatch):
    """RunPod starts the worker with the reference itself: each call says what is missing."""
    monkeypatch.setenv("HF_TOKEN", "{{ RUNPOD_SECRET_hf }}")
    entry.main(runnable(bundle_of("echo")).write_to(tmp_path))
    failure = asyncio.run(play(sdk[0]["handler"], {"value": 7}))["gpuhub_error"]
    assert "no secret 'hf'" in failure["message"]


@pytest.mark.usefixtures("path")
def test_a_class_is_set_up_before_the_first_job(sdk, bundle_of, tmp_path):
    """A model is loaded while RunPod still waits for the worker, and once."""
    entry.main(runnable(bundle_of("Counter")).write_to(tmp_path))
    handle = sdk[0]["handler"]

    async def twice() -> list[Any]:
        return [await play(handle, {}), await play(handle, {})]

    assert asyncio.run(twice()) == [{"result": 1}, {"result": 2}]


def fetch(port: int, path: str) -> tuple[int, bytes]:
    """Ask a server on this machine."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def eventually(port: int, path: str) -> tuple[int, bytes]:
    """Ask until somebody listens and is ready."""
    for _ in range(800):
        with suppress(OSError):
            if (found := fetch(port, path))[0] != 204:
                return found
        threading.Event().wait(0.05)
    raise AssertionError(f"nothing listens on {port}")


@pytest.mark.slow
def test_a_web_worker(bundle_of, tmp_path):
    """The application on PORT, its health on PORT_HEALTH; SIGTERM ends it."""
    folder = runnable(bundle_of("app")).write_to(tmp_path / "bundle")
    port, health = free_port(), free_port()
    code = "import sys; from pathlib import Path; from gpuhub_runpod.entry import main; "
    process = subprocess.Popen(
        [sys.executable, "-c", f"{code} main(Path(sys.argv[1]))", str(folder)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder / "runtime"),
            "PORT": str(port),
            "PORT_HEALTH": str(health),
        },
        cwd=tmp_path,
    )
    try:
        assert eventually(health, "/ping")[0] == 200
        assert fetch(port, "/some/path") == (200, b"/some/path")
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
