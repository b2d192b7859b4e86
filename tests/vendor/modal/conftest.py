"""Modal's own client on the emulator, and ours beside it."""

from __future__ import annotations

import pytest

from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.workspace import Workspace
from gpuhub_modal.emulator import EmulatorOptions, ModalEmulator
from tests.adapters.modal.emulator.conftest import TOKEN, Laboratory
from tests.vendor.sides import Ours

pytest.importorskip("modal", reason="needs the SDK: run in .venv-modal and .venv-modal-floor")


@pytest.fixture
def lab(monkeypatch, tmp_path):
    """A workspace that knows one token, and Modal's client in it."""
    monkeypatch.setenv("MODAL_SERVER_URL", "set by the laboratory")
    monkeypatch.setenv("MODAL_CONFIG_PATH", str(tmp_path / "no-such-file"))
    made = Laboratory(ModalEmulator(EmulatorOptions(tokens=dict([TOKEN])), VirtualClock()))
    yield made
    made.close()


@pytest.fixture
def ours(lab, gpuhub_contract_project, tmp_path):
    """A workspace of gpuhub's on the emulator."""
    environ = {
        "MODAL_TOKEN_ID": TOKEN[0],
        "MODAL_TOKEN_SECRET": TOKEN[1],
        "GPUHUB_STATE_DIR": str(tmp_path / "state"),
    }
    workspace = Workspace(
        "modal",
        app="ours",
        root=gpuhub_contract_project.root,
        provider_options={"server_url": lab.emulator.url},
        environ=environ,
        clock=lab.emulator.clock,
    )
    yield Ours(workspace, gpuhub_contract_project)
    workspace.close()
