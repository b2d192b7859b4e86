"""Starting, stopping, logs: what an emulator is and leaves behind."""

from __future__ import annotations

import gc
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gpuhub.testing.emulator import Emulator
from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_modal.emulator import EmulatorOptions, ModalEmulator, contract_emulator, emulator
from tests.adapters.modal.emulator.conftest import Laboratory
from tests.adapters.waiting import is_quick

pytest.importorskip("modal", reason="needs the SDK: run in .venv-modal")


def test_it_has_the_face_of_all_emulators() -> None:
    """In both forms."""
    assert isinstance(contract_emulator(), Emulator)
    assert isinstance(emulator(), Emulator)
    assert isinstance(emulator().clock, SystemClock)


def test_it_starts_and_stops_quickly() -> None:
    """Each test of the contract suite has one of its own."""
    with ModalEmulator():  # imports what there is to import
        pass
    gc.collect()

    def start() -> None:
        with ModalEmulator() as played:
            assert played.url.startswith("http://127.0.0.1:")

    assert is_quick(start, 0.05)


def test_stopping_twice_does_no_harm() -> None:
    """Nor stopping what never started, nor starting twice."""
    played = ModalEmulator()
    played.stop()
    first = played.start()
    assert played.start() == first
    played.stop()
    played.stop()


def test_a_port_that_is_taken() -> None:
    """Is said at the start."""
    with ModalEmulator() as played:
        port = int(played.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            ModalEmulator(port=port).start()


def test_nothing_is_left_behind(lab: Laboratory) -> None:
    """No process, no folder."""

    def it() -> tuple[int, str]:
        import os
        import subprocess

        child = subprocess.Popen(["sleep", "600"])
        return child.pid, os.getcwd()  # noqa: PTH109 - runs in a container

    pid, folder = lab.deploy(it).remote()
    root = Path(folder).parents[3]
    assert root.name.startswith("gpuhub-modal-")
    lab.emulator.stop()
    assert not root.exists()
    lab.until(lambda: _is_gone(pid))


def test_two_of_them_share_nothing() -> None:
    """Apps of one are not seen by the other."""
    with ModalEmulator() as one, ModalEmulator() as other:
        assert one.url != other.url
        one.set_secret("mine", {"A": "1"})
        assert other.store.secrets.all == {}


class TestLogs:
    """What containers print."""

    @pytest.fixture
    def options(self) -> EmulatorOptions:
        """The usual ones."""
        return EmulatorOptions()

    def test_they_are_fetched(self, lab: Laboratory) -> None:
        """By time, stream and words; oldest first."""

        def it(word: str) -> None:
            import sys

            print(f"said {word}")
            print(f"warned of {word}", file=sys.stderr)

        handle = lab.deploy(it)
        began = datetime.now(UTC)
        for word in ("one", "two"):
            handle.remote(word)
        since = began - timedelta(seconds=1)
        lines = list(handle.logs.fetch(since=since))
        said = [line.message.strip() for line in lines if "said" in line.message]
        assert said == ["said one", "said two"]
        assert [line.timestamp for line in lines] == sorted(line.timestamp for line in lines)
        warned = list(handle.logs.fetch(since=since, source="stderr", search_text="two"))
        assert [line.message.strip() for line in warned] == ["warned of two"]
        app = lab.modal.App.lookup("lab", client=lab.client)
        assert any("said two" in line.message for line in app.logs.tail(entries=50))
        early = datetime(2020, 1, 1, tzinfo=UTC)
        assert list(handle.logs.fetch(since=early, until=early + timedelta(days=1))) == []

    def test_they_are_followed(self, lab: Laboratory) -> None:
        """Until nothing came for a while."""

        def it() -> None:
            print("a line to follow")

        handle = lab.deploy(it)
        handle.remote()
        said = (line.message.strip() for line in handle.logs.stream(timeout=50))
        assert "a line to follow" in said, "and no further is it followed"
        for _ in handle.logs.stream(timeout=0.3):
            pass

    def test_tracebacks_are_there(self, lab: Laboratory) -> None:
        """As Modal's runtime prints them."""

        def it() -> None:
            message = "on purpose"
            raise KeyError(message)

        handle = lab.deploy(it)
        with pytest.raises(KeyError):
            handle.remote()
        lines = [line.message for line in handle.logs.tail(entries=100)]
        assert any("KeyError: 'on purpose'" in line for line in lines)


def _is_gone(pid: int) -> bool:
    done = subprocess.run(["ps", "-p", str(pid), "-o", "stat="], capture_output=True, check=False)
    return not done.stdout.strip() or done.stdout.strip().startswith(b"Z")
