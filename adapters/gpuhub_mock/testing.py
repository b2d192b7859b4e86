"""The mock provider as the contract suite wants it: one that several workspaces share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub_mock.emulator import CloudOptions, MockCloud
from gpuhub_mock.emulator.clocks import make_clock
from gpuhub_mock.info import INFO, adapter_of

if TYPE_CHECKING:
    from gpuhub.adapter import AdapterInfo
    from gpuhub.settings import ProviderSettings
    from gpuhub_mock.adapter import MockAdapter

__all__ = ["SharedCloud", "SharedModule", "contract_emulator"]


class SharedModule:
    """Takes the place of ``gpuhub_mock``: its adapters share one provider and never stop it.

    Args:
        cloud: The provider.
    """

    INFO: AdapterInfo = INFO

    def __init__(self, cloud: MockCloud) -> None:
        self._cloud = cloud

    def create(self, settings: ProviderSettings) -> MockAdapter:  # noqa: ARG002 - the cloud has them
        """Make an adapter over the shared provider."""
        return adapter_of(self._cloud, owns_cloud=False)


class SharedCloud(MockCloud):
    """A mock provider that outlives the workspaces that use it.

    Args:
        options: How it behaves. Default: in memory, functions inline.
        clock: ``virtual``, ``system`` or ``scaled:RATE``.

    Attributes:
        adapter_module: Give it to a workspace: ``Workspace(adapters={"mock": …})``.
    """

    def __init__(self, options: CloudOptions | None = None, clock: str = "virtual") -> None:
        super().__init__(options or CloudOptions(), make_clock(clock))
        self.adapter_module = SharedModule(self)


def contract_emulator() -> SharedCloud:
    """Give a fresh provider for one test of the contract suite."""
    return SharedCloud()
