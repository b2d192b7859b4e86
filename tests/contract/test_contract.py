"""The contract suite on the mock, and on the mock in other clothes."""

from __future__ import annotations

from typing import ClassVar

import pytest

from gpuhub.testing.contract import AdapterContract
from gpuhub.testing.contract.declaration import Declaration
from gpuhub.testing.contract.faults import Faults
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.secrecy import Secrecy
from gpuhub.testing.contract.spawns import Spawns
from gpuhub.testing.contract.streams import Streams
from gpuhub_mock.emulator import CloudOptions
from gpuhub_mock.testing import SharedCloud
from tests.contract.doubles import Authenticated, Limited, subject


def provider(**options):
    """Give a mock provider with some options, and stop it afterwards."""
    cloud = SharedCloud(CloudOptions(**options))
    yield cloud
    cloud.stop()


class TestMock(AdapterContract):
    """The mock keeps every promise."""

    adapter = "gpuhub_mock"


class TestMockWithoutKeys(Faults, Fixtures):
    """Without idempotency keys a lost answer is ``OutcomeUnknown``."""

    adapter = "gpuhub_mock"

    @pytest.fixture
    def emulator(self):
        """A provider that knows no keys."""
        yield from provider(idempotency_keys=False)


class TestMockOnThreads(Spawns, Streams, Fixtures):
    """Functions that run on threads of the provider."""

    adapter = "gpuhub_mock"

    @pytest.fixture
    def emulator(self):
        """A provider with threads for workers."""
        yield from provider(mode="thread")


class TestMockInProcesses(Streams, Fixtures):
    """Functions that run in processes of the provider, from the bundle alone."""

    adapter = "gpuhub_mock"

    @pytest.fixture
    def emulator(self):
        """A provider with processes for workers."""
        yield from provider(mode="subprocess")


class TestAuthenticated(Declaration, Faults, Secrecy, Fixtures):
    """Behind a credential: it is needed, used, and never shown."""

    adapter = subject(Authenticated)


class TestLimited(AdapterContract):
    """Whatever is declared unsupported is refused, and nothing else breaks."""

    adapter: ClassVar = subject(Limited)
