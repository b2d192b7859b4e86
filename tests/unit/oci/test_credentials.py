"""Logins: kept secret, and read from Docker's file."""

from __future__ import annotations

import base64
import json
import pickle

import pytest
from pydantic import SecretStr

from gpuhub.errors import ConfigError
from gpuhub.oci import RegistryCredentials, docker_credentials

PASSWORD = "open-sesame"


def encoded(text):
    """Give base64."""
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def docker_file(tmp_path):
    """Write Docker's file."""

    def write(content):
        place = tmp_path / "config.json"
        place.write_text(content if isinstance(content, str) else json.dumps(content))
        return place

    return write


def test_a_login_prints_no_password():
    """Neither by repr nor by str."""
    login = RegistryCredentials("ann", SecretStr(PASSWORD))
    assert PASSWORD not in f"{login!r} {login}"
    assert login.basic() == f"Basic {encoded('ann:' + PASSWORD)}"
    assert pickle.loads(pickle.dumps(login)) == login  # noqa: S301 - our own


def test_a_username_has_no_colon():
    """The header could not say where the password begins."""
    with pytest.raises(ConfigError, match="must not contain ':'"):
        RegistryCredentials("a:b", SecretStr("c"))


@pytest.mark.parametrize(
    ("key", "registry"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io/v2/", "ghcr.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
    ],
)
@pytest.mark.parametrize(
    "entry",
    [{"auth": encoded(f"ann:{PASSWORD}")}, {"username": "ann", "password": PASSWORD}],
)
def test_the_file_is_read_in_all_its_forms(key, registry, entry, docker_file):
    """Keys with scheme and path, passwords encoded or not."""
    found = docker_credentials(registry, docker_file({"auths": {"other.example": {}, key: entry}}))
    assert found == RegistryCredentials("ann", SecretStr(PASSWORD))


@pytest.mark.parametrize(
    "content",
    [{}, {"auths": {}}, {"auths": {"ghcr.io": {}}}, {"auths": []}, [], {"credsStore": "x"}],
)
def test_no_login_is_none(content, docker_file):
    """An entry without a password is one whose helper has it, and helpers are not run."""
    assert docker_credentials("ghcr.io", docker_file(content)) is None


def test_a_missing_file_is_none(tmp_path, monkeypatch):
    """The file is looked for where Docker looks."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert docker_credentials("ghcr.io") is None
    auths = {"ghcr.io": {"auth": encoded("ann:x")}}
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    found = docker_credentials("ghcr.io")
    assert found is not None
    assert found.username == "ann"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it is not JSON"),
        ({"auths": {"ghcr.io": {"auth": "%%%"}}}, "cannot be decoded"),
        ({"auths": {"ghcr.io": {"identitytoken": "t0ken"}}}, "identity token"),
    ],
)
def test_unusable_files_are_errors(content, words, docker_file):
    """The error says what is wrong and shows no secret."""
    with pytest.raises(ConfigError, match=words) as caught:
        docker_credentials("ghcr.io", docker_file(content))
    assert "t0ken" not in str(caught.value)
    assert caught.value.next_step


def helper(folder, monkeypatch, script):
    """Have a credential helper on the path."""
    place = folder / "docker-credential-vault"
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_helpers_are_run_only_when_asked_for(docker_file, tmp_path, monkeypatch):
    """The helper is told the registry."""
    helper(
        tmp_path, monkeypatch, 'read r; echo "{\\"Username\\": \\"$r\\", \\"Secret\\": \\"x\\"}"'
    )
    place = docker_file({"credHelpers": {"ghcr.io": "vault"}})
    assert docker_credentials("ghcr.io", place) is None
    found = docker_credentials("ghcr.io", place, run_helpers=True)
    assert found == RegistryCredentials("ghcr.io", SecretStr("x"))
    assert docker_credentials("other.example", place, run_helpers=True) is None


def test_the_store_is_a_helper_for_all(docker_file, tmp_path, monkeypatch):
    """A helper that knows no login, or answers nonsense, has none."""
    place = docker_file({"credsStore": "vault"})
    helper(tmp_path, monkeypatch, "exit 1")
    assert docker_credentials("docker.io", place, run_helpers=True) is None
    helper(tmp_path, monkeypatch, "echo nonsense")
    assert docker_credentials("docker.io", place, run_helpers=True) is None
    helper(tmp_path, monkeypatch, 'echo \'{"Username": "<token>", "Secret": "x"}\'')
    with pytest.raises(ConfigError, match="identity token"):
        docker_credentials("docker.io", place, run_helpers=True)


def test_a_missing_helper_is_an_error(docker_file):
    """The error names the program."""
    place = docker_file({"credsStore": "no-such-thing"})
    with pytest.raises(ConfigError, match="docker-credential-no-such-thing"):
        docker_credentials("docker.io", place, run_helpers=True)
