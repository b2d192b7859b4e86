"""The adapter's golden requests against the gateway's messages, without a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhub_beam.emulator import bodies
from gpuhub_beam.emulator.bodies import read_message
from gpuhub_beam.emulator.problems import Problem
from gpuhub_beam.emulator.stubs import config_of

GOLDEN = Path(__file__).parents[1] / "golden"
MESSAGES: dict[str, type[bodies.Message]] = {
    "/api/v1/gateway/images/verify-build": bodies.VerifyImageBuild,
    "/api/v1/gateway/images/build": bodies.BuildImage,
    "/api/v1/gateway/stubs": bodies.GetOrCreateStub,
    "/api/v1/gateway/stubs/deploy": bodies.DeployStub,
    "/api/v1/gateway/volumes": bodies.GetOrCreateVolume,
}


def requests_of(path):
    """Give the requests of a golden file that are messages of the gateway's."""
    found = json.loads(path.read_text("utf-8"))["requests"]
    return [each for each in found if each["path"] in MESSAGES]


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_golden_requests_are_messages(path):
    """Each has the names and types of its message."""
    requests = requests_of(path)
    assert {"/api/v1/gateway/stubs", "/api/v1/gateway/stubs/deploy"} <= {
        each["path"] for each in requests
    }
    for each in requests:
        read_message(MESSAGES[each["path"]], each["json"])


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_the_gateway_changes_nothing_of_a_golden_stub(path):
    """What the adapter sends is within the gateway's clamps: they are applied, and seen, by us."""
    for each in requests_of(path):
        if each["path"] != "/api/v1/gateway/stubs":
            continue
        sent = read_message(bodies.GetOrCreateStub, each["json"])
        kept = config_of(sent)
        assert sent.task_policy is not None
        assert sent.autoscaler is not None
        assert kept["task_policy"] == sent.task_policy.model_dump()
        assert kept["keep_warm_seconds"] == sent.keep_warm_seconds
        assert kept["autoscaler"] == sent.autoscaler.model_dump()
        assert kept["runtime"]["gpu_count"] == sent.gpu_count


@pytest.mark.parametrize(
    "document", [{"cpu": 1, "cpus": 1}, {"stub_type": 1}, {"gpuCount": -1}, {"cpu": 1.5}]
)
def test_a_slip_is_seen(document):
    """The messages are strict."""
    with pytest.raises(Problem):
        read_message(bodies.GetOrCreateStub, document)


def test_names_may_be_as_declared():
    """Protobuf's JSON takes both, and numbers as text."""
    found = read_message(bodies.GetOrCreateStub, {"stub_type": "asgi", "cpu": "5", "gpuCount": 1.0})
    assert (found.stub_type, found.cpu, found.gpu_count) == ("asgi", 5, 1)
