"""Beam on loopback: the gateway's HTTP surface, websockets, gRPC, and runners.

:class:`BeamEmulator` plays one gateway with one workspace, hosted or self-hosted: they differ in
their address only. ``gpuhub emulator beam`` serves one in real time.
"""

from __future__ import annotations

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_beam.emulator.machines import Beta9Missing, beta9_python
from gpuhub_beam.emulator.options import EmulatorOptions
from gpuhub_beam.emulator.provider import BeamEmulator

__all__ = [
    "BeamEmulator",
    "Beta9Missing",
    "EmulatorOptions",
    "beta9_python",
    "contract_emulator",
    "emulator",
]


def contract_emulator() -> BeamEmulator:
    """Give a fresh gateway for one test of the contract suite."""
    return BeamEmulator()


def emulator() -> BeamEmulator:
    """Give a gateway in real time, as ``gpuhub emulator beam`` serves it.

    Its runners are beta9's where there is a Python with the ``beta9`` package.
    """
    try:
        beta9_python()
    except Beta9Missing:
        options = EmulatorOptions(cold_start_s=0.2)
    else:
        options = EmulatorOptions(workers="beta9", cold_start_s=0.2)
    return BeamEmulator(options, SystemClock())
