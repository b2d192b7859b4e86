"""Generator functions: items as they come, and the proof that none is missing."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

from typing import Any

import pytest

from gpuhub.adapter import Feature
from gpuhub.errors import OutcomeUnknown, RemoteError, SpecError
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs

__all__ = ["Streams"]


class Streams:
    """What ``stream`` promises."""

    @needs(Feature.STREAM, Feature.KIND_GENERATOR)
    def test_items_come_in_order(self, bench: Bench) -> None:
        """All items, once each, in the generator's order."""
        endpoint = bench.deploy("count_to")
        assert bench.drive.items(endpoint, "stream", 25) == list(range(25))

    @needs(Feature.STREAM, Feature.KIND_GENERATOR)
    def test_an_empty_stream_is_no_error(self, bench: Bench) -> None:
        """A generator may yield nothing."""
        assert bench.drive.items(bench.deploy("count_to"), "stream", 0) == []

    @needs(Feature.STREAM, Feature.KIND_GENERATOR, Feature.KIND_ASYNC)
    def test_async_generators_stream_too(self, bench: Bench) -> None:
        """``async def`` with ``yield``."""
        assert bench.drive.items(bench.deploy("count_to_later"), "stream", 4) == [0, 1, 2, 3]

    @needs(Feature.STREAM, Feature.KIND_GENERATOR, Feature.MAX_WORKERS)
    def test_a_function_can_be_streamed_again_after_a_break(self, bench: Bench) -> None:
        """Leaving a stream early closes it: the worker is free for the next call."""
        log = bench.log()
        endpoint = bench.deploy("count_and_note", scaling=_one_worker())
        assert bench.drive.take(2, endpoint, "stream", 40, str(log.path)) == [0, 1]
        assert bench.drive.items(endpoint, "stream", 3, str(bench.log("next").path)) == [0, 1, 2]
        assert log.lines()[0] == "started"
        if not bench.lacks(Feature.CANCEL_RUNNING):
            bench.until(
                lambda: bench.adapter_status(endpoint).in_flight in (None, 0), "the calls to end"
            )

    @needs(Feature.STREAM, Feature.KIND_GENERATOR)
    def test_an_error_in_the_middle_comes_after_the_items(self, bench: Bench) -> None:
        """What was yielded before the exception is given; then the exception, in full."""
        endpoint = bench.deploy("count_and_fail")
        items: list[Any] = []
        with pytest.raises(RemoteError, match="after 3") as caught:
            bench.drive.take_into(items, None, endpoint, "stream", 3)
        assert items == [0, 1, 2]
        assert "count_and_fail" in caught.value.remote_traceback

    @needs(Feature.STREAM, Feature.KIND_GENERATOR)
    def test_a_stream_that_broke_off_is_not_taken_for_finished(self, bench: Bench) -> None:
        """A worker that dies in the middle gives ``OutcomeUnknown``, and no second run."""
        log = bench.log()
        endpoint = bench.deploy("count_and_note", idempotent=True)
        bench.emulator.fail("crash", on="stream")
        items: list[Any] = []
        with pytest.raises(OutcomeUnknown):
            bench.drive.take_into(items, None, endpoint, "stream", 5, str(log.path))
        assert items == list(range(len(items)))
        assert len(items) < 5
        assert log.lines().count("started") <= 1

    @needs(Feature.KIND_GENERATOR)
    def test_a_generator_has_no_single_result(self, bench: Bench) -> None:
        """``remote`` of a generator, and ``stream`` of a function, say what to call instead."""
        bench.deploy("count_to")
        bench.deploy("echo")
        with bench.sends_nothing():
            with pytest.raises(SpecError, match="stream"):
                bench.drive.call(bench.function("count_to"), "remote", 3)
            with pytest.raises(SpecError, match="remote"):
                bench.drive.items(bench.function("echo"), "stream", 3)


def _one_worker() -> Any:
    from gpuhub.scaling import Scaling

    return Scaling(max_workers=1)
