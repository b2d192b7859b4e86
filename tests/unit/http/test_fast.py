"""The aiohttp transport is used only where it cannot send a request twice."""

from __future__ import annotations

import asyncio
from importlib.metadata import PackageNotFoundError
from typing import Any

import aiohttp
import pytest

from gpuhub._http import Connections, fast
from gpuhub.errors import AdapterNotInstalled, ConfigError
from gpuhub.plan import Request
from tests.unit.http.loopback import make_info, make_settings


def test_switch_is_off_on_every_session():
    """Aiohttp's own repeating is off in the sessions we make."""
    from gpuhub._http.client_options import client_options
    from gpuhub._http.fast_transports import FastTransports
    from gpuhub._http.outgoing import ConnectionLimits

    async def use():
        client = FastTransports().client(client_options(ConnectionLimits(), 4))
        requests: Any = getattr(client._transport, "client")  # noqa: B009 - of a subclass
        with pytest.raises(aiohttp.ClientConnectorError):
            async with requests.request(method="GET", url="http://127.0.0.1:9/"):
                pass
        switch = getattr(requests._session, fast.SWITCH)
        await client.aclose()
        return switch

    assert asyncio.run(use()) is False


@pytest.fixture
def no_switch(monkeypatch):
    """Let aiohttp look like a version without the switch."""

    async def _request(self):
        """Nothing of the switch in here."""

    monkeypatch.setattr(aiohttp.ClientSession, "_request", _request)


def test_no_switch_refuses_to_start(no_switch):
    """``fast=True`` without the switch is an error at once, not at the first request."""
    with pytest.raises(ConfigError, match="no switch to stop it from sending a request twice"):
        Connections(make_info(), make_settings(), fast=True)


def test_setting_asks_for_it_too(no_switch):
    """The provider's setting ``fast`` counts where no argument is given."""
    with pytest.raises(ConfigError, match="fast=True cannot be"):
        Connections(make_info(), make_settings(fast=True))
    Connections(make_info(), make_settings(fast=True), fast=False)


def test_no_switch_falls_back_with_a_note(serve, no_switch):
    """Without the switch the default is plain httpx, and the user can know why."""
    connections = Connections(make_info(), make_settings(api_url=serve().url))
    assert not connections.notes
    for _ in range(2):
        asyncio.run(connections.asynchronous().send(Request("GET", "/")))
    [note] = connections.notes
    assert "the fast transport is not used: aiohttp" in note
    connections.close()


def test_other_minor_is_not_used(monkeypatch):
    """A version of httpx-aiohttp whose source was not read is not used."""
    monkeypatch.setattr(fast, "version", lambda name: "0.3.0")
    assert fast.load_fast(None)[1].startswith("the fast transport is not used: httpx-aiohttp 0.3.0")
    with pytest.raises(ConfigError, match=r"0\.3\.0 is not 0\.2\.x"):
        fast.load_fast(True)


def test_not_installed_names_the_extra(monkeypatch):
    """Where it is not installed the default says nothing, and asking for it names the extra."""

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(fast, "version", missing)
    assert fast.load_fast(None) == (None, "")
    with pytest.raises(AdapterNotInstalled, match=r"gpuhub-sdk\[fast\]"):
        fast.load_fast(True)


def test_version_is_sent_even_from_a_plain_checkout(monkeypatch):
    """Where gpuhub is not installed as a distribution, requests say version 0."""
    from gpuhub._http import client_options

    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(client_options, "version", missing)
    assert client_options._own_version.__wrapped__() == "0"


def test_default_uses_it_where_it_is_safe(serve):
    """With the extra installed, loops speak aiohttp and there is nothing to note."""
    connections = Connections(make_info(), make_settings(api_url=serve().url))

    async def use():
        await connections.asynchronous().send(Request("GET", "/"))
        return connections.transport_on(asyncio.get_running_loop())

    transport = asyncio.run(use())
    assert transport is not None
    assert transport._fast is not None
    assert connections.notes == ()
    connections.close()
