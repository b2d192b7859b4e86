"""What RunPod's worker loop makes of a handler's results."""

from __future__ import annotations

import inspect
import json
import os
import traceback
from collections.abc import AsyncIterator
from typing import Any

__all__ = ["items_of", "result_of", "streams"]

Job = dict[str, Any]


def streams(handler: Any) -> bool:
    """Whether a handler is a generator: its items are sent as they come."""
    return inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler)


async def result_of(handler: Any, job: Job) -> dict[str, Any]:
    """Run a handler; give the body that tells RunPod its result."""
    try:
        output = handler(job)
        if inspect.isawaitable(output):
            output = await output
        return body_of(output)
    except Exception as error:  # noqa: BLE001 - told to the caller
        return {"error": json.dumps(facts_of(error))}


def body_of(output: Any) -> dict[str, Any]:
    """Give the body for what a handler returned: some keys of a dictionary are eaten."""
    if not isinstance(output, dict):
        return {"output": output}
    error, refresh = output.pop("error", None), output.pop("refresh_worker", None)
    body: dict[str, Any] = {"output": output} if output else {}
    if error:
        body["error"] = error
    if refresh:
        body["stopPod"] = True
    return body


def facts_of(error: Exception) -> dict[str, str]:
    """Give what RunPod tells of an exception."""
    return {
        "error_type": str(type(error)),
        "error_message": str(error),
        "error_traceback": "".join(traceback.format_exception(error)),
        "hostname": os.environ.get("RUNPOD_POD_HOSTNAME", "unknown"),
        "worker_id": os.environ.get("RUNPOD_POD_ID", "unknown"),
        "runpod_version": "1.12.0",
    }


async def items_of(handler: Any, job: Job) -> AsyncIterator[dict[str, Any]]:
    """Run a generator; yields bodies, the last one an error where there was one."""
    try:
        if inspect.isasyncgenfunction(handler):
            async for item in handler(job):
                yield _item(item)
        else:
            for item in handler(job):
                yield _item(item)
    except Exception as error:  # noqa: BLE001 - told to the caller
        text = "".join(traceback.format_exception(error))
        yield {"error": f"handler: {error} \ntraceback: {text}"}


def _item(item: Any) -> dict[str, Any]:
    if isinstance(item, dict) and item.get("error"):
        return {"error": str(item["error"])}
    return {"output": item}
