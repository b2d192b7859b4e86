"""The contract suite on Modal's emulator: the real SDK as client, Modal's own runtime as worker.

The SDK is imported in this process, so the suite runs where it is installed, in the environment of
its vendor; see ``.ci/run``.
"""

from __future__ import annotations

import pytest

from gpuhub.testing.contract import AdapterContract

pytest.importorskip("modal", reason="the adapter for Modal needs the SDK: run in .venv-modal")


class TestModal(AdapterContract):
    """The adapter keeps every promise on the emulator."""

    adapter = "gpuhub_modal"
