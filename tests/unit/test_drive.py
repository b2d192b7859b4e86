"""Coroutines stepped by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from contextvars import ContextVar

import pytest

from gpuhub import _drive

variable: ContextVar[int] = ContextVar("variable", default=0)


async def add(left, right):
    """Await something that finishes at once."""

    async def inner():
        return right

    return left + await inner()


def inside_loop(action):
    """Run blocking code while a loop runs."""

    async def use():
        return action()

    return asyncio.run(use())


def on_thread(action):
    """Run blocking code on another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(action()))
    thread.start()
    thread.join()
    return results[0]


@pytest.mark.parametrize("place", [lambda action: action(), inside_loop, on_thread])
def test_run_gives_the_value_anywhere(place):
    """Without a loop, inside a running one and on a thread."""
    assert place(lambda: _drive.run(add(1, 2))) == 3


def test_run_raises_what_the_coroutine_raises():
    """Errors pass through, with the coroutine's frame in the traceback."""

    async def fail():
        raise LookupError("no")

    with pytest.raises(LookupError, match="no") as caught:
        _drive.run(fail())
    assert caught.traceback[-1].name == "fail"


def _sleep():
    return asyncio.sleep(0)


def _future():
    return asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("awaitable", [_sleep, _future])
def test_a_stray_await_is_a_clear_error(awaitable):
    """Awaiting the loop says what is allowed instead; the coroutine is closed properly."""
    ended = []

    async def use():
        try:
            await awaitable()
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="awaited something other than io") as caught:
        inside_loop(lambda: _drive.run(use()))
    assert ended == [True]
    assert "use" in [entry.name for entry in caught.traceback]


def test_a_swallowed_stray_await_is_an_error_all_the_same():
    """A coroutine cannot hide it, by returning or by awaiting again."""

    async def use(again):
        try:
            await asyncio.sleep(0)
        except RuntimeError:
            if again:
                await asyncio.sleep(0)
        return "hidden"

    for again in (False, True):
        with pytest.raises(RuntimeError, match="other than io"):
            _drive.run(use(again))


def test_context_is_a_copy():
    """What the coroutine sets does not leak; what the caller set is seen."""

    async def use():
        before = variable.get()
        variable.set(2)
        return before

    variable.set(1)
    assert _drive.run(use()) == 1
    assert variable.get() == 1
    variable.set(0)


def test_ctrl_c_reaches_the_coroutine():
    """KeyboardInterrupt is raised inside it, so that it can clean up."""
    seen = []

    async def use():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(30)
        except KeyboardInterrupt:
            seen.append("here")
            raise

    with pytest.raises(KeyboardInterrupt):
        _drive.run(use())
    assert seen == ["here"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_works_after_a_fork():
    """A child that was forked while a coroutine runs can run others."""

    async def use():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                status = 0 if _drive.run(add(1, 1)) == 2 else 1
            finally:
                os._exit(status)
        return child

    assert os.waitpid(_drive.run(use()), 0)[1] == 0


class Counting:
    """An asynchronous generator of numbers that notes its end."""

    def __init__(self):
        self.ended = 0

    async def numbers(self, count=3):
        try:
            for number in range(count):
                yield await add(number, 0)
        finally:
            await add(0, 0)
            self.ended += 1


@pytest.mark.parametrize("place", [lambda action: action(), inside_loop, on_thread])
def test_sync_iter_gives_all(place):
    """All items, in order, and the generator ends once."""
    counting = Counting()
    assert place(lambda: list(_drive.sync_iter(counting.numbers()))) == [0, 1, 2]
    assert counting.ended == 1


@pytest.mark.parametrize("place", [lambda action: action(), inside_loop])
def test_break_closes_the_generator(place):
    """Leaving early runs the generator's ``finally`` before the next statement."""
    counting = Counting()

    def use():
        for number in _drive.sync_iter(counting.numbers()):
            if number == 1:
                break
        return counting.ended

    assert place(use) == 1


def test_error_in_the_loop_body_closes_the_generator():
    """So does an error of the consumer."""
    counting = Counting()

    def use():
        for _ in _drive.sync_iter(counting.numbers()):
            raise LookupError

    with pytest.raises(LookupError):
        use()
    assert counting.ended == 1


def test_error_of_the_generator_passes():
    """What the generator raises after some items is raised after them."""

    async def some():
        yield 1
        raise LookupError("two")

    seen: list[int] = []

    def use():
        seen.extend(_drive.sync_iter(some()))

    with pytest.raises(LookupError, match="two"):
        use()
    assert seen == [1]


def test_sync_iter_takes_any_asynchronous_iterator():
    """A class with ``__anext__`` and no ``aclose`` will do."""

    class Two:
        left = 2

        def __aiter__(self):
            return self

        async def __anext__(self):
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return self.left

    assert list(_drive.sync_iter(Two())) == [1, 0]


def test_steps_of_one_iteration_share_a_context():
    """A variable set before a ``yield`` can be reset after it, and does not leak."""

    async def use():
        token = variable.set(5)
        yield variable.get()
        yield variable.get()
        variable.reset(token)

    assert list(_drive.sync_iter(use())) == [5, 5]
    assert variable.get() == 0


def test_stray_await_in_an_iterator_is_a_clear_error():
    """The same rule for generators; it is closed."""
    ended = []

    async def use():
        try:
            await asyncio.sleep(0)
            yield 1
        finally:
            ended.append(True)

    with pytest.raises(RuntimeError, match="other than io"):
        list(_drive.sync_iter(use()))
    assert ended == [True]


def test_iterator_that_was_never_started_is_harmless():
    """Making one and dropping it runs nothing."""
    counting = Counting()
    _drive.sync_iter(counting.numbers())
    assert counting.ended == 0
