"""Many calls at a time: order, errors, memory, and going on after a crash."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpuhub.adapter import Feature
from gpuhub.errors import OutcomeUnknown, RemoteError, SpecError
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.gates import needs
from gpuhub.testing.emulator import Fault

__all__ = ["Maps"]

DIE = """
import os, signal, sys
from pathlib import Path
from gpuhub.journal import Journal

path, function, call, *digests = sys.argv[1:]
run = Journal(Path(path)).open_map(function=function)
for index, digest in enumerate(digests[:3]):
    run.start(index, bytes.fromhex(digest), f"key-{index}")
run.finish(0, b'{"result":"finished"}')
run.accept(1, call)
os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""
"""What a process leaves in the journal that is killed in the middle of a map."""


class Maps:
    """What ``map`` promises."""

    def test_results_come_in_the_order_of_the_items(self, bench: Bench) -> None:
        """However the calls finish."""
        endpoint = bench.deploy("echo")
        items = list(range(40))
        assert bench.drive.items(endpoint, "map", items, concurrency=8) == items

    def test_without_order_nothing_is_lost(self, bench: Bench) -> None:
        """``ordered=False`` gives every result once, in any order."""
        endpoint = bench.deploy("echo")
        results = bench.drive.items(endpoint, "map", range(40), concurrency=8, ordered=False)
        assert sorted(results) == list(range(40))

    def test_several_iterables_are_taken_together(self, bench: Bench) -> None:
        """One iterable for each parameter, as the builtin ``map`` does, to the shortest."""
        endpoint = bench.deploy("combine")
        assert bench.drive.items(endpoint, "map", [1, 2, 3], iter([10, 20])) == [11, 22]

    def test_an_empty_map(self, bench: Bench) -> None:
        """No items, no results; no iterable at all is an error."""
        endpoint = bench.deploy("echo")
        assert bench.drive.items(endpoint, "map", []) == []
        with pytest.raises(SpecError, match="iterable"):
            bench.drive.items(endpoint, "map")

    def test_an_error_is_raised_in_its_place(self, bench: Bench) -> None:
        """Results before the failing item are given first."""
        endpoint = bench.deploy("fail_if_odd")
        taken: list[int] = []
        with pytest.raises(RemoteError, match="5 is odd"):
            bench.drive.take_into(taken, None, endpoint, "map", [0, 2, 4, 5, 6], concurrency=4)
        assert taken == [0, 2, 4]

    def test_errors_can_be_results(self, bench: Bench) -> None:
        """With ``return_exceptions`` a failed item stands in its place and the rest goes on."""
        endpoint = bench.deploy("fail_if_odd")
        results = bench.drive.items(endpoint, "map", range(6), return_exceptions=True)
        assert [each if isinstance(each, int) else None for each in results] == [
            *(0, None, 2),
            *(None, 4, None),
        ]
        errors = [each for each in results if isinstance(each, RemoteError)]
        assert [error.error_message for error in errors] == ["1 is odd", "3 is odd", "5 is odd"]

    def test_items_are_taken_as_they_are_needed(self, bench: Bench) -> None:
        """The window is bounded: an endless input is no endless memory."""
        endpoint = bench.deploy("echo")
        taken = 0

        def endless() -> Iterator[int]:
            nonlocal taken
            while True:
                taken += 1
                yield taken

        assert bench.drive.take(10, endpoint, "map", endless(), concurrency=4) == [*range(1, 11)]
        assert taken <= 10 + 2 * 4 + 1

    def test_progress_is_told(self, bench: Bench) -> None:
        """A function is told how many are finished, and of how many."""
        endpoint = bench.deploy("echo")
        told: list[tuple[int, int | None]] = []
        bench.drive.items(
            endpoint, "map", [1, 2, 3], progress=lambda done, total: told.append((done, total))
        )
        assert told == [(1, 3), (2, 3), (3, 3)]

    def test_a_journal_remembers_what_is_finished(self, bench: Bench) -> None:
        """A rerun gives all results and runs only what was not finished."""
        log, journal = bench.log(), str(bench.folder / "run.db")
        endpoint = bench.deploy("record")
        logs = [str(log.path)] * 20
        first = bench.drive.items(endpoint, "map", range(12), logs, journal=journal)
        assert first == list(range(12))
        bench.restart()
        endpoint = bench.function("record").endpoint()
        again = bench.drive.items(endpoint, "map", range(20), logs, journal=journal)
        assert again == list(range(20))
        assert sorted(log.lines()) == list(range(20))

    def test_an_abandoned_map_goes_on(self, bench: Bench) -> None:
        """After a map that was left in the middle, no finished item runs again."""
        log, journal = bench.log(), str(bench.folder / "run.db")
        endpoint = bench.deploy("record", idempotent=True)
        logs = [str(log.path)] * 12
        assert bench.drive.take(5, endpoint, "map", range(12), logs, journal=journal) == [*range(5)]
        again = bench.drive.items(
            endpoint, "map", range(12), logs, journal=journal, return_exceptions=True
        )
        assert again[:5] == list(range(5))
        ran = log.lines()
        assert [ran.count(number) for number in range(5)] == [1] * 5
        finished = bench.drive.items(endpoint, "map", range(12), logs, journal=journal)
        assert finished == list(range(12))

    @needs(Feature.SPAWN)
    def test_items_in_flight_at_a_kill(self, bench: Bench) -> None:
        """Finished ones are given, accepted ones followed; the others may have run: not again."""
        log, journal = bench.log(), bench.folder / "run.db"
        function, endpoint = bench.function("record"), bench.deploy("record")
        call = bench.drive.call(endpoint, "spawn", "accepted", str(log.path))
        items = ["finished", "accepted", "unknown", "new"]
        payloads = [function.codec.encode_call((item, str(log.path)), {}) for item in items]
        digests = [hashlib.sha256(payload).hexdigest() for payload in payloads]
        _die_in_the_middle(journal, endpoint.name, digests, call.id)
        results = bench.drive.items(
            *(endpoint, "map", items, [str(log.path)] * 4),
            journal=str(journal),
            return_exceptions=True,
        )
        assert results[:2] == ["finished", "accepted"]
        assert isinstance(results[2], OutcomeUnknown)
        assert results[3] == "new"
        assert sorted(log.lines()) == ["accepted", "new"]

    @needs(Feature.SPAWN, Feature.CANCEL_QUEUED)
    def test_items_that_were_cancelled_run_again(self, bench: Bench) -> None:
        """A map that is left cancels its calls: if running twice does no harm, they run."""
        log, journal = bench.log(), bench.folder / "run.db"
        function = bench.function("record", idempotent=True)
        endpoint = bench.drive.call(function, "deploy")
        bench.emulator.fail(Fault("cold_start", delay_s=500), on="start")
        call = bench.drive.call(endpoint, "spawn", "cancelled", str(log.path))
        bench.drive.call(call, "cancel")
        bench.advance(600)
        items = ["finished", "cancelled", "unknown"]
        payloads = [function.codec.encode_call((item, str(log.path)), {}) for item in items]
        digests = [hashlib.sha256(payload).hexdigest() for payload in payloads]
        _die_in_the_middle(journal, endpoint.name, digests, call.id)
        logs = [str(log.path)] * 3
        assert bench.drive.items(endpoint, "map", items, logs, journal=str(journal)) == items
        assert sorted(log.lines()) == ["cancelled", "unknown"]

    def test_failed_items_stay_failed_unless_asked(self, bench: Bench) -> None:
        """With a journal a function that raised runs again only with ``retry_failed``."""
        journal = str(bench.folder / "run.db")
        endpoint = bench.deploy("fail_if_odd")
        runs = [_runs_of(bench, endpoint, journal, retry=retry) for retry in (False, False, True)]
        assert runs == [2, 0, 1]

    def test_map_leaves_no_call_behind(self, bench: Bench) -> None:
        """After a ``break`` the calls still in flight are cancelled or ended."""
        endpoint = bench.deploy("echo")
        assert bench.drive.take(1, endpoint, "map", range(50), concurrency=4) == [0]
        assert bench.invoke(endpoint, "free") == "free"


def _runs_of(bench: Bench, endpoint: Any, journal: str, *, retry: bool) -> int:
    """Map over one that fails and one that does not; give how many calls were sent."""
    mark = len(bench.sent())
    results = bench.drive.items(
        *(endpoint, "map", [1, 2]), journal=journal, return_exceptions=True, retry_failed=retry
    )
    assert isinstance(results[0], RemoteError)
    assert results[1] == 2
    return sum(request.operation == "submit" for request in bench.sent_since(mark))


def _die_in_the_middle(journal: Path, function: str, digests: list[str], call: str) -> None:
    command = [sys.executable, "-c", DIE, str(journal), function, call, *digests]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)  # noqa: S603
    assert not ended.stderr, ended.stderr.decode()
