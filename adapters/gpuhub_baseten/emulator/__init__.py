"""Baseten on loopback: management API, uploads, inference and replicas, with state and a clock.

:class:`BasetenEmulator` plays one workspace. ``gpuhub emulator baseten`` serves one in real time.
"""

from __future__ import annotations

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_baseten.emulator.machines import TrussMissing, truss_python
from gpuhub_baseten.emulator.options import EmulatorOptions
from gpuhub_baseten.emulator.provider import BasetenEmulator

__all__ = [
    "BasetenEmulator",
    "EmulatorOptions",
    "TrussMissing",
    "contract_emulator",
    "emulator",
    "truss_python",
]


def contract_emulator() -> BasetenEmulator:
    """Give a fresh provider for one test of the contract suite."""
    return BasetenEmulator()


def emulator() -> BasetenEmulator:
    """Give a provider in real time, as ``gpuhub emulator baseten`` serves it.

    Its replicas run Truss's own server where there is a Python with all it imports.
    """
    try:
        truss_python()
    except TrussMissing:
        options = EmulatorOptions(build_s=0.2, deploy_s=0.1, cold_start_s=0.2)
    else:
        options = EmulatorOptions(workers="truss", build_s=0.2, deploy_s=0.1, cold_start_s=0.2)
    return BasetenEmulator(options, SystemClock())
