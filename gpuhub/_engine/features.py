"""Refusing what a provider cannot do, with its own reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import Adapter, Feature, Level
from gpuhub.errors import UnsupportedSetting

if TYPE_CHECKING:
    from gpuhub.adapter import Support


def support_of(adapter: Adapter, feature: Feature) -> Support:
    """What the adapter declares."""
    return adapter.capabilities[feature]


def is_native(adapter: Adapter, feature: Feature) -> bool:
    """Whether the provider does it itself."""
    return support_of(adapter, feature).level is Level.NATIVE


def require(adapter: Adapter, feature: Feature, *, of: str = "") -> None:
    """Go on only with what the provider can do.

    Raises:
        UnsupportedSetting: The adapter declares the feature unsupported.
    """
    support = support_of(adapter, feature)
    if support.level is Level.UNSUPPORTED:
        subject = f"{of}: " if of else ""
        msg = f"{subject}{adapter.info.title} has no {feature.value}: {support.how}"
        raise UnsupportedSetting(
            msg,
            fields=(feature.value,),
            provider=adapter.info.name,
            next_step="`gpuhub providers` shows which providers have it",
        )


def lacks(adapter: Adapter, use: str, instead: str) -> UnsupportedSetting:
    """The error for a use that only some providers have, and no setting asks for."""
    msg = f"{adapter.info.title} has no {use}"
    return UnsupportedSetting(msg, fields=(use,), provider=adapter.info.name, next_step=instead)
