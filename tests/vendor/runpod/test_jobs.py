"""Jobs: RunPod's client and gpuhub's send the same, and both are satisfied."""

from __future__ import annotations

import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = [pytest.mark.sdk, pytest.mark.slow]


def shown(request):
    """Give what a request says, its query apart."""
    address = urlsplit(request.path)
    return {
        "method": request.method,
        "path": address.path,
        "query": sorted(parse_qs(address.query)),
        "authorization": request.headers["authorization"],
        "content-type": request.headers.get("content-type"),
        "members": sorted(request.json or ()),
        "input": (request.json or {}).get("input"),
    }


def sent(emulator, operation, action):
    """Give what one side sent, as :func:`shown`."""
    mark = len(emulator.requests)
    action()
    return [
        shown(request)
        for request in list(emulator.requests)[mark:]
        if request.operation == operation
    ]


def test_run_sync_sends_what_invoke_sends(emulator, vendor, ours):
    """Beside the wait and the job's limits, which only gpuhub sends."""
    endpoint = ours.deploy("echo")
    given = {"value": {"a": [1, None]}}
    output = []
    (theirs,) = sent(
        emulator,
        "submit",
        lambda: output.extend(vendor.do(["run_sync", endpoint.ref.address, {"input": given}])),
    )
    (mine,) = sent(emulator, "submit", lambda: output.append(endpoint.invoke({"a": [1, None]})))
    assert output == [{"result": {"a": [1, None]}}, {"a": [1, None]}]
    assert (theirs.pop("query"), mine.pop("query")) == ([], ["wait"])
    assert set(mine.pop("members")) - set(theirs.pop("members")) <= {"policy"}
    assert mine == theirs
    assert mine["input"] == given


def test_run_and_status_are_spawn_and_poll(emulator, vendor, ours):
    """The same routes, in the same order."""
    endpoint = ours.deploy("echo")
    theirs = sent(
        emulator, "submit", lambda: vendor.do(["run", endpoint.ref.address, {"value": "x"}])
    )
    mine = sent(emulator, "submit", lambda: endpoint.spawn("x").result(timeout=60))
    for one, other in zip(theirs, mine, strict=True):
        assert (one["path"], one["input"]) == (other["path"], other["input"])
    polls = [shown(request) for request in emulator.requests.of("poll")]
    assert {(poll["method"], poll["path"].rpartition("/")[0]) for poll in polls} == {
        ("GET", f"/v2/{endpoint.ref.address}/status")
    }


def test_run_gives_the_output(vendor, ours):
    """After its poll, which waits a second."""
    endpoint = ours.deploy("echo")
    (done,) = vendor.do(["run", endpoint.ref.address, {"value": 7}])
    assert done["output"] == {"result": 7}


def test_stream_sends_what_stream_sends(emulator, vendor, ours):
    """Items come in the worker's envelopes; the routes are the same."""
    endpoint = ours.deploy("count_to")
    theirs = sent(
        emulator, "stream", lambda: vendor.do(["stream", endpoint.ref.address, {"number": 3}])
    )
    mine = sent(emulator, "stream", lambda: list(endpoint.stream(3)))
    kinds = [
        {(one["method"], one["path"].rpartition("/")[0]) for one in each} for each in (theirs, mine)
    ]
    assert kinds[0] == kinds[1] == {("GET", f"/v2/{endpoint.ref.address}/stream")}


def test_stream_gives_every_item(vendor, ours):
    """And the mark of the end that gpuhub's worker adds."""
    endpoint = ours.deploy("count_to")
    (items,) = vendor.do(["stream", endpoint.ref.address, {"number": 3}])
    assert [item["result"] for item in items[:-1]] == [0, 1, 2]
    assert items[-1]["gpuhub_end"]["items"] == 3


def test_cancel_sends_what_cancel_sends(emulator, vendor, ours, tmp_path):
    """And both report the job as cancelled."""
    endpoint = ours.deploy("wait_for")
    given = {"gate": str(tmp_path / "gate"), "log": str(tmp_path / "log"), "seconds": 50.0}
    cancelled = []
    (theirs,) = sent(
        emulator,
        "cancel",
        lambda: cancelled.extend(vendor.do(["cancel", endpoint.ref.address, given])),
    )
    assert cancelled == [{"answer": "CANCELLED", "status": "CANCELLED"}]
    call = endpoint.spawn(**given)
    (mine,) = sent(emulator, "cancel", call.cancel)
    assert (theirs["method"], theirs["path"].rpartition("/")[0]) == (
        mine["method"],
        mine["path"].rpartition("/")[0],
    )


def test_health_purge_and_a_wrong_key(vendor, ours):
    """What else the client knows."""
    address = ours.deploy("echo").ref.address
    health, purged, refused = vendor.do(
        ["health", address], ["purge", address], ["unauthorized", address]
    )
    assert set(health) == {"jobs", "workers"}
    assert purged == {"removed": 0, "status": "completed"}
    assert "401" in refused


def test_the_asyncio_client(vendor, ours):
    """RunPod's other client."""
    address = ours.deploy("echo").ref.address
    (output,) = vendor.do(["async_run", address, {"value": "later"}])
    assert output == {"result": "later"}


def test_a_failed_job_gives_the_client_nothing(emulator, vendor, ours):
    """It returns ``None``; gpuhub's worker answers errors as results, so that they are seen."""
    endpoint = ours.deploy("echo")
    emulator.fail("crash", on="submit")
    (failed,) = vendor.do(["failed", endpoint.ref.address, {"value": 1}])
    assert failed == {"output": None, "status": "FAILED"}
    raising = ours.deploy("fail")
    (output,) = vendor.do(["run_sync", raising.ref.address, {"message": "no luck"}])
    assert output["gpuhub_error"]["message"] == "no luck"


def test_a_client_that_waits_sees_a_result_that_comes_later(vendor, ours, tmp_path):
    """A job that runs for a while."""
    endpoint = ours.deploy("wait_for")
    gate = tmp_path / "gate"
    given = {"gate": str(gate), "log": str(tmp_path / "log"), "seconds": 50.0}

    def open_gate():
        while not (tmp_path / "log").exists():
            time.sleep(0.01)
        gate.touch()

    threading.Thread(target=open_gate, daemon=True).start()
    (output,) = vendor.do(["run_sync", endpoint.ref.address, given])
    assert output == {"result": "opened"}
