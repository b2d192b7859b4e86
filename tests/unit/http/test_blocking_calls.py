"""``io.run`` and ``io.iterate``: an SDK's blocking calls in both modes."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from itertools import pairwise

import pytest

from gpuhub._clock import VirtualClock
from gpuhub._http.threads import _Steps
from gpuhub.errors import ProviderUnavailable, RateLimited
from gpuhub.plan import Retry

variable: ContextVar[int] = ContextVar("variable", default=0)
on_loops = pytest.mark.parametrize("kind", ["async", "fast"], indirect=True)


def test_run_gives_the_value(connect):
    """Arguments go through, and the value comes back."""
    client = connect()
    assert client.do(lambda io: io.run(lambda a, *, b: (a, b), 1, b=2)) == (1, 2)


def test_run_is_direct_in_sync_and_beside_the_loop_in_async(connect):
    """Sync mode uses no thread, async mode always one."""
    client = connect()
    here = client.do(lambda io: io.run(threading.get_ident)) == threading.get_ident()
    assert here is (client.kind == "sync")


def test_run_raises_what_the_call_raises(connect):
    """Errors pass through; StopIteration becomes the RuntimeError it has to be."""
    client = connect()
    with pytest.raises(ZeroDivisionError):
        client.do(lambda io: io.run(lambda: 1 / 0))
    with pytest.raises(RuntimeError, match="StopIteration"):
        client.do(lambda io: io.run(next, iter([])))


def test_run_sees_the_context(connect):
    """Context variables of the caller are there; what the call sets does not leak in async."""
    client = connect()

    async def use(io):
        variable.set(7)
        return await io.run(variable.get)

    assert client.do(use) == 7


def test_ask_repeats_as_send_does(connect):
    """What an SDK was refused is asked again, after the wait it names, within the budget."""
    clock = VirtualClock()
    client = connect(clock=clock)
    asked: list[float] = []

    def request() -> int:
        asked.append(clock.now())
        if len(asked) < 3:
            raise RateLimited("slow down", retry_after=4.0)
        return len(asked)

    assert client.do(lambda io: io.ask(request, retry=Retry.REFUSED_ONLY)) == 3
    assert [later - sooner >= 4 for sooner, later in pairwise(asked)] == [True, True]


@pytest.mark.parametrize(
    ("retry", "accepted", "tries"),
    [
        (Retry.SAFE, None, 6),
        (Retry.REFUSED_ONLY, False, 6),
        (Retry.REFUSED_ONLY, None, 1),
        (Retry.NEVER, False, 1),
    ],
)
def test_ask_repeats_only_what_may_be(connect, retry, accepted, tries):
    """What may have had an effect is asked once, unless repeating it does no harm."""
    client = connect(clock=VirtualClock())
    asked: list[int] = []

    def request() -> None:
        asked.append(1)
        raise ProviderUnavailable("gone", accepted=accepted)

    with pytest.raises(ProviderUnavailable, match="gone"):
        client.do(lambda io: io.ask(request, retry=retry))
    assert len(asked) == tries


def test_ask_ends_with_the_budget(connect):
    """A bounded ``Io`` does not wait beyond its end."""
    clock = VirtualClock()
    client = connect(clock=clock, bound=5.0)

    def request() -> None:
        raise RateLimited("slow down", retry_after=4.0)

    with pytest.raises(RateLimited, match="tried 2 times"):
        client.do(lambda io: io.ask(request))
    assert clock.now() < 10


@on_loops
def test_many_blocking_calls_wait_together(connect):
    """100 calls that wait for each other all end: no small pool of threads limits them."""
    client = connect()
    together = threading.Barrier(100)

    async def use(io):
        return await asyncio.gather(*(io.run(together.wait, 30) for _ in range(100)))

    assert sorted(client.do(use)) == list(range(100))


@on_loops
def test_cancelled_call_leaves_its_thread(connect):
    """A cancelled task does not wait for the blocking call."""
    client = connect()
    stop, done = threading.Event(), threading.Event()

    def block():
        stop.wait(30)
        done.set()

    async def use(io):
        task = asyncio.create_task(io.run(block))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not done.is_set()
        stop.set()

    client.do(use)
    assert done.wait(30)


class Items:
    """A blocking generator that notes threads and its end."""

    def __init__(self):
        self.threads = set()
        self.closed = threading.Event()
        self.held = threading.Event()
        self.hold = None

    def make(self):
        try:
            for number in range(3):
                if self.hold and number:
                    self.held.set()
                    self.hold.wait(30)
                self.threads.add(threading.get_ident())
                yield number
        finally:
            self.closed.set()


async def listed(iterator):
    """All items."""
    return [item async for item in iterator]


def test_iterate_gives_all_and_closes(connect):
    """All items in order; on the loop's own thread none of the work."""
    client, items = connect(), Items()
    assert client.do(lambda io: listed(io.iterate(items.make))) == [0, 1, 2]
    assert items.closed.is_set()
    assert (threading.get_ident() in items.threads) is (client.kind == "sync")


def test_iterate_takes_any_iterable(connect):
    """A list will do, ``None`` items included."""
    assert connect().do(lambda io: listed(io.iterate(lambda: [1, None, 2]))) == [1, None, 2]


def test_iterate_raises_what_the_iterable_raises(connect):
    """Errors pass through after the items before them."""

    def broken():
        yield 1
        raise LookupError("two")

    with pytest.raises(LookupError, match="two"):
        connect().do(lambda io: listed(io.iterate(broken)))


def test_leaving_closes_the_iterator(connect):
    """A consumer that stops early closes it."""
    client, items = connect(), Items()

    async def use(io):
        iterator = io.iterate(items.make)
        await anext(iterator)
        assert not items.closed.is_set()
        await iterator.aclose()

    client.do(use)
    assert items.closed.is_set()


def cancel_and_close(client, items, reached):
    """Cancel an iteration at some point: it does not wait for the step, whose end closes it."""

    async def use(io):
        task = asyncio.create_task(listed(io.iterate(items.make)))
        while not reached.is_set():  # noqa: ASYNC110 - set on another thread
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not items.closed.is_set()

    client.do(use)
    items.hold.set()
    assert items.closed.wait(30)


@on_loops
def test_cancel_during_a_step_closes_afterwards(connect):
    """A cancel does not wait for the blocked step; the iterator is closed once that ends."""
    client, items = connect(), Items()
    items.hold = threading.Event()

    cancel_and_close(client, items, items.held)


@on_loops
def test_cancel_before_a_step_has_begun_does_not_wait_for_it(connect, monkeypatch):
    """Its thread may be late: then the close must not come to stand behind the step."""
    client, items = connect(), Items()
    items.hold, at_step, begin = threading.Event(), threading.Event(), threading.Event()
    step, close = _Steps.next, _Steps.close

    def late(steps):
        if items.threads:  # the second step
            at_step.set()
            begin.wait(30)
        return step(steps)

    def later(steps):
        begin.set()
        items.held.wait(30)
        close(steps)

    monkeypatch.setattr(_Steps, "next", late)
    monkeypatch.setattr(_Steps, "close", later)

    cancel_and_close(client, items, at_step)


def test_sleep_is_the_clocks(connect):
    """``io.sleep`` moves the workspace's clock, and ``io.now`` shows it."""
    clock = VirtualClock()
    client = connect(clock=clock)

    async def use(io):
        await io.sleep(12)
        return io.now()

    assert client.do(use) == 12


def test_sleep_on_a_plain_clock_does_not_block_the_loop(connect):
    """A clock with nothing but ``now`` and ``sleep`` sleeps on a thread in async mode."""

    class Plain:
        slept_on = 0

        def now(self):
            return 0.0

        def sleep(self, seconds):
            self.slept_on = threading.get_ident()

    clock = Plain()
    client = connect(clock=clock)
    client.do(lambda io: io.sleep(1))
    assert (clock.slept_on == threading.get_ident()) is (client.kind == "sync")


@on_loops
def test_threads_are_used_again_and_end(connect, monkeypatch):
    """One call after the other needs one thread, which ends when it has been idle."""
    idle = "gpuhub._http.threads.IDLE_S"
    monkeypatch.setattr(idle, 50.0)
    client = connect()

    async def use(io):
        found = {await io.run(threading.current_thread) for _ in range(20)}
        monkeypatch.setattr(idle, 0.05)  # from the next wait on
        return found | {await io.run(threading.current_thread)}

    [thread] = client.do(use)
    assert thread.daemon
    thread.join(30)
    assert not thread.is_alive()
    assert client.do(lambda io: io.run(int, "7")) == 7


@on_loops
def test_closing_ends_idle_threads(connect, monkeypatch):
    """``close`` does not leave threads waiting."""
    monkeypatch.setattr("gpuhub._http.threads.IDLE_S", 50.0)
    client = connect()
    thread = client.do(lambda io: io.run(threading.current_thread))
    client.runner.run(client.connections.aclose())
    thread.join(20)
    assert not thread.is_alive()
