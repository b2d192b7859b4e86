"""Where requests arrive: they are recorded, and meet the faults that wait for them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from gpuhub.testing.emulator.faults import Fault, FaultKind
from gpuhub.testing.emulator.recording import RecordedRequest, RequestLog
from gpuhub_mock.emulator.refusals import AFTER, BEFORE, refusal_of
from gpuhub_mock.emulator.site import Site

__all__ = ["Desk"]


class Desk:
    """Takes the requests of one mock provider.

    Args:
        site: What the provider's parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.log = RequestLog()

    def arrive(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        size: int = 0,
        playing: Collection[FaultKind] = (),
    ) -> Fault | None:
        """Record a request and give the fault it meets, if the caller is to play it.

        Args:
            operation: What it means, such as ``"submit"``.
            method: HTTP method.
            path: Path.
            json: Body, without secrets.
            size: Bytes of the body.
            playing: Faults the caller plays itself, beside those of the answer.

        Raises:
            Refusal: The fault is that the request is refused.
        """
        at = self._site.clock.now()
        self.log.add(RecordedRequest(operation, method, path, {}, json, size, at))
        fault = self._site.faults.take(operation)
        if fault is not None and fault.kind in BEFORE and fault.kind not in playing:
            raise refusal_of(fault)
        return fault

    @contextmanager
    def request(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        json: Any = None,
        playing: Collection[FaultKind] = (),
    ) -> Iterator[Fault | None]:
        """Handle a request in a block, under the lock; its answer may be lost afterwards.

        Raises:
            Refusal: The request is refused, or its answer is lost.
        """
        fault = self.arrive(operation, method, path, json=json, playing=playing)
        with self._site.lock:
            yield fault
        if fault is not None and fault.kind in AFTER:
            raise refusal_of(fault)
