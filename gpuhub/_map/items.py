"""One item of a map: what it is, and how it runs at most once."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.adapter import CallRef, CallState, DeploymentRef, Phase
from gpuhub.errors import (
    CallCancelled,
    CallExpired,
    GpuHubError,
    OutcomeUnknown,
    ProviderError,
    SpecError,
)
from gpuhub.journal import Finished, Journal, Started

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo, Calls, CallSettings
    from gpuhub._session import Session
    from gpuhub._wire import Wire
    from gpuhub.journal import MapRun

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class MapOptions:
    """See :meth:`gpuhub.Endpoint.map`."""

    concurrency: int = 64
    ordered: bool = True
    return_exceptions: bool = False
    journal: str | Path | None = None
    retry_failed: bool = False
    progress: bool | Progress = False

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            msg = f"map: concurrency must be at least 1 (got {self.concurrency})"
            raise SpecError(msg, next_step="leave it out for 64")

    @property
    def window(self) -> int:
        """Items taken and not yet given back: bounds the memory when the first one is slow."""
        return 2 * self.concurrency


@dataclass(frozen=True, slots=True)
class Item:
    """One encoded item."""

    index: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one item ended: the worker's answer or an exception."""

    index: int
    output: bytes | None = None
    error: BaseException | None = None
    call: CallRef | None = None

    def state(self, ref: DeploymentRef) -> CallState:
        """The outcome as the state of an ended call."""
        call = self.call or CallRef(ref.provider, ref.address, f"item-{self.index}")
        return CallState(call, Phase.SUCCEEDED, output=self.output)


@dataclass(frozen=True, slots=True)
class MapSource:
    """Whose function is mapped: what a map needs of an endpoint.

    Attributes:
        name: The deployment's name.
        session: The provider.
        wire: How arguments and results travel.
        settings: How calls are made.
        resolve: Finds the deployment.
    """

    name: str
    session: Session
    wire: Wire
    settings: CallSettings
    resolve: Callable[[BoundedIo], Coroutine[Any, Any, DeploymentRef]]

    def items(self, iterables: tuple[Iterable[Any], ...]) -> Iterator[Item]:
        """Encode items one by one, as they are asked for."""
        if not iterables:
            msg = "map needs at least one iterable"
            raise SpecError(msg, next_step="embed.map(inputs)")
        for index, arguments in enumerate(zip(*iterables, strict=False)):
            yield Item(index, self.wire.encode(arguments, {}))

    def value(self, ref: DeploymentRef, outcome: Outcome, options: MapOptions) -> Any:
        """The function's value, or what went wrong: raised, unless it is to be the value."""
        try:
            if outcome.error is not None:
                raise outcome.error
            return self.wire.value(outcome.state(ref))
        except GpuHubError as error:
            if options.return_exceptions:
                return error
            raise


@dataclass(frozen=True, slots=True)
class ItemRunner:
    """Runs single items; one journal, one deployment.

    Attributes:
        calls: The engine.
        ref: The deployment.
        settings: How calls are made.
        run_log: Progress of earlier runs and this one; ``None`` without a journal.
        retry_failed: Whether items whose function raised run again.
        accepted: Told index and reference of each accepted call, for a cancel.
    """

    calls: Calls
    ref: DeploymentRef
    settings: CallSettings
    run_log: MapRun | None
    retry_failed: bool
    accepted: Callable[[int, CallRef], None]

    async def run(self, io: BoundedIo, item: Item) -> Outcome:
        """Run one item to its outcome; only exceptions that are no errors escape."""
        try:
            return await self._run(io, item)
        except GpuHubError as error:
            return Outcome(item.index, error=error)

    async def _run(self, io: BoundedIo, item: Item) -> Outcome:
        if self.run_log is None:
            return await self._call(io, item, self.settings)
        digest = hashlib.sha256(item.payload).digest()
        known = self.run_log.lookup(item.index, digest)
        if isinstance(known, Finished) and not (self.retry_failed and _raised(known.payload)):
            return Outcome(item.index, output=known.payload)
        if isinstance(known, Started):
            resumed = await self._resume(io, item, known)
            if resumed is not None:
                return resumed
        settings = replace(self.settings, idempotency_key=_key(known))
        self.run_log.start(item.index, digest, settings.idempotency_key)
        try:
            outcome = await self._call(io, item, settings)
        except ProviderError:
            # Refused: it has not run, so a rerun may take it as new.
            self.run_log.reopen(item.index)
            raise
        self.run_log.finish(item.index, outcome.output or b"")
        return outcome

    async def _call(self, io: BoundedIo, item: Item, settings: CallSettings) -> Outcome:
        def accept(call: CallRef) -> None:
            self.accepted(item.index, call)
            if self.run_log is not None:
                self.run_log.accept(item.index, str(call))

        told = replace(settings, on_accepted=accept, record=False)
        state = await self.calls.invoke(io, self.ref, item.payload, told)
        return Outcome(item.index, output=state.output, call=state.ref)

    async def _resume(self, io: BoundedIo, item: Item, started: Started) -> Outcome | None:
        """Follow a call of an earlier run; ``None`` when the item may simply run again."""
        if started.call is not None:
            try:
                state = await self.calls.wait(io, CallRef.parse(started.call), None)
            except (CallCancelled, CallExpired):
                pass  # it gives no result any more: whether it ran cannot be known
            else:
                assert self.run_log is not None  # noqa: S101 - _run checked
                self.run_log.finish(item.index, state.output or b"")
                return Outcome(item.index, output=state.output, call=state.ref)
        if self.settings.idempotent:
            return None
        raise OutcomeUnknown(
            f"item {item.index} was in flight when an earlier run ended: it may have run",
            call_id=started.call,
            idempotency_key=started.key,
            provider=self.ref.provider,
            next_step="check for its effects, then map it alone; or declare idempotent=True",
        )


def _key(known: Finished | Started | None) -> str:
    """The key of an earlier try is kept: a provider with such keys then runs it once.

    Not that of a call that was accepted and is gone: with its key the provider would give it again.
    """
    if isinstance(known, Started) and known.call is None:
        return known.key
    return uuid.uuid4().hex


def _raised(payload: bytes) -> bool:
    return payload.lstrip().startswith(b'{"gpuhub_error"')


@contextmanager
def opened(
    source: MapSource,
    ref: DeploymentRef,
    options: MapOptions,
    accepted: Callable[[int, CallRef], None] = lambda *_: None,
) -> Iterator[ItemRunner]:
    """A runner of items, its journal open as long as the block lasts."""
    calls, settings = source.session.calls, source.settings
    if options.journal is None:
        yield ItemRunner(calls, ref, settings, None, options.retry_failed, accepted)
        return
    with (
        closing(Journal(Path(options.journal))) as journal,
        closing(journal.open_map(function=source.name)) as run_log,
    ):
        yield ItemRunner(calls, ref, settings, run_log, options.retry_failed, accepted)
