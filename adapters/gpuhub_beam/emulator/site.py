"""What all parts of the emulator share."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gpuhub.testing.emulator import Faults, Meter, RequestLog
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.signals import Signal, Waker
from gpuhub.testing.emulator.timeline import Timeline
from gpuhub_beam.emulator.options import EmulatorOptions

if TYPE_CHECKING:
    from gpuhub.adapter import Clock

__all__ = ["Site"]


@dataclass
class Site:
    """One workspace at one gateway, as seen from inside.

    Attributes:
        options: How it behaves.
        clock: Its time.
        timeline: What is due; owns the lock.
        waker: The server's loop.
        changed: Fires whenever containers or tasks change.
        pace: Fires whenever time may have to move on.
        meter: The bill.
        faults: What still has to go wrong.
        requests: What clients asked.
        worker_requests: What runners asked.
        url: Base address, once it is served.
        grpc_address: ``host:port`` of the gRPC face, where there is one.
        worker_token: What runners authorize themselves with.
        workspace_id: External id of the workspace.
        signing_key: What callbacks are signed with.
        at_work: Things that happen in real time now: processes that start, code that runs.
        waiting: Requests that wait: until when, and whether for nothing any more.
    """

    options: EmulatorOptions
    clock: Clock
    timeline: Timeline = field(init=False)
    waker: Waker = field(default_factory=Waker)
    changed: Signal = field(init=False)
    pace: Signal = field(init=False)
    meter: Meter = field(default_factory=Meter)
    faults: Faults = field(default_factory=Faults)
    requests: RequestLog = field(default_factory=RequestLog)
    worker_requests: RequestLog = field(default_factory=RequestLog)
    url: str = ""
    grpc_address: str = ""
    worker_token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    workspace_id: str = ""
    signing_key: str = field(default_factory=lambda: f"sk_{secrets.token_hex(16)}", repr=False)
    at_work: int = 0
    waiting: dict[object, tuple[float, Callable[[], bool]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Build what hangs on the clock."""
        self.timeline = Timeline(self.clock)
        self.changed = Signal(self.waker)
        self.pace = Signal(self.waker)
        self._random = random.Random(2026)  # noqa: S311 - ids that repeat from run to run
        self.workspace_id = self.new_id()

    @property
    def is_virtual(self) -> bool:
        """Whether time stands still until somebody moves it."""
        return isinstance(self.clock, VirtualClock)

    def new_id(self) -> str:
        """Give a UUID, as all of Beam's external ids are."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def signed(self, payload: bytes) -> tuple[str, int]:
        """Give the signature of a payload and its timestamp, as ``SignPayload`` does."""
        timestamp = int(self.timeline.wall())
        text = f"{base64.b64encode(payload).decode()}:{timestamp}"
        digest = hmac.new(self.signing_key.encode(), text.encode(), hashlib.sha256)
        return digest.hexdigest(), timestamp

    @contextmanager
    def change(self) -> Iterator[None]:
        """Hold the lock for a change; what is due before it and by it happens."""
        self.timeline.settle()
        with self.timeline.lock:
            yield
            self.timeline.settle()

    def began(self) -> None:
        """Count one more thing at work. Needs the lock."""
        self.at_work += 1

    def ended(self) -> None:
        """Count it off. Needs the lock."""
        self.at_work -= 1
        self.note()

    def note(self) -> None:
        """Tell whoever waits that something changed. Needs the lock."""
        self.changed.fire()
        self.pace.fire()
