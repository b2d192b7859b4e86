"""Thin wrappers around an adapter, for tests that watch or limit it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub.plan import Fidelity

if TYPE_CHECKING:
    from gpuhub.adapter import AdapterInfo, AdapterModule
    from gpuhub.bundle import Bundle
    from gpuhub.plan import Plan
    from gpuhub.settings import ProviderSettings
    from gpuhub.spec import FunctionSpec

__all__ = ["Unsupporting", "Watching", "WrappedAdapter", "WrappedModule"]


class WrappedAdapter:
    """An adapter that passes everything on."""

    def __init__(self, inner: Any, module: Any) -> None:
        self._inner = inner
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class WrappedModule:
    """An adapter's module whose adapters are wrapped.

    Args:
        module: What is wrapped.
    """

    adapter_class: type[WrappedAdapter] = WrappedAdapter

    def __init__(self, module: AdapterModule) -> None:
        self.inner = module
        self.INFO: AdapterInfo = module.INFO

    def create(self, settings: ProviderSettings) -> Any:
        """Make an adapter and wrap it."""
        return self.adapter_class(self.inner.create(settings), self)


class _UnsupportingAdapter(WrappedAdapter):
    def plan(self, spec: FunctionSpec, bundle: Bundle) -> Plan:
        plan: Plan = self._inner.plan(spec, bundle)
        rows = [
            replace(row, native=None, value=None, fidelity=Fidelity.UNSUPPORTED, reason="no such")
            if row.field == self._module.field
            else row
            for row in plan.rows
        ]
        return replace(plan, rows=tuple(rows))


class Unsupporting(WrappedModule):
    """An adapter whose provider lacks one setting more.

    Args:
        module: What is wrapped.
        field: Path of the spec field.
    """

    adapter_class = _UnsupportingAdapter

    def __init__(self, module: AdapterModule, field: str) -> None:
        super().__init__(module)
        self.field = field


class _WatchingAdapter(WrappedAdapter):
    async def deploy(self, *args: Any, **kwargs: Any) -> Any:
        self._module.before()
        ref = await self._inner.deploy(*args, **kwargs)
        self._module.after()
        return ref


class Watching(WrappedModule):
    """An adapter that tells when a deployment is about to be made, and when it was.

    Args:
        module: What is wrapped.
        before: Called before the adapter's ``deploy``.
        after: Called when it is back.
    """

    adapter_class = _WatchingAdapter

    def __init__(
        self,
        module: AdapterModule,
        before: Callable[[], Any] = lambda: None,
        after: Callable[[], Any] = lambda: None,
    ) -> None:
        super().__init__(module)
        self.before = before
        self.after = after
