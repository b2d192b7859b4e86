"""The contract suite on Replicate's emulator, with quick worker processes."""

from __future__ import annotations

from gpuhub.testing.contract import AdapterContract


class TestReplicate(AdapterContract):
    """The adapter keeps every promise on the emulator."""

    adapter = "gpuhub_replicate"
