"""Logs of workers as server-sent events."""

from __future__ import annotations

import json

import pytest

TALKING = """
import sys
async def handler(job):
    print(job["input"]["text"], flush=True)
    print("on stderr", file=sys.stderr, flush=True)
"""


def events(account, endpoint, count, **query):
    """Give the first events of the only worker's log, then leave."""
    place = f"serverless/{endpoint.id}/workers/{endpoint.workers()[0]['id']}/logs"
    headers = query.pop("headers", {})
    found = []
    with account.http.stream("GET", place, params=query, headers=headers) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        for line in answer.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
                if len(found) == count:
                    break
    return found


@pytest.fixture
def endpoint(account):
    """One whose worker has printed three lines in three seconds."""
    made = account.endpoint(TALKING, workers={"idleTimeout": 600})
    for text in ("one", "two", "three"):
        made.runsync({"text": text})
        account.emulator.clock.advance(1)
    return made


def test_lines_of_the_container(account, endpoint):
    """Both streams, in the order they were printed."""
    lines = events(account, endpoint, 6, source="container")
    assert [line["line"] for line in lines if line["line"] != "on stderr"] == [
        "one",
        "two",
        "three",
    ]
    assert {line["source"] for line in lines} == {"container"}
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)


def test_lines_of_the_platform(account, endpoint):
    """Why a worker starts, and when it is ready."""
    lines = [line["line"] for line in events(account, endpoint, 2, source="system")]
    assert lines == ["start container for runpod/queue:py3.11-latest", "worker is ready"]


def test_a_tail(account, endpoint):
    """The last lines only."""
    (line,) = events(account, endpoint, 1, tail=1)
    assert line["line"] == "on stderr"


def test_since_and_resuming(account, endpoint):
    """From a moment on; after the last event that was seen."""
    lines = events(account, endpoint, 6, source="container")
    second = next(line for line in lines if line["line"] == "two")
    assert events(account, endpoint, 1, since=second["ts"], source="container")[0] == second
    resumed = events(account, endpoint, 1, headers={"Last-Event-ID": lines[1]["ts"]})
    assert resumed[0]["line"] == "two"


def test_what_comes_later_is_streamed(account, endpoint):
    """Until the client leaves."""
    worker = endpoint.workers()[0]["id"]
    place = f"serverless/{endpoint.id}/workers/{worker}/logs?tail=0&source=container"
    with account.http.stream("GET", place) as answer:
        endpoint.run({"text": "later"})
        lines = (line for line in answer.iter_lines() if line.startswith("data: "))
        assert json.loads(next(lines).removeprefix("data: "))["line"] == "later"


def test_a_stream_ends_with_its_worker(account, endpoint):
    """What it said last is still told."""
    worker = endpoint.workers()[0]["id"]
    account.emulator.clock.advance(3600)
    answer = account.http.get(f"serverless/{endpoint.id}/workers/{worker}/logs")
    assert "worker stopped" in answer.text


@pytest.mark.parametrize("query", ["source=other", "tail=5001", "tail=x", "since=now"])
def test_parameters_have_a_form(account, endpoint, query):
    """400 otherwise."""
    worker = endpoint.workers()[0]["id"]
    answer = account.http.get(f"serverless/{endpoint.id}/workers/{worker}/logs?{query}")
    assert answer.status_code == 400
