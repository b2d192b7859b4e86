"""Beam's routes as requests. Pure.

Mounted from gRPC under ``/api/v1/gateway`` (gateway.proto, image.proto, volume.proto), REST under
``/api/v1`` and calls at the root (``pkg/api/v1``, ``pkg/abstractions``): beam-cloud/beta9 at
0b79dfe, read 2026-11-24. Every address is below ``gateway_url``, so that hosted Beam, a self-hosted
gateway and an emulator differ in it only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuhub.plan import Request, Retry
from gpuhub_beam.schedule import ROUTE

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions

__all__ = [
    "API",
    "GATEWAY",
    "PART_SIZE",
    "build_image",
    "call",
    "change_deployment",
    "complete_object",
    "create_object",
    "create_secret",
    "delete_secret",
    "deploy_stub",
    "follow_logs",
    "follow_schedule",
    "get_containers",
    "get_logs",
    "get_task",
    "get_workspace",
    "head_object",
    "list_deployments",
    "make_volume",
    "newest_task",
    "patch_stub",
    "put_object",
    "put_part",
    "stop_tasks",
    "subscribe",
    "update_secret",
    "verify_image",
    "waiting_tasks",
    "warm_up",
]

API = "/api/v1"
GATEWAY = f"{API}/gateway"
PART_SIZE = 16 * 1024 * 1024
"""Bytes of one part of a large archive, as the SDK splits it (``MULTIPART_PART_SIZE``, 0.1.291)."""

_BUILD_S = 3600.0
_UPLOAD_S = 600.0
_STARTUP_S = 15 * 60 + 30 + 30
"""A request may wait so long for a container (``backendContainerStartupTimeout``), and a margin."""
_JSON = {"Content-Type": "application/json"}


def _get(path: str, **query: str) -> Request:
    return Request("GET", path, query=query, retry=Retry.SAFE)


def _post(path: str, body: Any, step: str = "", retry: Retry = Retry.SAFE) -> Request:
    return Request("POST", path, json=body, step=step, retry=retry)


def _id(text: str) -> str:
    return quote(text, safe="")


# ------------------------------------------------------------------------------------ deploy


def get_workspace() -> Request:
    """``GET /workspace/current``: the workspace of the token."""
    return Request("GET", f"{API}/workspace/current", step="workspace", retry=Retry.SAFE)


def verify_image(body: Mapping[str, Any]) -> Request:
    """``VerifyImageBuild``: whether an image is there. Changes nothing."""
    return _post(f"{GATEWAY}/images/verify-build", dict(body), "image")


def build_image(body: Mapping[str, Any]) -> Request:
    """``BuildImage``: the answer is a stream of lines, the last one says how it went."""
    path = f"{GATEWAY}/images/build"
    return Request("POST", path, step="build", json=dict(body), timeout=_BUILD_S, retry=Retry.SAFE)


def head_object(digest: str) -> Request:
    """``HeadObject``: whether an archive is there."""
    path = f"{GATEWAY}/objects/{digest}"
    query = {"supportsPutHeaders": "true"}
    return Request("GET", path, step="head", query=query, retry=Retry.SAFE)


def create_object(digest: str, size: int, *, in_parts: bool = True) -> Request:
    """``CreateObject``: gives where to put an archive; in parts when it is larger than one."""
    body: dict[str, Any] = {
        "objectMetadata": {"name": digest, "size": str(size)},
        "hash": digest,
        "size": str(size),
        "overwrite": True,
        "supportsPutHeaders": True,
    }
    if in_parts and size > PART_SIZE:
        body |= {"multipartPartSize": str(PART_SIZE), "multipartTotalSize": str(size)}
    return _post(f"{GATEWAY}/objects", body, "object")


def put_object(content: bytes) -> Request:
    """Put an archive where ``CreateObject`` said, with the headers it gave and no token."""
    return Request(
        "PUT",
        "{{object.presignedUrl}}",
        origin="",
        step="upload",
        body=content,
        timeout=_UPLOAD_S,
        retry=Retry.SAFE,
    )


def put_part(url: str, content: bytes) -> Request:
    """Put one part of an archive. Repeating it replaces the part."""
    return Request("PUT", url, origin="", body=content, timeout=_UPLOAD_S, retry=Retry.SAFE)


def complete_object(object_id: str, upload_id: str, parts: Iterable[Mapping[str, Any]]) -> Request:
    """``CompleteObjectUpload``: put the parts together.

    The published gateway has no such call yet and the SDK sends it over gRPC, so the route is a
    guess after ``/volumes/multipart-upload/complete``; where it is missing, the archive is sent
    whole.
    """
    body = {"objectId": object_id, "uploadId": upload_id, "parts": [dict(part) for part in parts]}
    return _post(f"{GATEWAY}/objects/multipart-upload/complete", body)


def make_volume(name: str, step: str) -> Request:
    """``GetOrCreateVolume``."""
    return _post(f"{GATEWAY}/volumes", {"name": name}, step)


def create_secret(name: str, local: str) -> Request:
    """Store a local secret in the workspace: ``POST /secret/{workspace}``, 409 when it is there."""
    body = {"name": name, "value": f"{{{{secret:{local}}}}}"}
    return Request(
        "POST",
        "/secret/{{workspace.external_id}}",
        step=f"secret-{name}",
        json=body,
        accept=(200, 409),
        retry=Retry.SAFE,
    )


def update_secret(workspace: str, name: str, value: str) -> Request:
    """``PATCH /secret/{workspace}/{name}``."""
    path = f"/secret/{_id(workspace)}/{_id(name)}"
    return Request("PATCH", path, json={"value": value}, retry=Retry.SAFE)


def delete_secret(workspace: str, name: str) -> Request:
    """``DELETE /secret/{workspace}/{name}``."""
    return Request("DELETE", f"/secret/{_id(workspace)}/{_id(name)}", retry=Retry.SAFE)


def deploy_stub(kind: str, name: str) -> Request:
    """``DeployStub``: a new version of the name. ``auto`` leaves the one before running."""
    body = {"stubId": f"{{{{stub-{kind}.stubId}}}}", "name": name, "rollout": "auto"}
    return _post(f"{GATEWAY}/stubs/deploy", body, f"deploy-{kind}", Retry.REFUSED_ONLY)


def follow_schedule(line: str) -> Request:
    """``FunctionSchedule``, over gRPC only: see :mod:`gpuhub_beam.schedule`."""
    body = {
        "stubId": "{{stub-schedule.stubId}}",
        "when": line,
        "deploymentId": "{{deploy-schedule.deploymentId}}",
    }
    return Request("rpc", ROUTE, origin="", step="schedule", json=body)


# ---------------------------------------------------------------------------------- operate


def list_deployments(workspace: str, name: str) -> Request:
    """All versions whose name contains this one."""
    return _get(f"{API}/deployment/{_id(workspace)}", name=name)


def change_deployment(deployment: str, how: str) -> Request:
    """``StartDeployment``, ``StopDeployment`` or ``DeleteDeployment``, by id."""
    path = f"{GATEWAY}/deployments/{_id(deployment)}"
    if how == "delete":
        return Request("DELETE", path, retry=Retry.SAFE)
    return Request("POST", f"{path}/{how}", retry=Retry.SAFE)


def get_containers(workspace: str) -> Request:
    """The containers of a workspace that wait, run or stop."""
    return _get(f"{API}/container/{_id(workspace)}")


def newest_task(workspace: str, stub: str) -> Request:
    """The newest task of a stub; it comes with how many wait or run."""
    return _get(f"{API}/task/{_id(workspace)}", stub_ids=stub, limit="1")


def waiting_tasks(workspace: str, stub: str, limit: int) -> Request:
    """Tasks of a stub that nobody has begun."""
    query = {"stub_ids": stub, "status": "PENDING,RETRY", "limit": str(limit)}
    return _get(f"{API}/task/{_id(workspace)}", **query, skip_details="true")


def patch_stub(workspace: str, stub: str, fields: Mapping[str, Any]) -> Request:
    """Edit a live stub's configuration by the paths of its members."""
    path = f"{API}/stub/{_id(workspace)}/{_id(stub)}/config"
    return Request("PATCH", path, json={"fields": dict(fields)}, retry=Retry.SAFE)


def _log_query(app: str, since: str | None) -> dict[str, str]:
    start = {} if since is None else {"start_time": since}
    return {"object_type": "BETA9_APP", "object_id": app, **start}


def get_logs(workspace: str, app: str, since: str | None, page: int, limit: int) -> Request:
    """One page of an app's log."""
    query = {**_log_query(app, since), "limit": str(limit), "page": str(page)}
    return _get(f"{API}/logs/{_id(workspace)}", **query)


def follow_logs(workspace: str, app: str, after: str) -> Request:
    """An app's log as it is written, as server-sent events; ``after``: the last line read."""
    headers = {"Accept": "text/event-stream"}
    if after:
        headers["Last-Event-ID"] = after
    path = f"{API}/logs/{_id(workspace)}/stream"
    query = _log_query(app, None)
    return Request("GET", path, query=query, headers=headers, timeout=3600.0, retry=Retry.SAFE)


# ------------------------------------------------------------------------------------- calls


def call(
    path: str, payload: bytes, options: CallOptions, timeout_s: float, *, wrap: bool
) -> Request:
    """Send one call.

    gpuhub's own worker takes the arguments as text: on the way the gateway reads JSON into numbers
    of double precision and writes it anew, which turns ``1.0`` into ``1`` and breaks large numbers.

    Args:
        path: Of a version, such as ``/endpoint/name/v3``.
        payload: The arguments, a JSON object.
        options: Of the call.
        timeout_s: Longest run.
        wrap: Whether gpuhub's worker is there; others get the object itself.
    """
    body = payload
    if wrap:
        kwargs = {"gpuhub_call": payload.decode()}
        if options.webhook:
            kwargs["callback_url"] = options.webhook
        body = json.dumps({"kwargs": kwargs}, separators=(",", ":"), ensure_ascii=False).encode()
    return Request(
        "POST",
        path,
        body=body,
        headers=_JSON,
        timeout=timeout_s + _STARTUP_S,
        # A traceback of a function that gpuhub did not deploy, a stopped task, a lost container.
        accept=(200, 409, 500, 502),
    )


def warm_up(path: str) -> Request:
    """Start a container of a version; no call is made."""
    return Request("POST", f"{path}/warmup", retry=Retry.SAFE)


def get_task(workspace: str, task: str) -> Request:
    """One task with its result."""
    return _get(f"{API}/task/{_id(workspace)}/{_id(task)}")


def subscribe(workspace: str, task: str, wait_s: float) -> Request:
    """A task's states as server-sent events, until it ends or ``wait_s`` pass without a change."""
    path = f"{API}/task/{_id(workspace)}/{_id(task)}/subscribe"
    headers = {"Accept": "text/event-stream"}
    return Request("GET", path, headers=headers, timeout=wait_s, retry=Retry.SAFE)


def stop_tasks(workspace: str, tasks: Iterable[str]) -> Request:
    """Stop tasks. The answer says nothing: an unknown or ended one is no error."""
    path = f"{API}/task/{_id(workspace)}"
    return Request("DELETE", path, query={"task_ids": ",".join(tasks)}, retry=Retry.SAFE)
