"""The same function deployed by beta9's SDK and by gpuhub: what both send, field by field."""

from __future__ import annotations

import pytest

from gpuhub.endpoint import Endpoint
from gpuhub.scaling import Scaling
from gpuhub.spec import Image, Volume
from gpuhub_beam.emulator import EmulatorOptions
from tests.vendor.beam.conftest import TOKEN

pytestmark = [pytest.mark.sdk, pytest.mark.slow]

OWN = {"objectId", "imageId", "handler", "name", "env"}
"""Fields about whose code it is; they differ, as the code does."""

THEIRS = """
    from beta9 import (
        Image, QueueDepthAutoscaler, TaskPolicy, Volume, endpoint, asgi, task_queue, schedule
    )

    image = Image(python_version="python3.11")
    scaler = QueueDepthAutoscaler(max_containers=3, tasks_per_container=1, min_containers=0)
    common = dict(
        cpu=1, memory=1024, gpu={gpu!r}, gpu_count={count}, image=image, keep_warm_seconds=60,
        max_pending_tasks=1000, workers=1, env={{"PLACE": "here"}}, secrets={secrets!r},
        volumes={volumes}, autoscaler=scaler,
    )

    @endpoint(task_policy=TaskPolicy(max_retries=0, timeout=300, ttl=600), **common)
    def echo(value=None):
        return value

    # A policy without retries falls back to the decorator's, which is 3.
    @task_queue(
        retries=0, task_policy=TaskPolicy(max_retries=0, timeout=300, ttl=86400), **common
    )
    def later(value=None):
        return value
"""


def module(*, gpu="", count=0, secrets=(), volumes="[]"):
    """Give the SDK's project."""
    return THEIRS.format(gpu=gpu, count=count, secrets=list(secrets), volumes=volumes)


def plain(document):
    """Give a message as Protobuf sees it: numbers as numbers, and no defaults."""
    if isinstance(document, dict):
        found = {name: plain(value) for name, value in document.items()}
        return {name: value for name, value in found.items() if value not in (0, "", [], {}, False)}
    if isinstance(document, list):
        return [plain(value) for value in document]
    if isinstance(document, str) and document.lstrip("-").isdigit():
        return int(document)
    return document


def sent(emulator, operation, action):
    """Give what one side sent, as :func:`plain`, in the order it was sent."""
    mark = len(emulator.requests)
    action()
    return [
        plain(request.json or {})
        for request in list(emulator.requests)[mark:]
        if request.operation == operation
    ]


def stubs(emulator, action):
    """Give the stubs of an action by their type."""
    return {stub["stubType"]: stub for stub in sent(emulator, "stub", action)}


def both(emulator, vendor, ours, *, settings, **theirs):
    """Deploy with each; give the stubs of both."""
    vendor.write("app.py", module(**theirs))
    steps = [["deploy", "app", name, "contract-echo"] for name in ("echo", "later")]
    one = stubs(emulator, lambda: vendor.do(*steps))
    common = {"cpu": 1, "memory": 1024, "env": {"PLACE": "here"}, "image": Image(python="3.11")}
    scaling = Scaling(max_workers=3, idle_timeout=60)
    given = {"timeout": 300, "scaling": scaling, **common, **settings}
    return one, stubs(emulator, lambda: ours.deploy("echo", **given))


@pytest.mark.parametrize("kind", ["endpoint/deployment", "taskqueue/deployment"])
@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({}, {}),
        ({"gpu": "H100"}, {"gpu": "H100", "count": 1}),
        ({"gpu": "A10G:2"}, {"gpu": "A10G", "count": 2}),
        ({"gpu": ["H100", "A10G"]}, {"gpu": ["H100", "A10G"], "count": 1}),
        ({"secrets": ["HF_TOKEN"]}, {"secrets": ("HF_TOKEN",)}),
        (
            {"volumes": {"/models": Volume("models")}},
            {"volumes": "[Volume(name='models', mount_path='/models')]"},
        ),
    ],
    ids=["cpu", "gpu", "two-gpus", "fallbacks", "secret", "volume"],
)
def test_both_make_the_same_stub(emulator, vendor, ours, kind, settings, theirs):
    """Every field but those about whose code it is."""
    emulator.secrets["HF_TOKEN"] = "made-up"
    one, other = both(emulator, vendor, ours, settings=settings, **theirs)
    mine, sdks = other[kind], one[kind]
    assert {name: mine[name] for name in mine if name not in OWN} == {
        name: sdks[name] for name in sdks if name not in OWN
    }
    assert set(mine) == set(sdks)
    assert set(sdks["env"]) <= set(mine["env"])


def test_both_deploy_a_stub_the_same_way(emulator, vendor, ours):
    """By its id, under a name, with the default rollout."""
    vendor.write("app.py", module())
    theirs = sent(emulator, "deploy", lambda: vendor.do(["deploy", "app", "echo", "contract-echo"]))
    mine = sent(emulator, "deploy", lambda: ours.deploy("echo"))
    for request in (*theirs, *mine):
        assert set(request) == {"stubId", "name", "rollout"}
        assert (request["name"], request["rollout"]) == ("contract-echo", "auto")


def test_both_ask_for_the_same_image(emulator, vendor, ours):
    """When neither wants more than a Python; with packages, the SDK names them apart."""
    vendor.write("app.py", module())
    deploy = ["deploy", "app", "echo", "contract-echo"]
    theirs = sent(emulator, "image", lambda: vendor.do(deploy))
    mine = sent(emulator, "image", lambda: ours.deploy("echo", image=Image(python="3.11")))
    assert theirs[0] == mine[0] == {"pythonVersion": "python3.11"}
    assert theirs[1] == {"pythonVersion": "python3.11"}
    assert len(mine) == 1, "the image is there: the SDK built it, and its id is the same"


def test_both_upload_the_same_way(emulator, vendor, ours):
    """Look for the hash, ask where to put it, put it there with the headers given."""
    vendor.write("app.py", module())
    orders = []
    for action in (
        lambda: vendor.do(["deploy", "app", "echo", "contract-echo"]),
        lambda: ours.deploy("echo"),
    ):
        mark = len(emulator.requests)
        action()
        made = list(emulator.requests)[mark:]
        orders.append([each for each in made if each.operation in ("object", "put")])
    theirs, mine = orders
    assert [each.operation for each in theirs] == [each.operation for each in mine]
    fields = set(plain(theirs[1].json)) - {"multipartPartSize", "multipartTotalSize"}
    assert set(plain(mine[1].json)) == fields
    for put in (theirs[2], mine[2]):
        assert put.headers["x-amz-meta---content-sha256"]
        assert "authorization" not in put.headers


class TestRealRunners:
    """Both on beta9's own runners."""

    @pytest.fixture
    def options(self):
        """Such runners."""
        return EmulatorOptions(workers="beta9", cold_start_s=0.05, tokens=frozenset({TOKEN}))

    def test_each_is_deployed_and_answers(self, vendor, ours):
        """The SDK's functions under its decorators, ours as its own handler."""
        vendor.write("app.py", module())
        direct, queued = vendor.do(
            ["deploy", "app", "echo", "theirs"], ["deploy", "app", "later", "theirs"]
        )
        assert direct["done"]
        assert queued["done"]
        answered, told = vendor.do(
            ["submit", direct["details"]["deployment_id"], {"value": {"a": [1]}}],
            ["submit", queued["details"]["deployment_id"], {"value": "x"}],
        )
        assert answered == {"answer": {"a": [1]}}
        assert (told["result"], told["status"], told["seen"][-1]) == ("x", "COMPLETE", "COMPLETE")
        endpoint = ours.deploy("echo")
        assert endpoint.invoke({"a": [1]}) == {"a": [1]}
        assert endpoint.spawn(0).result(timeout=30) == 0

    def test_the_sdk_calls_what_gpuhub_made(self, emulator, vendor, ours):
        """By its client of deployments: plain keywords in, the envelope out."""
        ours.deploy("echo")
        made = {each.stub.kind: each.id for each in emulator.workspace.deployments}
        (answered,) = vendor.do(["submit", made["endpoint"], {"value": {"a": [1]}}])
        assert answered == {"answer": {"result": {"a": [1]}}}

    def test_gpuhub_calls_what_the_sdk_made(self, vendor, ours):
        """Connected by its name: bare values, whichever they are."""
        vendor.write("app.py", module())
        vendor.do(["deploy", "app", "echo", "theirs"])
        endpoint = Endpoint.connect("beam://theirs", workspace=ours.workspace)
        assert endpoint.invoke(value=[1, None]) == [1, None]
        assert endpoint.invoke(value=0) == 0


def test_a_stub_that_is_refused(emulator, vendor):
    """The SDK gives an empty answer and prints the gateway's words."""
    vendor.write("app.py", module(secrets=["NO_SUCH"]))
    (refused,) = vendor.do(["refused_deploy", "app", "echo", "contract-echo"])
    assert refused == {"details": {}, "done": False}


def test_an_image_that_cannot_be_built(emulator, vendor):
    """The SDK raises; nothing is deployed."""
    emulator.fail("crash", on="deploy")
    vendor.write("app.py", module())
    (refused,) = vendor.do(["refused_deploy", "app", "echo", "contract-echo"])
    assert "raised" in refused or not refused["done"]
    assert not emulator.requests.of("deploy")


def test_a_wrong_token(emulator, vendor):
    """The SDK passes on what gRPC says."""
    vendor.write("app.py", module())
    token = "x" * 64
    (refused,) = vendor.do(["refused_deploy", "app", "echo", "contract-echo"], token=token)
    assert "raised" in refused or not refused.get("done")
    assert not emulator.requests.of("deploy")


def test_a_deployment_is_stopped_by_either(emulator, vendor, ours):
    """The SDK's command line stops what gpuhub made."""
    endpoint = ours.deploy("echo")
    made = [each for each in emulator.workspace.deployments if each.stub.kind == "endpoint"][-1]
    assert made.name == endpoint.name
    (stopped,) = vendor.do(["stopped", made.id])
    assert stopped == {"ok": True, "words": ""}
    assert not made.active
