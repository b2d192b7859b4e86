"""The runner: the user's function behind a stand-in of Cog's package."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gpuhub_replicate
from gpuhub.spec import FunctionSpec
from gpuhub.worker.handler import Handler
from gpuhub_replicate.image import Contents
from tests.adapters.loading import load_file
from tests.adapters.waiting import until

STANDIN = Path(gpuhub_replicate.__file__).parent / "emulator" / "standin"
WARM = '{"__gpuhub_warm":true}'

Load = Callable[..., Any]


@pytest.fixture
def load(tmp_path: Path, bundle_of: Any, monkeypatch: Any) -> Iterator[Load]:
    """Load a function's runner from what is in its image, and set it up."""
    path, modules = list(sys.path), set(sys.modules)
    monkeypatch.syspath_prepend(str(STANDIN))
    made: list[Any] = []

    def loaded(name: str, *, timeout: float = 300, concurrency: int = 1) -> Any:
        bundle = bundle_of(name)
        scaling = {"concurrency": concurrency}
        settings = {"target": bundle.target, "timeout": timeout, "scaling": scaling}
        contents = Contents(FunctionSpec(name="fn", **settings), bundle, has_cog_layer=False)
        folder = tmp_path / name
        for place, content in contents.files().items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        for variable, value in contents.env().items():
            monkeypatch.setenv(variable, value)
        file, _, kind = contents.env()["COG_PREDICT_TYPE_STUB"].partition(":")
        made.append(getattr(load_file("run", folder / file), kind)())
        set_up = made[-1].setup()
        if set_up is not None:
            asyncio.run(set_up)
        return made[-1]

    yield loaded
    for runner in made:
        runner.handler.close()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name == "cog" or name.startswith("cog."):
            del sys.modules[name]


def call(runner: Any, **arguments: Any) -> Any:
    """Run one call; give the envelope."""
    answer = runner.run(payload=json.dumps(arguments))
    return json.loads(asyncio.run(answer) if asyncio.iscoroutine(answer) else answer)


def lines(runner: Any, payload: str) -> list[Any]:
    """Run one call of a generator; give its envelopes."""
    answer = runner.run(payload=payload)

    async def collected() -> list[str]:
        return [line async for line in answer]

    found = asyncio.run(collected()) if hasattr(answer, "__anext__") else list(answer)
    assert all(line.endswith("\n") for line in found)
    return [json.loads(line) for line in found]


@pytest.mark.parametrize("value", [{}, [], "", 0, False, None, {"payload": "é\n"}])
def test_results_keep_their_envelope(load, value):
    """What Cog has no type for, too."""
    assert call(load("echo"), value=value) == {"result": value}


def test_arguments_may_be_left_out(load):
    """Also as an empty text."""
    runner = load("echo")
    assert call(runner) == {"result": None}
    assert json.loads(runner.run(payload="")) == {"result": None}


def test_an_exception_is_an_answer(load):
    """With type, message and traceback: a failed prediction would lose them."""
    failure = call(load("fail"), message="no")["gpuhub_error"]
    assert (failure["type"], failure["message"]) == ("ValueError", "no")
    assert "shop.py" in failure["traceback"]


def test_a_class_is_set_up_once(load):
    """Before the first call."""
    runner = load("Counter")
    assert [call(runner), call(runner)] == [{"result": 1}, {"result": 2}]


@pytest.mark.parametrize("name", ["count", "count_later"])
def test_a_generator_gives_lines(load, name):
    """And a last one with their number."""
    found = lines(load(name), '{"number":2}')
    assert found == [{"result": 0}, {"result": 1}, {"gpuhub_end": {"items": 2, "wire": 1}}]


@pytest.mark.parametrize("name", ["fail", "later"])
def test_a_call_that_warms_runs_nothing(load, name):
    """Neither functions nor generators are called."""
    answer = load(name).run(payload=WARM)
    found = asyncio.run(answer) if asyncio.iscoroutine(answer) else answer
    assert json.loads(found) == {"result": None}
    assert lines(load("count"), WARM) == lines(load("count_later"), WARM) == []


def test_a_call_ends_at_its_limit(load, monkeypatch):
    """In words that the client knows; the next call is not harmed."""
    runner = load("spin", timeout=0.05)
    started = time.monotonic()
    with pytest.raises(RuntimeError, match=r"gpuhub: the call ran longer than its timeout of 0.05"):
        call(runner, seconds=50)
    assert time.monotonic() - started < 25
    monkeypatch.setenv("GPUHUB_TIMEOUT", "30")
    assert call(runner, seconds=0.0) == {"result": 0.0}


def test_a_limit_that_comes_with_the_end(load, monkeypatch):
    """Is over with the call: nothing watches on, to raise in the next one."""
    runner = load("spin", timeout=30)
    names = runner.run.__func__.__globals__
    coming = [names["TooLong"]]

    class Late:
        def __enter__(self) -> None:
            if coming:
                raise coming.pop()

        def __exit__(self, *_: object) -> None:
            pass

    late = SimpleNamespace(**{**vars(threading), "Lock": Late})
    monkeypatch.setitem(names, "threading", late)
    assert call(runner, seconds=0.0) == {"result": 0.0}
    assert coming == []
    until(lambda: "gpuhub-timeout" not in {each.name for each in threading.enumerate()})


def test_async_calls_end_at_their_limit(load, monkeypatch):
    """Functions and generators."""
    runner = load("later", timeout=0.05)
    with pytest.raises(RuntimeError, match=r"timeout of 0\.05 s"):
        call(runner, seconds=50)
    monkeypatch.setenv("GPUHUB_TIMEOUT", "30")
    assert call(runner, seconds=0.0) == {"result": 0.0}
    with pytest.raises(RuntimeError, match=r"timeout of 0\.05 s"):
        lines(load("count_later", timeout=0.05), '{"number":100,"pause":0.02}')


def test_a_cancel_is_no_answer(load):
    """Cog's exception gets out, though the worker answers whatever is raised."""
    runner = load("spin")
    names = runner.run.__func__.__globals__
    kind, caller = names["CancelationException"], threading.get_ident()

    def cancel() -> None:
        until(lambda: is_inside(caller, "spin"))
        names["_raise_in"](caller, kind)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(kind):
        call(runner, seconds=50)
    canceller.join()


def is_inside(thread: int, function: str) -> bool:
    """Whether a thread is in a function, or in what that calls."""
    frame = sys._current_frames().get(thread)
    while frame is not None and frame.f_code.co_name != function:
        frame = frame.f_back
    return frame is not None


def test_a_task_that_is_cancelled_is_cancelled(load):
    """Not answered, and not taken for the limit."""
    runner = load("later")

    async def cancelled() -> None:
        task = asyncio.ensure_future(runner.run(payload='{"seconds":50}'))
        await asyncio.sleep(0.02)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())


def test_several_calls_run_side_by_side(load, monkeypatch):
    """A plain function with concurrency gets an async runner, and threads: they meet."""
    runner = load("spin", concurrency=3)
    assert type(runner).__name__ == "AsyncRunner"

    met = threading.Barrier(3)

    def meet() -> float:
        met.wait(20)
        return 0.0

    async def together() -> list[str]:
        calls = [runner.run(payload='{"seconds":0}') for _ in range(3)]
        return await asyncio.gather(*calls)

    clock = SimpleNamespace(monotonic=meet, sleep=time.sleep)
    monkeypatch.setitem(runner.handler.target_object.__globals__, "time", clock)
    assert asyncio.run(together()) == ['{"result":0.0}'] * 3


def test_code_that_does_not_import_answers_each_call(load):
    """A runner that failed in setup would be started again and again."""
    runner = load("echo")
    runner.handler = Handler.failed(runner.handler.target, ImportError("no such module"))
    assert call(runner)["gpuhub_error"]["type"] == "ImportError"
