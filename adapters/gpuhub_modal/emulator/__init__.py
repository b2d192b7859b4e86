"""Modal on loopback: its control plane over gRPC, with state and a controllable clock.

:class:`ModalEmulator` plays one workspace; its containers run Modal's own container runtime.
``gpuhub emulator modal`` serves one in real time. It needs the package ``modal``, whose protocol it
speaks, when it is started; importing it needs nothing.
"""

from __future__ import annotations

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_modal.emulator.options import EmulatorOptions
from gpuhub_modal.emulator.provider import ModalEmulator

__all__ = ["EmulatorOptions", "ModalEmulator", "contract_emulator", "emulator"]


def contract_emulator() -> ModalEmulator:
    """Give a fresh workspace for one test of the contract suite."""
    return ModalEmulator()


def emulator() -> ModalEmulator:
    """Give a workspace in real time, as ``gpuhub emulator modal`` serves it."""
    return ModalEmulator(EmulatorOptions(cold_start_s=0.2), SystemClock())
