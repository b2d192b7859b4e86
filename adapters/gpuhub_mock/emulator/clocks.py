"""The clock that a setting names."""

from __future__ import annotations

from gpuhub.errors import ConfigError
from gpuhub.testing.emulator.clocks import ScaledClock, SystemClock, VirtualClock
from gpuhub_mock.emulator.site import MockClock

__all__ = ["make_clock"]


def make_clock(text: str) -> MockClock:
    """Give a clock: ``virtual``, ``system`` or ``scaled:RATE``.

    Raises:
        ConfigError: It is none of them.
    """
    kind, _, rate = text.partition(":")
    if kind == "virtual" and not rate:
        return VirtualClock()
    if kind == "system" and not rate:
        return SystemClock()
    try:
        if kind == "scaled":
            return ScaledClock(float(rate))
    except ValueError:
        pass
    raise ConfigError(
        f"providers.mock.clock is virtual, system or scaled:RATE, such as scaled:20 (got {text!r})",
        next_step="correct it in gpuhub.toml or GPUHUB_MOCK_CLOCK",
        provider="mock",
    )
