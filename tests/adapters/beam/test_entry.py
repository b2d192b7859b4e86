"""The worker entry: what Beam's runners find, for each way of calling."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuhub_beam.archive import pack
from gpuhub_beam.entry import Runs
from tests.adapters.loading import load_file, modules_kept
from tests.adapters.waiting import until

ENTRY = Path(__file__).parents[3] / "adapters" / "gpuhub_beam" / "entry.py"


@pytest.fixture
def load(
    bundle_of: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Any]]:
    """Unpack what is uploaded, and import its entry as a runner does."""
    import io
    import zipfile

    def make(name: str, **env: str) -> Any:
        for variable, value in env.items():
            monkeypatch.setenv(variable, value)
        folder = tmp_path / name
        with zipfile.ZipFile(io.BytesIO(pack(bundle_of(name)).content)) as packed:
            packed.extractall(folder)
        return load_file(f"entry_{name}", folder / "gpuhub_beam_entry.py")

    with modules_kept():
        yield make


def called(entry: Any, **kwargs: Any) -> Any:
    """Call as the endpoint's runner does: a coroutine function's object is awaited."""
    return asyncio.run(entry.call(**kwargs))


def test_the_handlers_look_like_the_sdks(load):
    """Their kind is read from func, and the queue's runner reads parent.retry_for."""
    entry = load("echo")
    assert inspect.iscoroutinefunction(entry.call.func)
    assert not inspect.iscoroutinefunction(entry.task.func)
    assert not inspect.iscoroutinefunction(entry.app.func)
    for handler in (entry.call, entry.task, entry.app, entry.scheduled):
        assert handler.parent.retry_for == []
        assert "context" not in inspect.signature(handler.func).parameters


@pytest.mark.parametrize("value", [0, "", [], False, None, 0.0, {}, "ü", 1e300, 2**70])
def test_values_survive(load, value):
    """Also those that count as false, and numbers that JSON of the gateway's would change."""
    entry = load("echo")
    text = json.dumps({"value": value})
    assert called(entry, gpuhub_call=text) == {"result": value}
    result = entry.task(gpuhub_call=text)
    assert set(result) == {"gpuhub"}
    assert json.loads(result["gpuhub"]) == {"result": value}


def test_others_call_with_plain_arguments(load):
    """Any HTTP client can; a callback_url of theirs is an argument like others."""
    entry = load("echo")
    assert called(entry, value=[1]) == {"result": [1]}
    assert called(entry, gpuhub_call='{"value": 1}', callback_url="https://x") == {"result": 1}
    found = called(entry, callback_url="https://x")
    assert "callback_url" in found["gpuhub_error"]["message"]


def test_an_error_is_an_answer(load):
    """Not an exception: Beam's queue would die of it, or lose it."""
    entry = load("fail")
    for envelope in (
        called(entry, message="no"),
        json.loads(entry.task(message="no")["gpuhub"]),
    ):
        assert envelope["gpuhub_error"]["type"] == "ValueError"
        assert "in fail" in envelope["gpuhub_error"]["traceback"]


def test_a_result_that_json_cannot_hold(load):
    """The runner would answer with its own error."""
    entry = load("huge")
    assert "gpuhub_error" in called(entry)
    assert "gpuhub_error" in json.loads(entry.task()["gpuhub"])


def test_a_result_that_the_queue_cannot_carry(load):
    """Its message has 16 MiB at most, and text is quoted in it."""
    entry = load("large")
    assert len(called(entry, size=7_000_000)["result"]) == 7_000_000
    envelope = json.loads(entry.task(size=7_000_000)["gpuhub"])
    assert "7,000,000" in envelope["gpuhub_error"]["message"]


def test_a_class_is_set_up_when_the_container_starts(load):
    """Once; before a checkpoint would be taken."""
    entry = load("Counter")
    assert [called(entry)["result"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("name", ["count", "count_later"])
def test_generators_stream(load, name):
    """The runner takes what has __aiter__."""
    entry = load(name)

    async def collect() -> list[Any]:
        return [item async for item in await entry.call(gpuhub_call='{"number": 2}')]

    items = asyncio.run(collect())
    assert items[:2] == [{"result": 0}, {"result": 1}]
    assert items[2]["gpuhub_end"]["items"] == 2


def test_leaving_a_stream_closes_the_generator(load):
    """So that it cleans up."""
    entry = load("count_later")

    async def leave() -> None:
        items = await entry.call(gpuhub_call='{"number": 100}')
        assert await anext(items) == {"result": 0}
        await items.aclose()

    asyncio.run(leave())


def test_a_run_that_is_too_long(load, tmp_path, monkeypatch):
    """Is answered while it still runs; a thread ends with its process, a coroutine is cancelled."""
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    entry = load("stuck", TIMEOUT="1", GPUHUB_TIMEOUT="0.2")
    monkeypatch.setattr(entry, "_EXIT_AFTER_S", 0.01)
    os.mkfifo(tmp_path / "pipe")
    # The call cannot end before this is closed; a loop would wait for its thread at its own end.
    pipe = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    async def call() -> Any:
        try:
            return await entry.call(pipe=str(tmp_path / "pipe"))
        finally:
            os.close(pipe)

    assert asyncio.run(call()) == {"gpuhub_timeout": {"seconds": 0.2}}
    until(lambda: ended)
    assert ended == [1]
    later = load("later", TIMEOUT="0.2")
    assert called(later, seconds=60) == {"gpuhub_timeout": {"seconds": 0.2}}
    assert ended == [1]


def test_a_stream_that_is_too_long(load):
    """Ends with the same mark, after what it gave in time."""

    async def collect(entry: Any) -> list[Any]:
        return [item async for item in await entry.call()]

    for limit in (0.2, 2, 20):  # a busy machine may give nothing in the shortest
        items = asyncio.run(collect(load("endless", GPUHUB_TIMEOUT=str(limit))))
        assert items[-1] == {"gpuhub_timeout": {"seconds": limit}}
        if {"result": 0} in items:
            break
    assert items[0] == {"result": 0}


class Failing:
    """A handler that fails some times."""

    target = type("target", (), {"is_async": False, "kind": "function"})

    def __init__(self, times: int) -> None:
        self.times = times
        self.runs = 0

    def invoke(self, _arguments: Any) -> dict[str, Any]:
        self.runs += 1
        return {"gpuhub_error": {}} if self.runs <= self.times else {"result": self.runs}


@pytest.mark.parametrize(("times", "retries", "runs"), [(0, 2, 1), (1, 2, 2), (9, 2, 3), (9, 0, 1)])
def test_runs_that_raised_are_repeated(times, retries, runs):
    """As often as it was asked for, in either way of calling."""
    for call in (
        lambda made: made.blocking({}),
        lambda made: asyncio.run(made.waited({})),
    ):
        handler = Failing(times)
        envelope = call(Runs(handler, timeout=50, retries=retries))  # type: ignore[arg-type]
        assert handler.runs == runs
        assert ("result" in envelope) is (times < runs)


def test_a_run_by_schedule_that_raises_fails(load):
    """Nobody reads a result: its state and the log tell."""
    assert load("echo").scheduled() is None
    entry = load("fail")
    with pytest.raises(entry.RunFailed, match="TypeError"):
        entry.scheduled()


def test_secrets_get_the_names_that_were_asked_for(load, monkeypatch):
    """A workspace secret is a variable of its own name."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    entry = load("variable", GPUHUB_SECRETS='{"HF_TOKEN":"hf-other"}', **{"hf-other": "x"})
    assert called(entry, name="HF_TOKEN") == {"result": "x"}
    monkeypatch.delenv("HF_TOKEN")


def test_links_into_buckets(load, tmp_path):
    """Made once; what is there stays."""
    target, link = tmp_path / "bucket", tmp_path / "data" / "part"
    target.mkdir()
    for _ in range(2):
        load("echo", GPUHUB_LINKS=json.dumps({str(link): str(target)}))
    assert link.resolve() == target


def test_code_that_cannot_be_loaded_answers(load):
    """Each call tells why; the container does not die again and again."""
    entry = load("echo")
    folder = Path(entry.__file__).parent
    (folder / "app" / "shop.py").write_text("import no_such_module_at_all\n")
    sys.modules.pop("shop", None)
    call, task, _, _ = entry._make(folder)
    found = asyncio.run(call(value=1))
    assert found["gpuhub_error"]["type"] == "ModuleNotFoundError"
    assert "no_such_module_at_all" in task(value=1)["gpuhub"]


# ------------------------------------------------------------------------------- ASGI servers


def client(app: Any) -> Any:
    """Give a client for an ASGI application in this process."""
    testclient = pytest.importorskip("starlette.testclient", reason="starlette is not installed")
    return testclient.TestClient(app)


def test_several_calls_share_a_process(load):
    """The same bodies as the endpoint's; /health is not the function's."""
    entry = load("echo", GPUHUB_CONCURRENCY="4")
    with client(entry.app()) as http:
        assert http.get("/health").status_code == 200
        assert http.post("/", json={"kwargs": {"gpuhub_call": '{"value": 0}'}}).json() == {
            "result": 0
        }
        assert http.post("/", json={"value": 0.5}).json() == {"result": 0.5}
        assert http.post("/", json={"kwargs": {"value": 1}}).json() == {"result": 1}
        assert http.post("/", content=b"no json").status_code == 400
        assert http.post("/", json=[1]).status_code == 400


def test_a_streaming_server(load):
    """Lines as the endpoint's runner writes them."""
    entry = load("count", GPUHUB_CONCURRENCY="2")
    with client(entry.app()) as http:
        answer = http.post("/", json={"number": 1})
    assert answer.text.startswith('data: {"result":0}\n\ndata: {"gpuhub_end"')
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_web_application_is_mounted(load):
    """Behind the health check, with its own start and end."""
    entry = load("app")
    app = entry.app()
    assert hasattr(app, "router")
    assert hasattr(app, "add_middleware")
    with client(app) as http:
        assert http.get("/health").status_code == 200
        assert http.get("/any/where").text == "/any/where"


def test_the_lifespan_of_a_web_application(load):
    """Starlette would run neither its start nor its end."""
    entry = load("app")
    seen: list[str] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{word}"
                seen.append(word)
                await send({"type": f"lifespan.{word}.complete"})

    with client(entry._served(inner)):
        assert seen == ["startup"]
    assert seen == ["startup", "shutdown"]

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no model"})

    with pytest.raises(RuntimeError, match="no model"), client(entry._served(broken)):
        pass


def test_the_entry_is_old_python(load):
    """Beam's oldest image that gpuhub takes has 3.9."""
    import ast

    ast.parse(ENTRY.read_text("utf-8"), feature_version=(3, 9))
    assert math.isfinite(load("echo").RESULT_LIMIT)
