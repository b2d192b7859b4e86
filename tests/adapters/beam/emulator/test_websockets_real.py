"""Websockets in beta9's own runner: the same as with the quick one, and why not ``realtime``."""

from __future__ import annotations

import json
import time

import pytest

from gpuhub_beam.emulator import BeamEmulator, Beta9Missing, EmulatorOptions, beta9_python
from tests.adapters.beam.emulator import test_websockets as quick
from tests.adapters.beam.emulator import test_websockets_page as shown
from tests.adapters.beam.emulator.conftest import archive
from tests.adapters.beam.emulator.test_websockets import Site
from tests.adapters.beam.emulator.test_websockets import site as site  # noqa: PLC0414 - a fixture
from tests.adapters.beam.emulator.test_websockets_page import page as page  # noqa: PLC0414
from tests.adapters.beam.emulator.test_websockets_page import workspace as workspace  # noqa: PLC0414
from tests.adapters.needed import present

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

REALTIME = """
from beta9 import realtime

@realtime()
def app(message):
    return message
"""

test_messages_go_both_ways = quick.test_messages_go_both_ways
test_fragments_and_pings = quick.test_fragments_and_pings
test_a_message_larger_than_the_runner_takes = quick.test_a_message_larger_than_the_runner_takes
test_several_from_asyncio = quick.test_from_asyncio
test_the_application_closes = quick.test_the_application_closes
test_the_client_closes = quick.test_the_client_closes
test_a_client_that_is_gone = quick.test_a_client_that_is_gone
test_an_application_that_raises = quick.test_an_application_that_raises
test_what_the_application_refuses = quick.test_what_the_application_refuses
test_what_reaches_the_application = quick.test_what_reaches_the_application
test_a_version_that_is_stopped = quick.test_a_version_that_is_stopped
test_an_open_websocket_is_work = quick.test_an_open_websocket_is_work
test_the_pages_application_and_client = shown.test_the_pages_application_and_client


@pytest.fixture(scope="module", autouse=True)
def _python():
    """Real runners need their environment; in CI it must be there."""
    present(beta9_python, Beta9Missing)


@pytest.fixture
def options():
    """Real runners."""
    return EmulatorOptions(workers="beta9")


@pytest.fixture
def emulator(options):
    """A gateway of its own for what goes through gpuhub."""
    with BeamEmulator(options) as played:
        yield played


def test_realtime_is_slower_and_mixes_messages_of_its_own_in(cluster):
    """A ping first and every 5 s, and a pause of 0.1 s after each message: why gpuhub has none."""
    content = archive(**{"handlers.py": REALTIME})
    site = Site(cluster, objectId=cluster.upload(content))
    with site.open() as client:
        began = time.monotonic()
        for number in range(5):
            client.send(str(number))
        got = [str(client.recv(timeout=60))]
        while got[-1] != "4":
            got.append(str(client.recv(timeout=60)))
        took = time.monotonic() - began
    assert {each for each in got if each.startswith("{")} == {got[0]}
    assert json.loads(got[0]) == {"type": "ping"}
    assert [each for each in got if not each.startswith("{")] == ["0", "1", "2", "3", "4"]
    assert took >= 0.4
