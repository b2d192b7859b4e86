"""``map`` on daemon threads.

Not a ``ThreadPoolExecutor``: its ``with`` block delivers Ctrl-C only after the work in flight, and
its threads keep the process alive.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self

from gpuhub import _drive
from gpuhub._map.items import Item, ItemRunner, MapOptions, MapSource, Outcome, opened
from gpuhub._map.progress import ProgressShown

if TYPE_CHECKING:
    from gpuhub._engine.calls import BoundedIo
    from gpuhub.adapter import CallRef

CANCEL_WITHIN_S = 1.5


def map_blocking(
    source: MapSource, iterables: tuple[Iterable[Any], ...], options: MapOptions
) -> Iterator[Any]:
    """Give results as they are asked for."""
    ref = source.session.run(source.resolve)
    in_flight: dict[int, CallRef] = {}
    # Connections of its own: a map that is stopped cuts them without harming other calls.
    with (
        closing(source.session.new_connections(options.concurrency)) as connections,
        opened(source, ref, options, in_flight.__setitem__) as runner,
        _Pool(runner, connections.blocking(), options.concurrency, in_flight) as pool,
        ProgressShown.of(options.progress, source.name, iterables) as shown,
    ):
        for outcome in _outcomes(pool, source.items(iterables), options):
            shown.step()
            yield source.value(ref, outcome, options)


def _outcomes(pool: _Pool, items: Iterator[Item], options: MapOptions) -> Iterator[Outcome]:
    """Feed the pool and give outcomes, in the items' order if asked.

    Items that wait for an earlier one count against the window, so a slow first item stops the
    intake instead of filling the memory. What is ready is given before more is taken, so a slow
    input does not hold results back.
    """
    waiting: dict[int, Outcome] = {}
    fed = given = 0
    exhausted = False
    while not exhausted or given < fed:
        full = exhausted or fed - given >= options.window
        outcome = pool.next() if full else pool.ready()
        if outcome is not None:
            waiting[given if not options.ordered else outcome.index] = outcome
            while given in waiting:
                yield waiting.pop(given)
                given += 1
        elif (item := next(items, None)) is not None:
            pool.submit(item)
            fed += 1
        else:
            exhausted = True


@dataclass
class _Pool:
    """Daemon threads that run items; started when there is work for them."""

    runner: ItemRunner
    io: BoundedIo
    size: int
    in_flight: dict[int, CallRef]
    tasks: SimpleQueue[tuple[Context, Item] | None] = field(default_factory=SimpleQueue)
    results: SimpleQueue[Outcome] = field(default_factory=SimpleQueue)
    threads: list[threading.Thread] = field(default_factory=list)
    outstanding: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def submit(self, item: Item) -> None:
        self.outstanding += 1
        if len(self.threads) < min(self.size, self.outstanding):
            thread = threading.Thread(target=self._work, name="gpuhub-map", daemon=True)
            self.threads.append(thread)
            thread.start()
        # A fresh copy for each item: what user code sets in one call must not leak into others.
        self.tasks.put((copy_context(), item))

    def ready(self) -> Outcome | None:
        try:
            outcome = self.results.get_nowait()
        except Empty:
            return None
        self.outstanding -= 1
        return outcome

    def next(self) -> Outcome:
        outcome = self.results.get()
        self.outstanding -= 1
        return outcome

    def stop(self) -> None:
        """End the threads, cancelling what is in flight, within two seconds."""
        self.stopped.set()
        for _ in self.threads:
            self.tasks.put(None)
        if self.outstanding and self.in_flight:
            cancel = threading.Thread(target=self._cancel_all, name="gpuhub-cancel", daemon=True)
            cancel.start()
            cancel.join(CANCEL_WITHIN_S)

    def _work(self) -> None:
        while (task := self.tasks.get()) is not None:
            context, item = task
            if self.stopped.is_set():
                return
            try:
                outcome = context.run(_drive.run, self.runner.run(self.io, item))
            except BaseException as error:  # noqa: BLE001 - handed to the consumer, who raises it
                outcome = Outcome(item.index, error=error)
            self.in_flight.pop(item.index, None)
            self.results.put(outcome)

    def _cancel_all(self) -> None:
        io = self.io.bounded(CANCEL_WITHIN_S)
        for call in list(self.in_flight.values()):
            _drive.run(self.runner.calls.cancel(io, call))
