"""Replicate's routes as requests. Pure.

"HTTP API" reference and OpenAPI document of Replicate, read 2026-11-20. Addresses are built below
``api_url`` instead of taken from ``urls``, so that a proxy or an emulator can stand there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gpuhub.plan import Request, Retry

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions

__all__ = [
    "cancel",
    "cancel_after_s",
    "create_model",
    "delete_deployment",
    "delete_model",
    "delete_version",
    "get_account",
    "get_deployment",
    "get_model",
    "get_prediction",
    "get_version",
    "get_webhook_secret",
    "list_deployments",
    "list_predictions",
    "list_versions",
    "next_page",
    "open_stream",
    "patch_deployment",
    "predict",
    "upload",
    "verify_token",
    "wait_s",
]

_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 1.0, 60.0
_MARGIN_S = 30.0
_LEAST_CANCEL_AFTER_S = 5
_CALLER_FIRST_S = 10.0
_STREAM_IDLE_S = 60.0
_JSON = {"Content-Type": "application/json"}


def _get(path: str, **query: str) -> Request:
    return Request("GET", path, query=query, retry=Retry.SAFE)


def _quoted(*parts: str) -> str:
    return "/".join(quote(part, safe="") for part in parts)


# ------------------------------------------------------------------------------ control plane


def get_account() -> Request:
    """``GET /account``: whose the token is."""
    return _get("/account")


def get_model(owner: str, name: str) -> Request:
    """``GET /models/{owner}/{name}``: with its latest version."""
    return _get(f"/models/{_quoted(owner, name)}")


def create_model(body: Mapping[str, Any]) -> Request:
    """``POST /models``. A second one of that name is refused, so repeating does no harm."""
    return Request("POST", "/models", json=dict(body), retry=Retry.SAFE)


def delete_model(owner: str, name: str) -> Request:
    """``DELETE /models/{owner}/{name}``: one that is private and has no versions."""
    return Request("DELETE", f"/models/{_quoted(owner, name)}", retry=Retry.SAFE)


def list_versions(owner: str, name: str) -> Request:
    """``GET /models/{owner}/{name}/versions``: newest first, 100 a page."""
    return _get(f"/models/{_quoted(owner, name)}/versions")


def get_version(owner: str, name: str, version: str) -> Request:
    """``GET /models/{owner}/{name}/versions/{id}``: with its OpenAPI schema."""
    return _get(f"/models/{_quoted(owner, name)}/versions/{_quoted(version)}")


def delete_version(owner: str, name: str, version: str) -> Request:
    """``DELETE /models/{owner}/{name}/versions/{id}``: one that no deployment uses."""
    path = f"/models/{_quoted(owner, name)}/versions/{_quoted(version)}"
    return Request("DELETE", path, retry=Retry.SAFE)


def list_deployments() -> Request:
    """``GET /deployments``: the account's, 100 a page."""
    return _get("/deployments")


def get_deployment(owner: str, name: str) -> Request:
    """``GET /deployments/{owner}/{name}``."""
    return _get(f"/deployments/{_quoted(owner, name)}")


def patch_deployment(owner: str, name: str, changes: Mapping[str, Any]) -> Request:
    """``PATCH /deployments/{owner}/{name}``: a new release, also when nothing differs."""
    path = f"/deployments/{_quoted(owner, name)}"
    return Request("PATCH", path, json=dict(changes), retry=Retry.SAFE)


def delete_deployment(owner: str, name: str) -> Request:
    """``DELETE /deployments/{owner}/{name}``: one that was off and unused for 15 minutes."""
    return Request("DELETE", f"/deployments/{_quoted(owner, name)}", retry=Retry.SAFE)


def get_webhook_secret() -> Request:
    """``GET /webhooks/default/secret``: what webhooks are signed with."""
    return _get("/webhooks/default/secret")


def verify_token(token: str) -> Request:
    """``POST /cog/v1/verify-token`` of the registry: whose a token is, as ``cog login`` asks."""
    body = f"token={quote(token, safe='')}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    path = "/cog/v1/verify-token"
    return Request("POST", path, "registry", body=body, headers=headers, retry=Retry.SAFE)


def next_page(url: str) -> Request:
    """The page that an answer's ``next`` names; it must be at the API."""
    return _get(url)


# --------------------------------------------------------------------------------- data plane


def wait_s(options: CallOptions) -> int:
    """Whole seconds that ``Prefer: wait`` asks for; 0: not to wait.

    A call with a budget is answered some time before its end, so that it can be cancelled by its
    id. Less than a second cannot be asked for.
    """
    wait = options.wait_s
    if options.budget_s is not None:
        wait = min(wait, options.budget_s - max(1.0, options.budget_s / 10))
    return int(min(wait, _LONGEST_WAIT_S)) if wait >= _SHORTEST_WAIT_S else 0


def cancel_after_s(options: CallOptions) -> int | None:
    """Whole seconds of ``Cancel-After``, which counts from the creation; ``None``: not sent.

    A caller who waits cancels by itself at the end of its budget: Replicate is to do it a little
    later, should the caller be gone. Nobody waits for a spawned call.
    """
    if options.budget_s is None:
        return None
    later = _CALLER_FIRST_S if options.wait_s else 0.0
    seconds = math.ceil(options.budget_s + later)
    return seconds if seconds >= _LEAST_CANCEL_AFTER_S else None


def predict(path: str, body: bytes, options: CallOptions) -> Request:
    """``POST`` of a prediction. Never repeated when its answer is lost."""
    wait, limit = wait_s(options), cancel_after_s(options)
    headers = dict(_JSON)
    if wait:
        headers["Prefer"] = f"wait={wait}"
    if limit is not None:
        headers["Cancel-After"] = f"{limit}s"
    timeout = wait + _MARGIN_S if wait else None
    return Request("POST", path, body=body, headers=headers, timeout=timeout)


def get_prediction(prediction: str) -> Request:
    """``GET /predictions/{id}``."""
    return _get(f"/predictions/{_quoted(prediction)}")


def cancel(prediction: str) -> Request:
    """``POST /predictions/{id}/cancel``."""
    return Request("POST", f"/predictions/{_quoted(prediction)}/cancel", retry=Retry.SAFE)


def list_predictions() -> Request:
    """``GET /predictions``: the account's, newest first, 100 a page."""
    return _get("/predictions")


def open_stream(url: str, origin: str) -> Request:
    """``GET`` of a prediction's ``urls.stream``: server-sent events."""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    return Request("GET", url, origin, headers=headers, timeout=_STREAM_IDLE_S)


def upload(name: str, media_type: str, content: bytes, boundary: str) -> Request:
    """``POST /files``: multipart, field ``content``."""
    shown = "".join(each for each in name if each.isprintable() and each not in '"\\') or "file"
    head = (
        f"--{boundary}\r\n"
        f'Content-Disposition: form-data; name="content"; filename="{shown}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    body = head.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return Request("POST", "/files", body=body, headers=headers, retry=Retry.SAFE)
