"""Logins of the registry, versions that appear or not, and the other ways of shipping."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gpuhub
from gpuhub.errors import (
    AuthFailed,
    DeployFailed,
    MissingCredentials,
    SpecError,
)
from gpuhub.scaling import Scaling
from gpuhub.spec import Image, Secret
from gpuhub_replicate import pushing
from gpuhub_replicate.export import export
from tests.adapters.replicate.answers import API, VERSION, deployment, version
from tests.adapters.replicate.steps import deploy, mutations


def test_the_registry_is_asked_whose_the_token_is(make_lab, api):
    """Cog's token before the API's."""
    route = api.post("https://r8.im/cog/v1/verify-token").respond(json={"username": "acme"})
    lab = make_lab()
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert (login.username, login.password.get_secret_value()) == ("acme", "r8_SECRET")
    assert route.calls.last.request.content == b"token=r8_SECRET"
    assert "authorization" not in route.calls.last.request.headers


def test_cogs_own_token_is_preferred(make_lab, api):
    """It may hold anything that a form can."""
    route = api.post("https://r8.im/cog/v1/verify-token").respond(json={"username": "acme"})
    lab = make_lab(registry_token="a+b/c=")
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert login.password.get_secret_value() == "a+b/c="
    assert route.calls.last.request.content == b"token=a%2Bb%2Fc%3D"


def test_what_cog_login_left_is_used(make_lab, api, tmp_path, monkeypatch):
    """Before the API token, which the registry may not take."""
    place = tmp_path / "docker"
    place.mkdir()
    logins = {"auths": {"r8.im": {"username": "acme", "password": "cli"}}}
    (place / "config.json").write_text(json.dumps(logins))
    monkeypatch.setenv("DOCKER_CONFIG", str(place))
    lab = make_lab()
    login = lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert (login.username, login.password.get_secret_value()) == ("acme", "cli")
    assert not api.calls


def test_a_token_that_the_registry_does_not_know(make_lab, api):
    """Says which one to set."""
    api.post("https://r8.im/cog/v1/verify-token").respond(404, text="no")
    lab = make_lab()
    with pytest.raises(AuthFailed, match="COG_TOKEN") as caught:
        lab.run(pushing.login_of(lab.io, lab.adapter._defaults))
    assert "r8_SECRET" not in str(caught.value)


def test_without_any_token(make_lab, api):
    """Nothing is asked."""
    lab = make_lab()
    bare = replace(lab.adapter._defaults, api_token=None)
    with pytest.raises(MissingCredentials, match="COG_TOKEN"):
        lab.run(pushing.login_of(lab.io, bare))


def test_a_version_that_never_appears(lab, api):
    """Pushed, but not made a version of: a failure after five minutes."""
    api.get(f"{API}/models/acme/m/versions/{VERSION}").respond(404)
    with pytest.raises(DeployFailed, match="made no version"):
        lab.run(pushing.appears(lab.io, "acme/m", VERSION))


def test_a_version_that_exists_is_deployed(plant, provider, echo, tmp_path, shop):
    """No code travels; the function's names are the version's inputs, its result the output."""
    sdxl = gpuhub.Endpoint.connect("replicate://stability-ai/sdxl", workspace=plant.workspace)
    number = f"stability-ai/sdxl:{sdxl.version}"
    ref = deploy(plant, echo, gpu="T4", options={"replicate": {"version": number}})
    assert mutations(provider) == [("POST", "/v1/deployments")]
    assert ref.data["wire"] == "bare"
    options = gpuhub.adapter.CallOptions(60.0, 60.0)
    state = plant.run(plant.adapter.submit(plant.io, ref, b'{"prompt":"a cat"}', options))
    while not state.phase.is_terminal:
        provider.clock.advance(5)
        state = plant.run(plant.adapter.poll(plant.io, state.ref, 0))
    assert list(json.loads(state.output)) == ["result"]
    with pytest.raises(SpecError, match="promt"):
        plant.run(plant.adapter.submit(plant.io, ref, b'{"promt":"a cat"}', options))


@pytest.fixture
def cog_cli(tmp_path: Path, monkeypatch: Any) -> Path:
    """Programs called cog and docker, which write down what they are given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    lines = ["#!/bin/sh", 'echo "$@" > "{0}/said"', 'cp -r . "{0}/project"', "echo building"]
    script = "\n".join([*lines, 'exit "${{COG_EXIT:-0}}"', ""])
    for name in ("cog", "docker"):
        place = folder / name
        place.write_text(script.format(tmp_path))
        place.chmod(place.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return tmp_path


def test_cogs_cli_builds_where_it_is_there(make_lab, api, echo, cog_cli):
    """From a project that is written for it; the version is the model's latest."""
    lab = make_lab(mode="cog", owner="acme")
    api.get(f"{API}/hardware").respond(json=[{"name": "CPU", "sku": "cpu"}])
    latest = {"owner": "acme", "name": "lab-echo", "latest_version": version()}
    api.get(f"{API}/models/acme/lab-echo").respond(json=latest)
    api.get(f"{API}/deployments/acme/lab-echo").respond(404)
    api.get(f"{API}/models/acme/lab-echo/versions/{VERSION}").respond(json=version())
    create = api.post(f"{API}/deployments").respond(json=deployment())
    image = Image(python="3.12", pip="numpy", apt="ffmpeg", commands="true")
    deploy(lab, echo, image=image, env={"A": "1"}, scaling=Scaling(concurrency=2))
    assert (cog_cli / "said").read_text() == "push r8.im/acme/lab-echo\n"
    project = cog_cli / "project"
    config = json.loads((project / "cog.yaml").read_text())
    assert config["run"] == "run.py:AsyncRunner"
    assert config["build"]["system_packages"] == ["ffmpeg"]
    assert config["concurrency"] == {"max": 2}
    assert config["environment"] == ["A=1", "GPUHUB_TIMEOUT=300"]
    assert (project / "run.py").is_file()
    assert (project / "bundle" / "manifest.json").is_file()
    assert json.loads(create.calls.last.request.content)["version"] == VERSION


def test_cogs_cli_may_fail_or_be_missing(make_lab, api, echo, cog_cli, monkeypatch):
    """Its words are the log."""
    lab = make_lab(mode="cog", owner="acme")
    api.get(f"{API}/hardware").respond(json=[{"name": "CPU", "sku": "cpu"}])
    api.get(f"{API}/models/acme/lab-echo").respond(json={})
    monkeypatch.setenv("COG_EXIT", "3")
    with pytest.raises(DeployFailed, match="exit code 3") as caught:
        deploy(lab, echo)
    assert caught.value.log_tail == ("building",)
    (cog_cli / "bin" / "docker").unlink()
    with pytest.raises(DeployFailed, match="docker is not on the path"):
        deploy(lab, echo)


def test_a_project_for_cog_is_exported(lab, echo, tmp_path):
    """What `cog build` takes, without secrets."""
    secret = Secret.from_local_env("TOKEN")
    options = {"replicate": {"secrets_in_image": True}}
    export(lab.plan(echo, env={"A": "1"}, secrets=[secret], options=options), tmp_path)
    config = json.loads((tmp_path / "cog.yaml").read_text())
    assert config["run"] == "run.py:Runner"
    assert config["environment"] == ["A=1", "GPUHUB_TIMEOUT=300"]
    assert not (tmp_path / ".cog").exists()
