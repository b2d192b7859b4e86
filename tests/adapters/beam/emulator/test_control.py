"""The control plane: uploads, images, stubs, deployments, secrets."""

from __future__ import annotations

import json

import httpx
import pytest

from gpuhub_beam.emulator import EmulatorOptions
from tests.adapters.beam.emulator.conftest import archive, scaler

MIB = 1024 * 1024
GATEWAY = "/api/v1/gateway"


def put(url, **given):
    """PUT to storage."""
    return httpx.put(url, timeout=60, **given)


@pytest.mark.parametrize(
    ("headers", "message"),
    [({}, "Unauthorized"), ({"Authorization": "Basic x"}, "Unauthorized")],
)
def test_without_a_token(cluster, headers, message):
    """401, in the words of each face."""
    bare = httpx.Client(base_url=cluster.emulator.url, headers=headers, timeout=60)
    answer = bare.get("/api/v1/workspace/current")
    assert (answer.status_code, answer.json()) == (401, {"message": message})
    answer = bare.post(f"{GATEWAY}/stubs", json={})
    assert (answer.status_code, answer.json()["code"]) == (401, 16)
    bare.close()


@pytest.mark.parametrize("options", [EmulatorOptions(tokens=frozenset({"right"}))])
def test_a_wrong_token(cluster):
    """401 where tokens are checked."""
    path = "/api/v1/workspace/current"
    assert cluster.http.get(path).status_code == 401
    assert cluster.http.get(path, headers={"Authorization": "Bearer right"}).status_code == 200


def test_another_workspace(cluster):
    """Its routes refuse this token."""
    assert cluster.http.get("/api/v1/deployment/other").status_code == 401
    assert cluster.http.get("/secret/other").status_code == 401


def test_unknown_routes(cluster):
    """404, or 405 where another method would do."""
    assert cluster.http.get("/api/v1/nothing").status_code == 404
    assert cluster.http.put("/api/v1/workspace/current").status_code == 405


# Uploads


def test_an_upload_is_found_by_its_hash(cluster):
    """Once its bytes are there."""
    head = f"{GATEWAY}/objects/abc?supportsPutHeaders=true"
    assert "exists" not in cluster.http.get(head).json()
    made = cluster.ask("objects", hash="abc", size="3", overwrite=True, supportsPutHeaders=True)
    assert "exists" not in cluster.http.get(head).json()
    stored = put(made["presignedUrl"], content=b"xyz", headers=made["putHeaders"])
    assert stored.headers["etag"].startswith('"')
    found = cluster.http.get(head).json()
    assert (found["exists"], found["objectId"]) == (True, made["objectId"])
    again = cluster.ask("objects", hash="abc", size="3", supportsPutHeaders=True)
    assert again == {"ok": True, "objectId": made["objectId"]}


def test_an_upload_without_its_hash_does_not_count(cluster):
    """For clients that say they support such headers."""
    made = cluster.ask("objects", hash="abc", size="3", overwrite=True)
    assert put(made["presignedUrl"], content=b"xyz").status_code == 200
    assert cluster.http.get(f"{GATEWAY}/objects/abc").json()["exists"]
    assert "exists" not in cluster.http.get(f"{GATEWAY}/objects/abc?supportsPutHeaders=true").json()


def test_a_presigned_url_takes_what_was_signed(cluster):
    """No other signature, headers or credentials."""
    made = cluster.ask("objects", hash="abc", size="3", overwrite=True, supportsPutHeaders=True)
    url, headers = made["presignedUrl"], made["putHeaders"]
    assert put(url, content=b"x").status_code == 403
    assert put(url.partition("?")[0], content=b"x", headers=headers).status_code == 403
    both = {**headers, "Authorization": "Bearer x"}
    assert put(url, content=b"x", headers=both).status_code == 400


@pytest.mark.parametrize(
    ("size", "count"),
    [(16 * MIB, 0), (16 * MIB + 1, 2), (32 * MIB, 2), (32 * MIB + 1, 3)],
)
def test_an_upload_in_parts(cluster, size, count):
    """Only above one part; the last one may be short."""
    given = {"hash": "abc", "size": str(size), "overwrite": True, "supportsPutHeaders": True}
    parts = {"multipartPartSize": str(16 * MIB), "multipartTotalSize": str(size)}
    made = cluster.ask("objects", **given, **parts)
    bounds = [(int(part["start"]), int(part["end"])) for part in made.get("uploadParts", [])]
    assert len(bounds) == count
    if not count:
        assert made["presignedUrl"]
        return
    assert bounds[0][0] == 0
    assert bounds[-1][1] == size
    content = bytes(size)
    etags = [
        put(part["url"], content=content[start:end]).headers["etag"]
        for part, (start, end) in zip(made["uploadParts"], bounds, strict=True)
    ]
    named = [{"number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    ids = {"objectId": made["objectId"], "uploadId": made["uploadId"]}
    path = "objects/multipart-upload/complete"
    wrong = cluster.ask(path, **ids, parts=named[:-1])
    assert (wrong["ok"], "InvalidPart" in wrong["errorMsg"]) == (False, True)
    assert cluster.ask(path, **ids, parts=named)["ok"]
    assert cluster.http.get(f"{GATEWAY}/objects/abc?supportsPutHeaders=true").json()["exists"]
    assert not cluster.ask(path, **ids, parts=named)["ok"]


def test_parts_that_are_too_small(cluster):
    """Storage takes only the last one below 5 MiB."""
    given = {"hash": "abc", "size": "6", "overwrite": True}
    made = cluster.ask("objects", **given, multipartPartSize=3, multipartTotalSize=6)
    etags = [put(part["url"], content=b"xyz").headers["etag"] for part in made["uploadParts"]]
    named = [{"number": number, "etag": etag} for number, etag in enumerate(etags, 1)]
    ids = {"objectId": made["objectId"], "uploadId": made["uploadId"]}
    answer = cluster.ask("objects/multipart-upload/complete", **ids, parts=named)
    assert "EntityTooSmall" in answer["errorMsg"]


@pytest.mark.parametrize("options", [EmulatorOptions(completes_over_http=False)])
def test_a_gateway_that_completes_by_grpc_only(cluster):
    """As the published one: its HTTP mount has no such route."""
    path = f"{GATEWAY}/objects/multipart-upload/complete"
    assert cluster.http.post(path, json={}).status_code in (404, 405)


@pytest.mark.parametrize("options", [EmulatorOptions(has_storage=False)])
def test_a_workspace_without_storage(cluster):
    """Code can go by gRPC only."""
    head = cluster.http.get(f"{GATEWAY}/objects/abc").json()
    assert not head["useWorkspaceStorage"]
    made = cluster.ask("objects", hash="abc", size="3")
    assert made == {"ok": False, "errorMsg": "Workspace storage is unavailable"}


# Images


def build(cluster, **fields):
    """Build an image; give the messages."""
    answer = cluster.http.post(f"{GATEWAY}/images/build", json=fields)
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_image_is_built_once(cluster):
    """Its id is of its specification; the build tells its steps."""
    spec = {
        "pythonVersion": "python3.12",
        "pythonPackages": ["numpy==2.0"],
        "buildSteps": [{"type": "shell", "command": "apt-get install -y ffmpeg"}],
    }
    before = cluster.ask("images/verify-build", **spec)
    assert (before["valid"], before["exists"]) == (True, False)
    lines = [each["result"] for each in build(cluster, **spec)]
    assert lines[-1]["done"]
    assert lines[-1]["success"]
    assert lines[-1]["imageId"] == before["imageId"]
    assert any("numpy==2.0" in line["msg"] for line in lines)
    assert any("ffmpeg" in line["msg"] for line in lines)
    assert cluster.ask("images/verify-build", **spec)["exists"]
    assert not cluster.ask("images/verify-build", **spec, forceRebuild=True)["exists"]
    assert build(cluster, **spec)[0]["result"]["msg"] == "Image already exists\n"
    other = cluster.ask("images/verify-build", **{**spec, "pythonPackages": []})
    assert other["imageId"] != before["imageId"]


@pytest.mark.parametrize("how", ["scripted", "base", "package"])
def test_a_build_that_fails(cluster, how):
    """Ends with what went wrong; the next one may work."""
    spec = {"pythonVersion": "python3.12", "pythonPackages": ["left-pad"]}
    if how == "scripted":
        cluster.emulator.fail("crash", on="deploy")
    if how == "base":
        spec["existingImageUri"] = "docker.io/me/none:1"
        cluster.emulator.images.missing.add("docker.io/me/none:1")
    if how == "package":
        cluster.emulator.images.packages.add("left-pad")
    *lines, last = build(cluster, **spec)
    assert lines[-1]["result"]["done"]
    assert "success" not in lines[-1]["result"]
    assert last == {"error": {"code": 2, "message": "build failed", "details": []}}
    assert not cluster.ask("images/verify-build", **spec)["exists"]


@pytest.mark.parametrize(
    ("python", "status"),
    [("python3.8", 200), ("python3.12", 200), ("micromamba3.10", 200), ("python3.13", 500)],
)
def test_which_pythons_there_are(cluster, python, status):
    """3.8 to 3.12."""
    answer = cluster.http.post(f"{GATEWAY}/images/verify-build", json={"pythonVersion": python})
    assert answer.status_code == status


# Stubs


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cpu": 0}, "must be greater than 0"),
        ({"cpu": 128_001}, "128 cores or less"),
        ({"memory": 32_769}, "32 GiB or less"),
        ({"gpu": "H100", "gpuCount": 3}, "GPU count must be 2 or less."),
        ({"secrets": [{"name": "NO"}]}, 'Secret "NO" does not exist in this workspace.'),
        ({"objectId": "nothing"}, "Failed to prepare stub object"),
        ({"gpu": "H100", "gpuCount": 2, "checkpointEnabled": True}, "multi-GPU"),
        ({"gpu": "H100,A10G", "checkpointEnabled": True}, "between multiple GPUs"),
        (
            {"volumes": [{"id": "v", "mountPath": "/x", "config": {"accessKey": "NO"}}]},
            "Failed to get secret: NO",
        ),
    ],
)
def test_a_stub_that_is_refused(cluster, fields, words):
    """With 200 and ``ok: false``."""
    answer = cluster.stub("echo", **fields)
    assert not answer["ok"]
    assert words in answer["errMsg"]


@pytest.mark.parametrize("options", [EmulatorOptions(allows_several_gpus=False)])
def test_a_workspace_with_one_gpu_at_most(cluster):
    """Hosted Beam enables more on request."""
    assert cluster.stub("echo", gpu="H100", gpuCount=1)["ok"]
    assert "Multi-GPU" in cluster.stub("echo", gpu="H100", gpuCount=2)["errMsg"]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ({"gpus": ["H100"]}, "gpus"),
        ({"cpu": "many"}, "cpu"),
        ({"workers": -1}, "workers"),
        ({"authorized": "yes"}, "authorized"),
        ({"autoscaler": {"max": 1}}, "autoscaler.max"),
        ([], "object"),
    ],
)
def test_a_message_of_another_form(cluster, document, where):
    """400; an unknown name too, which the real gateway drops."""
    answer = cluster.http.post(f"{GATEWAY}/stubs", json=document)
    assert answer.status_code == 400
    assert where in answer.json()["message"]


def test_what_the_gateway_makes_of_a_stub(cluster):
    """Its limits and defaults are in the configuration that it shows."""
    deployment = cluster.deploy(
        "echo",
        cpu="2000",
        gpu="H100, A10G",
        keepWarmSeconds=5,
        taskPolicy={"timeout": "5000", "maxRetries": 9},
        autoscaler=scaler(most=3, each=2),
    )
    path = f"/api/v1/deployment/{cluster.workspace}/{deployment.id}"
    config = json.loads(cluster.http.get(path).json()["stub"]["config"])
    assert config["runtime"]["cpu"] == 2000
    assert config["runtime"]["gpus"] == ["H100", "A10G"]
    assert config["runtime"]["gpu_count"] == 1
    assert config["keep_warm_seconds"] == 10
    assert config["task_policy"] == {"timeout": 600, "max_retries": 0, "ttl": 600}
    assert config["autoscaler"]["max_containers"] == 3


@pytest.mark.parametrize(
    ("kind", "sent", "kept"),
    [
        ("endpoint", {"timeout": -1}, {"timeout": 600, "max_retries": 0, "ttl": 600}),
        ("asgi", {"timeout": 30, "ttl": 50}, {"timeout": 30, "max_retries": 0, "ttl": 50}),
        ("taskqueue", {"timeout": -1}, {"timeout": -1, "max_retries": 0, "ttl": 7_200}),
        ("taskqueue", {"maxRetries": 9}, {"timeout": 0, "max_retries": 5, "ttl": 7_200}),
        ("taskqueue", {"ttl": 10**6}, {"timeout": 0, "max_retries": 0, "ttl": 86_400}),
        ("function", {"timeout": 9}, {"timeout": 9, "max_retries": 0, "ttl": 43_200}),
    ],
)
def test_task_policies_are_clamped(cluster, kind, sent, kept):
    """By kind."""
    deployment = cluster.deploy("echo", kind, taskPolicy=sent)
    assert deployment.instance.config["task_policy"] == kept


# Deployments


def test_versions_of_a_name(cluster):
    """Count by name and kind; the list has all, newest first, and is filtered by part of a name."""
    first, second = cluster.deploy("echo"), cluster.deploy("echo")
    queue = cluster.deploy("echo", "taskqueue")
    other = cluster.deploy("plain", name="echo-too")
    assert [each.version for each in (first, second, queue, other)] == [1, 2, 1, 1]
    assert second.made["invokeUrl"].endswith("/endpoint/echo/v2")

    def listed(**query):
        answer = cluster.http.get(f"/api/v1/deployment/{cluster.workspace}", params=query)
        return [(each["name"], each["stub_type"], each["version"]) for each in answer.json()]

    assert len(listed(name="echo")) == 4
    assert len(listed(name="echo", limit=2)) == 2
    assert listed(version=2) == [("echo", "endpoint/deployment", 2)]
    assert listed(stub_type="taskqueue/deployment") == [("echo", "taskqueue/deployment", 1)]
    first.change("stop")
    assert ("echo", "endpoint/deployment", 1) in listed(active="false")
    assert len(listed(active="true")) == 3
    found = cluster.http.get(f"{GATEWAY}/deployments").json()
    assert len(found["deployments"]) == 4


def test_changes_by_the_rest_api(cluster):
    """The same as by the gateway's methods."""
    deployment = cluster.deploy("echo")
    path = f"/api/v1/deployment/{cluster.workspace}"
    assert cluster.http.post(f"{path}/stop/{deployment.id}").status_code == 200
    assert not cluster.http.get(f"{path}/{deployment.id}").json()["active"]
    assert cluster.http.post(f"{path}/start/{deployment.id}").status_code == 200
    assert cluster.http.delete(f"{path}/{deployment.id}").status_code == 200
    assert cluster.http.get(f"{path}/{deployment.id}").status_code == 404
    assert cluster.http.delete(f"{path}/{deployment.id}").status_code == 400
    assert cluster.http.post(f"{path}/start/{deployment.id}").status_code == 400


def test_deploying_what_does_not_exist(cluster):
    """Not ok, without a word about why."""
    assert cluster.ask("stubs/deploy", stubId="nothing", name="x") == {"ok": False}
    stub = cluster.stub("echo")["stubId"]
    answer = cluster.ask("stubs/deploy", stubId=stub, name="x", rollout="slowly")
    assert "unsupported rollout mode" in answer["errMsg"]


def test_the_url_of_a_deployment(cluster):
    """By stub and deployment."""
    deployment = cluster.deploy("echo")
    path = f"{GATEWAY}/stubs/{deployment.stub}/url"
    assert not cluster.http.get(path).json()["ok"]
    found = cluster.http.get(path, params={"deploymentId": deployment.id}).json()
    assert found == {"ok": True, "url": deployment.made["invokeUrl"]}


# Secrets and volumes


def test_secrets(cluster):
    """Made once, changed, read and deleted; a stub keeps the value it was made with."""
    path = f"/secret/{cluster.workspace}"
    given = {"name": "TOKEN", "value": "first"}
    assert cluster.http.post(path, json=given).status_code == 200
    assert cluster.http.post(path, json=given).status_code == 409
    deployment = cluster.deploy("variable", secrets=[{"name": "TOKEN"}])
    assert cluster.http.patch(f"{path}/TOKEN", json={"value": "second"}).status_code == 200
    assert cluster.http.get(f"{path}/TOKEN").json()["value"] == "second"
    assert [each["name"] for each in cluster.http.get(path).json()] == ["TOKEN"]
    assert deployment.call(name="TOKEN") == "first"
    assert cluster.http.delete(f"{path}/TOKEN").status_code == 204
    assert cluster.http.get(f"{path}/TOKEN").status_code == 404
    assert cluster.http.patch(f"{path}/TOKEN", json={"value": "x"}).status_code == 500
    shown = repr(list(cluster.emulator.requests))
    assert "first" not in shown
    assert "second" not in shown


def test_a_volume_is_made_once(cluster):
    """And found by its name."""
    first = cluster.ask("volumes", name="models")
    assert first == cluster.ask("volumes", name="models") | {"volume": first["volume"]}
    assert cluster.ask("volumes", name="models")["volume"]["id"] == first["volume"]["id"]
    assert cluster.ask("volumes", name="other")["volume"]["id"] != first["volume"]["id"]


def test_an_archive_with_folders(cluster):
    """Is unpacked once for all containers of it."""
    code = (
        "class W:\n    func = staticmethod(lambda: 5)\n    def __call__(self):\n        return 5\n"
    )
    content = archive(**{"pack/__init__.py": "", "pack/inner.py": f"{code}answer = W()\n"})
    stub = cluster.stub("x", objectId=cluster.upload(content), handler="pack.inner:answer")
    made = cluster.ask("stubs/deploy", stubId=stub["stubId"], name="packed")
    assert cluster.http.post("/endpoint/packed/v1", json={}).json() == 5
    assert made["version"] == 1
