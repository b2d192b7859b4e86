"""What the tests of the adapters have in common: a project, a laboratory, a scripted network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gpuhub.bundle import Bundle, build_bundle
from tests.adapters.loading import imported
from tests.adapters.receiving import Receiver, receiving

PROJECT = Path(__file__).parent / "project"


@pytest.fixture
def lab(make_lab: Callable[..., Any]) -> Any:
    """A laboratory with the default settings; each provider's tests say how one is made."""
    return make_lab()


@pytest.fixture
def api() -> Iterator[Any]:
    """The provider's hosts, answering what a test says and nothing else: respx's router."""
    import respx  # absent where an SDK is

    with respx.mock(using="httpx", assert_all_called=False) as router:
        yield router


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver of webhooks."""
    with receiving() as listening:
        yield listening


@pytest.fixture(scope="session")
def shop() -> Iterator[ModuleType]:
    """The module of functions."""
    with imported(PROJECT, "shop") as module:
        yield module


@pytest.fixture(scope="session")
def bundle_of(shop: ModuleType) -> Callable[[str], Bundle]:
    """Give the bundle of a function of the module."""
    made: dict[str, Bundle] = {}

    def bundle(name: str) -> Bundle:
        if name not in made:
            made[name] = build_bundle(getattr(shop, name), PROJECT, web=name == "app")
        return made[name]

    return bundle
