"""The entry module: what a container of Modal's imports and calls."""

from __future__ import annotations

import asyncio
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpuhub_modal import entry as local_entry
from gpuhub_modal.deploying import write_folder
from gpuhub_modal.states import raised_envelope
from tests.adapters.loading import load_file, modules_kept


@pytest.fixture
def load(bundle_of: Callable[[str], Any], tmp_path: Path) -> Iterator[Callable[..., ModuleType]]:
    """Write what is mounted, and import its entry as a container does."""

    def make(name: str, *, prepare: bool = True, retries: int = 0) -> ModuleType:
        settings = {"prepare": prepare, "retries": retries}
        folder = write_folder(tmp_path / name, bundle_of(name), settings)
        return load_file(f"entry_{name}", folder / "entry.py")

    with modules_kept():
        yield make


def payload(**arguments: Any) -> bytes:
    """Arguments as gpuhub sends them."""
    return json.dumps(arguments).encode()


def test_a_call_is_bytes_in_and_bytes_out(load):
    """The envelope, as on every provider."""
    entry = load("echo")
    assert json.loads(entry.call(payload(value=[0, "", None]))) == {"result": [0, "", None]}
    assert json.loads(entry.call()) == {"result": None}


def test_a_plain_client_passes_arguments_by_name(load):
    """And gets a dictionary."""
    assert load("echo").call(value="hi") == {"result": "hi"}
    assert next(load("count").stream(number=2)) == {"result": 0}


def test_an_async_function(load):
    """Modal awaits it on its own loop."""
    entry = load("later")
    assert json.loads(asyncio.run(entry.call_async(payload(seconds=0)))) == {"result": 0}


def test_an_error_is_an_answer(load):
    """With the traceback of the user's frames."""
    error = json.loads(load("fail").call(payload(message="no")))["gpuhub_error"]
    assert (error["type"], error["message"]) == ("ValueError", "no")
    assert "shop" in error["traceback"]


def test_an_error_is_raised_where_modal_is_to_run_it_again(load):
    """The last one's text still holds the whole envelope."""
    with pytest.raises(RuntimeError) as caught:
        load("fail", retries=2).call(payload(message="quotes \" and ' and \n"))
    envelope = json.loads(raised_envelope(repr(caught.value)) or b"")
    assert envelope["gpuhub_error"]["message"] == "quotes \" and ' and \n"


def test_streams_end_with_their_end(load):
    """So that one that broke off can be told."""
    items = [json.loads(item) for item in load("count").stream(payload(number=2))]
    assert items == [{"result": 0}, {"result": 1}, {"gpuhub_end": {"items": 2, "wire": 1}}]

    async def collected() -> list[Any]:
        return [
            json.loads(item) async for item in load("count_later").stream_async(payload(number=1))
        ]

    assert asyncio.run(collected()) == [{"result": 0}, {"gpuhub_end": {"items": 1, "wire": 1}}]


def test_a_warm_call_does_not_reach_the_function(load):
    """It starts the container, no more."""
    assert load("Counter").call(local_entry.WARM) == b'{"result":null}'
    entry = load("fail")
    assert entry.call(local_entry.WARM) == b'{"result":null}'
    assert list(load("count").stream(local_entry.WARM)) == []


def test_a_batch_is_one_run(load):
    """Each argument is a list, each call gets its item; a warm call gets its own answer."""
    payloads = [payload(number=1), local_entry.WARM, payload(number=5)]
    answers = [json.loads(each) for each in load("doubled").batch(payloads)]
    assert answers == [{"result": 2}, {"result": None}, {"result": 10}]
    later = asyncio.run(load("doubled_later").batch_async(payloads))
    assert [json.loads(each) for each in later] == answers


def test_a_batch_that_gives_too_few(load):
    """Everybody is told."""
    answers = load("too_few").batch([payload(number=1), payload(number=2)])
    assert len(answers) == 2
    assert all("list of 2 results, not 1 items" in each.decode() for each in answers)


def test_setup_runs_at_the_import(load):
    """Once, before the first call: so a snapshot holds it."""
    counter = load("Counter")
    assert counter._loaded.handler.describe()["status"] == "ready"
    assert [json.loads(counter.call())["result"] for _ in range(2)] == [1, 2]
    assert load("Counter", prepare=False)._loaded.handler.describe()["status"] != "ready"


def test_code_that_cannot_be_imported_answers_each_call(load, tmp_path):
    """A container that crashed would be started again and again."""
    folder = tmp_path / "echo"
    load("echo")
    (folder / "bundle" / "app" / "shop.py").write_text("1 / 0\n", "utf-8")
    sys.modules.pop("shop", None)
    module = load_file("entry_broken", folder / "entry.py")
    assert json.loads(module.call())["gpuhub_error"]["type"] == "ZeroDivisionError"


def test_a_web_application_is_made(load):
    """Modal runs its start and end, and serves it."""
    application = load("app").web()
    assert inspect.iscoroutinefunction(application)


def test_a_web_function_that_gives_none(load):
    """It says what it gave."""
    with pytest.raises(TypeError, match="NoneType"):
        load("echo").web()


def test_a_cancelled_run_is_not_taken_for_an_answer(load, monkeypatch):
    """Modal raises its own exception in the user's frame, and must see it again."""
    entry = load("echo")

    class Cancelled(BaseException):
        pass

    exceptions = ModuleType("modal.exception")
    exceptions.InputCancellation = Cancelled  # type: ignore[attr-defined]
    package = ModuleType("modal")
    package.exception = exceptions  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modal", package)
    monkeypatch.setitem(sys.modules, "modal.exception", exceptions)
    error = {"type": "modal.exception.InputCancellation", "message": "", "traceback": ""}
    monkeypatch.setattr(entry._loaded.handler, "invoke", lambda _: {"gpuhub_error": error})
    with pytest.raises(Cancelled):
        entry.call()


def test_imported_by_a_deploy_nothing_is_loaded():
    """There is no bundle beside the adapter's own file."""
    with pytest.raises(RuntimeError, match="container"):
        local_entry.call()
    names = ("call", "call_async", "stream", "stream_async", "batch", "batch_async", "web")
    for name in names:
        assert inspect.isfunction(getattr(local_entry, name))
    assert inspect.iscoroutinefunction(local_entry.call_async)
    assert inspect.isgeneratorfunction(local_entry.stream)
    assert inspect.isasyncgenfunction(local_entry.stream_async)
