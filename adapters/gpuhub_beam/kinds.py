"""Which of Beam's deployments a function becomes. Pure.

Beam has one kind for each way of calling: requests that are answered on their own connection
(``endpoint``, and ``asgi`` where several run at once in one process), and tasks that are accepted
at once, kept and cancellable (``taskqueue``). A function of gpuhub can be called both ways, so it
becomes one of each, under the same name: Beam numbers versions by name and kind. Both scale to
zero, and the one that is not used costs nothing. What runs by itself has a third (``schedule``).

Limits: ``configureTaskPolicy`` and ``RequestBuffer`` of the gateway's source (0b79dfe).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gpuhub.errors import UnsupportedSetting

if TYPE_CHECKING:
    from gpuhub.spec import FunctionSpec
    from gpuhub_beam.options import Options

__all__ = ["ENTRY", "HANDLERS", "REQUEST_LIMIT_S", "Kind", "Kinds", "choose", "task_seconds"]

Kind = Literal["endpoint", "asgi", "taskqueue", "schedule"]

REQUEST_LIMIT_S = 600
"""Longest run of a request; the gateway cuts a longer timeout to this."""
ENTRY = "gpuhub_beam_entry"
"""Module in the root of the uploaded archive."""
HANDLERS: dict[Kind, str] = {
    "endpoint": f"{ENTRY}:call",
    "asgi": f"{ENTRY}:app",
    "taskqueue": f"{ENTRY}:task",
    "schedule": f"{ENTRY}:scheduled",
}


_WEB = "a web application, websockets included; Beam's realtime is this kind with a loop of its own"


@dataclass(frozen=True, slots=True)
class Kinds:
    """The choice.

    Attributes:
        parts: Beam's kinds, the one that takes waiting calls first.
        reason: Why these.
    """

    parts: tuple[Kind, ...]
    reason: str

    @property
    def main(self) -> Kind:
        """Takes calls that are waited for; has the workers that are kept warm."""
        return self.parts[0]

    @property
    def has_queue(self) -> bool:
        """Whether calls can be spawned."""
        return "taskqueue" in self.parts


def task_seconds(spec: FunctionSpec) -> int:
    """Seconds of one call at Beam: all runs of it, when it may be run again."""
    return math.ceil(spec.timeout * (1 + spec.retries))


def choose(spec: FunctionSpec, own: Options) -> Kinds:
    """Choose the kinds.

    Raises:
        UnsupportedSetting: ``options.beam.kind`` cannot be for such a function.
    """
    kinds = _of_calls(spec, own)
    if spec.schedule is None or spec.target.kind == "web":
        return kinds
    why = f"{kinds.reason}; schedule for the runs of its own, a container for each"
    return Kinds((*kinds.parts, "schedule"), why)


def _of_calls(spec: FunctionSpec, own: Options) -> Kinds:
    kind = spec.target.kind
    requests: Kind = "asgi" if spec.scaling.concurrency > 1 else "endpoint"
    if kind == "web":
        _check(own, "a web application", spec)
        return Kinds(("asgi",), _WEB)
    if kind == "generator":
        _check(own, "a generator", spec)
        return Kinds((requests,), "a generator streams over a request; Beam's queue cannot")
    if own.kind == "taskqueue":
        return Kinds(("taskqueue",), "asked for in options: every call goes through the queue")
    if own.kind == "endpoint":
        return Kinds((requests,), "asked for in options: requests only, nothing can be spawned")
    if task_seconds(spec) > REQUEST_LIMIT_S:
        why = f"a call may take {task_seconds(spec)} s, and Beam ends requests after 600 s"
        return Kinds(("taskqueue",), f"{why}: every call goes through the queue")
    several = " (asgi: several calls at once in one process)" if requests == "asgi" else ""
    why = f"{requests}{several} for calls that are waited for, taskqueue for spawned ones"
    return Kinds((requests, "taskqueue"), f"{why}; each has up to max_workers")


def _check(own: Options, what: str, spec: FunctionSpec) -> None:
    if own.kind == "taskqueue":
        raise UnsupportedSetting(
            f"options: {spec.name!r} is {what}, which Beam's queue cannot run",
            fields=("options",),
            provider="beam",
            next_step="leave options.beam.kind out",
        )
