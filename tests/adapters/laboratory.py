"""A laboratory: a provider's adapter in a workspace, one step below the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpuhub import _drive
from gpuhub.bundle import Bundle
from gpuhub.plan import Plan
from gpuhub.spec import FunctionSpec, Image
from gpuhub.testing.emulator.clocks import VirtualClock
from gpuhub.worker.target import Target
from gpuhub.workspace import Workspace

SMALL = Bundle(
    {"manifest.json": b"{}", "app/shop.py": b"pass\n"}, Target("shop", "echo"), "ab" * 32
)


@dataclass
class Lab:
    """One workspace with one provider.

    Attributes:
        workspace: With credentials that are made up.
        clock: Its time.
        adapter: Of the provider.
        io: What the adapter awaits: blocking.
    """

    workspace: Workspace
    clock: Any

    def __post_init__(self) -> None:
        self.session = self.workspace.session()
        self.adapter: Any = self.session.adapter
        self.io = self.session.connections.blocking()

    def run(self, coroutine: Any) -> Any:
        return _drive.run(coroutine)

    def items(self, iterator: Any) -> list[Any]:
        return list(_drive.sync_iter(iterator))

    def plan(self, bundle: Bundle = SMALL, **settings: Any) -> Plan:
        """Plan a function called ``lab-echo``, without the engine's checks."""
        given = {"app": "lab", "name": "echo", "target": bundle.target}
        given |= {"image": Image(python="3.12"), **settings}
        plan: Plan = self.adapter.plan(FunctionSpec(**given), bundle)
        return plan.with_facts(fingerprint="f" * 64)


@contextmanager
def laboratories(
    provider: str,
    root: Path,
    environ: Mapping[str, str],
    *,
    kind: type[Lab] = Lab,
    **settings: Any,
) -> Iterator[Callable[..., Any]]:
    """Make laboratories, which are closed at the end.

    Args:
        provider: Its name.
        root: Of the workspaces' project.
        environ: The credentials.
        kind: Of laboratory.
        settings: The provider's, of all laboratories.

    Yields:
        What makes one; its arguments are more of the provider's settings, and ``clock``.
    """
    made: list[Lab] = []

    def make(*, clock: Any = None, **options: Any) -> Lab:
        clock = clock or VirtualClock()
        workspace = Workspace(
            provider,
            app="lab",
            root=root,
            provider_options={**settings, **options},
            environ=environ,
            clock=clock,
        )
        made.append(kind(workspace, clock))
        return made[-1]

    yield make
    for lab in made:
        lab.workspace.close()
