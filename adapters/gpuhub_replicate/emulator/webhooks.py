"""Webhooks: signed, at most so often, the last one repeated."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import queue
import threading
import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gpuhub_replicate.emulator.problems import Problem

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.predictions import Prediction
    from gpuhub_replicate.emulator.site import Site

__all__ = ["Webhooks", "signature"]

_LOOPBACK = "http://127.0.0.1:"
_TRIES = 3
_ANSWER_S = 30.0
_OFTEN = ("output", "logs")


def signature(secret: str, message_id: str, moment: str, body: bytes) -> str:
    """Sign a message as Standard Webhooks prescribes: ``v1,<base64>``."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message_id}.{moment}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


class Webhooks:
    """Tells of predictions.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._told_at: dict[str, float] = {}
        self._due: set[tuple[str, str]] = set()
        self._queues: dict[str, queue.SimpleQueue[_Message | None]] = {}

    def check(self, url: str) -> None:
        """Refuse an address that Replicate would not call.

        Raises:
            Problem: 422, it is not HTTPS.
        """
        may_be_here = self._site.options.loopback_webhooks and url.startswith(_LOOPBACK)
        if not url.startswith("https://") and not may_be_here:
            words = "- webhook: webhook must be a HTTPS URL\n"
            raise Problem(422, words, title="Invalid request body")

    def tell(self, prediction: Prediction, event: str) -> None:
        """Tell of an event, now or later, if that was asked for. Needs the lock."""
        hook = prediction.hook
        if hook is None or event not in hook.events:
            return
        if event in _OFTEN and self._is_too_soon(prediction, event):
            return
        self._told_at[prediction.id] = self._site.timeline.now()
        self._send(prediction, event)

    def _is_too_soon(self, prediction: Prediction, event: str) -> bool:
        """Whether one was sent a moment ago; then another is sent in a moment."""
        now, every_s = self._site.timeline.now(), self._site.options.webhook_every_s
        due = self._told_at.get(prediction.id, -every_s) + every_s
        if now >= due:
            return False
        key = (prediction.id, event)
        if key not in self._due:
            self._due.add(key)

            def late() -> None:
                self._due.discard(key)
                if not prediction.is_over:
                    self.tell(prediction, event)

            self._site.timeline.at(due, late)
        return True

    def _send(self, prediction: Prediction, event: str) -> None:
        hook = prediction.hook
        if hook is None or not hook.url.startswith(_LOOPBACK):
            return  # an emulator reaches nothing but this machine
        body = json.dumps(prediction.shown(self._site.url)).encode()
        message_id = f"msg_{self._site.new_id()}"
        moment = str(int(self._site.timeline.wall()))
        secret = self._site.options.webhook_secret
        headers = {
            "Content-Type": "application/json",
            "Webhook-Id": message_id,
            "Webhook-Timestamp": moment,
            "Webhook-Signature": signature(secret, message_id, moment, body),
        }
        is_last = event == "completed"
        self._line(prediction.id).put(_Message(hook.url, body, headers, is_last=is_last))
        if is_last:
            self._line(prediction.id).put(None)
            self._queues.pop(prediction.id, None)
            self._told_at.pop(prediction.id, None)

    def _line(self, prediction_id: str) -> queue.SimpleQueue[_Message | None]:
        """Give the line of a prediction's messages: they leave in their order."""
        if prediction_id not in self._queues:
            line: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
            self._queues[prediction_id] = line
            threading.Thread(target=_post_all, args=(line,), daemon=True).start()
        return self._queues[prediction_id]


class _Message:
    """One webhook."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str], *, is_last: bool) -> None:
        self._url = url
        self._body = body
        self._headers = dict(headers)
        self._tries = _TRIES if is_last else 1

    def post(self) -> None:
        """POST it; the last one of a prediction again when it is not taken, at once."""
        for _ in range(self._tries):
            request = urllib.request.Request(self._url, self._body, self._headers)  # noqa: S310 - loopback
            try:
                with urllib.request.urlopen(request, timeout=_ANSWER_S) as answer:  # noqa: S310 - same
                    if answer.status < 300:
                        return
            except OSError:
                continue


def _post_all(line: queue.SimpleQueue[_Message | None]) -> None:
    while (message := line.get()) is not None:
        message.post()
