"""Versions: parts put together, and which of them serves."""

from __future__ import annotations

import json

import pytest

from gpuhub.errors import MalformedResponse
from gpuhub_beam.releases import CHANGED, INCOMPLETE, current, parts_of, releases_of
from tests.adapters.beam.answers import FINGERPRINT, config, deployed, pair

URL = "https://app.beam.cloud"


def found(*entries):
    """Give the releases of a listing."""
    return releases_of(parts_of(list(entries), "lab-echo"))


def test_each_deploy_is_a_release():
    """Newest first, named by its main part; names that only contain the name are left out."""
    other = deployed("endpoint", 9, 9, name="lab-echo-2")
    releases = found(*pair(1, 1), other, *pair(2, 2))
    assert [release.id for release in releases] == ["endpoint-v2", "endpoint-v1"]
    assert [release.queue.number for release in releases] == [2, 1]
    assert releases[0].ref(URL).data["queue"] == "/taskqueue/lab-echo/v2"


def test_the_same_plan_deployed_again_keeps_its_own_queue():
    """A, B, A: the third release has the third queue."""
    first, again = pair(1, 1), pair(3, 3)
    releases = found(*again, *pair(2, 2, fingerprint="b"), *first)
    assert [release.queue.number for release in releases] == [3, 2, 1]


def test_numbers_of_two_kinds_may_differ():
    """A function that got a queue later, or changed its kind."""
    queue_only = deployed("taskqueue", 7, 7, parts="taskqueue")
    releases = found(queue_only, *pair(1, 1))
    assert [release.id for release in releases] == ["taskqueue-v7", "endpoint-v1"]
    assert releases[0].queue is releases[0].main
    assert len(releases[0].parts) == 1


def test_a_deploy_that_broke_off_is_incomplete():
    """Its queue is there and its main part is not, or the other way round."""
    main, queue = pair(2, 2)
    assert found(queue) == []
    assert found(main)[0].fingerprint == INCOMPLETE
    assert found(main, queue)[0].fingerprint == FINGERPRINT


def test_limits_that_somebody_changed():
    """The next deploy puts them back."""
    settings = config()
    settings["autoscaler"]["max_containers"] = 9
    main, queue = pair(1, 1)
    main["stub"]["config"] = json.dumps(settings)
    assert found(main, queue)[0].fingerprint == CHANGED


@pytest.mark.parametrize(
    ("version", "id_"),
    [
        ("", "endpoint-v1"),
        ("endpoint-v2", "endpoint-v2"),
        ("endpoint/v2", "endpoint-v2"),
        ("v2", "endpoint-v2"),
        ("1", "endpoint-v1"),
        ("asgi-v2", None),
        ("v9", None),
        ("latest", None),
    ],
)
def test_which_release_is_meant(version, id_):
    """None: the newest active one, after a rollback an older one."""
    releases = found(*pair(2, 2, active=False), *pair(1, 1))
    release = current(releases, version)
    assert (release and release.id) == id_


def test_what_gpuhub_did_not_make():
    """Has no fingerprint, and is called without the envelope."""
    release = found(deployed("endpoint", 4, 1, config={"env": ["A=1"]}))[0]
    ref = release.ref(URL)
    assert not ref.made_by_gpuhub
    assert ref.fingerprint == ""
    assert "queue" not in ref.data


def test_a_public_application_is_reached_by_its_stub():
    """As the gateway builds such addresses."""
    settings = config(parts="asgi", authorized=False)
    release = found(deployed("asgi", 1, 1, config=settings))[0]
    assert release.ref(URL).url == f"{URL}/asgi/public/stub-asgi-1"


@pytest.mark.parametrize("listing", [{}, None, [{"name": "lab-echo"}]])
def test_no_listing(listing):
    """Anything else is said to be malformed."""
    with pytest.raises(MalformedResponse):
        parts_of(listing, "lab-echo")
