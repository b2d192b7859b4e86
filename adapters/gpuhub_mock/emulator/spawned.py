"""Spawned calls as JSON documents, so that they outlive the process that made them."""

from __future__ import annotations

import base64
import os
from typing import Any

from gpuhub.adapter import Phase
from gpuhub_mock.emulator.calls import Call
from gpuhub_mock.emulator.refusals import Refusal

__all__ = ["call_of", "document_of"]


def document_of(call: Call, wall: float) -> dict[str, Any]:
    """Describe a call; ``wall`` is now, in seconds since the epoch."""
    problem = call.problem
    return {
        "id": call.id,
        "deployment": call.deployment,
        "key": call.key,
        "phase": call.phase.value,
        "at": wall,
        "attempts": call.attempts,
        "process": os.getpid(),
        "payload": base64.b64encode(call.payload).decode(),
        "output": None if call.output is None else base64.b64encode(call.output).decode(),
        "problem": problem and [problem.status, problem.code, problem.message],
    }


def call_of(document: dict[str, Any], now: float) -> Call:
    """Read a call back. One that was running when its process ended has failed."""
    payload = base64.b64decode(document["payload"])
    call = Call(document["id"], document["deployment"], payload, "spawn", now)
    call.key, call.attempts = document["key"], document["attempts"]
    phase = Phase(document["phase"])
    if phase is Phase.RUNNING:
        if _is_alive(document["process"]):
            call.phase = phase
            return call
        lost = Refusal(500, "worker_died", "the process that ran the call has ended")
        call.end(Phase.FAILED, now, problem=lost)
    elif phase.is_terminal:
        output = document["output"]
        problem = document["problem"]
        call.end(
            phase,
            now,
            None if output is None else base64.b64decode(output),
            None if problem is None else Refusal(*problem),
        )
    return call


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
