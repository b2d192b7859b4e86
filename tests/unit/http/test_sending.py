"""What reaches the provider: address, headers, body; the same over every transport."""

from __future__ import annotations

import gc
import math
import re
import socket
import threading

import pytest

from gpuhub.adapter import Origin
from gpuhub.errors import (
    ConfigError,
    MalformedResponse,
    MissingCredentials,
    PayloadTooLarge,
    ProviderUnavailable,
    SpecError,
)
from gpuhub.plan import Request, Retry
from gpuhub.settings import Credential
from tests.unit.http.loopback import KEY, SECRET, make_info, make_settings


def test_request_arrives_as_written(serve, connect):
    """Method, path, query, own headers, credential and compact JSON arrive."""
    server = serve()
    client = connect(server.url + "/v2/")
    request = Request(
        "POST",
        "/run/a%2Fb%3Ac",
        json={"texts": ["grüß"], "n": 1.5},
        query={"wait": "a b&c", "x": "1/2"},
        headers={"Prefer": "wait"},
    )
    response = client.send(request)
    assert (response.status, response.body, response.json()) == (200, b"{}", {})
    assert response.headers["content-length"] == "2"
    [received] = server.received
    assert (received.method, received.path) == (
        "POST",
        "/v2/run/a%2Fb%3Ac?wait=a%20b%26c&x=1%2F2",
    )
    assert received.body == '{"texts":["grüß"],"n":1.5}'.encode()
    assert received.headers["content-type"] == "application/json"
    assert received.headers["authorization"] == f"Bearer {SECRET}"
    assert received.headers["prefer"] == "wait"
    assert received.headers["user-agent"].startswith("gpuhub/")


@pytest.mark.parametrize("size", [256 * 1024, 256 * 1024 + 1, 3_000_001])
def test_large_bodies_travel_whole(serve, connect, size):
    """With their length, and without holding up a loop (aiohttp warns of that)."""
    server = serve()
    client = connect(server.url)
    body = bytes(range(251)) * (size // 251 + 1)
    client.send(Request("POST", "/a", body=body[:size]))
    [received] = server.received
    assert received.body == body[:size]
    assert received.headers["content-length"] == str(size)


def test_bytes_travel_unchanged(serve, connect):
    """A raw body gets no content type of ours, and a header of the request wins."""
    server = serve()
    client = connect(server.url)
    client.send(Request("PUT", "/a", body=b"\x00\x01"))
    client.send(Request("PUT", "/a", body=b"{}", headers={"Content-Type": "application/x"}))
    assert [each.body for each in server.received] == [b"\x00\x01", b"{}"]
    assert "content-type" not in server.received[0].headers
    assert server.received[1].headers["content-type"] == "application/x"


def test_file_streams_with_its_length(serve, connect, tmp_path):
    """A file is sent whole, with Content-Length and without chunked encoding."""
    path = tmp_path / "bundle.tar"
    path.write_bytes(bytes(range(256)) * 9000)
    server = serve()
    connect(server.url).send(Request("PUT", "/upload", body=path))
    [received] = server.received
    assert received.body == path.read_bytes()
    assert received.headers["content-length"] == str(256 * 9000)
    assert "transfer-encoding" not in received.headers


@pytest.mark.parametrize(("name", "reason"), [("gone.tar", "No such file"), ("", "Is a directory")])
def test_unreadable_file_is_named(serve, connect, tmp_path, name, reason):
    """A body file that cannot be read is an error that names it; nothing is sent."""
    server = serve()
    path = tmp_path / name
    with pytest.raises(SpecError, match=f"{re.escape(str(path))}, cannot be read: {reason}"):
        connect(server.url).send(Request("PUT", "/upload", body=path))
    assert not server.received


@pytest.mark.parametrize("left", [0, 7])
def test_file_that_shrinks_is_an_error(serve, connect, tmp_path, monkeypatch, left):
    """A file shorter than announced says so, over every transport."""
    path = tmp_path / "log"
    path.write_bytes(b"x" * left)
    monkeypatch.setattr("gpuhub._http.outgoing.size_of", lambda path: 10)
    request = Request("PUT", "/upload", body=path, retry=Retry.NEVER)
    with pytest.raises(SpecError, match=f"became shorter by {10 - left} bytes"):
        connect(serve().url).send(request)


def test_file_that_disappears_is_an_error(serve, connect, tmp_path, monkeypatch):
    """So does one that is gone when it is to be sent."""
    monkeypatch.setattr("gpuhub._http.outgoing.size_of", lambda path: 10)
    request = Request("PUT", "/upload", body=tmp_path / "gone", retry=Retry.NEVER)
    with pytest.raises(SpecError, match="gone, cannot be read: No such file"):
        connect(serve().url).send(request)


@pytest.mark.parametrize("size", [0, 5])
def test_file_that_grows_is_sent_as_announced(serve, connect, tmp_path, monkeypatch, size):
    """What is appended to a file meanwhile does not travel."""
    path = tmp_path / "log"
    path.write_bytes(b"0123456789")
    monkeypatch.setattr("gpuhub._http.outgoing.size_of", lambda path: size)
    server = serve()
    connect(server.url).send(Request("PUT", "/upload", body=path))
    assert server.received[0].body == b"0123456789"[:size]
    assert server.received[0].headers["content-length"] == str(size)


def test_early_answer_closes_the_file(serve, connect, tmp_path):
    """A refusal before the whole file was sent is the answer, and leaves nothing open."""
    path = tmp_path / "big"
    path.write_bytes(bytes(20_000_000))
    early = "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def refuse():
            with listener.accept()[0] as connection:
                connection.recv(1000)
                connection.sendall(early.encode())
                while connection.recv(1_000_000):
                    pass

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises((PayloadTooLarge, ProviderUnavailable)):
            connect(url).send(Request("PUT", "/", body=path, retry=Retry.NEVER))
        thread.join(5)
    gc.collect()


@pytest.mark.parametrize("value", [math.nan, math.inf, {1, 2}, "\ud800"])
def test_json_that_cannot_be_written_is_refused(connect, value):
    """NaN, infinity, foreign types and lone surrogates never travel."""
    with pytest.raises(SpecError, match=r"JSON body of POST /run cannot be written"):
        connect("http://127.0.0.1:9").send(Request("POST", "/run?token=1", json={"x": value}))


def test_whole_url_goes_without_credential(serve, connect):
    """An empty origin takes a whole URL and sends no credential."""
    server = serve()
    client = connect("https://api.acme.example", settings=make_settings(secret=None))
    client.send(Request("PUT", f"{server.url}/signed?sig=1", origin="", query={"part": "2"}))
    [received] = server.received
    assert received.path == "/signed?sig=1&part=2"
    assert "authorization" not in received.headers


def test_link_within_the_origin_is_followed(serve, connect):
    """A provider's own absolute link keeps the credential."""
    server = serve()
    connect(server.url).send(Request("GET", f"{server.url}/page?cursor=2"))
    assert server.received[0].path == "/page?cursor=2"
    assert server.received[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("other", ["http://127.0.0.1:9/x", "https://api.acme.example.evil.io/x"])
def test_credential_stays_at_its_origin(connect, other):
    """A link elsewhere is refused before anything is sent."""
    with pytest.raises(MalformedResponse, match="the credential is not sent there"):
        connect("https://api.acme.example").send(Request("GET", other))


def test_default_address_is_filled_from_settings(serve, connect):
    """``{key}`` places of an origin's default come from the settings."""
    server = serve()
    port = server.url.rpartition(":")[2]
    info = make_info(origins=(Origin("api", "api_url", "http://127.0.0.1:{port}/{part}"),))
    settings = make_settings(port=int(port), part="v1", api_url=None)
    connect(info=info, settings=settings).send(Request("GET", ""))
    assert server.received[0].path == "/v1"


def test_unset_place_names_the_setting(connect):
    """A place without a value names the key to set."""
    info = make_info(origins=(Origin("api", "api_url", "https://{region}.acme.example"),))
    with pytest.raises(ConfigError, match=r"providers\.acme\.region, which is not set"):
        connect(info=info, settings=make_settings()).send(Request("GET", "/"))


def test_a_host_for_each_deployment(serve, connect):
    """A request fills such a place by its whole URL; the credential goes with it."""
    server = serve()
    base = server.url.replace("127.0.0.1", "127.0.0.{part}") + "/model-{model}"
    connect(base).send(Request("GET", f"{server.url}/model-7/run"))
    assert server.received[0].path == "/model-7/run"
    assert SECRET in server.received[0].headers["authorization"]


@pytest.mark.parametrize("other", ["evil.io", "m-1.evil.acme.example", "m-.acme.example"])
def test_a_place_in_a_host_is_part_of_one_label(connect, other):
    """Whoever names a deployment cannot lead the credential to another host."""
    info = make_info(origins=(Origin("api", "api_url", "https://m-{id}.acme.example"),))
    with pytest.raises(MalformedResponse, match="the credential is not sent there"):
        connect(info=info, settings=make_settings()).send(Request("GET", f"https://{other}/x"))


@pytest.mark.parametrize(
    "url", ["ftp://x", "acme.example", "http://", "http://x:y/", "http://[::1"]
)
def test_address_must_be_http(connect, url):
    """A base URL that cannot be used names the setting and the value."""
    with pytest.raises(ConfigError, match=r"providers\.acme\.api_url must be an http"):
        connect(url).send(Request("GET", "/"))


def test_password_in_an_address_is_not_shown(connect):
    """An address that cannot be used is quoted, unless it holds a password."""
    with pytest.raises(ConfigError, match="one with a user and password") as caught:
        connect("ftp://me:pass-1@acme.example").send(Request("GET", "/"))
    assert "pass-1" not in str(caught.value)


def test_unknown_origin_names_the_known(connect):
    """An origin the adapter did not declare is its author's error."""
    with pytest.raises(ConfigError, match="no origin 'data'; it declares: api"):
        connect("http://127.0.0.1:9").send(Request("GET", "/", origin="data"))


def test_missing_credential_names_its_variable(connect):
    """A credential that is not set fails when a request needs it, not before."""
    client = connect(settings=make_settings(secret=None, api_url="http://127.0.0.1:9"))
    with pytest.raises(MissingCredentials, match="ACME_API_KEY"):
        client.send(Request("GET", "/"))


def test_optional_credential_may_be_left_out(serve, connect):
    """The header of an optional credential is left out when it is not set."""
    server = serve()
    info = make_info(credentials=(Credential("api_key", "ACME_API_KEY", required=False),))
    settings = make_settings(secret=None, api_url=server.url)
    connect(info=info, settings=settings).send(Request("GET", "/"))
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize("secret", ["line\nend-here", "quoted“secret”"])
def test_unsendable_credential_is_not_shown(connect, secret):
    """A credential that no header can carry names the variable and not the value."""
    client = connect(settings=make_settings(secret=secret, api_url="http://127.0.0.1:9"))
    with pytest.raises(ConfigError, match=f"{KEY.env} holds a line end") as caught:
        client.send(Request("GET", "/"))
    assert secret not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    "header", [("a b", "x"), ("", "x"), ("X-A", "one\r\nX-B: two"), ("X-A", "grün")]
)
def test_header_that_cannot_be_sent_is_refused(serve, connect, header):
    """A header of the request that is none is named without its value; nothing is sent."""
    name, value = header
    server = serve()
    with pytest.raises(SpecError, match=f"the header '{name}' cannot be sent") as caught:
        connect(server.url).send(Request("GET", "/", headers={name: value}))
    assert value == "x" or value not in str(caught.value)
    assert not server.received


def test_compressed_answer_is_decoded(serve, connect):
    """A gzip answer comes out as the provider wrote it."""
    import gzip

    packed = gzip.compress(b'{"ok": true}')
    server = serve(lambda it: it.reply(200, packed, Content_Encoding="gzip"))
    assert connect(server.url).send(Request("GET", "/")).json() == {"ok": True}


def test_connection_is_kept(serve, connect):
    """Requests one after the other share a connection."""
    server = serve()
    client = connect(server.url)
    for _ in range(3):
        client.send(Request("GET", "/"))
    assert len({each.connection for each in server.received}) == 1


def test_proxy_of_the_environment_is_used(serve, connect, monkeypatch):
    """``HTTP_PROXY`` and ``NO_PROXY`` count for every transport."""
    proxy, direct = serve(), serve()
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connect("http://api.acme.example").send(Request("GET", "/through?a=%2F"))
    connect(direct.url).send(Request("GET", "/direct"))
    assert [each.path for each in proxy.received] == ["http://api.acme.example/through?a=%2F"]
    assert [each.path for each in direct.received] == ["/direct"]


def test_cookies_are_not_kept(serve, connect):
    """What one answer sets is not sent with the next request."""
    server = serve(lambda it: it.reply(Set_Cookie="session=1; Path=/"))
    client = connect(server.url)
    client.send(Request("GET", "/"))
    client.send(Request("GET", "/"))
    assert "cookie" not in server.received[1].headers


def test_nothing_secret_is_logged(serve, connect, caplog):
    """Neither the credential nor query values reach a log, at any level."""
    server = serve()
    with caplog.at_level("DEBUG"):
        connect(server.url).send(Request("GET", "/", query={"token": "tok-1234"}))
    assert SECRET not in caplog.text
    assert "tok-1234" not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "DROPS"])
def test_no_frame_of_an_error_shows_a_secret(serve, connect, url):
    """Tracebacks that print local variables print neither the credential nor the query."""
    url = serve(lambda it: it.drop()).url if url == "DROPS" else url
    request = Request("POST", "/", query={"token": "tok-1234"}, retry=Retry.NEVER)
    with pytest.raises(ProviderUnavailable) as caught:
        connect(url).send(request)
    frames = [entry.frame for entry in caught.traceback]
    ours = [frame.f_locals for frame in frames if "_http" in str(frame.code.path)]
    shown = repr([{k: v for k, v in each.items() if k != "request"} for each in ours])
    assert len(ours) > 2
    assert SECRET not in shown
    assert "tok-1234" not in shown


def test_reprs_are_bare(connect):
    """No repr shows an address's query or a credential."""
    client = connect("https://api.acme.example?token=tok-1234")
    outgoing = client.connections.prepared(Request("GET", "/x", query={"key": "k-1"}), None)
    shown = repr([client.connections, client.io, outgoing])
    assert "tok-1234" not in shown
    assert "k-1" not in shown
    assert SECRET not in shown
