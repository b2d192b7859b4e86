"""Modal's answers about calls and workers as the seam's types. Pure.

Statuses: ``GenericResult.GenericStatus`` of ``modal_proto`` (1.6.4).
"""

from __future__ import annotations

import ast
import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gpuhub.adapter import CallState, DeploymentRef, EndpointStatus, Phase, Rollout, WorkerCounts
from gpuhub.errors import CallFailed, MalformedResponse, RemoteError
from gpuhub_modal.entry import MARK
from gpuhub_modal.limits import live_limits
from gpuhub_modal.plain import NotPlain, as_json, plain_value

if TYPE_CHECKING:
    from gpuhub.adapter import CallRef
    from gpuhub_modal.facts import AppFacts, FunctionState, Output

__all__ = [
    "CHANGED",
    "call_state",
    "fingerprint_of",
    "fingerprint_tag",
    "is_foreign",
    "raised_envelope",
    "reference",
    "status_of",
    "stream_item",
    "tags_of",
]

CHANGED = "changed-at-the-provider"
"""In the place of a fingerprint: another version serves than the one gpuhub's tags are about."""

_ROLLOUTS = {"initializing": Rollout.IN_PROGRESS, "deployed": Rollout.READY}
_RAISED = re.compile(r"\A([\w.]+)\((.*)\)\Z", re.DOTALL)


# Deployments


def fingerprint_tag(fingerprint: str) -> str:
    """Give a fingerprint in the 43 characters that a tag can hold."""
    try:
        digest = bytes.fromhex(fingerprint)
    except ValueError:
        digest = b""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() or "none"


def fingerprint_of(tag: str) -> str:
    """Read it back; empty when it is none."""
    try:
        return base64.urlsafe_b64decode(f"{tag}=").hex() if len(tag) == 43 else ""
    except ValueError:
        return ""


def reference(name: str, app: AppFacts, url: str | None = None) -> DeploymentRef | None:
    """Give what gpuhub deployed under a name; ``None`` when it did not make the app."""
    if app.tags.get("gpuhub") != "1" or app.state != "deployed" or not app.functions:
        return None
    function, function_id = next(iter(sorted(app.functions.items())))
    fingerprint = fingerprint_of(app.tags.get("gpuhub-fingerprint", ""))
    if app.tags.get("gpuhub-version") != str(app.version):
        fingerprint = CHANGED
    return DeploymentRef(
        provider="modal",
        name=name,
        address=name,
        version=f"v{app.version}",
        fingerprint=fingerprint,
        url=url,
        data={
            "app": name,
            "app_id": app.app_id,
            "function": function,
            "function_id": function_id,
            "kind": app.tags.get("gpuhub-kind", "function"),
            "retries": app.tags.get("gpuhub-retries", "0"),
            "concurrency": app.tags.get("gpuhub-concurrency", "1"),
        },
    )


def status_of(app: AppFacts, function: FunctionState | None) -> EndpointStatus:
    """Give the status of a deployment."""
    rollout = _ROLLOUTS.get(app.state, Rollout.STOPPED)
    version = f"v{app.version}" if app.version else ""
    if function is None:
        detail = f"Modal says that the app is {app.state}"
        return EndpointStatus(rollout=rollout, version=version, detail=detail)
    # Modal tells containers and inputs, not which container runs what.
    running = min(function.running, function.runners)
    return EndpointStatus(
        rollout=rollout,
        version=version,
        workers=WorkerCounts(running=running, idle=function.runners - running),
        queue_depth=max(0, function.backlog),
        in_flight=function.running,
        scaling=live_limits(function.settings),
    )


# Calls


def is_foreign(deployment: str) -> bool:
    """Whether an address names a function that gpuhub did not make: ``app/function``."""
    return "/" in deployment


def call_state(call: CallRef, output: Output) -> CallState:
    """Give the state of a call from what Modal says about its end."""
    if not output.status:
        phase = Phase.QUEUED if output.is_known else Phase.EXPIRED
        return CallState(call, phase)
    if output.status == "SUCCESS":
        return _with_result(call, output)
    if output.status == "TIMEOUT":
        return CallState(call, Phase.TIMED_OUT, detail=output.exception)
    if output.status == "TERMINATED":
        return CallState(call, Phase.CANCELLED, detail=output.exception)
    if (envelope := raised_envelope(output.exception)) is not None:
        return CallState(call, Phase.SUCCEEDED, output=envelope)
    return CallState(call, Phase.FAILED, error=_failure(call, output), detail=output.exception)


def _with_result(call: CallRef, output: Output) -> CallState:
    try:
        value = plain_value(output.data)  # gpuhub asks in pickle, and is answered so
        is_envelope = isinstance(value, bytes) and not is_foreign(call.deployment)
        result = value if is_envelope else as_json(value)
    except NotPlain as error:
        problem = CallFailed(
            f"the call ended, but its result cannot be read as JSON: it is {error}",
            call_id=str(call),
            provider="modal",
            next_step="have the function return text, numbers, lists and dictionaries; or call it"
            " with the modal package",
        )
        return CallState(call, Phase.FAILED, error=problem)
    return CallState(call, Phase.SUCCEEDED, output=result)


def stream_item(data: bytes, *, foreign: bool) -> bytes:
    """Give one item of a stream as JSON.

    Raises:
        MalformedResponse: It cannot be.
    """
    try:
        value = plain_value(data)
        return value if isinstance(value, bytes) and not foreign else as_json(value)
    except NotPlain as error:
        raise MalformedResponse(
            f"an item of the stream cannot be read as JSON: it is {error}",
            provider="modal",
            accepted=None,
            next_step="have the function yield text, numbers, lists and dictionaries",
        ) from error


def raised_envelope(exception: str) -> bytes | None:
    """Read the envelope out of the exception that a function with retries raised last."""
    raised = _RAISED.match(exception)
    if raised is None or MARK not in exception:
        return None
    try:
        text = ast.literal_eval(raised[2])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    return text.removeprefix(MARK).encode()


def _failure(call: CallRef, output: Output) -> CallFailed:
    raised = _RAISED.match(output.exception)
    if raised is not None and output.traceback and is_foreign(call.deployment):
        return RemoteError(
            f"the function raised {output.exception}",
            error_type=raised[1],
            error_message=_argument(raised[2]),
            remote_traceback=output.traceback,
            call_id=str(call),
            provider="modal",
        )
    words = output.exception or "Modal gives no reason"
    return CallFailed(
        f"the call failed at Modal: {words}",
        call_id=str(call),
        provider="modal",
        code=output.status,
        next_step="look at `gpuhub logs`: a container that ran out of memory is the usual reason",
    )


def _argument(text: str) -> str:
    """Give the message of an exception from its ``repr``."""
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def tags_of(ref: DeploymentRef, fingerprint: str, version: int) -> Mapping[str, str]:
    """Give the tags of an app for another version."""
    return {
        "gpuhub": "1",
        "gpuhub-fingerprint": fingerprint_tag(fingerprint),
        "gpuhub-version": str(version),
        "gpuhub-kind": ref.data["kind"],
        "gpuhub-retries": ref.data["retries"],
        "gpuhub-concurrency": ref.data["concurrency"],
    }
