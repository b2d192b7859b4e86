"""What a call goes to, and its body. Pure, but for files that are uploaded first.

Own functions take one text with the arguments and answer with an envelope; models of others take
their own inputs and answer as they like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from gpuhub.errors import PayloadTooLarge, SpecError
from gpuhub_replicate.inputs import check_input
from gpuhub_replicate.schema import INPUT
from gpuhub_replicate.states import DEPLOYMENTS
from gpuhub_replicate.uploads import with_uploads

if TYPE_CHECKING:
    from gpuhub.adapter import CallOptions, DeploymentRef, Io

__all__ = ["BARE", "WARM", "body_of", "path_of", "speaks_envelopes"]

BARE = "bare"
"""Kept in a reference: its version has not gpuhub's runner."""
WARM = b'{"__gpuhub_warm":true}'
"""Arguments of a call that only starts a worker; see ``run.py``."""
_LIMIT = 100_000_000
"""Cog's server takes 100 MiB; Replicate publishes no limit of its own."""
_PLAIN_HOSTS = ("127.0.0.1", "localhost", "::1")


def speaks_envelopes(ref: DeploymentRef) -> bool:
    """Whether what is called runs gpuhub's runner."""
    return ref.made_by_gpuhub and ref.data.get("wire") != BARE


def path_of(ref: DeploymentRef) -> str:
    """Give the route that predictions are posted to."""
    address = ref.address.removeprefix(DEPLOYMENTS)
    name = quote(address.partition(":")[0], safe="/")
    if ref.address.startswith(DEPLOYMENTS) or ref.scheme == "replicate-deployment":
        return f"/deployments/{name}/predictions"
    if ref.data.get("route") == "version":
        return "/predictions"
    return f"/models/{name}/predictions"


async def body_of(io: Io, ref: DeploymentRef, payload: bytes, options: CallOptions) -> bytes:
    """Give the body of a prediction.

    Raises:
        SpecError: An input does not fit the model's schema, or the webhook is none.
        PayloadTooLarge: Replicate or Cog's server would refuse it.
    """
    if speaks_envelopes(ref):
        given = json.dumps({INPUT: payload.decode("utf-8")}, ensure_ascii=False)
    else:
        given = await _own_inputs(io, ref, payload)
    body = b'{"input":' + _encoded(given) + _members(ref, options) + b"}"
    if len(body) > _LIMIT:
        raise PayloadTooLarge(
            f"the request has {len(body):,} bytes; Cog's server takes at most {_LIMIT:,}",
            provider="replicate",
            accepted=False,
            next_step='pass a reference instead, or set payload_store = "s3://…" in gpuhub.toml',
        )
    return body


def _encoded(text: str) -> bytes:
    """Give UTF-8; halves of surrogate pairs, which it cannot hold, are escaped."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(json.loads(text)).encode()


async def _own_inputs(io: Io, ref: DeploymentRef, payload: bytes) -> str:
    values: dict[str, Any] = json.loads(payload)
    schema: Mapping[str, Any] = json.loads(ref.data.get("schema", "{}"))
    check_input(ref.name, schema, values)
    return json.dumps(await with_uploads(io, values), ensure_ascii=False)


def _members(ref: DeploymentRef, options: CallOptions) -> bytes:
    members: dict[str, Any] = {}
    if ref.data.get("route") == "version":
        members["version"] = ref.data["version"]
    if options.webhook is not None:
        members["webhook"] = _checked(options.webhook)
        members["webhook_events_filter"] = ["completed"]
    rest = (f",{json.dumps(name)}:{json.dumps(value)}" for name, value in members.items())
    return "".join(rest).encode()


def _checked(webhook: str) -> str:
    parts = urlsplit(webhook)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _PLAIN_HOSTS):
        return webhook
    raise SpecError(
        f"webhook: Replicate calls https addresses only (got {webhook!r})",
        next_step="give your server a certificate, or poll",
        provider="replicate",
    )
