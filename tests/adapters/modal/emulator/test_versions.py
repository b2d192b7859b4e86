"""Versions of apps: published as a whole, pinned, put back, listed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.adapters.modal.emulator.conftest import TOKEN, Laboratory


def place() -> Callable[[], str]:
    """Give a closure that gives a variable."""

    def it() -> str:
        import os

        return os.environ.get("PLACE", "")

    return it


def test_versions_count_up(lab: Laboratory) -> None:
    """From 1; the function keeps its id."""
    first = lab.deploy(place(), env={"PLACE": "first"})
    second = lab.deploy(place(), env={"PLACE": "second"})
    assert first.object_id == second.object_id
    assert second.remote() == "second"
    info = lab.modal.App.lookup("lab", client=lab.client).info()
    assert info.lifecycle.version == 2


def test_a_deploy_that_changes_nothing(lab: Laboratory) -> None:
    """Makes no version, and puts the limits of the autoscaler back."""
    lab.deploy(place(), max_containers=2)
    handle = lab.handle()
    handle.autoscaler.update(max_containers=5)
    lab.deploy(place(), max_containers=2)
    assert lab.handle().autoscaler.settings().max_containers == 2
    assert lab.modal.App.lookup("lab", client=lab.client).info().lifecycle.version == 1


def test_the_whole_map_is_replaced(lab: Laboratory) -> None:
    """A function that a version lacks is gone."""
    modal = lab.modal
    app = modal.App("lab")
    app.function(serialized=True, name="it")(place())
    app.function(serialized=True, name="other")(place())
    app.deploy(client=lab.client)
    other = modal.Function.from_name("lab", "other", client=lab.client)
    assert other.remote() == ""
    lab.deploy(place())
    with pytest.raises(modal.exception.NotFoundError):
        modal.Function.from_name("lab", "other", client=lab.client).hydrate()
    with pytest.raises(modal.exception.NotFoundError):
        other.remote()


def test_a_deploy_that_fails_changes_nothing(lab: Laboratory) -> None:
    """What was deployed goes on."""
    handle = lab.deploy(place(), env={"PLACE": "good"})
    lab.emulator.fail("crash", on="deploy")
    with pytest.raises(lab.modal.exception.ImageBuildError, match="told to fail"):
        lab.deploy(place(), env={"PLACE": "bad"})
    assert handle.remote() == "good"
    lab.emulator.fail("unauthorized", on="deploy")
    with pytest.raises(lab.modal.exception.AuthError):
        lab.deploy(place(), env={"PLACE": "bad"})
    assert handle.remote() == "good"
    assert len(lab.modal.App.lookup("lab", client=lab.client).info().functions) == 1


def test_a_first_deploy_that_fails_leaves_nothing(lab: Laboratory) -> None:
    """No app of that name."""
    lab.emulator.fail("unauthorized", on="deploy")
    with pytest.raises(lab.modal.exception.AuthError):
        lab.deploy(place())
    with pytest.raises(lab.modal.exception.NotFoundError):
        lab.modal.App.lookup("lab", client=lab.client)
    assert lab.emulator.orphans() == []


def test_a_pinned_version(lab: Laboratory) -> None:
    """Answers as it did, whatever is deployed later."""
    for word in ("first", "second"):
        lab.deploy(place(), env={"PLACE": word})
    pinned = lab.modal.Function.from_name("lab", "it", version=1, client=lab.client)
    assert pinned.remote() == "first"
    assert lab.handle().remote() == "second"
    lab.deploy(place(), env={"PLACE": "third"})
    assert pinned.remote() == "first"


def test_rolling_back_with_the_command_line(lab: Laboratory) -> None:
    """The version before serves again, as a new version; the history tells."""
    for word in ("first", "second"):
        lab.deploy(place(), env={"PLACE": word})
    handle = lab.handle()
    assert handle.remote() == "second"
    _cli(lab, "app", "rollback", "lab")
    assert handle.remote() == "first"
    _cli(lab, "app", "rollback", "lab", "v2")
    assert handle.remote() == "second"
    history = json.loads(_cli(lab, "app", "history", "lab", "--json"))
    assert [each["version"] for each in history] == ["v4", "v3", "v2", "v1"]
    with pytest.raises(AssertionError, match="version 9"):
        _cli(lab, "app", "rollback", "lab", "v9")


def test_listing_and_stopping_with_the_command_line(lab: Laboratory) -> None:
    """An app that was stopped has its name no longer."""
    lab.deploy(place())
    (row,) = json.loads(_cli(lab, "app", "list", "--json"))
    assert row["state"] == "deployed"
    _cli(lab, "app", "stop", "lab", "--yes")
    with pytest.raises(lab.modal.exception.NotFoundError):
        lab.handle()
    assert lab.deploy(place()).remote() == ""


def test_tags(lab: Laboratory) -> None:
    """Of an app, set with a deploy or alone."""
    app = lab.modal.App("lab", tags={"made-by": "us"})
    app.function(serialized=True, name="it")(place())
    app.deploy(client=lab.client, tag="v-one")
    found = lab.modal.App.lookup("lab", client=lab.client)
    assert found.get_tags() == {"made-by": "us"}
    found.set_tags({"other": "tag"})
    assert found.get_tags() == {"other": "tag"}


def test_environments_are_apart(lab: Laboratory) -> None:
    """The same name in another environment is another app."""
    lab.modal.Environment.objects.create("dev", client=lab.client)
    lab.deploy(place(), env={"PLACE": "main"})
    app = lab.modal.App("lab")
    app.function(serialized=True, name="it", env={"PLACE": "dev"})(place())
    app.deploy(client=lab.client, environment_name="dev")
    find = lab.modal.Function.from_name
    handle = find("lab", "it", environment_name="dev", client=lab.client)
    assert handle.remote() == "dev"
    assert lab.handle().remote() == "main"


def _cli(lab: Laboratory, *arguments: str) -> str:
    """Run Modal's command line; give what it printed."""
    names = ("PATH", "HOME", "MODAL_SERVER_URL", "MODAL_CONFIG_PATH")
    environment: dict[str, Any] = {name: os.environ[name] for name in names}
    environment |= {"MODAL_TOKEN_ID": TOKEN[0], "MODAL_TOKEN_SECRET": TOKEN[1]}
    command = [sys.executable, "-m", "modal", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout
