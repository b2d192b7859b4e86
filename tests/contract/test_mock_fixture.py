"""The ``gpuhub_mock`` fixture, as an application's tests use it."""

from __future__ import annotations

import threading

import pytest

import gpuhub
from gpuhub.errors import NoCapacity, NotDeployed
from gpuhub.workspace import current_workspace


@pytest.fixture
def app(gpuhub_contract_project):
    """An application's functions."""
    return gpuhub_contract_project.functions


def test_it_takes_the_place_of_the_configured_provider(gpuhub_mock, app, monkeypatch):
    """Whatever the environment says, in every thread."""
    echo = gpuhub.function(app.echo)
    gpuhub_mock.deploy(echo)
    results = [echo.remote("here")]
    thread = threading.Thread(target=lambda: results.append(echo.remote("there")))
    thread.start()
    thread.join()
    assert results == ["here", "there"]
    assert current_workspace() is gpuhub_mock.workspace


def test_calls_are_recorded(gpuhub_mock, app):
    """With their arguments by name, streams included."""
    combine, count = gpuhub.function(app.combine), gpuhub.function(app.count_to)
    gpuhub_mock.deploy(combine)
    gpuhub_mock.deploy(count)
    combine.remote(1, scale=2)
    list(count.stream(2))
    first, second = gpuhub_mock.calls
    assert first.deployment.endswith("-combine")
    assert (first.arguments, first.is_stream) == ({"left": 1, "scale": 2}, False)
    assert (second.arguments, second.is_stream) == ({"number": 2}, True)


def test_nothing_is_left_of_an_earlier_test(gpuhub_mock, app):
    """Each test has a provider of its own."""
    assert gpuhub_mock.calls == []
    assert gpuhub_mock.billed_seconds.total == 0
    with pytest.raises(NotDeployed):
        gpuhub.function(app.combine).remote(1)


def test_faults_are_scripted(gpuhub_mock, app):
    """``fail`` lets the next calls go wrong."""
    echo = gpuhub.function(app.echo)
    gpuhub_mock.deploy(echo)
    gpuhub_mock.fail("capacity", times=50)
    with pytest.raises(NoCapacity):
        echo.remote(1)


@pytest.mark.gpuhub_mock(cold_start_s=40)
def test_options_and_time(gpuhub_mock, app):
    """The marker sets options of the mock; ``advance`` lets time pass."""
    echo = gpuhub.function(app.echo)
    gpuhub_mock.deploy(echo)
    echo.remote(1)
    assert gpuhub_mock.clock.now() == pytest.approx(40, abs=1)
    gpuhub_mock.advance(3600)
    assert gpuhub_mock.billed_seconds.total == pytest.approx(100, abs=1)
    assert gpuhub_mock.cloud.orphans() == []


def test_a_class_can_be_warmed(gpuhub_mock, app):
    """``deploy(warm=True)`` starts a worker before the first call."""
    endpoint = gpuhub_mock.deploy(gpuhub.function(app.Counter), warm=True)
    assert gpuhub_mock.billed_seconds.total > 0
    assert endpoint.invoke()["calls"] == 1


def test_state_stays_out_of_the_project(gpuhub_mock, app, tmp_path):
    """Journal and salt go to the test's temporary folder."""
    gpuhub_mock.deploy(gpuhub.function(app.echo))
    assert gpuhub_mock.workspace.settings.state_dir.is_relative_to(tmp_path)
    assert gpuhub_mock.workspace.settings.journal.is_relative_to(tmp_path)
