"""The contract suite with workers that take their time: in one of its three modes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gpuhub.testing.contract.drive import Drive


class BlockingOnly:
    """Stands first among a contract's classes: the worker does not see in which mode it is."""

    @pytest.fixture
    def drive(self) -> Iterator[Drive]:
        """One mode only."""
        with asyncio.Runner() as runner:
            yield Drive("sync", runner)
