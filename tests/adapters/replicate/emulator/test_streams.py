"""Server-sent events on the emulator."""

from __future__ import annotations

import json
import threading

import httpx
import pytest

from gpuhub.testing.emulator import Fault
from gpuhub_replicate.emulator import EmulatorOptions
from tests.adapters.replicate.emulator.conftest import LINES, Account, schema
from tests.adapters.waiting import until

COUNTING = """
from collections.abc import Iterator
class Runner:
    def run(self, payload: str) -> Iterator[str]:
        for number in range(int(payload)):
            yield f"line {number}\\n"
"""
FAILING = """
class Runner:
    def run(self, payload: str):
        yield "before"
        raise ValueError("after one")
"""
ASYNC = """
import asyncio
class Runner:
    async def run(self, payload: str):
        for number in range(3):
            await asyncio.sleep(0)
            yield str(number)
"""
GATED = """
import time
from pathlib import Path
class Runner:
    def run(self, payload: str):
        yield "one"
        while not Path(payload).exists():
            time.sleep(0.005)
        yield "two"
"""
ITERATOR = schema(LINES)


def events(text):
    """Read server-sent events: kind and data."""
    found = []
    for block in text.split("\n\n"):
        lines = [line.partition(": ") for line in block.splitlines() if line[:1] != ":"]
        data = "\n".join(value for name, _, value in lines if name == "data")
        kind = next((value for name, _, value in lines if name == "event"), "")
        if kind:
            found.append((kind, data))
    return found


def streamed(prediction, **headers):
    """Read a prediction's stream to its end."""
    return httpx.get(prediction["urls"]["stream"], headers=headers, timeout=60).text


def test_items_come_as_events(account):
    """In order, newlines kept, then ``done``; the cold start passes meanwhile."""
    begun = account.deployment(COUNTING, document=ITERATOR).begin("3")
    assert events(streamed(begun)) == [
        ("output", "line 0\n"),
        ("output", "line 1\n"),
        ("output", "line 2\n"),
        ("done", "{}"),
    ]
    assert account.get(begun)["output"] == ["line 0\n", "line 1\n", "line 2\n"]


def test_an_asynchronous_generator(account):
    """The same."""
    begun = account.deployment(ASYNC, document=ITERATOR).begin()
    assert [data for _, data in events(streamed(begun))] == ["0", "1", "2", "{}"]


def test_an_empty_stream(account):
    """Only ``done``."""
    begun = account.deployment(COUNTING, document=ITERATOR).begin("0")
    assert events(streamed(begun)) == [("done", "{}")]
    assert account.get(begun)["output"] == []


def test_a_stream_goes_on_after_the_last_event(account):
    """By its id, for who comes back."""
    begun = account.deployment(COUNTING, document=ITERATOR).begin("3")
    streamed(begun)
    again = streamed(begun, **{"Last-Event-ID": "1:0"})
    assert events(again) == [("output", "line 2\n"), ("done", "{}")]


def test_an_error_comes_after_the_items(account):
    """As an event, with what was said; then ``done`` with the reason."""
    begun = account.deployment(FAILING, document=ITERATOR).begin()
    first, second, third = events(streamed(begun))
    assert first == ("output", "before")
    assert second[0] == "error"
    assert "ValueError: after one" in json.loads(second[1])["detail"]
    assert third == ("done", '{"reason": "error"}')


def test_a_worker_that_dies_in_the_middle(account):
    """After the first item; the same events."""
    account.emulator.fail("crash", on="stream")
    begun = account.deployment(COUNTING, document=ITERATOR).begin("5")
    found = events(streamed(begun))
    assert [kind for kind, _ in found] == ["output", "error", "done"]
    assert "interrupted" in found[1][1]


def test_a_worker_that_dies_with_all_its_items_sent(account):
    """Items that came with the end are items too: the first is the last that anyone sees."""
    account.emulator.play("them/quick", lambda _: ["one", "two"], ITERATOR)
    account.emulator.fail("crash", on="stream")
    answer = account.http.post("models/them/quick/predictions", json={"input": {"payload": "x"}})
    found = events(streamed(answer.json()))
    assert [kind for kind, _ in found] == ["output", "error", "done"]
    assert found[0] == ("output", "one")


def test_a_cancelled_stream(account, tmp_path):
    """Says so."""
    begun = account.deployment(GATED, document=ITERATOR).begin(str(tmp_path / "gate"))
    texts = []
    reader = threading.Thread(target=lambda: texts.append(streamed(begun)))
    reader.start()
    until(lambda: account.get(begun)["output"] == ["one"])
    account.http.post(f"predictions/{begun['id']}/cancel")
    reader.join(30)
    assert events(texts[0]) == [("output", "one"), ("done", '{"reason": "canceled"}')]


def test_an_idle_stream_is_closed(account):
    """After 30 seconds without an event: a comment, and the end; later it can be asked again."""
    deployed = account.deployment(COUNTING, document=ITERATOR)
    account.emulator.fail(Fault("cold_start", delay_s=100), on="start")
    begun = deployed.begin("1")
    text = streamed(begun)
    assert text.startswith(":408")
    assert events(text) == []
    assert 30 <= account.emulator.clock.now() < 60
    for _ in range(3):
        text = streamed(begun)
    assert events(text)[0] == ("output", "line 0\n")


def test_other_outputs_have_no_stream(account):
    """There is no address, and nothing behind it."""
    deployed = account.deployment()
    ended = deployed.run()
    assert "stream" not in ended["urls"]
    assert httpx.get(f"{account.emulator.url}/streams/{ended['id']}", timeout=60).status_code == 404


def test_a_reader_that_leaves(account, tmp_path):
    """Ends nothing: the prediction goes on."""
    gate = tmp_path / "gate"
    begun = account.deployment(GATED, document=ITERATOR).begin(str(gate))
    with httpx.stream("GET", begun["urls"]["stream"], timeout=60) as answer:
        next(answer.iter_raw())
    gate.touch()
    assert account.ended(begun)["output"] == ["one", "two"]


@pytest.mark.parametrize("options", [EmulatorOptions(kept_s=10)])
def test_a_stream_of_what_is_gone(account: Account, clock):
    """404 after its data were removed."""
    begun = account.deployment(COUNTING, document=ITERATOR).begin("1")
    streamed(begun)
    clock.advance(11)
    assert httpx.get(begun["urls"]["stream"], timeout=60).status_code == 404
