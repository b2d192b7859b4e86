"""Endpoints made by RunPod's own client of version 2, over the same REST v2 as ours.

Version 1 makes them over GraphQL, which RunPod shuts down in 2027 and the emulator does not play.
"""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.sdk, pytest.mark.slow]

WORKER = """
import runpod
runpod.serverless.start({"handler": lambda job: job["input"]})
"""
BOOT = "sh -c 'exec python3 -u -c \"$GPUHUB_BOOT\"'"


def made_by(emulator, action):
    """Give the body with which one side makes an endpoint."""
    mark = len(emulator.requests)
    action()
    (request,) = [each for each in list(emulator.requests)[mark:] if each.operation == "deploy"]
    assert (request.method, request.path) == ("POST", "/v2/serverless")
    return request


def test_both_make_an_endpoint_the_same_way(emulator, vendor_next, ours):
    """Field by field: what both send is equal, and what only one sends is known."""
    theirs = made_by(
        emulator,
        lambda: vendor_next.do(
            [
                "save_endpoint",
                {
                    "name": "contract-echo",
                    "type": "QB",
                    "gpuIds": "ADA_24",
                    "gpuCount": 1,
                    "workersMin": 0,
                    "workersMax": 3,
                    "idleTimeout": 60,
                    "scalerType": "QUEUE_DELAY",
                    "scalerValue": 4,
                    "executionTimeoutMs": 300_000,
                    "template": {
                        "imageName": "runpod/queue-gpu:py3.11-latest",
                        "dockerArgs": BOOT,
                        "env": [{"key": "GPUHUB_BOOT", "value": WORKER}],
                        "containerDiskInGb": 50,
                    },
                },
            ]
        ),
    )
    mine = made_by(emulator, lambda: ours.deploy("echo", gpu="RTX4090", disk=50))
    one, other = dict(theirs.json), dict(mine.json)
    assert set(one.pop("env")) <= set(other.pop("env"))
    assert set(one) - set(other) == set()
    other["gpu"] = {"excludedTypes": [], **other["gpu"]}  # none are excluded, said or not
    only_ours = set(other) - set(one)
    assert only_ours <= {"dataCenterIds", "networkVolumes", "ports", "registry", "flashboot"}
    differing = {name for name in one if one[name] != other[name]} - {"image"}
    assert differing == set(), {name: (one[name], other[name]) for name in differing}
    assert theirs.headers["authorization"] == mine.headers["authorization"] == "Bearer ****"
    assert theirs.headers["content-type"] == mine.headers["content-type"]


def test_an_endpoint_of_the_client_runs(emulator, vendor_next):
    """From a template, as its functions do it; called by the client itself."""
    template, *_ = vendor_next.do(
        [
            "create_template",
            {
                "name": "base",
                "image_name": "runpod/queue:py3.11-latest",
                "docker_start_cmd": BOOT,
                "env": {"GPUHUB_BOOT": WORKER},
                "is_serverless": True,
            },
        ]
    )
    settings = {"name": "mine", "template_id": template["id"], "gpu_ids": "ADA_24"}
    (endpoint,) = vendor_next.do(["create_endpoint", {**settings, "idle_timeout": 600}])
    output, listed, workers, gpus, deleted = vendor_next.do(
        ["run_sync", endpoint["id"], {"a": 1}],
        ["get_endpoints"],
        ["endpoint_workers", endpoint["id"]],
        ["get_gpus"],
        ["delete_endpoint", endpoint["id"]],
    )
    assert output == {"a": 1}
    assert [each["id"] for each in listed] == [endpoint["id"]]
    assert workers["summary"]["total"] == 1
    assert any(gpu["id"] == "NVIDIA L4" for gpu in gpus)
    assert deleted is True
    assert emulator.orphans() == []


def test_the_client_calls_what_gpuhub_deployed(vendor_next, ours):
    """Version 2's client of jobs."""
    address = ours.deploy("echo").ref.address
    (output,) = vendor_next.do(["run_sync", address, {"value": 5}])
    assert output == {"result": 5}
