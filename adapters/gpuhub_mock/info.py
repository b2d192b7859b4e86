"""Facts about the mock, its settings, and how they make an adapter."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from gpuhub.adapter import AdapterInfo, Limits
from gpuhub.errors import ConfigError
from gpuhub.settings import SettingKey
from gpuhub_mock.adapter import MockAdapter
from gpuhub_mock.capabilities import capabilities
from gpuhub_mock.emulator import CloudOptions, MockCloud
from gpuhub_mock.emulator.clocks import make_clock
from gpuhub_mock.emulator.options import Mode
from gpuhub_mock.errors import ERRORS

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["INFO", "adapter_of", "create"]

_KEYS = (
    SettingKey("mode", default="inline", help="where functions run: inline, thread, subprocess"),
    SettingKey(
        "clock", default="virtual", help="virtual, system, or scaled:20 for 20 times as fast"
    ),
    SettingKey("cold_start_s", float, 2.0, help="seconds from a worker's start until it is ready"),
    SettingKey(
        "result_ttl_s", float, 86_400.0, help="seconds the result of a spawned call is kept"
    ),
    SettingKey("payload_limit", int, 10_000_000, help="largest arguments of a call, in bytes"),
    SettingKey("spawn_payload_limit", int, 1_000_000, help="the same for spawned calls"),
    SettingKey("result_limit", int, 20_000_000, help="largest result, in bytes"),
    SettingKey("idempotency_keys", bool, True, help="a second call with a key is the same call"),
    SettingKey("persist", bool, True, help="deployments outlive the process"),
)

INFO = AdapterInfo(
    name="mock",
    title="the mock provider",
    docs_url="https://gpuhub.example/docs/testing",
    settings={key.name: key for key in _KEYS},
    limits=Limits(
        payload_bytes=10_000_000,
        spawn_payload_bytes=1_000_000,
        result_bytes=20_000_000,
        timeout_s=86_400.0,
        max_workers=1_000,
        name_length=106,
    ),
    errors=ERRORS,
    long_poll_s=30.0,
)


def create(settings: ProviderSettings) -> MockAdapter:
    """Make an adapter with a provider of its own.

    Raises:
        ConfigError: A setting is out of range.
    """
    return adapter_of(MockCloud(_options(settings), make_clock(settings["clock"])))


def adapter_of(cloud: MockCloud, *, owns_cloud: bool = True) -> MockAdapter:
    """Make an adapter over a provider that is there already.

    Args:
        cloud: The provider.
        owns_cloud: Whether closing the adapter stops the provider.
    """
    options = cloud.options
    limits = replace(
        INFO.limits,
        payload_bytes=options.payload_limit,
        spawn_payload_bytes=options.spawn_payload_limit,
        result_bytes=options.result_limit,
    )
    support = capabilities(idempotency_keys=options.idempotency_keys, mode=options.mode)
    return MockAdapter(replace(INFO, limits=limits), support, cloud, owns_cloud=owns_cloud)


def _options(settings: ProviderSettings) -> CloudOptions:
    mode: Mode = settings["mode"]
    if mode not in get_args(Mode):
        raise ConfigError(
            f"providers.mock.mode is one of {', '.join(get_args(Mode))} (got {mode!r})",
            next_step="correct it in gpuhub.toml or GPUHUB_MOCK_MODE",
            provider=INFO.name,
        )
    numbers: dict[str, Any] = {
        key.name: _positive(key.name, settings[key.name])
        for key in _KEYS
        if key.kind in (int, float)
    }
    folder = settings.state_dir / INFO.name if settings["persist"] else None
    keys = settings["idempotency_keys"]
    return CloudOptions(mode=mode, idempotency_keys=keys, state_dir=folder, **numbers)


def _positive(name: str, value: float) -> float:
    if value >= 0:
        return value
    raise ConfigError(
        f"providers.mock.{name} is at least 0 (got {value})",
        next_step=f"correct it in gpuhub.toml or GPUHUB_MOCK_{name.upper()}",
        provider=INFO.name,
    )
