"""What runs the code of workers: processes with RunPod's own loop, quick ones, or functions."""

from gpuhub_runpod.emulator.machines.inline import Played
from gpuhub_runpod.emulator.machines.workshop import SdkMissing, Workshop, sdk_python

__all__ = ["Played", "SdkMissing", "Workshop", "sdk_python"]
