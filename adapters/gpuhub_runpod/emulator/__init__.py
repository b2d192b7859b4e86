"""RunPod on loopback: REST v2, jobs and workers, with state and a controllable clock.

:class:`RunPodEmulator` plays one account. ``gpuhub emulator runpod`` serves one in real time.
"""

from __future__ import annotations

from gpuhub.testing.emulator.clocks import SystemClock
from gpuhub_runpod.emulator.machines import SdkMissing, sdk_python
from gpuhub_runpod.emulator.options import DOCUMENTED_QUOTAS, EmulatorOptions, Quota
from gpuhub_runpod.emulator.provider import RunPodEmulator

__all__ = [
    "DOCUMENTED_QUOTAS",
    "EmulatorOptions",
    "Quota",
    "RunPodEmulator",
    "SdkMissing",
    "contract_emulator",
    "emulator",
    "sdk_python",
]


def contract_emulator() -> RunPodEmulator:
    """Give a fresh provider for one test of the contract suite."""
    return RunPodEmulator()


def emulator() -> RunPodEmulator:
    """Give a provider in real time, as ``gpuhub emulator runpod`` serves it.

    Its workers are real ones where there is a Python with the ``runpod`` package.
    """
    try:
        sdk_python()
    except SdkMissing:
        options = EmulatorOptions(cold_start_s=0.2)
    else:
        options = EmulatorOptions(workers="sdk", cold_start_s=0.2)
    return RunPodEmulator(options, SystemClock())
