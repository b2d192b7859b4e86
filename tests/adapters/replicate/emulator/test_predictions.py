"""Predictions on the emulator: waiting, ending, cancelling, forgetting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gpuhub_replicate.emulator import EmulatorOptions
from gpuhub_replicate.emulator.planes.predictions import seconds_of
from tests.adapters.replicate.emulator.conftest import LINES, schema
from tests.adapters.waiting import until

FAILING = """
class Runner:
    def run(self, payload: str) -> str:
        raise ValueError(payload)
"""
GATED = """
import time
from pathlib import Path
class Runner:
    def run(self, payload: str) -> str:
        print("began", flush=True)
        while not Path(payload).exists():
            time.sleep(0.005)
        return "opened"
"""
TOGETHER = """
import asyncio
inside, most = 0, 0
class Runner:
    async def run(self, payload: str) -> str:
        global inside, most
        inside += 1
        most = max(most, inside)
        while most < 4:
            await asyncio.sleep(0.001)
        return str(most)
"""
COUNTING = """
class Runner:
    def setup(self):
        self.calls = 0
    def run(self, payload: str) -> str:
        self.calls += 1
        return str(self.calls)
"""


def test_a_waiting_post_gives_the_result(account):
    """201, succeeded, with logs, times and links; the cold start passes meanwhile."""
    deployed = account.deployment()
    answer = deployed.post("hi", "wait")
    found = answer.json()
    assert answer.status_code == 201
    assert (found["status"], found["output"], found["logs"]) == ("succeeded", "hi", "echo hi\n")
    assert found["version"] == deployed.version
    assert found["model"] == found["deployment"] == "gpuhub-tester/tested"
    assert found["metrics"]["total_time"] >= 3
    assert "stream" not in found["urls"]
    assert account.get(found) == found


def test_a_post_that_does_not_wait(account):
    """201 at once with ``starting``; the result comes by asking."""
    deployed = account.deployment()
    begun = deployed.begin("later")
    assert (begun["status"], begun["output"]) == ("starting", None)
    account.emulator.clock.advance(3)
    assert account.ended(begun)["output"] == "later"


@pytest.mark.parametrize("options", [EmulatorOptions(cold_start_s=60)])
def test_a_wait_that_ends_first(account, tmp_path):
    """202 with ``starting`` or ``processing``, and no output: as the known fault of clients."""
    deployed = account.deployment(GATED)
    gate = tmp_path / "gate"
    cold = deployed.post(str(gate), "wait=1")
    assert (cold.status_code, cold.json()["status"]) == (202, "starting")
    account.emulator.clock.advance(100)
    until(lambda: account.get(cold.json())["logs"] == "began\n")
    assert account.get(cold.json())["status"] == "processing"
    gate.touch()
    assert account.ended(cold.json())["output"] == "opened"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=61", "wait=1.5", "respond-async", "wait= 5"])
def test_what_prefer_cannot_say(account, prefer):
    """Outside of the documented pattern."""
    assert account.deployment().post("x", prefer).status_code == 422


def test_a_failed_run_is_no_http_error(account):
    """The text of the exception, as Cog's server words it; no output."""
    found = account.deployment(FAILING).run("boom")
    assert (found["status"], found["output"]) == ("failed", None)
    assert found["error"] == "Prediction failed: Prediction failed: ValueError: boom"


def test_a_setup_that_fails(account):
    """Predictions that wait fail with its log, and the next deploy works."""
    broken = "class Runner:\n def setup(self): print('loading'); raise OSError('no weights')\n"
    deployed = account.deployment(broken + " def run(self, payload: str) -> str: return ''\n")
    found = deployed.run()
    assert found["status"] == "failed"
    assert "loading" in found["logs"]
    assert "no weights" in found["logs"]
    deployed.patch(version=account.version())
    assert deployed.run("again")["output"] == "again"


def test_a_prediction_is_cancelled(account, tmp_path):
    """While it waits, and while it runs; its worker takes the next one after that."""
    deployed = account.deployment(GATED)
    gate = tmp_path / "gate"
    waiting = deployed.begin(str(gate))
    answer = account.http.post(f"predictions/{waiting['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    running = deployed.begin(str(gate))
    account.emulator.clock.advance(3)
    until(lambda: account.get(running)["logs"] == "began\n")
    assert account.http.post(f"predictions/{running['id']}/cancel").json()["status"] == "canceled"
    gate.touch()
    assert deployed.run(str(gate))["output"] == "opened"
    assert account.get(running)["status"] == "canceled"
    assert len(account.emulator.billed_seconds) == 1


def test_cancelling_what_has_ended(account):
    """Is no error, and changes nothing."""
    ended = account.deployment().run("kept")
    assert account.http.post(f"predictions/{ended['id']}/cancel").json() == ended


def test_cancel_after_cuts_off(account, clock):
    """``aborted`` before it started, ``canceled`` while it ran; ``deadline`` says when."""
    deployed = account.deployment()
    account.emulator.fail("timeout", times=2)
    hanging = deployed.begin(headers={"Cancel-After": "1m"})
    waiting = deployed.begin(headers={"Cancel-After": "1m30s"})
    assert hanging["deadline"] < waiting["deadline"]
    clock.advance(3)
    assert account.get(hanging)["status"] == "processing"
    clock.advance(55)
    assert account.get(waiting)["status"] == "starting"
    deployed.patch(max_instances=0)  # off: the running one ends, the other one never starts
    clock.advance(4)
    assert account.get(hanging)["status"] == "canceled"
    clock.advance(30)
    assert account.get(waiting)["status"] == "aborted"


def test_a_deadline_that_comes_in_the_queue(account, clock):
    """It never ran: there is no predict_time, and no charge."""
    deployed = account.deployment(max_instances=0)
    begun = deployed.begin(headers={"Cancel-After": "5s"})
    clock.advance(6)
    found = account.get(begun)
    assert found["status"] == "aborted"
    assert set(found["metrics"]) == {"total_time"}
    assert account.emulator.billed_seconds.total == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("1h1m1s", 3661), ("", None), ("30", None)],
)
def test_durations(text, seconds):
    """Hours, minutes and seconds, in this order."""
    assert seconds_of(text) == seconds


def test_what_cancel_after_cannot_say(account):
    """No duration, or too short a one."""
    deployed = account.deployment()
    for text in ("30", "1s", "never"):
        assert deployed.post(headers={"Cancel-After": text}).status_code == 422


def test_a_run_that_never_ends(account, clock):
    """The documented 30 minutes."""
    account.emulator.fail("timeout")
    begun = account.deployment().begin()
    clock.advance(3)
    assert account.get(begun)["status"] == "processing"
    clock.advance(1799)
    assert account.get(begun)["status"] == "processing"
    clock.advance(2)
    assert account.get(begun)["status"] == "failed"


def test_gpuhubs_own_limit_runs_in_clock_time(account, clock):
    """A hanging call never reaches the runner, whose timer would end it."""
    account.emulator.fail("timeout")
    begun = account.deployment(env=("GPUHUB_TIMEOUT=120",)).begin()
    clock.advance(3)
    assert account.get(begun)["status"] == "processing"
    clock.advance(119)
    assert account.get(begun)["status"] == "processing"
    clock.advance(2)
    assert "its timeout of 120 s" in account.get(begun)["error"]


def test_data_go_after_an_hour(account, clock):
    """Input, output and logs; that it succeeded is kept."""
    ended = account.deployment().run("secret")
    clock.advance(3590)
    assert account.get(ended)["output"] == "secret"
    clock.advance(20)
    found = account.get(ended)
    assert (found["output"], found["input"], found["logs"]) == (None, {}, "")
    assert found["data_removed"] is True
    assert found["status"] == "succeeded"


def test_several_at_once_on_one_worker(account, clock):
    """As many as ``COG_MAX_CONCURRENCY`` says; the others wait."""
    deployed = account.deployment(TOGETHER, env=("COG_MAX_CONCURRENCY=4",))
    begun = [deployed.begin() for _ in range(4)]
    clock.advance(3)
    assert [account.ended(each)["output"] for each in begun] == ["4"] * 4
    assert len(account.emulator.billed_seconds) == 1


def test_one_at_a_time_without_it(account, clock, tmp_path):
    """The second one starts when the first one has ended."""
    deployed = account.deployment(GATED)
    first, second = deployed.begin(str(tmp_path / "one")), deployed.begin(str(tmp_path / "two"))
    clock.advance(3)
    until(lambda: account.get(first)["status"] == "processing")
    clock.advance(100)
    assert account.get(second)["status"] == "starting"
    (tmp_path / "one").touch()
    (tmp_path / "two").touch()
    assert account.ended(second)["output"] == "opened"


def test_a_worker_that_dies(account):
    """Its prediction fails in the platform's words; the next one has another worker."""
    deployed = account.deployment(COUNTING)
    assert deployed.run()["output"] == "1"
    account.emulator.fail("crash")
    found = deployed.run()
    assert (found["status"], found["error"]) == (
        "failed",
        "Prediction interrupted; please retry (code: PA)",
    )
    assert deployed.run()["output"] == "1"


def test_a_process_that_exits(account):
    """The code itself ends the process."""
    dying = "import os\nclass Runner:\n def run(self, payload: str) -> str: os._exit(3)\n"
    found = account.deployment(dying).run()
    assert "interrupted" in found["error"]


def test_a_lost_answer_is_a_prediction(account):
    """It runs, and the list has it; nothing tells the client."""
    deployed = account.deployment()
    account.emulator.fail("lost_response")
    with pytest.raises(httpx.TransportError, match=r"disconnected|reset"):
        deployed.run("once")
    (listed,) = account.http.get("predictions").json()["results"]
    assert "logs" not in listed
    account.emulator.clock.advance(3)
    assert account.ended(listed)["output"] == "once"


def test_inputs_are_checked(account):
    """422 names the fields, and no prediction is made."""
    wanted = schema(
        None,
        payload={"type": "string"},
        count={"type": "integer", "minimum": 1, "maximum": 4},
        kind={"type": "string", "enum": ["a", "b"]},
    )
    deployed = account.deployment(document=wanted)
    answer = deployed.post({"payload": 1, "count": 9})
    body = answer.json()
    assert (answer.status_code, body["title"]) == (422, "Input validation failed")
    assert {(each["type"], each["field"]) for each in body["invalid_fields"]} == {
        ("required", "input"),
        ("invalid_type", "input.payload"),
        ("number_lte", "input.count"),
    }
    assert account.http.get("predictions").json()["results"] == []
    wrong = deployed.post({"payload": "x", "count": 0, "kind": "c"}).json()["invalid_fields"]
    assert [each["type"] for each in wrong] == ["number_gte", "enum"]


@pytest.mark.parametrize("options", [EmulatorOptions(strict_input=True)])
def test_unknown_inputs_may_be_refused(account):
    """Whether the API does is not known: Cog's server drops them."""
    answer = account.deployment().post({"payload": "x", "other": 1})
    (wrong,) = answer.json()["invalid_fields"]
    assert wrong["type"] == "additional_property_not_allowed"


def test_unknown_members_are_refused(account):
    """``additionalProperties`` is false at the top."""
    answer = account.deployment().post("x", lifetime="5m")
    assert answer.status_code == 422
    assert "lifetime" in answer.json()["detail"]


def test_predictions_come_in_pages(account):
    """Of 100, newest first, with cursors both ways."""
    deployed = account.deployment(max_instances=0)
    made = [deployed.begin(str(number))["id"] for number in range(120)]
    first = account.http.get("predictions").json()
    second = account.http.get(first["next"]).json()
    assert [each["id"] for each in first["results"] + second["results"]] == made[::-1]
    assert second["next"] is None
    assert account.http.get(second["previous"]).json()["results"] == first["results"]
    assert account.http.get("predictions?cursor=%21").status_code == 400


def test_many_are_each_run_once(account, clock):
    """By several workers."""
    deployed = account.deployment(max_instances=3)

    def call(number):
        return deployed.run(str(number))["output"]

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(call, range(120)))
    assert found == [str(number) for number in range(120)]
    assert 1 <= len(account.emulator.billed_seconds) <= 3


def test_a_version_runs_without_a_deployment(account):
    """A private model's own hardware; three ways to name it, and one that is for official ones."""
    version = account.version()
    for named in (version, f"gpuhub-tester/tested:{version}"):
        body = {"version": named, "input": {"payload": "direct"}}
        answer = account.http.post("predictions", json=body, headers={"Prefer": "wait"})
        assert answer.json()["output"] == "direct"
        assert "deployment" not in answer.json()
    for named in ("gpuhub-tester/tested", "0" * 64, f"other/tested:{version}"):
        answer = account.http.post("predictions", json={"version": named, "input": {}})
        assert answer.status_code == 422
        assert answer.json()["title"] == "Invalid version or not permitted"
    answer = account.http.post("models/gpuhub-tester/tested/predictions", json={"input": {}})
    assert answer.status_code == 404


def test_what_nobody_knows(account):
    """404, with the API's form."""
    for path in ("predictions/none", "deployments/a/b", "models/a/b", "files/none"):
        answer = account.http.get(path)
        assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_iterators_show_what_came_so_far(account, clock, tmp_path):
    """``output`` grows while it runs."""
    gated = """
    import time
    from pathlib import Path
    class Runner:
        def run(self, payload: str):
            yield "one"
            while not Path(payload).exists():
                time.sleep(0.005)
            yield "two"
    """
    deployed = account.deployment(gated, document=schema(LINES))
    begun = deployed.begin(str(tmp_path / "gate"))
    clock.advance(3)
    until(lambda: account.get(begun)["output"] == ["one"])
    (tmp_path / "gate").touch()
    assert account.ended(begun)["output"] == ["one", "two"]
