"""Callbacks: what a runner POSTs when a task has ended."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpuhub.worker.wire import loads

if TYPE_CHECKING:
    from gpuhub_beam.emulator.tasks import Task

__all__ = ["Notice", "post_callback"]

_TRIES = 3
_READ_S = 5.0
_AGAIN = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Notice:
    """One end of a task to be told.

    Attributes:
        url: Whom to tell; empty: nobody.
        task_id: Which task.
        status: How it ended.
        body: JSON, ``{"data": result}``.
    """

    url: str
    task_id: str
    status: str
    body: bytes

    @classmethod
    def of(cls, task: Task, result: bytes | None, default_url: str) -> Notice:
        """Make the notice of a task; a call may name a URL of its own."""
        kwargs = task.payload.get("kwargs") or {}
        url = kwargs.get("callback_url") or default_url
        data: Any = _read(result) if result else None
        body = json.dumps({"data": data or {}}).encode()
        return cls(str(url or ""), task.id, task.status, body)


def post_callback(notice: Notice, sign: Callable[[bytes], tuple[str, int]]) -> None:
    """POST a notice on a thread of its own, as often as beta9's runner does; only to loopback."""
    if not notice.url.startswith(("http://127.0.0.1:", "http://localhost:")):
        return  # an emulator reaches nothing but this machine
    signature, timestamp = sign(notice.body)
    headers = {
        "Content-Type": "application/json",
        "X-Task-ID": notice.task_id,
        "X-Task-Status": notice.status,
        "X-Task-Signature": signature,
        "X-Task-Timestamp": str(timestamp),
    }
    threading.Thread(target=_post, args=(notice, headers), daemon=True).start()


def _post(notice: Notice, headers: dict[str, str]) -> None:
    for attempt in range(_TRIES):
        request = urllib.request.Request(notice.url, notice.body, headers)  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=_READ_S):  # noqa: S310 - same
                return
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in _AGAIN:
                return
        except TimeoutError:
            return  # it may have arrived: beta9 does not send it again
        except OSError:
            pass
        time.sleep(0.05 * 2**attempt)


def _read(result: bytes) -> Any:
    try:
        return loads(result)
    except ValueError:
        return None
