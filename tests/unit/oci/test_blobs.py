"""Downloads: links to elsewhere, broken streams, wrong content."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhub.errors import MalformedResponse, NotFound, ProviderUnavailable
from gpuhub.oci import Registry
from gpuhub.oci.blobs import download_blob
from tests.unit.oci.base_images import digest_of, noise
from tests.unit.oci.fake_registry import HERE, FakeIo, answer, once, part_of, run

CONTENT = noise(9_500)
DIGEST = digest_of(CONTENT)


@pytest.fixture
def blob(registry):
    """The registry has one."""
    registry.blobs["me/base", DIGEST] = CONTENT


def download(io, tmp_path, digest=DIGEST, **options):
    """Fetch it; give the content."""
    path = run(download_blob(Registry(io, HERE), "me/base", digest, tmp_path, **options))
    return path.read_bytes()


@pytest.mark.usefixtures("blob")
def test_a_blob_is_fetched(registry, io, tmp_path):
    """After a look at its first byte; as it is, not compressed on the way."""
    told: list[Any] = []
    assert download(io, tmp_path, progress=told.append) == CONTENT
    assert told[-1] == len(CONTENT)
    reads = [each for each in registry.seen if "/blobs/" in each.path]
    assert [each.headers.get("range") for each in reads] == ["bytes=0-0", None]
    assert {each.headers["accept-encoding"] for each in reads} == {"identity"}


@pytest.mark.usefixtures("blob")
def test_a_registry_without_ranges_sends_it_at_once(registry, io, tmp_path):
    """What has come already is not asked for again."""
    registry.ranges = False
    assert download(io, tmp_path) == CONTENT
    assert registry.count("GET", "/blobs/") == 1


@pytest.mark.usefixtures("blob")
def test_links_to_a_store_are_followed(registry, tmp_path):
    """Registries keep blobs elsewhere, behind one link or two."""
    registry.links = "https://first.example/blobs"
    seen = []

    def store(asked):
        seen.append(asked)
        return part_of(asked, CONTENT)

    def first(asked):
        return answer(302, location=f"https://store.example{asked.path}?signature=xyz")

    io = FakeIo({HERE: registry.handle, "first.example": first, "store.example": store})
    assert download(io, tmp_path) == CONTENT
    assert {each.query["signature"][0] for each in seen} == {"xyz"}
    assert registry.count("GET", "/blobs/") == 1


def test_links_in_a_circle_end(registry, io, tmp_path):
    """A registry that links to itself is an error, not a hang."""
    registry.faults = [
        lambda asked: answer(307, location=asked.path) if "blobs" in asked.path else None
    ]
    with pytest.raises(MalformedResponse, match="status 307"):
        download(io, tmp_path)
    assert registry.count("GET", "/blobs/") == 5


@pytest.mark.usefixtures("blob")
@pytest.mark.parametrize("cut", [0, 1, 4_200, len(CONTENT)])
def test_a_broken_download_goes_on(registry, io, tmp_path, cut):
    """From the byte where it stopped; nothing is fetched twice."""
    io.cut = [cut]
    assert download(io, tmp_path) == CONTENT
    wanted = [each.headers.get("range") for each in registry.seen if "/blobs/" in each.path]
    rest = [] if cut == len(CONTENT) else [f"bytes={cut}-" if cut else None]
    assert wanted == ["bytes=0-0", None, "bytes=0-0", *rest]
    assert io.slept == [2.0]


@pytest.mark.usefixtures("blob")
def test_a_download_that_keeps_breaking_is_given_up(io, tmp_path):
    """After four tries, with longer and longer waits."""
    io.cut = [1000, 10, 10, 10, 10]
    with pytest.raises(ProviderUnavailable):
        download(io, tmp_path)
    assert io.slept == [2.0, 4.0, 8.0]


@pytest.mark.usefixtures("blob")
def test_wrong_content_is_refused(registry, io, tmp_path):
    """A proxy's page is not taken for a layer."""
    registry.blobs["me/base", DIGEST] = b"<html>"
    with pytest.raises(MalformedResponse, match="has another digest"):
        download(io, tmp_path)


def test_a_missing_blob_is_not_found(io, tmp_path):
    """The error names the repository."""
    with pytest.raises(NotFound, match=r"me/base failed.*BLOB_UNKNOWN"):
        download(io, tmp_path, digest_of(b"other"))


@pytest.mark.usefixtures("blob")
def test_large_downloads_are_written_in_pieces(registry, io, tmp_path, monkeypatch):
    """What has come is on disk before the rest."""
    monkeypatch.setattr("gpuhub.oci.blobs._WRITE_BYTES", 2_000)
    told: list[Any] = []
    assert download(io, tmp_path, progress=told.append) == CONTENT
    assert told == [2_000, 4_000, 6_000, 8_000, 9_500]
    registry.faults = [once(lambda asked: "0-0" in asked.headers.get("range", ""), answer(206))]
    assert download(io, tmp_path) == CONTENT
