"""The code: uploaded once for each content, to where the gateway says.

``HeadObject`` and ``CreateObject`` (gateway.proto); parts as the SDK sends them (``sync.py`` of
beta9 0.1.291): each is put to its own presigned URL, and their ETags put them together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gpuhub.errors import BadRequest, NotFound, ProviderUnavailable
from gpuhub_beam import wire
from gpuhub_beam.errors import granted, member

if TYPE_CHECKING:
    from gpuhub.adapter import Io
    from gpuhub.plan import Plan

__all__ = ["object_of"]

_NO_SUCH_ROUTE = (404, 405, 501)


async def object_of(io: Io, plan: Plan) -> str:
    """Give the id of the code at Beam; uploads it if it is not there.

    Raises:
        BadRequest: The workspace has no object storage.
        ProviderError: Beam or its storage refused.
    """
    head = granted(await io.send(plan.request("head")), "the look-up of the code")
    if head.get("exists"):
        return str(member(head, "objectId", str))
    if not head.get("useWorkspaceStorage"):
        raise BadRequest(
            "the workspace has no object storage: code for it can be sent over gRPC only",
            provider="beam",
            next_step="set up workspace storage in the gateway (storage.workspaceStorage), as "
            "hosted Beam has it",
        )
    upload = plan.request("upload").body
    content = upload if isinstance(upload, bytes) else b""
    made = granted(await io.send(plan.request("object")), "the upload of the code")
    if made.get("uploadParts") and not await _put_parts(io, made, content):
        digest = str(plan.request("object").json["hash"])
        whole = wire.create_object(digest, len(content), in_parts=False)
        made = granted(await io.send(whole), "the upload of the code")
    if not made.get("uploadParts") and made.get("presignedUrl"):
        request = plan.request("upload", {"object": made})
        await io.send(dataclasses.replace(request, headers=_headers(made)))
    return str(member(made, "objectId", str))


def _headers(made: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in (made.get("putHeaders") or {}).items()}


async def _put_parts(io: Io, made: Mapping[str, Any], content: bytes) -> bool:
    """Put all parts; ``False`` when the gateway cannot put them together over HTTP."""
    uploaded = []
    for part in made["uploadParts"]:
        start, end = int(part.get("start") or 0), int(member(part, "end", (str, int)))
        answer = await io.send(wire.put_part(str(part["url"]), content[start:end]))
        uploaded.append({"number": int(part["number"]), "etag": answer.headers.get("etag", "")})
    request = wire.complete_object(str(made["objectId"]), str(made.get("uploadId", "")), uploaded)
    try:
        granted(await io.send(request), "the end of the upload")
    except (NotFound, BadRequest, ProviderUnavailable) as error:
        if error.status not in _NO_SUCH_ROUTE:
            raise
        return False
    return True
