"""What the exit codes of ``gpuhub`` mean. Stable: scripts depend on them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["DIFFERS", "EXIT_CODES", "INTERRUPTED", "SOME_ITEMS_FAILED", "UNEXPECTED"]

UNEXPECTED = 1
DIFFERS = 1
SOME_ITEMS_FAILED = 9
INTERRUPTED = 130

EXIT_CODES: Mapping[int, str] = MappingProxyType(
    {
        0: "done",
        1: "unexpected error; with `diff --exit-code`: the two providers differ",
        2: "wrong usage, settings or function",
        3: "the provider, or its adapter, cannot do this",
        4: "credentials missing or refused",
        5: "the provider refused, failed or did not answer",
        6: "the journal cannot be read or written",
        7: "the deployment did not become routable",
        8: "not deployed",
        9: "a call failed; with `map`: at least one item",
        12: "not confirmed: it costs or deletes, and nobody said yes",
        130: "interrupted with Ctrl-C",
    }
)
"""Meaning by code. An error's own code is ``GpuHubError.exit_code``."""
