"""Which adapter the suite runs against, and the emulator that plays its provider."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Protocol, cast

from gpuhub.errors import ConfigError
from gpuhub.testing.emulator import Emulator

if TYPE_CHECKING:
    from gpuhub.adapter import AdapterModule

__all__ = ["FACTORY", "ContractEmulator", "Subject"]

FACTORY = "contract_emulator"


class ContractEmulator(Emulator, Protocol):
    """An emulator as the suite uses it; every attribute below may be left out.

    Attributes:
        provider_options: Keys of ``[providers.<name>]`` beside the URLs that ``start()`` gives.
        credentials: Values the emulator accepts, by name of the credential. Left out: any.
        adapter_module: For a provider that lives in this process: the adapter bound to it.
    """

    provider_options: Mapping[str, Any]
    credentials: Mapping[str, str]
    adapter_module: AdapterModule


@dataclass(frozen=True)
class Subject:
    """One adapter under test.

    Attributes:
        module: Has ``INFO`` and ``create``.
        make_emulator: Gives a fresh emulator, not yet started.
    """

    module: AdapterModule
    make_emulator: Callable[[], Any]

    @classmethod
    def load(cls, name: str) -> Subject:
        """Import an adapter.

        Args:
            name: ``package`` or ``package:name``. The package has ``INFO`` and ``create``, or the
                name is an object that has them, or a callable that takes the place of ``create``.
                The package, or its module ``emulator``, has ``contract_emulator()``, which gives
                an object of :class:`ContractEmulator`.

        Raises:
            ConfigError: Something of this is missing; says what.
        """
        package, _, attribute = name.partition(":")
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            msg = f"--gpuhub-adapter {name}: {package} cannot be imported: {error}"
            raise ConfigError(msg, next_step="install it into this environment") from error
        return cls(_adapter_module(name, module, attribute), _emulator_factory(name, module))


def _adapter_module(name: str, package: Any, attribute: str) -> AdapterModule:
    found = getattr(package, attribute, None) if attribute else package
    if hasattr(found, "INFO") and hasattr(found, "create"):
        return cast("AdapterModule", found)
    if callable(found) and hasattr(package, "INFO"):
        return cast("AdapterModule", SimpleNamespace(INFO=package.INFO, create=found))
    wanted = f"{package.__name__}.{attribute}" if attribute else package.__name__
    raise ConfigError(
        f"--gpuhub-adapter {name}: {wanted} is no adapter: it has no INFO and create",
        next_step="name the package that the entry point of gpuhub.adapters names",
    )


def _emulator_factory(name: str, package: Any) -> Callable[[], Any]:
    factory = getattr(package, FACTORY, None)
    if factory is None:
        place = f"{package.__name__}.emulator"
        try:
            factory = getattr(importlib.import_module(place), FACTORY, None)
        except ModuleNotFoundError as error:
            if error.name != place:
                raise
    if not callable(factory):
        raise ConfigError(
            f"--gpuhub-adapter {name}: there is no {package.__name__}.{FACTORY}()",
            next_step="write one that gives an emulator of the provider "
            "(gpuhub.testing.emulator.Emulator): the suite sends nothing to a real one",
        )
    return cast("Callable[[], Any]", factory)
