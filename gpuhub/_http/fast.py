"""Whether the aiohttp transport (``gpuhub-sdk[fast]``) is there and safe to use.

As it comes, aiohttp sends GET, PUT and DELETE a second time when a kept-alive connection drops
after the provider received the first. A switch turns that off; where it is not found, there is no
fast transport.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from gpuhub.errors import AdapterNotInstalled, ConfigError

if TYPE_CHECKING:
    from gpuhub._http.fast_transports import FastTransports

__all__ = ["PINNED", "SWITCH", "load_fast"]

SWITCH = "_retry_connection"
PINNED = "0.2."
"""Versions of httpx-aiohttp whose source was read."""


def load_fast(wanted: bool | None) -> tuple[FastTransports | None, str]:
    """Load the aiohttp transport.

    Args:
        wanted: ``True``: it or an error; ``None``: if it can be had; ``False``: no.

    Returns:
        The transport, or ``None`` and what the user should know about that, if anything.

    Raises:
        AdapterNotInstalled: It is wanted and not installed.
        ConfigError: It is wanted and not safe.
    """
    if wanted is False:
        return None, ""
    if not _installed():
        if wanted is None:
            return None, ""
        raise AdapterNotInstalled(
            "fast=True needs aiohttp and httpx-aiohttp, which are not installed",
            next_step='python -m pip install "gpuhub-sdk[fast]"',
        )
    if reason := _refusal():
        if wanted is None:
            return None, f"the fast transport is not used: {reason}"
        raise ConfigError(
            f"fast=True cannot be: {reason}",
            next_step='python -m pip install --upgrade "gpuhub-sdk[fast]", or leave fast out',
        )
    from gpuhub._http.fast_transports import FastTransports

    return FastTransports(), ""


def _installed() -> bool:
    try:
        return bool(version("httpx-aiohttp") and version("aiohttp"))
    except PackageNotFoundError:
        return False


def _refusal() -> str:
    """Why it is not safe; empty when it is."""
    if not (found := version("httpx-aiohttp")).startswith(PINNED):
        return f"httpx-aiohttp {found} is not {PINNED}x, whose reporting of errors is known"
    request = getattr(import_module("aiohttp").ClientSession, "_request", None)
    names = getattr(getattr(request, "__code__", None), "co_names", ())
    if SWITCH not in names:
        found = version("aiohttp")
        return f"aiohttp {found} has no switch to stop it from sending a request twice"
    return ""
