"""Registries that want a login: Basic, and Bearer with signed tokens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from gpuhub.errors import AuthFailed
from gpuhub.oci import Reference, RegistryCredentials, layer_from_files, push_image
from tests.registry.seed import seed
from tests.registry.tokens import TokenService
from tests.unit.oci.base_images import base_image

BASIC = "auth: {{htpasswd: {{realm: here, path: {folder}/htpasswd}}}}"
RIGHT = RegistryCredentials("ann", SecretStr("open-sesame"))
WRONG = RegistryCredentials("ann", SecretStr("open-barley"))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Iterator[TokenService]:
    """The login service."""
    service = TokenService(tmp_path_factory.mktemp("tokens"))
    yield service
    service.shutdown()
    service.server_close()


@pytest.fixture(scope="module", params=["basic", "bearer"])
def registry(request, start_registry, tokens):
    """A registry with a base image, for each kind of login."""
    found = start_registry(BASIC if request.param == "basic" else tokens.configuration)
    login = RIGHT.basic()
    if request.param == "bearer":
        login = f"Bearer {tokens.token(['repository:me/base:pull,push'], may_push=True)}"
    seed(found.address, "me/base", base_image(), login=login)
    return found


def push(use, registry, tmp_path, credentials, name):
    """Push to ``me/<name>``."""
    layer = layer_from_files({"a.py": name.encode()}, tmp_path)
    logins = {} if credentials is None else {registry.address: credentials}
    base = Reference.parse(f"{registry.address}/me/base:1")
    target = Reference.parse(f"{registry.address}/me/{name}:1")
    return use(lambda io: push_image(io, base, [layer], target, credentials=logins))


def test_the_right_login_pushes_and_mounts(use, registry, tokens, tmp_path, repository):
    """One login writes to the target and takes layers over from the base's repository."""
    image = push(use, registry, tmp_path, RIGHT, repository)
    assert image.skipped_bytes == len(base_image().layer)
    if "bearer" in repository:
        mount = [f"repository:me/{repository}:pull,push", "repository:me/base:pull"]
        assert sorted(mount) in [sorted(scopes) for scopes in tokens.asked]


def test_the_wrong_login_is_refused(use, registry, tmp_path):
    """The error names the registry and what to check, never the password."""
    with pytest.raises(AuthFailed) as caught:
        push(use, registry, tmp_path, WRONG, "mine")
    assert registry.address in str(caught.value)
    assert "check the username and password" in caught.value.next_step
    assert "barley" not in f"{caught.value!r} {caught.value}"


def test_without_a_login_nothing_is_pushed(use, registry, tmp_path):
    """The error says that a login is missing."""
    with pytest.raises(AuthFailed, match="me/") as caught:
        push(use, registry, tmp_path, None, "mine")
    assert f"give credentials for {registry.address}" in caught.value.next_step
