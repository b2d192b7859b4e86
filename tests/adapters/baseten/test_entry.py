"""What runs in a replica: calls, streams, time limits, callers that leave."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpuhub_baseten.entry import KEPT, CallerGone, Worker, _Mounted, _OnThread
from tests.adapters.waiting import until


async def here():
    """Be a caller that waits."""
    return False


async def gone():
    """Be a caller that has left."""
    return True


@pytest.fixture
def worker_of(bundle_of, tmp_path):
    """Make workers from the shop's functions; ``told`` changes what the worker is told."""
    made: list[Worker] = []

    def make(name, **told):
        folder = bundle_of(name).write_to(tmp_path / f"{name}-{len(made)}")
        facts = {"timeout_s": 30, "concurrency": 2, "secrets": {}, **told}
        secrets = facts.pop("values", {})
        Path(folder, "worker.json").write_text(json.dumps(facts))
        made.append(Worker(folder, secrets))
        return made[-1]

    yield make
    for worker in made:
        worker._loop.close()
        worker._pool.shutdown(wait=False)


def ask(worker, arguments, caller=here):
    """Run one call; give the envelope."""
    return json.loads(asyncio.run(worker.answer(json.dumps(arguments).encode(), caller)))


def streamed(worker, arguments, caller=here):
    """Run one call of a generator; give its lines."""

    async def collect():
        body = json.dumps(arguments).encode()
        return [line async for line in worker.stream(body, caller)]

    return asyncio.run(collect())


def loaded(worker):
    """Load it, and give it back."""
    worker.load()
    return worker


def test_a_call_is_answered_in_an_envelope(worker_of):
    """Results, errors with their traceback, and what is no object of arguments."""
    assert ask(loaded(worker_of("echo")), {"value": [0, None]}) == {"result": [0, None]}
    problem = ask(loaded(worker_of("fail")), {"message": "no"})["gpuhub_error"]
    assert (problem["type"], problem["message"]) == ("ValueError", "no")
    assert "shop.py" in problem["traceback"]
    assert ask(loaded(worker_of("echo")), [1])["gpuhub_error"]["type"] == "ValueError"


@pytest.mark.parametrize("name", ["count", "count_later"])
def test_a_generator_is_answered_in_lines(worker_of, name):
    """An empty line first, which tells it from a single answer; an end last."""
    lines = streamed(loaded(worker_of(name)), {"number": 2})
    assert lines[0] == b"\n"
    assert [json.loads(line) for line in lines[1:]] == [
        {"result": 0},
        {"result": 1},
        {"gpuhub_end": {"items": 2, "wire": 1}},
    ]
    assert all(line.endswith(b"\n") for line in lines)


@pytest.mark.parametrize(("name", "value"), [("spin", 60), ("later", 60)])
def test_a_call_ends_at_its_time_limit(worker_of, name, value):
    """A thread in Python code is stopped, a coroutine cancelled; the next call runs."""
    worker = loaded(worker_of(name, timeout_s=0.1, concurrency=1))
    problem = ask(worker, {"seconds": value})["gpuhub_error"]
    assert problem["type"] == "gpuhub.CallTimedOut"
    assert "0.1 s" in problem["message"]
    worker.timeout_s = 30
    assert "result" in ask(worker, {"seconds": 0.01})
    assert worker.is_healthy()


def test_a_stuck_thread_makes_the_replica_unhealthy(worker_of, tmp_path, monkeypatch):
    """Code that does not come back to Python keeps its slot; at last Baseten starts another."""
    monkeypatch.setattr("gpuhub_baseten.entry._LOOK_S", 0.02)
    worker = loaded(worker_of("stuck", concurrency=1))
    os.mkfifo(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    async def leaves():
        """Leave once the code is where no exception reaches it."""
        with suppress(BlockingIOError):
            return os.read(pipe, 1) != b""
        return False

    try:
        assert "gpuhub_error" in ask(worker, {"pipe": str(tmp_path / "pipe")}, leaves)
        assert worker.is_healthy()
        monkeypatch.setattr("gpuhub_baseten.entry._GRACE_S", 0.01)
        until(lambda: not worker.is_healthy())
    finally:
        os.close(pipe)
    worker._pool.shutdown(wait=True)
    assert worker.is_healthy()


def test_a_call_that_is_stopped_in_the_moment_it_begins():
    """Does not run: no exception could be raised in its thread yet."""
    begun = Future[None]()
    begun.set_running_or_notify_cancel()

    class Begins:
        def submit(self, run):
            self.run = run
            return begun

    pool: Any = Begins()
    ran: list[str] = []
    call = _OnThread(pool, lambda: ran.append("it"))
    call.stop(CallerGone("left"))
    with pytest.raises(CallerGone, match="left"):
        pool.run()
    assert ran == []


def test_a_call_that_is_stopped_in_the_moment_it_ends():
    """Its result stands, and nothing is raised in the thread's next call."""

    class Late:
        entered = 0

        def __enter__(self):
            self.entered += 1
            if self.entered == 2:  # as what another thread raises here
                raise CallerGone("left")

        def __exit__(self, *_):
            return None

    with ThreadPoolExecutor(1) as pool:
        gate = threading.Event()
        pool.submit(gate.wait, 30)
        call = _OnThread(pool, lambda: "it")
        lock: Any = Late()
        call._lock = lock
        gate.set()
        assert call.future.result(30) == "it"
        call.stop(CallerGone("left"))
        assert pool.submit(lambda: "next").result(30) == "next"


@pytest.mark.parametrize("name", ["later", "spin"])
def test_a_caller_that_left_stops_the_call(worker_of, monkeypatch, name):
    """As soon as the server notices, long before its time limit."""
    monkeypatch.setattr("gpuhub_baseten.entry._LOOK_S", 0.02)
    problem = ask(loaded(worker_of(name)), {"seconds": 60}, gone)["gpuhub_error"]
    assert problem["message"] == "the caller closed the connection"


def test_a_stream_that_is_left_closes_the_generator(worker_of, bundle_of):
    """The user's ``finally`` runs; the slot is free."""
    worker = loaded(worker_of("count", concurrency=1))

    async def leave():
        lines = worker.stream(b'{"number": 1000000}', here)
        first = [await anext(lines) for _ in range(3)]
        await lines.aclose()
        return first

    assert len(asyncio.run(leave())) == 3
    assert len(streamed(worker, {"number": 1})) == 3


def test_a_class_is_set_up_by_load(worker_of):
    """Once, before the first call."""
    worker = loaded(worker_of("Counter"))
    assert [ask(worker, {})["result"] for _ in range(2)] == [1, 2]


def test_secrets_become_variables(worker_of, monkeypatch):
    """Under the name asked for; a missing one raises what Baseten's mapping raises."""
    monkeypatch.delenv("SHOP_TOKEN", raising=False)
    told = {"secrets": {"SHOP_TOKEN": "the-token"}}
    worker = loaded(worker_of("variable", values={"the-token": "hush"}, **told))
    assert ask(worker, {"name": "SHOP_TOKEN"}) == {"result": "hush"}
    with pytest.raises(KeyError):
        worker_of("variable", **told)
    del os.environ["SHOP_TOKEN"]


def test_code_that_cannot_be_imported_fails_the_load(worker_of, bundle_of, tmp_path):
    """So that the deployment fails, with the traceback in its log, and the old one serves."""
    bundle = bundle_of("echo")
    broken = {**bundle.files, "app/shop.py": b"import no_such_module_at_all\n"}
    folder = replace(bundle, files=broken).write_to(tmp_path / "broken")
    (folder / "worker.json").write_text(
        json.dumps({"timeout_s": 1, "concurrency": 1, "secrets": {}})
    )
    import sys

    kept = sys.modules.pop("shop", None)
    path = list(sys.path)
    try:
        with pytest.raises(RuntimeError, match="no_such_module_at_all"):
            Worker(folder, {}).load()
    finally:
        sys.path[:] = path
        if kept is not None:
            sys.modules["shop"] = kept


def test_secrets_of_a_container(monkeypatch, tmp_path):
    """A variable, a mounted file, or an error that says what to do."""
    monkeypatch.setattr("gpuhub_baseten.entry._SECRETS", tmp_path)
    (tmp_path / "mounted").write_text("from a file")
    monkeypatch.setenv("TRUSS_SECRET_given", "from a variable")
    secrets = _Mounted()
    assert (secrets["mounted"], secrets["given"]) == ("from a file", "from a variable")
    with pytest.raises(KeyError, match="make it"):
        secrets["missing"]
    assert KEPT == ".kept"
