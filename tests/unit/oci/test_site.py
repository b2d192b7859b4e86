"""Addresses of registries, links, and the header that asks for a login."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import MalformedResponse
from gpuhub.oci.challenges import Challenge, read_challenges
from gpuhub.oci.site import Site


@pytest.mark.parametrize(
    ("registry", "insecure", "url"),
    [
        ("docker.io", False, "https://registry-1.docker.io"),
        ("ghcr.io", False, "https://ghcr.io"),
        ("ghcr.io", True, "http://ghcr.io"),
        ("127.0.0.1:5000", False, "http://127.0.0.1:5000"),
        ("localhost", False, "http://localhost"),
        ("[::1]:5000", False, "http://[::1]:5000"),
        ("10.0.0.1:5000", False, "https://10.0.0.1:5000"),
        ("localhost.example", False, "https://localhost.example"),
    ],
)
def test_only_this_machine_is_spoken_to_without_tls(registry, insecure, url):
    """Others only when that is allowed."""
    assert Site.of(registry, insecure=insecure).url == url


@pytest.mark.parametrize(
    ("location", "url", "own"),
    [
        ("/v2/a?x=1", "https://ghcr.io/v2/a?x=1", True),
        ("https://ghcr.io:443/v2/b", "https://ghcr.io:443/v2/b", True),
        ("https://cdn.example/b", "https://cdn.example/b", False),
        ("https://ghcr.io:8443/b", "https://ghcr.io:8443/b", False),
        ("c", "https://ghcr.io/v2/c", True),
    ],
)
def test_links_are_followed_with_care(location, url, own):
    """Relative and whole ones; only those at the registry may see its login."""
    site = Site.of("ghcr.io")
    assert site.link("https://ghcr.io/v2/x", location) == url
    assert site.is_own(url) is own


@pytest.mark.parametrize(
    ("registry", "location", "words"),
    [
        ("ghcr.io", "", "a link that is none"),
        ("ghcr.io", "ftp://x/y", "a link that is none"),
        ("ghcr.io", "http://[x", "a link that is none"),
        ("ghcr.io", "http://ghcr.io/v2/", "over plain http"),
        ("127.0.0.1:5000", "http://other.example/", "over plain http"),
    ],
)
def test_bad_links_are_refused(registry, location, words):
    """Nothing is sent in the clear to another machine."""
    with pytest.raises(MalformedResponse, match=words):
        Site.of(registry).link("https://ghcr.io/v2/", location)


def test_links_without_tls_where_that_is_allowed():
    """On this machine, and where the user said so."""
    local = "http://127.0.0.1:9/token"
    assert Site.of("localhost:5000").link("http://localhost:5000/v2/", local) == local
    other = "http://other.example/token"
    assert Site.of("ghcr.io", insecure=True).link("http://ghcr.io/v2/", other) == other


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("", []),
        ("Basic", [Challenge("basic", {})]),
        ('Basic realm="a, b"', [Challenge("basic", {"realm": "a, b"})]),
        (
            'Bearer realm="https://x/token",service="x.example",scope="repository:a:pull,push"',
            [
                Challenge(
                    "bearer",
                    {
                        "realm": "https://x/token",
                        "service": "x.example",
                        "scope": "repository:a:pull,push",
                    },
                )
            ],
        ),
        (
            'Negotiate, BASIC Realm=x, bearer realm="y=z" , error="e"',
            [
                Challenge("negotiate", {}),
                Challenge("basic", {"realm": "x"}),
                Challenge("bearer", {"realm": "y=z", "error": "e"}),
            ],
        ),
    ],
)
def test_challenges_are_read(header, found):
    """One or several, with quoted commas and equals signs."""
    assert read_challenges(header) == found


@given(st.text(max_size=60))
def test_any_header_can_be_read(header):
    """Nonsense is no error of ours."""
    assert isinstance(read_challenges(header), list)
