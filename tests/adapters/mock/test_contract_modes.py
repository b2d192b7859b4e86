"""The contract suite with functions on threads and in processes."""

from __future__ import annotations

from typing import ClassVar

import pytest

import gpuhub_mock
from gpuhub.testing.contract import AdapterContract, Subject
from gpuhub.testing.contract.deploys import Deploys
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.workers import Workers
from gpuhub_mock.emulator import CloudOptions
from gpuhub_mock.emulator.options import Mode
from gpuhub_mock.testing import SharedCloud


def subject(mode: Mode) -> Subject:
    """The mock with functions somewhere else."""
    return Subject(gpuhub_mock, lambda: SharedCloud(CloudOptions(mode=mode)))


class TestThreads(AdapterContract):
    """Every call runs on a thread of the provider's."""

    adapter: ClassVar[Subject] = subject("thread")


@pytest.mark.slow
class TestProcesses(Deploys, Workers, Fixtures):
    """Every worker is a process: virtual time stands still while they start."""

    adapter: ClassVar[Subject] = subject("subprocess")
