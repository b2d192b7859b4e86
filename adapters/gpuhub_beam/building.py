"""The image: is it there, and if not, its build as Beam streams it.

``BuildImage`` answers a line of JSON for each message, ``{"result": {…}}``, as grpc-gateway writes
streams; a failure of the call itself is ``{"error": {…}}``.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.errors import DeployFailed
from gpuhub_beam.errors import document

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub.plan import Plan

__all__ = ["image_of"]

_log = logging.getLogger("gpuhub")
_TAIL = 50


async def image_of(io: Io, plan: Plan) -> dict[str, str]:
    """Give ``imageId`` and ``pythonVersion``; builds the image if Beam does not have it.

    Raises:
        DeployFailed: The build failed; with the end of its log.
        ProviderError: Beam refused.
    """
    request = plan.request("image")
    found = document(await io.send(request))
    python = str(request.json["pythonVersion"])
    if found.get("exists"):
        return {"imageId": str(found.get("imageId", "")), "pythonVersion": python}
    tail: deque[str] = deque(maxlen=_TAIL)
    ended: Mapping[str, Any] = {}
    async for message in _messages(io, plan):
        for line in str(message.get("msg") or "").splitlines():
            if line.strip():
                tail.append(line)
                _log.info("%s on beam: build: %s", plan.deployment, line)
        if message.get("done"):
            ended = message
    if not (ended.get("success") and ended.get("imageId")):
        raise _failure(plan, ended, tuple(tail))
    version = str(ended.get("pythonVersion") or python)
    return {"imageId": str(ended["imageId"]), "pythonVersion": version}


async def _messages(io: Io, plan: Plan) -> AsyncIterator[dict[str, Any]]:
    chunks = io.stream(plan.request("build"))
    rest = b""
    try:
        async for chunk in chunks:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if (message := _message(line)) is not None:
                    yield message
        if (message := _message(rest)) is not None:
            yield message
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    if isinstance(problem := found.get("error"), dict):
        return {"msg": str(problem.get("message", "")), "done": True, "success": False}
    result = found.get("result")
    return result if isinstance(result, dict) else None


def _failure(plan: Plan, ended: Mapping[str, Any], tail: tuple[str, ...]) -> DeployFailed:
    how = "failed" if ended else "broke off"
    return DeployFailed(
        f"the image of {plan.deployment!r} could not be made: its build {how} at Beam",
        log_tail=tail or ("Beam gave no log",),
        provider="beam",
        next_step="correct the packages or commands of `image`, and deploy again",
    )
