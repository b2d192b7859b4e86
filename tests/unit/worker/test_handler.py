"""Calls of every kind of target, sync and async: results, errors, setup, streams."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from gpuhub.worker.handler import Handler
from gpuhub.worker.store import write_reference
from gpuhub.worker.target import Target

LIMIT_S = 30


def double(number: int, data: bytes = b"") -> tuple[int, bytes]:
    """Double both."""
    if number < 0:
        raise ValueError("below zero")
    return number * 2, data * 2


async def double_async(number: int) -> int:
    """Double."""
    await asyncio.sleep(0)
    if number < 0:
        raise ValueError("below zero")
    return number * 2


def count(number: int) -> Iterator[int]:
    """Count."""
    yield from range(number)
    if number > 3:
        raise ValueError("too many")


async def count_async(number: int) -> AsyncIterator[int]:
    """Count."""
    for item in range(number):
        await asyncio.sleep(0)
        yield item
    if number > 3:
        raise ValueError("too many")


class Model:
    setups = 0

    def setup(self) -> None:
        type(self).setups += 1
        self.offset = 10

    def __call__(self, number: int) -> int:
        return number + self.offset


class AsyncModel:
    async def setup(self) -> None:
        await asyncio.sleep(0)
        self.offset = 10

    async def __call__(self, number: int) -> int:
        return number + self.offset


class MixedModel:
    async def setup(self) -> None:
        self.offset = 10

    def __call__(self, number: int) -> int:
        return number + self.offset


class Broken:
    def setup(self) -> None:
        raise RuntimeError("no weights")

    def __call__(self, number: int) -> int:
        return number


class BrokenAsync:
    async def setup(self) -> None:
        await asyncio.sleep(0)
        raise RuntimeError("no weights")

    def __call__(self, number: int) -> int:
        return number


def target(subject: Any, kind: str = "function", *, is_async: bool = False) -> Target:
    """Describe a function or class of this module."""
    return Target("m", subject.__qualname__, kind, is_async)  # type: ignore[arg-type]


@pytest.fixture
def make() -> Iterator[Any]:
    """Make handlers that are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make_handler(subject, kind="function", *, is_async=False):
            handler = Handler(subject, target(subject, kind, is_async=is_async))
            stack.callback(handler.close)
            return handler

        yield make_handler


@pytest.fixture(params=["sync", "async", "sync-in-loop"])
def call(request: pytest.FixtureRequest) -> Any:
    """Call ``invoke`` or ``stream`` in each of the ways a provider's runner may."""

    def run(handler: Handler, arguments: Any) -> Any:
        if request.param == "sync":
            return handler.invoke(arguments)
        if request.param == "async":
            return asyncio.run(handler.invoke_async(arguments))

        async def inside() -> Any:
            return handler.invoke(arguments)

        return asyncio.run(inside())

    return run


@pytest.fixture(params=["sync", "async"])
def stream(request: pytest.FixtureRequest) -> Any:
    """Collect the envelopes of a stream."""

    def run(handler: Handler, arguments: Any) -> list[Any]:
        if request.param == "sync":
            return list(handler.stream(arguments))

        async def collect() -> list[Any]:
            return [envelope async for envelope in handler.stream_async(arguments)]

        return asyncio.run(collect())

    return run


KINDS = [
    (double, "function", False, {"number": 2, "data": "eA=="}, [4, "eHg="]),
    (double_async, "function", True, {"number": 2}, 4),
    (count, "generator", False, {"number": 3}, [0, 1, 2]),
    (count_async, "generator", True, {"number": 3}, [0, 1, 2]),
    (Model, "class", False, {"number": 1}, 11),
    (AsyncModel, "class", True, {"number": 1}, 11),
    (MixedModel, "class", False, {"number": 1}, 11),
]


@pytest.mark.parametrize(("subject", "kind", "is_async", "arguments", "result"), KINDS)
def test_every_kind_gives_its_result(make, call, subject, kind, is_async, arguments, result):
    """Functions, generators and classes, sync and async, called from either side."""
    assert call(make(subject, kind, is_async=is_async), arguments) == {"result": result}


@pytest.mark.parametrize(("subject", "kind", "is_async", "arguments", "result"), KINDS)
def test_every_kind_can_be_streamed(make, stream, subject, kind, is_async, arguments, result):
    """A generator gives its items, anything else one; the end tells how many."""
    envelopes = stream(make(subject, kind, is_async=is_async), arguments)
    items = result if kind == "generator" else [result]
    assert envelopes == [
        *({"result": item} for item in items),
        {"gpuhub_end": {"items": len(items), "wire": 1}},
    ]


@pytest.mark.parametrize(("subject", "is_async"), [(double, False), (double_async, True)])
def test_exceptions_are_reported_with_the_users_frames(make, call, subject, is_async):
    """Type, message and a traceback that shows nothing of ours."""
    report = call(make(subject, is_async=is_async), {"number": -1})["gpuhub_error"]
    assert (report["type"], report["message"]) == ("ValueError", "below zero")
    frames = [line for line in report["traceback"].splitlines() if line.startswith("  File")]
    assert len(frames) == 1
    assert subject.__name__ in frames[0]


@pytest.mark.parametrize(("subject", "is_async"), [(count, False), (count_async, True)])
def test_a_stream_that_raises_ends_with_the_error(make, stream, subject, is_async):
    """What was yielded arrives, then the error instead of the end."""
    envelopes = stream(make(subject, "generator", is_async=is_async), {"number": 4})
    assert envelopes[:4] == [{"result": number} for number in range(4)]
    assert [list(envelope) for envelope in envelopes[4:]] == [["gpuhub_error"]]
    assert envelopes[4]["gpuhub_error"]["type"] == "ValueError"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({}, "TypeError", "double() is missing the argument 'number'"),
        ({"number": 1, "size": 2}, "TypeError", "double() got an unexpected argument 'size'"),
        ([1], "TypeError", "double() takes a JSON object of named arguments, got list"),
        (
            {"number": "1"},
            "gpuhub.worker.conversion.ConversionError",
            "number: expected int, got str",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_errors(make, call, arguments, kind, message):
    """Missing, unknown and wrong arguments, each by name and without a traceback of ours."""
    report = call(make(double), arguments)["gpuhub_error"]
    assert report["type"] == kind
    assert report["message"].startswith(message)
    assert "File" not in report["traceback"]


def test_a_result_that_does_not_fit_is_an_error(make, call):
    """The annotation is a promise; the error says where it is broken."""

    def wrong() -> list[int]:
        return [1, "2"]  # type: ignore[list-item]

    report = call(make(wrong), {})["gpuhub_error"]
    assert report["message"] == "result[1]: expected int, got str"


@pytest.mark.parametrize("error", [SystemExit(3), GeneratorExit(), asyncio.CancelledError()])
def test_the_worker_survives_what_user_code_raises(make, error):
    """``sys.exit()`` in user code is an error of the call, not the end of the worker."""

    def leave() -> None:
        raise error

    async def leave_async() -> None:
        raise error

    name = type(error).__qualname__
    for handler in (make(leave), make(leave_async, is_async=True)):
        assert handler.invoke({})["gpuhub_error"]["type"].endswith(name)
        assert asyncio.run(handler.invoke_async({}))["gpuhub_error"]["type"].endswith(name)


def test_ctrl_c_is_not_swallowed(make):
    """``KeyboardInterrupt`` ends the worker."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(interrupt).invoke({})
    with pytest.raises(KeyboardInterrupt):
        list(make(interrupt).stream({}))


def test_cancelling_the_task_is_not_swallowed(make):
    """A provider that cancels the awaiting task gets its cancellation."""
    began = asyncio.Event()

    async def wait() -> None:
        began.set()
        await asyncio.sleep(LIMIT_S)

    async def cancel() -> None:
        task = asyncio.ensure_future(make(wait, is_async=True).invoke_async({}))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())


def test_setup_runs_once_for_many_threads(make):
    """Twenty first calls at once set the model up once."""
    Model.setups = 0
    handler = make(Model, "class")
    barrier = threading.Barrier(20)
    results = []

    def first_call() -> None:
        barrier.wait(LIMIT_S)
        results.append(handler.invoke({"number": 1}))

    threads = [threading.Thread(target=first_call) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert results == [{"result": 11}] * 20
    assert Model.setups == 1


def test_setup_runs_once_for_many_tasks(make):
    """Tasks on one loop wait for the setup without blocking it."""
    handler = make(AsyncModel, "class", is_async=True)

    async def many() -> list[Any]:
        return await asyncio.gather(*(handler.invoke_async({"number": 1}) for _ in range(20)))

    assert asyncio.run(many()) == [{"result": 11}] * 20


@pytest.mark.parametrize("subject", [Broken, BrokenAsync])
def test_a_failed_setup_is_reported_by_each_call(make, call, subject):
    """Every call tells why the model could not be loaded, with the traceback of the setup."""
    handler = make(subject, "class")
    assert handler.describe()["status"] == "starting"
    for _ in range(2):
        report = call(handler, {"number": 1})["gpuhub_error"]
        assert (report["type"], report["message"]) == ("RuntimeError", "no weights")
        assert "in setup" in report["traceback"].splitlines()[1]
    described = handler.describe()
    assert described["status"] == "failed"
    assert described["error"]["gpuhub_error"]["message"] == "no weights"
    assert list(handler.stream({"number": 1})) == [described["error"]]


def test_preparing_sets_up_ahead_of_the_first_call(make):
    """``prepare`` runs the setup and never raises."""
    Model.setups = 0
    handler = make(Model, "class")
    handler.prepare()
    asyncio.run(handler.prepare_async())
    assert Model.setups == 1
    assert handler.describe()["status"] == "ready"
    make(Broken, "class").prepare()
    asyncio.run(make(Broken, "class").prepare_async())


def test_description(make):
    """What a health check shows."""
    described = make(double).describe()
    assert described["status"] == "ready"
    assert described["wire"] == 1
    assert described["target"]["qualname"] == "double"
    assert described["python"].startswith("3.")


def test_a_failed_import_is_reported_by_each_call():
    """User code that cannot be imported still answers."""
    handler = Handler.failed(Target("m", "f"), ImportError("no torch"))
    assert handler.invoke({})["gpuhub_error"]["message"] == "no torch"
    assert handler.describe()["status"] == "failed"


def test_async_calls_share_one_loop(make):
    """What user code keeps between calls, such as an HTTP client, stays on its loop."""

    async def loop_id() -> int:
        return id(asyncio.get_running_loop())

    handler = make(loop_id, is_async=True)
    assert handler.invoke({}) == handler.invoke({})


def test_a_stream_of_a_sync_generator_stays_on_one_thread(make):
    """Libraries keep state by thread, ``torch.no_grad`` for one."""

    def thread_ids() -> Iterator[int]:
        for _ in range(5):
            yield threading.get_ident()

    handler = make(thread_ids, "generator")

    async def collect() -> set[int]:
        return {e["result"] async for e in handler.stream_async({}) if "result" in e}

    found = asyncio.run(collect())
    assert len(found) == 1
    assert threading.get_ident() not in found


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_that_nobody_reads_on_is_closed(make, is_async):
    """Closing the stream runs the ``finally`` of the user's generator."""
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    async def endless_async() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.set()

    subject: Any = endless_async if is_async else endless
    handler = make(subject, "generator", is_async=is_async)
    items = handler.stream({})
    assert next(items) == {"result": 1}
    items.close()
    assert closed.wait(LIMIT_S)

    async def read_one() -> None:
        async with contextlib.aclosing(handler.stream_async({})) as envelopes:
            async for _ in envelopes:
                break

    closed.clear()
    asyncio.run(read_one())
    assert closed.wait(LIMIT_S)


def test_a_slow_reader_slows_the_generator(make):
    """An async stream read from sync code is at most one item ahead: memory stays bounded."""
    made = []

    async def numbers() -> AsyncIterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    stream = make(numbers, "generator", is_async=True).stream({})
    next(stream)
    time.sleep(0.02)
    assert len(made) <= 2
    stream.close()


def test_functions_that_return_iterators_and_awaitables(make):
    """What a decorated or plain function gives back is run, whatever the signature says."""

    def iterator() -> Any:
        return iter([1, 2])

    @functools.wraps(double_async)
    def wrapped(number):
        return double_async(number)

    assert make(iterator).invoke({}) == {"result": [1, 2]}
    assert [list(envelope) for envelope in make(iterator).stream({})][-1] == ["gpuhub_end"]
    assert make(wrapped).invoke({"number": 2}) == {"result": 4}


def test_a_web_target_takes_no_calls(make):
    """A web application is spoken to over HTTP."""

    def app() -> None: ...

    report = make(app, "web").invoke({})["gpuhub_error"]
    assert "send it HTTP requests" in report["message"]


def test_the_loop_survives_a_fork(make):
    """A server that loads first and forks then has a loop in each child."""
    handler = make(double_async, is_async=True)
    assert handler.invoke({"number": 1}) == {"result": 2}
    handler._loop._owner = -1  # as in a child: the thread stayed in the parent
    before = handler._loop._loop
    assert handler.invoke({"number": 2}) == {"result": 4}
    before.call_soon_threadsafe(before.stop)


def test_references_are_fetched_beside_the_loop(make, monkeypatch, tmp_path):
    """An async worker takes calls while a large argument is on its way."""
    monkeypatch.setenv("GPUHUB_PAYLOAD_STORE", f"file://{tmp_path}")
    reference = write_reference(b"21", f"file://{tmp_path}")
    handler = make(double_async, is_async=True)
    assert handler.invoke({"number": reference}) == {"result": 42}
    assert next(handler.stream({"number": reference})) == {"result": 42}
