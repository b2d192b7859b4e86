"""The bundle in Truss's own inference server: calls and streams of the contract suite.

Its processes run in real time, with the ``truss`` package of an environment of its own.
"""

from __future__ import annotations

import pytest

import gpuhub_baseten
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.invocations import Invocations
from gpuhub.testing.contract.streams import Streams
from gpuhub.testing.contract.subject import Subject
from gpuhub_baseten.emulator import BasetenEmulator, EmulatorOptions, TrussMissing, truss_python
from tests.adapters.blocking_only import BlockingOnly
from tests.adapters.needed import present

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

REAL = EmulatorOptions(workers="truss")


@pytest.fixture(scope="module", autouse=True)
def _python():
    """Truss's server needs its environment; in CI it must be there."""
    present(truss_python, TrussMissing)


class TestContract(BlockingOnly, Invocations, Streams, Fixtures):
    """What calls and streams promise, in the blocking mode: the server does not see the others."""

    adapter = Subject(gpuhub_baseten, lambda: BasetenEmulator(REAL))
