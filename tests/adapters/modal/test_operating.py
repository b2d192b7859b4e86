"""Finding, connecting, looking, scaling, versions, logs, deleting: over a scripted client."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from gpuhub.adapter import Rollout
from gpuhub.errors import (
    BadRequest,
    MalformedResponse,
    NotFound,
    ProviderUnavailable,
    SpecError,
    UnsupportedSetting,
)
from gpuhub.scaling import Scaling
from gpuhub_modal.facts import AppFacts, FunctionFacts, FunctionState
from gpuhub_modal.states import CHANGED, fingerprint_of, fingerprint_tag
from tests.adapters.modal.conftest import Lab, app_facts

FINGERPRINT = "0123456789abcdef" * 4
TAG = fingerprint_tag(FINGERPRINT)


def test_a_fingerprint_fits_into_a_tag():
    """43 characters of those that Modal allows, and back."""
    assert len(TAG) == 43
    assert fingerprint_of(TAG) == FINGERPRINT
    assert fingerprint_tag("") == fingerprint_tag("no hex") == "none"
    assert fingerprint_of("none") == fingerprint_of("é" * 43) == ""


def test_what_gpuhub_deployed_is_found(lab):
    """From the app's tags, on any machine."""
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")) is None
    tags = {"gpuhub-fingerprint": TAG, "gpuhub-retries": "2", "gpuhub-concurrency": "4"}
    lab.client.apps["lab-echo"] = app_facts(3, tags=tags)
    ref = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert (ref.version, ref.fingerprint, ref.made_by_gpuhub) == ("v3", FINGERPRINT, True)
    assert (ref.data["function_id"], ref.data["retries"]) == ("fu-1", "2")


@pytest.mark.parametrize(
    "facts",
    [
        AppFacts("ap-1", "deployed", 1, {"echo": "fu-1"}, {}),
        AppFacts("ap-1", "stopped", 1, {"echo": "fu-1"}, {"gpuhub": "1"}),
        AppFacts("ap-1", "deployed", 1, {}, {"gpuhub": "1"}),
    ],
)
def test_what_is_not_ours_or_gone_is_not_found(lab, facts):
    """Whatever its name is."""
    lab.client.apps["lab-echo"] = facts
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")) is None


def test_a_version_that_the_tags_are_not_about(lab):
    """Somebody rolled back in the dashboard: the next deploy is no no-op."""
    lab.client.apps["lab-echo"] = app_facts(
        5, tags={"gpuhub-fingerprint": TAG, "gpuhub-version": "4"}
    )
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")).fingerprint == CHANGED


def test_a_web_function_has_its_address(lab):
    """Modal gives it when the function is looked up."""
    lab.client.apps["lab-echo"] = app_facts(tags={"gpuhub-kind": "web"})
    lab.client.functions["lab-echo", "echo"] = FunctionFacts("fu-1", True, "https://x.modal.run")
    assert lab.run(lab.adapter.find(lab.io, "lab-echo")).url == "https://x.modal.run"
    ref = lab.run(lab.adapter.connect(lab.io, "modal", "lab-echo"))
    assert ref.url == "https://x.modal.run"


def test_connecting_to_ours_and_to_others(lab):
    """By app, or app and function; one function needs no name."""
    lab.client.apps["lab-echo"] = app_facts()
    for address in ("lab-echo", "lab-echo/echo"):
        ref = lab.run(lab.adapter.connect(lab.io, "modal", address))
        assert (ref.address, ref.made_by_gpuhub) == ("lab-echo", True)
    lab.client.apps["other"] = AppFacts("ap-2", "deployed", 7, {"run": "fu-7"})
    lab.client.functions["other", "run"] = FunctionFacts("fu-7", False, None)
    for address in ("other", "other/run"):
        ref = lab.run(lab.adapter.connect(lab.io, "modal", address))
        assert (ref.address, ref.made_by_gpuhub, ref.version) == ("other/run", False, "v7")
        assert ref.data["kind"] == "function"
    lab.client.functions["other", "run"] = FunctionFacts("fu-7", True, None)
    assert lab.run(lab.adapter.connect(lab.io, "modal", "other")).data["kind"] == "generator"


def test_connecting_to_what_is_not_there(lab):
    """It says what there is, or how to write it."""
    with pytest.raises(NotFound):
        lab.run(lab.adapter.connect(lab.io, "modal", "nothing"))
    functions = {"a": "fu-1", "b": "fu-2", "C.*": "fu-3"}
    lab.client.apps["many"] = AppFacts("ap-2", "deployed", 1, functions)
    with pytest.raises(NotFound, match="a, b"):
        lab.run(lab.adapter.connect(lab.io, "modal", "many"))
    with pytest.raises(UnsupportedSetting, match="method"):
        lab.run(lab.adapter.connect(lab.io, "modal", "many/C.method"))


@pytest.mark.parametrize(
    ("running", "runners", "busy", "idle"), [(2, 3, 2, 1), (9, 3, 3, 0), (0, 0, 0, 0)]
)
def test_status(lab, running, runners, busy, idle):
    """Modal tells containers and inputs; a container may run several."""
    limits: dict[str, int | None] = {"min_containers": 0, "max_containers": None}
    limits |= {"buffer_containers": 1, "scaledown_window": 60}
    lab.client.apps["lab-echo"] = app_facts(2)
    lab.client.states["fu-1"] = FunctionState(4, running, runners, limits)
    status = lab.run(lab.adapter.status(lab.io, lab.ref()))
    assert (status.rollout, status.version) == (Rollout.READY, "v2")
    assert (status.workers.running, status.workers.idle) == (busy, idle)
    assert (status.queue_depth, status.in_flight) == (4, running)
    assert status.scaling == {"min_workers": 0, "buffer_workers": 1, "idle_timeout": 60}


def test_status_of_a_stopped_app(lab):
    """In Modal's word."""
    lab.client.apps["lab-echo"] = AppFacts("ap-1", "stopped", 2, {}, {"gpuhub": "1"})
    status = lab.run(lab.adapter.status(lab.io, lab.ref()))
    assert status.rollout is Rollout.STOPPED
    assert "stopped" in status.detail


def test_scaling(lab):
    """Limits are overridden; what containers are made for is not."""
    lab.run(lab.adapter.scale(lab.io, lab.ref(), Scaling(max_workers=9, idle_timeout=1)))
    assert lab.client.asked[-1] == (
        "scale",
        "fu-1",
        {
            "min_containers": 0,
            "max_containers": 9,
            "buffer_containers": 0,
            "scaledown_window": 2,
        },
    )
    for scaling in (Scaling(concurrency=2), Scaling(scale_window=9)):
        with pytest.raises(SpecError):
            lab.run(lab.adapter.scale(lab.io, lab.ref(), scaling))


def test_deleting(lab):
    """The app is stopped; what others made is left alone."""
    lab.client.apps["lab-echo"] = app_facts()
    lab.run(lab.adapter.delete(lab.io, lab.ref()))
    assert lab.client.apps == {}
    with pytest.raises(UnsupportedSetting, match="its own only"):
        lab.run(lab.adapter.delete(lab.io, lab.ref(made_by_gpuhub=False)))


def entry(second: int, message: str, source: str = "stdout") -> Any:
    """A log entry as the SDK gives it."""
    moment = datetime(2026, 11, 24, 10, 0, second, tzinfo=UTC)
    ids = ["fu-1", "fc-1", "in-1", "ta-1"]
    return SimpleNamespace(message=message, timestamp=moment, source=source, context_ids=ids)


def test_logs(lab):
    """Oldest first, line by line."""
    lab.client.entries = [entry(2, "b\n\nc\n", "stderr"), entry(1, "a")]
    lines = lab.items(lab.adapter.logs(lab.io, lab.ref(), None, follow=False))
    assert [(line.message, line.source, line.worker) for line in lines] == [
        ("a", "stdout", "ta-1"),
        ("b", "stderr", "ta-1"),
        ("c", "stderr", "ta-1"),
    ]


def test_following_goes_on_where_the_past_ended(lab):
    """The stream gives the past once more: it is left out."""
    lab.client.entries = [entry(1, "a")]
    lines = lab.adapter.logs(lab.io, lab.ref(), 0.0, follow=True)
    assert [line.message for line in lab.items(lines)] == ["a"]
    *_, (_, _, since, until) = [each for each in lab.client.asked if each[0] == "logs"]
    assert (since.timestamp(), until) == (0.0, None)


# Modal's command line

HISTORY = [
    {
        "version": "v2",
        "time_deployed": "2026-11-24 10:00:00+00:00",
        "client": "1.6.4",
        "deployed_by": "me",
        "commit": None,
        "tag": f"g.{TAG}",
    },
    {"version": "v1", "time_deployed": None, "client": "1.6.4", "deployed_by": "me", "tag": None},
]


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Modal's command line, played: what it was called with, and what it answers next."""
    ran: list[Any] = []

    def run(command: list[str], **options: Any) -> Any:
        ran.append(SimpleNamespace(command=command, options=options))
        answer = ran[0].answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    ran.append(SimpleNamespace(answers=[]))
    monkeypatch.setattr(subprocess, "run", run)
    return ran


def ended(stdout: str = "", code: int = 0, stderr: str = "") -> Any:
    """How a command ended."""
    return subprocess.CompletedProcess([], code, stdout, stderr)


def test_versions(lab: Lab, command_line: list[Any]):
    """Newest first, with gpuhub's fingerprints; the token is in no argument."""
    lab.client.environment = "staging"
    command_line[0].answers = [ended(json.dumps(HISTORY))]
    found = lab.run(lab.adapter.versions(lab.io, lab.ref()))
    assert [(each.id, each.current, each.fingerprint) for each in found] == [
        ("v2", True, FINGERPRINT),
        ("v1", False, ""),
    ]
    (ran,) = command_line[1:]
    wanted = [sys.executable, "-m", "modal", "app", "history", "lab-echo", "--json"]
    assert ran.command == [*wanted, "--env", "staging"]
    assert ran.options["env"]["MODAL_TOKEN_SECRET"] == "as-made-up"
    assert ran.options["env"]["MODAL_SERVER_URL"] == lab.client.server_url
    assert "as-made-up" not in " ".join(ran.command)


def test_rolling_back(lab: Lab, command_line: list[Any]):
    """Modal makes a new version; the tags are made to say what it is."""
    lab.client.apps["lab-echo"] = app_facts(3)
    command_line[0].answers = [ended(json.dumps(HISTORY)), ended()]
    ref = lab.run(lab.adapter.rollback(lab.io, lab.ref(), "v2"))
    assert ref.version == "v3"
    assert command_line[-1].command[3:] == ["app", "rollback", "lab-echo", "v2"]
    (tags,) = [each[2] for each in lab.client.asked if each[0] == "set_tags"]
    assert (tags["gpuhub-version"], tags["gpuhub-fingerprint"]) == ("3", TAG)


def test_rolling_back_to_nothing(lab: Lab, command_line: list[Any]):
    """It says what there is."""
    command_line[0].answers = [ended(json.dumps(HISTORY))]
    with pytest.raises(NotFound, match="v2, v1"):
        lab.run(lab.adapter.rollback(lab.io, lab.ref(), "v9"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ended(code=1, stderr="No App with name 'lab-echo' found"), NotFound),
        (ended(code=1, stderr="Something else"), BadRequest),
        (ended("no json"), MalformedResponse),
        (ended('[{"Vers": 1}]'), MalformedResponse),
        (subprocess.TimeoutExpired("modal", 120), ProviderUnavailable),
    ],
)
def test_a_command_that_fails(lab: Lab, command_line: list[Any], answer, error):
    """In Modal's words, without the token."""
    command_line[0].answers = [answer]
    with pytest.raises(error) as caught:
        lab.run(lab.adapter.versions(lab.io, lab.ref()))
    assert "as-made-up" not in f"{caught.value} {caught.value!r}"


def test_closing_the_workspace_closes_the_client(lab):
    """Once, and for good."""
    lab.workspace.close()
    assert ("close",) in lab.client.asked
