"""Names of images."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import SpecError
from gpuhub.oci import Reference

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12", "docker.io/library/python:3.12"),
        ("me/worker", "docker.io/me/worker:latest"),
        ("docker.io/me/worker:1", "docker.io/me/worker:1"),
        ("index.docker.io/python", "docker.io/library/python:latest"),
        ("ghcr.io/a/b/c:v1", "ghcr.io/a/b/c:v1"),
        ("localhost/a", "localhost/a:latest"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("[::1]:5000/a:1", "[::1]:5000/a:1"),
        ("r8.im/me/m@" + DIGEST, "r8.im/me/m@" + DIGEST),
        ("r8.im/me/m:v1@" + DIGEST, "r8.im/me/m:v1@" + DIGEST),
        ("e--f/a__b-c.d", "docker.io/e--f/a__b-c.d:latest"),
    ],
)
def test_names_are_read_as_docker_reads_them(text, normal):
    """Registry, ``library/`` and tag are filled in; the result reads as itself."""
    reference = Reference.parse(text)
    assert str(reference) == normal
    assert Reference.parse(normal) == reference


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":1",
        "https://ghcr.io/a",
        "ghcr.io/A/b",
        "me/Worker",
        "me/worker:",
        "me/worker:a b",
        f"me/worker:{'x' * 129}",
        "me/worker@sha256:12",
        "me/worker@md5:d41d8cd98f00b204e9800998ecf8427e",
        "me//worker",
        "a@b.example/c",
        "ghcr.io:x/a",
        "ghcr.io/" + "a" * 256,
    ],
)
def test_other_texts_are_refused(text):
    """The error shows the text and how a name looks."""
    with pytest.raises(SpecError, match="no name of an image") as caught:
        Reference.parse(text)
    assert "registry/repository:tag" in caught.value.next_step


def test_a_digest_is_looked_up_before_a_tag():
    """The digest is what the name means."""
    both = Reference.parse(f"r8.im/me/m:v1@{DIGEST}")
    assert both.identifier == DIGEST
    assert str(Reference.parse("r8.im/me/m:v1").pinned(DIGEST)) == f"r8.im/me/m@{DIGEST}"


WORDS = st.from_regex(r"[a-z0-9]+(?:[._-][a-z0-9]+)?", fullmatch=True)


@given(
    st.sampled_from(["docker.io", "ghcr.io", "localhost:5000", "127.0.0.1:80"]),
    st.lists(WORDS, min_size=1, max_size=3),
    st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True),
)
def test_what_is_printed_is_read_back(registry, words, tag):
    """Printing and parsing are inverse."""
    reference = Reference.parse(f"{registry}/{'/'.join(words)}:{tag}")
    assert Reference.parse(str(reference)) == reference
    assert reference.tag == tag


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    """No other error ever comes out."""
    try:
        reference = Reference.parse(text)
    except SpecError:
        return
    assert Reference.parse(str(reference)) == reference
