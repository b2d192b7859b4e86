"""What gpuhub has Modal's client send, and what a program of Modal's sends for the same, compared.

Field by field: whatever is not named in :data:`OWN` must be equal, on the oldest and on the newest
version of the client.
"""

from __future__ import annotations

import pytest

import gpuhub
from gpuhub.spec import Batching, Bucket, Schedule, Volume

OWN = {
    "app_name": "the deployment's name",
    "function_name": "the function's name",
    "module_name": "gpuhub's entry module",
    "implementation_name": "a function of it",
    "function_schema": "that one's signature",
    "mount_ids": "numbers of mounts: of Modal's client, and of the code",
    "image_id": "a number",
    "secret_ids": "numbers",
    "object_dependencies": "numbers of the same",
    "volume_id": "a number",
    "credentials_secret_id": "a number",
}
"""Fields of ``Function`` that differ, and what they hold. Their presence must be the same."""

PINNED = {
    "min_containers": 0,
    "max_containers": 3,
    "buffer_containers": 0,
    "scaledown_window": 60,
    "timeout": 300,
    "startup_timeout": 300,
    "retries": 0,
}
"""What gpuhub always says, and a program of Modal's has to in order to mean the same."""

CASES = {
    "plain": ({}, {}),
    "gpu": ({"gpu": "H100"}, {"gpu": "H100!"}),
    "gpus": ({"gpu": "L4:2"}, {"gpu": "L4:2"}),
    "fallbacks": ({"gpu": ["A100-80GB", "H100"]}, {"gpu": ["A100-80GB", "H100!"]}),
    "resources": ({"cpu": 2.0, "memory": 4096}, {"cpu": 2.0, "memory": 4096}),
    "scaling": (
        {"scaling": gpuhub.Scaling(min_workers=1, max_workers=4, idle_timeout=90)},
        {"min_containers": 1, "max_containers": 4, "scaledown_window": 90},
    ),
    "buffer": ({"scaling": gpuhub.Scaling(buffer_workers=2)}, {"buffer_containers": 2}),
    "times": (
        {"timeout": 120, "startup_timeout": 420},
        {"timeout": 120, "startup_timeout": 420},
    ),
    "retries": ({"retries": 2}, {"retries": 2}),
    "placement": ({"cloud": "aws"}, {"cloud": "aws"}),
    "snapshot": ({"snapshot": "cpu"}, {"enable_memory_snapshot": True}),
    "env": ({"env": {"PLACE": "here"}}, {"env": {"PLACE": "here"}}),
}


@pytest.fixture
def theirs(lab, tmp_path, monkeypatch):
    """Deploy a function of a module as a program of Modal's does."""
    (tmp_path / "vendor_plain.py").write_text(
        "def echo(value):\n    return value\n\n"
        "def count_to(number):\n    yield from range(number)\n\n"
        "def tick():\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import vendor_plain

    def deploy(name="echo", decorate=lambda function: function, **options):
        python = f"{gpuhub.Image().python}"
        image = lab.modal.Image.debian_slim(python)
        app = lab.modal.App("theirs")
        given = {"image": image, "name": name, **PINNED, **options}
        app.function(**given)(decorate(getattr(vendor_plain, name)))
        app.deploy(client=lab.client)
        handle = lab.modal.Function.from_name("theirs", name, client=lab.client)
        handle.hydrate()
        return handle

    return deploy


def created(lab):
    """The last ``FunctionCreate``."""
    return [each for each in lab.emulator.requests if each.path == "/FunctionCreate"][-1].json


def comparable(value):
    """Leave out what differs by nature; say that it is there."""
    if isinstance(value, dict):
        return {
            name: "(there)" if name in OWN else comparable(each) for name, each in value.items()
        }
    return [comparable(each) for each in value] if isinstance(value, list) else value


def compared(lab):
    """The last ``FunctionCreate`` as far as it can be compared."""
    found = created(lab)
    return comparable({name: found[name] for name in found if name.startswith("function")})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_settings(lab, ours, theirs, case):
    """Each with the same field and the same value."""
    settings, options = CASES[case]
    ours.deploy("echo", **settings)
    mine = compared(lab)
    theirs(**options)
    assert mine == compared(lab)


def test_concurrency(lab, ours, theirs):
    """``@modal.concurrent``."""
    ours.deploy("echo", scaling=gpuhub.Scaling(concurrency=4, target_in_flight=2))
    mine = compared(lab)
    theirs(decorate=lab.modal.concurrent(max_inputs=4, target_inputs=2))
    assert mine == compared(lab)


def test_batching(lab, ours):
    """``@modal.batched``: the same fields."""
    ours.deploy("echo", batching=Batching(max_size=6, wait=0.25))
    function = created(lab)["function"]
    assert (function["batch_max_size"], function["batch_linger_ms"]) == (6, 250)


def test_schedules(lab, ours, theirs):
    """Cron expressions and periods."""
    for schedule, theirs_one in (
        (Schedule(cron="7 6 * * 1"), lab.modal.Cron("7 6 * * 1")),
        (Schedule(every=3600), lab.modal.Period(seconds=3600)),
    ):
        ours.deploy("tick", schedule=schedule, env={"CONTRACT_LOG": "/nowhere"})
        mine = compared(lab)
        theirs("tick", schedule=theirs_one, env={"CONTRACT_LOG": "/nowhere"})
        assert mine == compared(lab)


def test_volumes_and_buckets(lab, ours, theirs):
    """Mounted at the same places."""
    ours.deploy("echo", volumes={"/models": Volume("models"), "/data": Bucket("s3://data/part")})
    mine = compared(lab)
    volume = lab.modal.Volume.from_name("models", create_if_missing=True, client=lab.client)
    bucket = lab.modal.CloudBucketMount("data", key_prefix="part/", read_only=True)
    theirs(volumes={"/models": volume, "/data": bucket})
    assert mine["function"]["volume_mounts"] == compared(lab)["function"]["volume_mounts"]
    assert mine == compared(lab)


def test_generators(lab, ours, theirs):
    """Another type of function."""
    ours.deploy("count_to")
    mine = compared(lab)
    theirs("count_to", retries=None)  # Modal refuses the number for generators
    assert mine == compared(lab)


def test_web_applications(lab, ours):
    """Behind a proxy token, unless they are public."""
    for public in (True, False):
        ours.deploy_web("site", public=public)
        webhook = created(lab)["function"]["webhook_config"]
        assert webhook.get("requires_proxy_auth", False) is not public


def test_a_deploy_asks_the_same_in_the_same_order(lab, ours, theirs):
    """Beside looking whether there is one already."""
    ours.deploy("echo")
    mine = deploying(lab)
    lab.emulator.requests.clear()
    theirs()
    assert mine == deploying(lab)


def deploying(lab):
    """RPCs that change something, each once, in the order of their first."""
    ignored = ("/MountPutFile", "/ImageJoinStreaming", "/ImageGetOrCreate", "/MountGetOrCreate")
    changing = [each.path for each in lab.emulator.requests if each.method == "rpc"]
    return list(dict.fromkeys(path for path in changing if path not in ignored))


def test_waited_calls(lab, ours, theirs):
    """The same message, under a key, with the client's own headers."""
    endpoint, handle = ours.deploy("echo"), theirs()
    endpoint.invoke("value")
    handle.remote("value")
    mine, plain = maps(lab)
    assert message_of(mine) == message_of(plain)
    assert set(mine.headers) <= set(plain.headers)
    assert {"x-idempotency-key", "x-modal-token-id", "x-modal-client-version"} <= set(mine.headers)
    for name in ("x-modal-client-type", "x-modal-client-version", "user-agent"):
        assert mine.headers.get(name) == plain.headers.get(name)


def test_spawned_calls(lab, ours, theirs):
    """Of another kind."""
    endpoint, handle = ours.deploy("echo"), theirs()
    endpoint.spawn("value").result()
    handle.spawn("value").get()
    mine, plain = maps(lab)
    assert message_of(mine) == message_of(plain)


def test_streamed_calls(lab, ours, theirs):
    """Of a third."""
    endpoint, handle = ours.deploy("count_to"), theirs("count_to", retries=None)
    assert list(endpoint.stream(3)) == list(handle.remote_gen(3)) == [0, 1, 2]
    mine, plain = maps(lab)
    assert message_of(mine) == message_of(plain)


def test_results_are_read_from_the_same_message(lab, ours, theirs):
    """Ours are bytes of JSON, pickled as any result is; nothing else is unpickled."""
    endpoint = ours.deploy("echo")
    endpoint.invoke("value")
    lab.modal.Function.from_name("ours-echo", "echo", client=lab.client).remote(b'{"value": 1}')
    mine, plain = maps(lab)
    assert message_of(mine) == message_of(plain)
    assert theirs().remote({"a": 1}) == {"a": 1}


def maps(lab):
    """The ``FunctionMap`` of each."""
    return [each for each in lab.emulator.requests if each.path == "/FunctionMap"]


def message_of(recorded):
    """Leave out the number of the function, how long the argument is, and a name that is empty."""
    message = {**recorded.json, "function_id": "(there)"}
    (item,) = message["pipelined_inputs"]
    assert item["input"]["args"].endswith(" bytes>")
    sent = {**item["input"], "args": "(there)"}
    assert sent.pop("method_name", "") == "", "of a class's methods only; ours leaves it unset"
    message["pipelined_inputs"] = [{**item, "input": sent}]
    return message


def test_a_program_of_modals_calls_ours(lab, ours):
    """What gpuhub deployed takes JSON and gives JSON, whoever calls it."""
    ours.deploy("combine")
    handle = lab.modal.Function.from_name("ours-combine", "combine", client=lab.client)
    assert handle.remote(b'{"left": 1, "scale": 2}') == b'{"result":22}'


def test_gpuhub_calls_a_program_of_modals(lab, ours, theirs):
    """By its address."""
    theirs()
    endpoint = gpuhub.Endpoint.connect("modal://theirs/echo", workspace=ours.workspace)
    assert endpoint.invoke(value=[1, "a", None]) == [1, "a", None]
