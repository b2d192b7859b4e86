"""The contract suite on RunPod's emulator, with quick worker processes."""

from __future__ import annotations

from gpuhub.testing.contract import AdapterContract


class TestRunPod(AdapterContract):
    """The adapter keeps every promise on the emulator."""

    adapter = "gpuhub_runpod"
