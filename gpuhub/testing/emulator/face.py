"""What the faces of all emulators with a site have alike; see the protocol of emulators."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from gpuhub.testing.emulator.site import EmulatorSite

if TYPE_CHECKING:
    from gpuhub.testing.emulator.faults import Fault, FaultKind
    from gpuhub.testing.emulator.meter import BilledSeconds
    from gpuhub.testing.emulator.recording import RequestLog

__all__ = ["EmulatorFace", "folder_for", "remove_folder"]

_LOOK_S, _PATIENCE_S = 0.01, 10.0

AnySite = TypeVar("AnySite", bound=EmulatorSite)


class EmulatorFace(ABC, Generic[AnySite]):
    """One account at a provider, as tests see it; an emulator adds what is its own.

    Args:
        site: What all its parts share.
        folder: For what it keeps, see :func:`folder_for`.

    Attributes:
        clock: Its time.
    """

    _places: ClassVar[Mapping[tuple[str, str], str]] = {}

    def __init__(self, site: AnySite, folder: Path) -> None:
        self.clock: Any = site.clock
        self._site = site
        self._folder = folder
        self._unwatch: Callable[[], None] = lambda: None

    @abstractmethod
    def start(self) -> Mapping[str, str]:
        """Begin to answer; gives the URLs by the provider's setting, such as ``api_url``."""

    @abstractmethod
    def stop(self) -> None:
        """Stop answering and end every worker. May be called twice."""

    def fail(self, fault: Fault | FaultKind, on: str = "submit", times: int = 1) -> None:
        """Let the next ``times`` operations of one kind go wrong.

        ``lost_response`` with code ``halfway`` drops the connection in the middle of an answer.
        What else it plays is said of its class.
        """
        self._site.faults.fail(fault, self._place(_kind(fault), on), times)

    def fail_randomly(
        self, fault: Fault | FaultKind, on: str = "submit", *, probability: float, seed: int
    ) -> None:
        """Let operations fail by chance; the same seed gives the same sequence."""
        place = self._place(_kind(fault), on)
        self._site.faults.randomly(fault, place, probability=probability, seed=seed)

    @property
    def requests(self) -> RequestLog:
        """What clients asked, oldest first."""
        return self._site.requests

    @property
    def billed_seconds(self) -> BilledSeconds:
        """Worker id -> seconds billed so far; ``.total`` for all."""
        with self._site.change():
            return self._site.meter.billed_seconds(self._site.timeline.now())

    @property
    def url(self) -> str:
        """Base address; empty before the first start."""
        return self._site.url

    @abstractmethod
    def orphans(self) -> list[str]:
        """What is billed and belongs to no deployment: ids of workers, names of deployments."""

    def _place(self, kind: str, on: str) -> str:
        """Give where a fault is played; by default that is the operation it is scripted for."""
        return self._places.get((kind, on), on)

    def _serve(self, start: Callable[[], str]) -> str:
        """Start the server; what is due by a clock that a test moves happens from now on.

        Args:
            start: Starts it, and gives its address. Where it raises, the folder is removed.
        """
        try:
            url = start()
        except BaseException:
            remove_folder(self._folder)  # nobody stops what did not start
            raise
        self._site.url = url
        watch = getattr(self.clock, "on_advance", None)
        if watch is not None:
            self._unwatch()
            self._unwatch = watch(self._site.timeline.settle)
        return url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()


def folder_for(provider: str) -> Path:
    """Give a path for what an emulator keeps; nothing is there yet, and the name is a new one."""
    return Path(tempfile.gettempdir(), f"gpuhub-{provider}-{secrets.token_hex(8)}")


def remove_folder(folder: Path) -> None:
    """Remove what workers leave; one that is just being killed may still write, for 10 s."""
    ends = time.monotonic() + _PATIENCE_S
    while folder.exists():
        shutil.rmtree(folder, ignore_errors=True)
        if time.monotonic() > ends:
            return
        time.sleep(_LOOK_S if folder.exists() else 0)


def _kind(fault: Fault | FaultKind) -> str:
    return fault if isinstance(fault, str) else fault.kind
