"""What the page shows about websockets, through gpuhub itself."""

from __future__ import annotations

import importlib
import re
import sys
from types import ModuleType

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import gpuhub
from gpuhub_beam.emulator import BeamEmulator
from tests.adapters.beam.emulator.conftest import OPEN
from tests.adapters.pages import page_of
from tests.adapters.waiting import until

BLOCK = re.compile(r"^```python\n(@gpuhub\.web.*?)^```", re.DOTALL | re.MULTILINE)
NAME = "websockets_page"


@pytest.fixture
def emulator():
    """A gateway on a virtual clock."""
    with BeamEmulator() as played:
        yield played


@pytest.fixture
def page(tmp_path, monkeypatch):
    """The page's application and its client, as a module of a project."""
    (block,) = BLOCK.findall(page_of("beam").read_text("utf-8"))
    text = block.partition("\nplan = ")[0]
    (tmp_path / f"{NAME}.py").write_text(f"import gpuhub\n\n{text}", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield importlib.import_module(NAME)
    sys.modules.pop(NAME, None)


@pytest.fixture
def workspace(emulator, page, tmp_path):
    """On that gateway."""
    opened = gpuhub.Workspace(
        "beam",
        app="demo",
        root=tmp_path,
        provider_options=dict(emulator.start()),
        environ={"BEAM_TOKEN": "made-up", "GPUHUB_STATE_DIR": str(tmp_path / "state")},
        clock=emulator.clock,
    )
    yield opened
    opened.close()


def test_the_pages_application_and_client(page, workspace):
    """Work together."""
    endpoint = page.chat.in_workspace(workspace).deploy()
    assert page.shouted(endpoint, "hello") == "HELLO"


def changed(page: ModuleType, place: str) -> gpuhub.WebApp[object]:
    """Give the page's application with another variable, so that a deploy is a new version."""
    image = gpuhub.Image(pip=["starlette"])
    return gpuhub.web(name="chat", image=image, env={"PLACE": place})(page.chat.__wrapped__)


def test_deploys_let_open_websockets_live(page, workspace):
    """The old version runs down; a deploy after their end stops it, a deletion cuts them."""
    first = page.chat.in_workspace(workspace).deploy()
    url = f"{first.url}/shout".replace("http", "ws", 1)
    with connect(url, additional_headers=first.web_headers(), **OPEN) as socket:
        for place in ("second", "third"):
            endpoint = changed(page, place).in_workspace(workspace).deploy()
            assert page.shouted(endpoint, place) == place.upper()
            socket.send("on")
            assert socket.recv(timeout=30) == "ON"
        endpoint.delete()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=30)


def test_the_next_deploy_stops_what_has_run_down(page, workspace, emulator):
    """Once its websockets are closed."""
    first = page.chat.in_workspace(workspace).deploy()
    url = f"{first.url}/shout".replace("http", "ws", 1)
    with connect(url, additional_headers=first.web_headers(), **OPEN):
        changed(page, "second").in_workspace(workspace).deploy()
        assert emulator.orphans() != []
    until(lambda: not emulator.instance("asgi", first.name).tasks)
    changed(page, "third").in_workspace(workspace).deploy()
    assert emulator.orphans() == []
