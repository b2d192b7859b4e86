"""Parts that emulators are built of: limits, folders, layers, workers, and their face."""

from __future__ import annotations

import asyncio
import gzip
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from typing_extensions import override

from gpuhub.testing.emulator import Emulator, Fault
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.testing.emulator.containers import (
    VendorPythonMissing,
    container_env,
    make_folders,
    vendor_python,
)
from gpuhub.testing.emulator.face import EmulatorFace, folder_for, remove_folder
from gpuhub.testing.emulator.layers import unpack
from gpuhub.testing.emulator.quotas import Gate
from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub.testing.emulator.workers import WorkerBase, cold_start_after
from tests.unit.oci.base_images import tar_of


class TooManyError(Exception):
    """How the limits below refuse."""


class TwoInTen(Gate):
    """Two requests in ten seconds."""

    @override
    def refusal(self, wait_s: float) -> TooManyError:
        return TooManyError(f"{wait_s:g}")


class Played(EmulatorFace[EmulatorSite]):
    """The least of an emulator."""

    _places: ClassVar = {("crash", "stream"): "stream item"}

    @override
    def start(self) -> Mapping[str, str]:
        make_folders(self._folder)
        return {"api_url": self._serve(self.serve)}

    def serve(self) -> str:
        """Give the address."""
        return "http://127.0.0.1:1"

    @override
    def stop(self) -> None:
        self._unwatch()
        remove_folder(self._folder)

    @override
    def orphans(self) -> list[str]:
        return list(self._site.meter.running())


def test_a_limit_counts_the_last_window_only() -> None:
    """What is refused is not counted; what is old is forgotten."""
    clock = VirtualClock()
    gate = TwoInTen(2, 10.0, clock.now)
    assert (gate.left, gate.reset_s) == (2, 10.0)
    gate.count()
    clock.advance(4)
    gate.count()
    clock.advance(1)
    with pytest.raises(TooManyError, match=r"^5$"):
        gate.count()
    assert (gate.left, gate.reset_s) == (0, 5.0)
    clock.advance(5)
    assert (gate.left, gate.reset_s) == (1, 4.0)
    gate.count()


@pytest.mark.parametrize("is_compressed", [True, False])
def test_layers_lie_on_each_other(tmp_path: Path, *, is_compressed: bool) -> None:
    """A whiteout takes a file or a folder away."""
    for layer in (
        {"app/a": b"1", "app/b": b"1", "lib/x/y": b"1"},
        {"app/a": b"2", "app/.wh.b": b"", "lib/.wh.x": b"", "app/.wh.never": b""},
    ):
        content = tar_of(layer)
        unpack(gzip.compress(content) if is_compressed else content, tmp_path)
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert left == {"app/a"}
    assert (tmp_path / "app/a").read_bytes() == b"2"


def test_what_a_container_has_by_itself(tmp_path: Path) -> None:
    """Folders of its own, for this user alone, and a Python found by name."""
    folder = tmp_path / "emulator"
    make_folders(folder, "home", "tmp")
    make_folders(folder, "home", "tmp")
    assert folder.stat().st_mode & 0o777 == 0o700
    env = container_env(folder, sys.executable)
    assert {Path(env["HOME"]), Path(env["TMPDIR"])} == set(folder.iterdir())
    assert env["PATH"].startswith(str(Path(sys.executable).parent))


def test_a_python_with_a_vendors_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one asked for, else the variable's, else one of an environment in a folder above."""

    class Missing(VendorPythonMissing):
        pass

    def find(configured: str = "") -> Path:
        return vendor_python("acme", "the acme package", configured, Missing)

    python = tmp_path / ".venv-acme/bin/python"
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    monkeypatch.delenv("ACME_WORKER_PYTHON", raising=False)
    with pytest.raises(Missing, match=r"the acme package \(\.venv-acme\).*--group vendor-acme"):
        find()
    python.parent.mkdir(parents=True)
    python.touch()
    assert find() == python
    monkeypatch.setenv("ACME_WORKER_PYTHON", sys.executable)
    assert find() == Path(sys.executable)
    assert find(str(python)) == python
    with pytest.raises(Missing, match="nowhere"):
        find("nowhere")
    with pytest.raises(Missing):
        vendor_python("acme", "the acme package", "", Missing, lambda _: False)


def test_the_face_of_an_emulator() -> None:
    """Faults, record and bill are the site's; a clock that a test moves is followed."""
    clock = VirtualClock()
    site = EmulatorSite(clock=clock)
    with Played(site, folder_for("acme")) as played:
        assert isinstance(played, Emulator)
        assert played.url == "http://127.0.0.1:1"
        assert played.requests is site.requests
        due: list[float] = []
        with site.timeline.lock:
            site.timeline.at(5.0, lambda: due.append(clock.now()))
            site.meter.start("w", clock.now())
        clock.advance(6)
        assert due
        assert played.billed_seconds.total == 6.0
    clock.advance(1)


def test_where_a_fault_is_played() -> None:
    """At the operation it is scripted for, or where the provider has it happen."""
    site = EmulatorSite(clock=VirtualClock())
    played = Played(site, folder_for("acme"))
    played.fail("crash", on="stream")
    played.fail("timeout", on="stream")
    played.fail_randomly("crash", on="stream", probability=1, seed=1)
    kinds = [fault and fault.kind for fault in map(site.faults.take, ["stream", "stream item"])]
    assert kinds == ["timeout", "crash"]
    assert site.faults.take("stream") is None
    assert site.faults.take("stream item") is not None


def test_an_emulator_that_cannot_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when its port is taken: nobody stops what did not start."""

    def refuse(_: Played) -> str:
        raise OSError("in use")

    folder = folder_for("acme")
    monkeypatch.setattr(Played, "serve", refuse)
    with pytest.raises(OSError, match="in use"):
        Played(EmulatorSite(clock=VirtualClock()), folder).start()
    assert not folder.exists()


def test_a_folder_that_is_still_written_to() -> None:
    """Is removed once nobody writes any more."""
    folder = folder_for("acme")
    assert not folder.exists()
    assert folder != folder_for("acme")
    folder.mkdir()
    ended = threading.Event()

    def write() -> None:
        for number in range(50):
            (folder / f"{number}").mkdir(parents=True, exist_ok=True)
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    ended.wait(30)
    writer.join()
    remove_folder(folder)
    assert not folder.exists()
    remove_folder(folder)


def test_what_a_worker_really_does_is_counted_on_its_site() -> None:
    """Once for each thing, however often it is said that it begins or ends."""
    clock = VirtualClock()
    site = EmulatorSite(clock=clock)
    worker = WorkerBase(site=site, ready_at=3.0)
    worker.begin_boot()
    worker.begin_return()
    worker.begin_return()
    worker.begin_work("a")
    worker.begin_work("b")
    assert site.at_work == 4
    worker.end_return()
    worker.end_return()
    assert worker.end_work("a")
    assert not worker.end_work("a")
    assert site.at_work == 2
    worker.idle_timer = site.timeline.at(5.0, lambda: pytest.fail("it is not idle"))
    worker.end_all()
    worker.end_all()
    assert (site.at_work, worker.at_work) == (0, set())
    clock.advance(6)
    with site.change():
        pass


@pytest.mark.parametrize(
    ("has_booted", "now", "is_stopped", "is_ready"),
    [
        (True, 3.0, False, True),
        (True, 2.9, False, False),
        (False, 4.0, False, False),
        (True, 4.0, True, False),
    ],
    ids=["ready", "cold", "booting", "stopped"],
)
def test_when_a_worker_takes_calls(
    *, has_booted: bool, now: float, is_stopped: bool, is_ready: bool
) -> None:
    """When its code is ready and its cold start is over, until it is stopped."""
    site = EmulatorSite(clock=VirtualClock())
    worker = WorkerBase(site=site, ready_at=3.0, has_booted=has_booted, is_stopped=is_stopped)
    assert worker.is_ready(now) is is_ready


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (None, 3.0),
        (Fault("crash", delay_s=7), 3.0),
        (Fault("cold_start"), 30.0),
        (Fault("cold_start", delay_s=7), 7.0),
    ],
    ids=["none", "another", "long", "as long as told"],
)
def test_how_long_a_cold_start_takes(fault: Fault | None, seconds: float) -> None:
    """As a fault says, else ten times as long as usual."""
    assert cold_start_after(fault, 3.0) == seconds


def test_what_goes_on_too_long() -> None:
    """Is ended by the clock where it is played, and in real time where code really runs."""
    clock, ended = VirtualClock(), threading.Event()
    site = EmulatorSite(clock=clock)
    over: list[str] = []

    def end() -> None:
        over.append("real")
        ended.set()

    async def run() -> None:
        site.waker.attach()
        with site.timeline.lock:
            site.at_limit(10.0, lambda: over.append("played"), is_real=False)
            site.at_limit(0.01, end, is_real=True)
        assert await asyncio.to_thread(ended.wait, 30)

    asyncio.run(run())
    assert over == ["real"]
    clock.advance(10)
    with site.change():
        assert over == ["real", "played"]
