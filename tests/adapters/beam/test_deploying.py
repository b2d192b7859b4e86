"""Deploying: the order of calls, what is there already, and what Beam refuses."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    DeployFailed,
    MalformedResponse,
    NoCapacity,
    ProviderUnavailable,
)
from gpuhub.spec import Schedule, Secret, Volume
from gpuhub_beam import schedule, wire
from gpuhub_beam.releases import CHANGED
from gpuhub_beam.unary import fields_of
from tests.adapters.beam.answers import FINGERPRINT, GATEWAY, LIST, WORKSPACE, pair

STORE = "https://storage.example/bucket/object-1"
PART = 16 * 1024 * 1024


class Site:
    """A gateway that knows image and code, unless a test says otherwise."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.number = 0
        self.route("POST", "/images/verify-build", {"imageId": "img", "exists": True})
        self.route("GET", None, {"ok": True, "exists": True, "objectId": "object-1"})
        self.stubs = self.api.post(f"{GATEWAY}/stubs").mock(side_effect=self._stub)
        self.deploys = self.api.post(f"{GATEWAY}/stubs/deploy").mock(side_effect=self._deploy)
        self.listing = api.get(LIST).respond(json=pair(1, 1))

    def route(self, method: str, path: str | None, answer: Any, status: int = 200) -> Any:
        url = f"{GATEWAY}{path}" if path else r".*/api/v1/gateway/objects/[0-9a-f]{64}.*"
        pattern = {"path": url} if path else {"url__regex": url}
        return self.api.route(method=method, **pattern).respond(status, json=answer)

    def _stub(self, request: httpx.Request) -> httpx.Response:
        kind = json.loads(request.content)["stubType"].partition("/")[0]
        return httpx.Response(200, json={"ok": True, "stubId": f"stub-{kind}-1"})

    def _deploy(self, request: httpx.Request) -> httpx.Response:
        kind = json.loads(request.content)["stubId"].split("-")[1]
        answer = {"ok": True, "deploymentId": f"{kind}-1", "version": 1}
        return httpx.Response(200, json=answer)

    def sent(self) -> list[str]:
        return [f"{call.request.method} {call.request.url.path}" for call in self.api.calls]


@pytest.fixture
def site(api):
    """A scripted gateway."""
    return Site(api)


def deploy(lab: Any, previous: Any = None, **settings: Any) -> Any:
    """Deploy a function."""
    return lab.run(lab.adapter.deploy(lab.io, lab.plan(**settings), previous))


def body(route: Any, at: int = -1) -> Any:
    """Give the JSON of a request."""
    return json.loads(route.calls[at].request.content)


def test_known_image_and_code_are_not_sent_again(lab, site):
    """Two looks, then a stub and a deployment of each part: the main part last."""
    ref = deploy(lab)
    steps = [line.rpartition("/gateway")[2] for line in site.sent()]
    assert steps[0] == "/images/verify-build"
    assert steps[2:6] == ["/stubs", "/stubs", "/stubs/deploy", "/stubs/deploy"]
    assert len(steps) == 7
    assert [body(site.stubs, at)["stubType"] for at in (0, 1)] == [
        "taskqueue/deployment",
        "endpoint/deployment",
    ]
    stub = body(site.stubs)
    assert (stub["objectId"], stub["imageId"]) == ("object-1", "img")
    assert stub["pythonVersion"] == "python3.12"
    assert f"GPUHUB_FINGERPRINT={FINGERPRINT}" in stub["env"]
    assert body(site.deploys) == {
        "stubId": "stub-endpoint-1",
        "name": "lab-echo",
        "rollout": "auto",
    }
    assert (ref.name, ref.address, ref.version) == ("lab-echo", "lab-echo", "endpoint-v1")
    assert ref.fingerprint == FINGERPRINT
    assert ref.made_by_gpuhub
    assert ref.url == "https://app.beam.cloud/endpoint/lab-echo/v1"
    assert ref.data["queue"] == "/taskqueue/lab-echo/v1"


def test_each_request_has_the_token(lab, site):
    """But none that goes to storage."""
    deploy(lab)
    tokens = {call.request.headers.get("authorization") for call in site.api.calls}
    assert tokens == {"Bearer beam_SECRET"}


def test_a_build_is_followed_to_its_end(lab, site, caplog):
    """Its lines are told, and its image and Python are taken."""
    site.route("POST", "/images/verify-build", {"imageId": "", "exists": False})
    lines = [
        {"result": {"msg": "Installing\nnumpy\n", "done": False}},
        {"result": {"msg": "ok", "done": True, "success": True, "imageId": "new"}},
    ]
    lines[1]["result"]["pythonVersion"] = "python3.11"
    text = "\n".join(map(json.dumps, lines)) + "\n"
    build = site.api.post(f"{GATEWAY}/images/build").respond(200, text=text)
    with caplog.at_level("INFO", logger="gpuhub"):
        deploy(lab)
    assert body(build)["pythonVersion"] == "python3.12"
    assert (body(site.stubs)["imageId"], body(site.stubs)["pythonVersion"]) == (
        "new",
        "python3.11",
    )
    assert "build: numpy" in caplog.text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"result":{"msg":"no torch==99\\n"}}\n{"result":{"done":true,"success":false}}', "no t"),
        ('{"result":{"msg":"half\\n"}}\n', "half"),
        ('{"error":{"code":2,"message":"build failed"}}\n', "build failed"),
        ("", "no log"),
    ],
)
def test_a_failed_build_shows_the_end_of_its_log(lab, site, text, told):
    """Failed, broken off or refused: no deployment is made."""
    site.route("POST", "/images/verify-build", {"exists": False})
    site.api.post(f"{GATEWAY}/images/build").respond(200, text=text)
    with pytest.raises(DeployFailed) as caught:
        deploy(lab)
    assert any(told in line for line in caught.value.log_tail)
    assert caught.value.provider == "beam"
    assert not site.stubs.called


def test_new_code_is_put_where_the_gateway_says(lab, site):
    """With its headers and without the token."""
    site.route("GET", None, {"ok": True, "exists": False, "useWorkspaceStorage": True})
    made = {"ok": True, "objectId": "object-2", "presignedUrl": f"{STORE}?signature=s"}
    create = site.route("POST", "/objects", {**made, "putHeaders": {"x-amz-meta-hash": "h"}})
    put = site.api.put(url__startswith=STORE).respond(200)
    deploy(lab)
    plan = lab.plan()
    sent = put.calls.last.request
    assert sent.content == plan.request("upload").body
    assert sent.headers["x-amz-meta-hash"] == "h"
    assert "authorization" not in sent.headers
    asked = body(create)
    assert asked["hash"] == asked["objectMetadata"]["name"] == plan.request("head").path[-64:]
    assert asked["size"] == str(len(sent.content))
    assert "multipartPartSize" not in asked
    assert body(site.stubs)["objectId"] == "object-2"


class Uploading:
    """Puts content of any size through the upload alone."""

    def __init__(self, lab: Any, site: Site, size: int) -> None:
        self.content = bytes(size)
        self.lab = lab
        requests = [
            replace(each, body=self.content)
            if each.step == "upload"
            else wire.create_object("a" * 64, size)
            if each.step == "object"
            else each
            for each in lab.plan().requests
        ]
        self.plan = replace(lab.plan(), requests=tuple(requests))
        site.route("GET", None, {"ok": True, "exists": False, "useWorkspaceStorage": True})
        self.create = site.api.post(f"{GATEWAY}/objects").mock(side_effect=self._create)
        self.put = site.api.put(url__startswith=STORE).mock(
            side_effect=lambda request: httpx.Response(200, headers={"etag": request.url.query})
        )

    def _create(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        answer: dict[str, Any] = {"ok": True, "objectId": "object-2"}
        if "multipartPartSize" not in asked:
            return httpx.Response(200, json={**answer, "presignedUrl": STORE})
        size, step = int(asked["multipartTotalSize"]), int(asked["multipartPartSize"])
        parts = [
            {"number": at + 1, "start": str(start), "end": str(min(start + step, size))}
            for at, start in enumerate(range(0, size, step))
        ]
        for part in parts:
            part["url"] = f"{STORE}?part={part['number']}"
        answer |= {"uploadId": "u", "uploadParts": parts}
        return httpx.Response(200, json=answer)

    def deploy(self) -> None:
        self.lab.run(self.lab.adapter.deploy(self.lab.io, self.plan, None))


@pytest.mark.parametrize(
    ("size", "parts"), [(PART - 1, 1), (PART, 1), (PART + 1, 2), (2 * PART, 2), (2 * PART + 1, 3)]
)
def test_a_large_archive_travels_in_parts(lab, site, size, parts):
    """Of 16 MiB, put together by their ETags; up to one part it goes whole."""
    end = site.route("POST", "/objects/multipart-upload/complete", {"ok": True})
    upload = Uploading(lab, site, size)
    upload.deploy()
    assert upload.put.call_count == parts
    assert sum(len(call.request.content) for call in upload.put.calls) == size
    if parts > 1:
        etags = [{"number": at, "etag": f"part={at}"} for at in range(1, parts + 1)]
        assert body(end) == {"objectId": "object-2", "uploadId": "u", "parts": etags}
    assert end.called is (parts > 1)


def test_a_gateway_that_cannot_put_parts_together(lab, site):
    """Gets the archive whole: the route is not published."""
    site.route("POST", "/objects/multipart-upload/complete", {"code": 5}, status=404)
    upload = Uploading(lab, site, PART + 1)
    upload.deploy()
    assert upload.create.call_count == 2
    assert len(upload.put.calls.last.request.content) == PART + 1


def test_a_workspace_without_storage(lab, site):
    """Its code would have to travel over gRPC: said, with what to do."""
    site.route("GET", None, {"ok": True, "exists": False, "useWorkspaceStorage": False})
    with pytest.raises(BadRequest, match="object storage") as caught:
        deploy(lab)
    assert "workspaceStorage" in caught.value.next_step


def test_volumes_are_made(lab, site):
    """And mounted by id."""
    volume = site.route("POST", "/volumes", {"ok": True, "volume": {"id": "vol-7"}})
    deploy(lab, volumes={"/models": Volume("models")})
    assert body(volume) == {"name": "models"}
    assert body(site.stubs)["volumes"] == [{"id": "vol-7", "mountPath": "/models"}]


def test_local_secrets_are_stored_or_replaced(lab, site):
    """POST; where it is there already, PATCH. The value is in no other request."""
    plan = lab.plan(secrets=Secret.from_local_env("TOKEN"))
    plan = replace(plan, secret_values={"TOKEN": SecretStr("hunter2-hunter2")})
    make = site.api.post(f"/secret/{WORKSPACE}").mock(
        side_effect=[httpx.Response(200, json={}), httpx.Response(409, json={"error": "exists"})]
    )
    change = site.api.patch(f"/secret/{WORKSPACE}/GPUHUB_LAB_ECHO_TOKEN").respond(json={})
    for _ in range(2):
        lab.run(lab.adapter.deploy(lab.io, plan, None))
    assert body(make) == {"name": "GPUHUB_LAB_ECHO_TOKEN", "value": "hunter2-hunter2"}
    assert body(change) == {"value": "hunter2-hunter2"}
    others = [call.request for call in site.api.calls if "/secret/" not in call.request.url.path]
    assert b"hunter2" not in b"".join(request.content for request in others)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ({"ok": False, "errMsg": 'Secret "X" does not exist'}, BadRequest, 'Secret "X"'),
        ({"ok": False}, BadRequest, "no reason"),
        ({}, BadRequest, "no reason"),
        ({"stubId": "s"}, MalformedResponse, "does not say"),
        ({"ok": True, "stubId": "s", "capacityStatus": "none"}, NoCapacity, "no pool"),
    ],
)
def test_what_the_gateway_says_about_a_stub(lab, site, answer, error, words):
    """ok: false comes with status 200; a GPU that it will never have is accepted by it."""
    site.stubs.mock(return_value=httpx.Response(200, json=answer))
    with pytest.raises(error, match=words) as caught:
        deploy(lab)
    assert caught.value.provider == "beam"
    assert not site.deploys.called


def test_a_schedule_is_made_before_the_version_is_complete(lab, site, monkeypatch):
    """Over gRPC, with what the steps before gave; a refusal names the line."""
    asked: list[Any] = []

    def call(url: str, route: str, body: bytes, token: str) -> bytes:
        asked.append((url, route, fields_of(body), token))
        assert site.deploys.call_count == 1
        return message_of(ok=True)

    monkeypatch.setattr(schedule, "call", call)
    site.listing.respond(json=pair(1, 1, parts="endpoint,taskqueue,schedule"))
    deploy(lab, schedule=Schedule(cron="7 6 * * 1"))
    url, route, fields, token = asked[0]
    assert (url, token) == ("https://gateway.beam.cloud:443", "beam_SECRET")
    assert route == "/function.FunctionService/FunctionSchedule"
    assert fields == {1: b"stub-schedule-1", 2: b"7 6 * * 1", 3: b"schedule-1"}
    refused = message_of(ok=False) + bytes([18, 3]) + b"bad"
    monkeypatch.setattr(schedule, "call", lambda *_: refused)
    with pytest.raises(BadRequest, match="bad"):
        deploy(lab, schedule=Schedule(cron="7 6 * * 1"))


def message_of(*, ok: bool) -> bytes:
    """Write the beginning of an answer."""
    return bytes([8, 1]) if ok else b""


def test_a_lost_deploy_is_not_repeated(lab, site):
    """It may have made a version, which the next deploy finds."""
    site.deploys.mock(side_effect=httpx.ReadTimeout("lost"))
    with pytest.raises(ProviderUnavailable) as caught:
        deploy(lab)
    assert caught.value.accepted is None
    assert site.deploys.call_count == 1


def test_a_refused_token(lab, site):
    """Names the variable."""
    site.route("POST", "/images/verify-build", {"code": 16, "message": "invalid token"}, status=401)
    with pytest.raises(AuthFailed, match="invalid token") as caught:
        deploy(lab)
    assert "BEAM_TOKEN" in caught.value.next_step


def test_what_was_left_running_is_no_new_version(lab, api):
    """The next deploy of the same takes what is there; its end stops the older ones."""
    entries = pair(2, 2) + pair(1, 1, fingerprint="old")
    api.get(LIST).respond(json=entries)
    found = lab.run(lab.adapter.find(lab.io, "lab-echo"))
    assert found.fingerprint == CHANGED
    assert deploy(lab, found) == found
    stop = api.post(path__regex=rf"{GATEWAY}/deployments/(?P<id>[^/]+)/stop").respond(
        json={"ok": True}
    )
    api.get(f"/api/v1/task/{WORKSPACE}").respond(json={"data": []})
    lab.run(lab.adapter.retire(lab.io, found))
    stopped = [call.request.url.path.split("/")[-2] for call in stop.calls]
    assert sorted(stopped) == ["endpoint-1", "taskqueue-1"]


def test_the_project_is_not_written_to(lab, site, tmp_path):
    """Beam's SDK leaves an ignore file there."""
    with suppress(DeployFailed):
        deploy(lab)
    assert not list(tmp_path.glob(".*ignore"))
