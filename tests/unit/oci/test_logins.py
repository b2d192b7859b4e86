"""How a login travels: when asked for, where it may go, and how it is renewed."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from gpuhub.errors import AuthFailed, MalformedResponse, NotFound, ProviderUnavailable
from gpuhub.oci import Reference, Registry, RegistryCredentials
from gpuhub.oci.authorization import SecretHeaders
from gpuhub.plan import Request
from tests.unit.oci.base_images import base_image
from tests.unit.oci.fake_registry import (
    BROKEN,
    HERE,
    FakeIo,
    FakeRegistry,
    answer,
    io_of,
    once,
    refusal,
    run,
)

RIGHT = RegistryCredentials("ann", SecretStr("open-sesame"))
WRONG = RegistryCredentials("ann", SecretStr("open-barley"))
BASE = Reference.parse(f"{HERE}/me/base:1")


@pytest.fixture(params=["basic", "bearer"])
def closed(request):
    """A registry that wants a login."""
    found = FakeRegistry(login="ann:open-sesame", bearer=request.param == "bearer")
    found.store("me/base", base_image())
    return found


def logins(registry):
    """Give the kinds of login of all requests, in order."""
    return [(each.headers.get("authorization") or "none").split()[0] for each in registry.seen]


def test_nothing_is_sent_before_it_is_asked_for(registry, io):
    """An open registry never sees the login."""
    run(Registry(io, HERE, RIGHT).manifest(BASE))
    assert set(logins(registry)) == {"none"}


def test_the_login_is_learnt_from_a_small_request(closed):
    """Basic: ask once, then always send. Bearer: the password goes to the login service only."""
    client = Registry(io_of(closed), HERE, RIGHT)
    run(client.manifest(BASE))
    run(client.manifest(BASE))
    if closed.bearer:
        assert logins(closed) == ["none", "Basic", "Bearer", "Bearer"]
        assert closed.tokens == ["repository:me/base:pull"]
    else:
        assert logins(closed) == ["none", "Basic", "Basic"]


def test_a_wrong_password_is_refused(closed):
    """The error names registry and next step; the password shows nowhere."""
    with pytest.raises(AuthFailed) as caught:
        run(Registry(io_of(closed), HERE, WRONG).manifest(BASE))
    assert HERE in caught.value.message
    assert caught.value.status == 401
    assert caught.value.code == "UNAUTHORIZED"
    assert caught.value.next_step.startswith("check the username and password")
    assert "barley" not in f"{caught.value!r}{caught.value}{caught.value.__dict__}"


def test_a_missing_login_is_named(closed):
    """The image may be private, or not exist: registries do not tell."""
    with pytest.raises(AuthFailed, match="me/base") as caught:
        run(Registry(io_of(closed), HERE).manifest(BASE))
    assert f"give credentials for {HERE}" in caught.value.next_step


def test_tokens_are_renewed_before_they_end():
    """A token lasts a minute where the service does not say."""
    closed = FakeRegistry(login="ann:open-sesame", bearer=True)
    closed.store("me/base", base_image())
    io = io_of(closed)
    client = Registry(io, HERE, RIGHT)
    run(client.manifest(BASE))
    io.clock = 45
    run(client.manifest(BASE))
    assert len(closed.tokens) == 1
    io.clock = 55
    run(client.manifest(BASE))
    assert len(closed.tokens) == 2


def test_a_token_that_ended_early_is_renewed():
    """A 401 in the middle is answered by one new token, not by giving up."""
    closed = FakeRegistry(login="ann:open-sesame", bearer=True)
    closed.store("me/base", base_image())
    client = Registry(io_of(closed), HERE, RIGHT)
    run(client.manifest(BASE))
    closed.tokens = ["nothing"]
    run(client.manifest(BASE))
    assert len(closed.tokens) == 2


def test_the_token_is_for_what_the_registry_asks_for():
    """A scope that the challenge names is asked for beside our own."""
    how = f'Bearer realm="https://{HERE}/token",scope="repository:me/base:pull extra:x:y"'
    found = FakeRegistry(login="ann:open-sesame", bearer=True)
    found.store("me/base", base_image())
    wanted = once(lambda asked: "manifests" in asked.path, answer(401, www_authenticate=how))
    found.faults = [wanted]
    run(Registry(io_of(found), HERE, RIGHT).manifest(BASE))
    assert found.tokens[-1] == "extra:x:y repository:me/base:pull"


def test_both_names_of_a_token_are_read():
    """Services say ``token``, ``access_token``, or both."""
    found = FakeRegistry(login="ann:x", bearer=True)
    found.store("me/base", base_image())
    found.tokens = ["repository:me/base:pull"]
    body = json.dumps({"access_token": "token-1", "expires_in": 3600}).encode()
    found.faults = [once(lambda asked: asked.path == "/token", answer(200, body))]
    assert run(Registry(io_of(found), HERE, RIGHT).manifest(BASE)).content


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{}", "without a token"), (b'{"token": "a\\nb"}', "without a token"), (b"[]", "without")],
)
def test_a_useless_token_is_an_error(closed, body, words):
    """A value that no header can carry is not quoted."""
    if not closed.bearer:
        closed.bearer = True
    closed.faults = [once(lambda asked: asked.path == "/token", answer(200, body))]
    with pytest.raises(MalformedResponse, match=words):
        run(Registry(io_of(closed), HERE, RIGHT).manifest(BASE))


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ("Bearer service=x", AuthFailed, "does not say where"),
        ('Bearer realm="http://login.example/"', MalformedResponse, "over plain http"),
        ('Bearer realm="https://u:p@login.example/"', MalformedResponse, "a password in it"),
        ("Negotiate", AuthFailed, "me/base"),
    ],
)
def test_the_password_does_not_go_just_anywhere(how, error, words):
    """Not in the clear, and not to an address that carries a login of its own."""
    found = FakeRegistry(faults=[lambda _: answer(401, www_authenticate=how)])
    with pytest.raises(error, match=words):
        run(Registry(io_of(found), HERE, RIGHT).manifest(BASE))
    assert set(logins(found)) == {"none"}


def test_other_hosts_do_not_see_the_login(closed):
    """A link to a store elsewhere is followed without it."""
    elsewhere = FakeRegistry(host="store.example", faults=[lambda _: answer(200)])
    client = Registry(io_of(closed, elsewhere), HERE, RIGHT)
    run(client.manifest(BASE))
    run(client.send(Request("GET", "https://store.example/x"), "me/base", ["repository:x:pull"]))
    assert logins(elsewhere) == ["none"]


def test_headers_print_names_only():
    """A request in a traceback shows no token."""
    headers = SecretHeaders(authorization="Bearer s3cret", accept="x")
    request = Request("GET", "https://x.example", headers=headers)
    assert "s3cret" not in f"{request!r} {headers!r} {headers}"
    assert "authorization" in repr(headers)


def test_errors_of_the_network_are_scrubbed_and_explained():
    """A registry that repeats the password in its answer does not get it into our error."""

    class Repeats(FakeIo):
        async def send(self, request):
            if "manifests" in request.path:
                words = f"bad gateway for {request.headers['authorization']} open-sesame"
                raise ProviderUnavailable(words, status=502, accepted=None)
            return await super().send(request)

    closed = FakeRegistry(login="ann:open-sesame")
    client = Registry(Repeats({HERE: closed.handle}), HERE, RIGHT)
    with pytest.raises(ProviderUnavailable, match=f"registry {HERE}: bad gateway") as caught:
        run(client.manifest(BASE))
    assert "sesame" not in f"{caught.value!r}{caught.value}"
    assert RIGHT.basic().split()[1] not in str(caught.value)
    assert "try again later" in caught.value.next_step
    assert caught.value.accepted is None
    assert "sesame" not in repr(client)


def test_an_address_that_is_no_registry():
    """``/v2/`` is not there: the error names the address."""
    with pytest.raises(NotFound, match=HERE):
        run(Registry(io_of(FakeRegistry(faults=[lambda _: answer(404)])), HERE).ping())
    broken = FakeRegistry(faults=[lambda _: answer(BROKEN)])
    with pytest.raises(ProviderUnavailable):
        run(Registry(io_of(broken), HERE).ping())


def test_a_forbidden_repository_is_named(closed):
    """403: the login is right but not enough."""
    closed.faults = [once(lambda asked: "manifests" in asked.path, refusal(403, "DENIED"))]
    with pytest.raises(AuthFailed, match="me/base") as caught:
        run(Registry(io_of(closed), HERE, RIGHT).manifest(BASE))
    assert "give access to me/base" in caught.value.next_step
