"""An emulator, and Modal's own client on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub_modal.emulator import EmulatorOptions, ModalEmulator
from tests.adapters.waiting import until

TOKEN = ("ak-made-up", "as-made-up")


class Laboratory:
    """One emulator with a client.

    Attributes:
        emulator: The provider.
        client: Modal's own.
    """

    def __init__(self, emulator: ModalEmulator) -> None:
        import modal

        self.modal = modal
        self.emulator = emulator
        os.environ["MODAL_SERVER_URL"] = emulator.start()["server_url"]
        self.client = self.client_of(*TOKEN)

    def client_of(self, token_id: str, secret: str) -> Any:
        """Give a client with a token."""
        return self.modal.Client.from_credentials(token_id, secret)

    def deploy(self, function: Callable[..., Any], name: str = "lab", **options: Any) -> Any:
        """Deploy a closure as the only function ``it`` of an app; give its handle."""
        options = {"serialized": True, "name": "it", **options}
        app = self.modal.App(name)
        app.function(**options)(function)
        app.deploy(client=self.client)
        return self.handle(name)

    def handle(self, name: str = "lab") -> Any:
        """Look up ``it``."""
        handle = self.modal.Function.from_name(name, "it", client=self.client)
        handle.hydrate(client=self.client)
        return handle

    def stats(self, handle: Any) -> tuple[int, int, int]:
        """Containers, waiting inputs, running inputs."""
        found = handle.get_current_stats()
        return found.num_total_runners, found.backlog, found.num_running_inputs

    def advance(self, seconds: float) -> None:
        """Let the provider's time pass."""
        self.emulator.clock.advance(seconds)

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for a container that runs in real time."""
        until(condition, seconds)

    def sent(self, operation: str) -> list[str]:
        """Paths of what was asked of one kind."""
        return [each.path for each in self.emulator.requests.of(operation)]

    def close(self) -> None:
        """Close the client and stop."""
        self.close_client(self.client)
        self.emulator.stop()

    def close_client(self, client: Any) -> None:
        """Close a client; before 1.6.4 its ``close`` was private."""
        (getattr(client, "close", None) or client._close)()


@pytest.fixture
def options() -> EmulatorOptions:
    """How the emulator behaves; a test module may have its own."""
    return EmulatorOptions()


@pytest.fixture
def lab(
    options: EmulatorOptions, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[Laboratory]:
    """A laboratory on a virtual clock."""
    pytest.importorskip("modal", reason="needs the SDK: run in .venv-modal")
    monkeypatch.setenv("MODAL_SERVER_URL", "set by the laboratory")
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "no-such-file"))
    monkeypatch.setenv("MODAL_MAX_THROTTLE_WAIT", "0")
    made = Laboratory(ModalEmulator(options, VirtualClock()))
    yield made
    made.close()
