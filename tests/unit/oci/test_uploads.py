"""Uploads: one piece or chunks, broken ones, and registries with limits of their own."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhub.errors import (
    AuthFailed,
    BadRequest,
    MalformedResponse,
    NotFound,
    PayloadTooLarge,
    ProviderUnavailable,
)
from gpuhub.oci import Registry, uploads
from gpuhub.oci.blobs import Blob
from tests.unit.oci.base_images import digest_of, noise
from tests.unit.oci.fake_registry import (
    BROKEN,
    HERE,
    FakeIo,
    FakeRegistry,
    answer,
    once,
    refusal,
    run,
)

CONTENT = noise(2_500)
KEY = "me/mine", digest_of(CONTENT)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """Above 2000 bytes is large; a chunk has 1000."""
    monkeypatch.setattr(uploads, "MONOLITHIC_BYTES", 2_000)
    monkeypatch.setattr(uploads, "CHUNK_BYTES", 1_000)


@pytest.fixture
def upload(io, tmp_path):
    """Upload bytes as a file; give the bytes sent and what was reported."""

    def do(content=CONTENT, digest=None):
        path = tmp_path / "layer"
        path.write_bytes(content)
        scratch = tmp_path / "scratch"
        scratch.mkdir(exist_ok=True)
        blob = Blob(digest or digest_of(content), len(content), path)
        told: list[Any] = []
        try:
            sent = run(
                uploads.upload_blob(
                    Registry(io, HERE), "me/mine", blob, scratch=scratch, progress=told.append
                )
            )
        finally:
            assert list(scratch.iterdir()) == []
        return sent, told

    return do


def method(name):
    """Match requests of a method."""
    return lambda asked: asked.method == name


def ranges(registry):
    """Give the places of all chunks sent."""
    return [each.headers["content-range"] for each in registry.seen if each.method == "PATCH"]


@pytest.mark.parametrize("size", [0, 1, 1_999, 2_000])
def test_small_blobs_go_in_one_piece(registry, upload, size):
    """POST, then PUT of everything."""
    content = noise(size)
    assert upload(content) == (size, [size])
    assert registry.blobs["me/mine", digest_of(content)] == content
    assert [each.method for each in registry.seen] == ["GET", "POST", "PUT"]
    assert registry.seen[-1].query["state"] == ["x"]


@pytest.mark.parametrize(
    ("size", "places"),
    [
        (2_001, ["0-999", "1000-1999", "2000-2000"]),
        (3_000, ["0-999", "1000-1999", "2000-2999"]),
    ],
)
def test_large_blobs_go_in_chunks(registry, upload, size, places):
    """POST, PATCH for each chunk, and a PUT that only names the digest."""
    content = noise(size)
    assert upload(content) == (size, [1_000, 2_000, size, size])
    assert ranges(registry) == places
    assert registry.blobs["me/mine", digest_of(content)] == content
    assert registry.seen[-1].body == b""


@pytest.mark.parametrize(
    ("limits", "size", "places"),
    [
        ({"oci-chunk-max-length": "700"}, 1_500, ["0-699", "700-1399", "1400-1499"]),
        ({"oci-chunk-max-length": "5000"}, 2_500, ["0-999", "1000-1999", "2000-2499"]),
        ({"oci-chunk-max-length": "700"}, 700, []),
        ({"oci-chunk-min-length": "1200"}, 2_500, ["0-1199", "1200-2399", "2400-2499"]),
        ({"oci-chunk-min-length": "9000"}, 2_500, []),
        ({"oci-chunk-max-length": "nonsense"}, 1_500, []),
    ],
)
def test_the_registry_may_want_other_chunks(registry, upload, limits, size, places):
    """Smaller ones, or larger ones."""
    registry.limits = limits
    content = noise(size)
    upload(content)
    assert ranges(registry) == places
    assert registry.blobs["me/mine", digest_of(content)] == content


def broken_patch(registry, kept):
    """Have the second PATCH break after some bytes of it were kept."""
    seen = []

    def fault(asked):
        seen.extend([asked] if asked.method == "PATCH" else [])
        if asked.method != "PATCH" or len(seen) != 2:
            return None
        name = asked.path.rpartition("/")[2]
        registry.uploads[name] += asked.body[:kept]
        return answer(BROKEN)

    registry.faults.append(fault)


@pytest.mark.parametrize(
    ("kept", "next_one"), [(0, "1000-1999"), (400, "1400-2399"), (1_000, "2000-2499")]
)
def test_a_broken_chunk_goes_on_where_it_stopped(registry, io, upload, kept, next_one):
    """The registry is asked how much it has."""
    broken_patch(registry, kept)
    sent, told = upload()
    assert registry.blobs[KEY] == CONTENT
    assert ranges(registry)[2] == next_one
    assert told == sorted(told)
    assert sent == len(CONTENT) + 1_000 - kept
    assert registry.count("POST") == 1
    assert io.slept == [2.0]


def test_a_chunk_in_the_wrong_place_is_put_right(registry, upload):
    """416: the registry is asked how much it has, and the chunk is sent from there."""
    registry.faults = [
        once(lambda asked: asked.headers.get("content-range") == "1000-1999", answer(416))
    ]
    upload()
    assert registry.blobs[KEY] == CONTENT
    assert ranges(registry) == ["0-999", "1000-1999", "1000-1999", "2000-2499"]


def test_a_registry_may_take_less_than_was_sent(registry, upload):
    """The next chunk begins where the answer says."""

    def half(asked):
        if asked.headers.get("content-range") != "0-999":
            return None
        registry.uploads[asked.path.rpartition("/")[2]] += asked.body[:500]
        return answer(202, range="0-499")

    registry.faults = [half]
    upload()
    assert ranges(registry) == ["0-999", "500-1499", "1500-2499"]
    assert registry.blobs[KEY] == CONTENT


def test_a_registry_that_takes_nothing_is_given_up(registry, upload):
    """Five times the same place is enough, and five uploads."""
    registry.faults = [lambda asked: answer(202, range="0-0") if asked.method == "PATCH" else None]
    with pytest.raises(ProviderUnavailable, match="took 0 of 2500 bytes") as caught:
        upload()
    assert caught.value.accepted is None
    assert registry.count("POST") == 5
    assert registry.count("PATCH") == 25


@pytest.mark.parametrize(
    "lost",
    [
        refusal(404, "BLOB_UPLOAD_UNKNOWN"),
        refusal(400, "BLOB_UPLOAD_INVALID"),
        answer(BROKEN),
    ],
)
@pytest.mark.parametrize("size", [1_500, 2_500])
def test_an_upload_that_is_lost_starts_over(registry, upload, lost, size):
    """A new place, everything again."""
    registry.faults = [once(method("PUT"), lost)]
    content = noise(size)
    sent, _ = upload(content)
    assert registry.blobs["me/mine", digest_of(content)] == content
    assert registry.count("POST") == 2
    assert sent == 2 * size


def test_a_lost_answer_costs_nothing(registry, io, upload):
    """The blob is there: it is not sent again."""

    def taken(asked):
        if asked.method == "PUT":
            registry.blobs[KEY] = CONTENT
            return answer(BROKEN)
        return None

    registry.faults = [taken]
    sent, told = upload()
    assert sent == len(CONTENT)
    assert told[-1] == len(CONTENT)
    assert registry.count("POST") == 1
    assert registry.count("HEAD") == 1
    assert io.slept == [2.0]


def test_a_damaged_resumption_starts_over(registry, upload):
    """A registry that miscounts a broken chunk finds out at the end; then all is sent again."""
    broken_patch(registry, 300)
    registry.faults.append(miscounting(registry))
    sent, _ = upload()
    assert registry.blobs[KEY] == CONTENT
    assert registry.count("POST") == 2
    assert sent > len(CONTENT)


def miscounting(registry):
    """Tell once that none of the broken chunk is there, and take what follows anyway."""
    told: list[Any] = []

    def fault(asked):
        if asked.method == "GET" and "/uploads/" in asked.path and not told:
            told.append(asked)
            return answer(204, range="0-999")
        if asked.method == "PATCH" and told and registry.count("POST") == 1:
            registry.uploads[asked.path.rpartition("/")[2]] += asked.body
            last = asked.headers["content-range"].partition("-")[2]
            return answer(202, range=f"0-{last}")
        return None

    return fault


@pytest.mark.parametrize("size", [1_500, 2_500])
def test_a_wrong_digest_is_an_error_at_once(registry, upload, size):
    """The file changed on disk: sending it again would not help."""
    with pytest.raises(BadRequest, match="DIGEST_INVALID") as caught:
        upload(noise(size), digest_of(b"other"))
    assert "delete the cached layers" in caught.value.next_step
    assert registry.count("POST") == 1


@pytest.mark.parametrize(
    ("status", "code", "error", "words"),
    [
        (413, "SIZE_INVALID", PayloadTooLarge, "make the layer smaller"),
        (403, "DENIED", AuthFailed, "give credentials"),
        (404, "NAME_UNKNOWN", NotFound, "create the repository me/mine"),
        (400, "UNSUPPORTED", BadRequest, "what the registry accepts"),
    ],
)
@pytest.mark.parametrize("at", ["POST", "PATCH", "PUT"])
def test_refusals_are_not_repeated(registry, upload, at, status, code, error, words):
    """The error has the registry's code and words, and what to do."""
    registry.faults = [lambda asked: refusal(status, code, "sorry") if asked.method == at else None]
    with pytest.raises(error, match=f"uploading to {HERE}/me/mine failed.*{code}: sorry") as caught:
        upload()
    assert words in caught.value.next_step
    assert caught.value.status == status
    assert registry.count(at) == 1


def test_a_page_of_a_proxy_is_quoted(registry, upload):
    """An error that is no JSON; its beginning says who speaks."""
    registry.faults = [
        lambda asked: answer(413, b"<h1>Too large</h1>\n nginx") if asked.method == "PUT" else None
    ]
    with pytest.raises(PayloadTooLarge, match="<h1>Too large</h1> nginx"):
        upload(b"x")


def test_an_upload_without_a_place_is_an_error(registry, upload):
    """202 must say where to send it."""
    registry.faults = [lambda asked: answer(202) if asked.method == "POST" else None]
    with pytest.raises(MalformedResponse, match="a link that is none"):
        upload()


def test_a_place_elsewhere_gets_no_login(registry, tmp_path):
    """Some registries let the store take the upload."""
    store = FakeRegistry(host="store.example")
    store.uploads["u"] = b""
    registry.faults = [
        once(method("POST"), answer(202, location="https://store.example/v2/s/blobs/uploads/u"))
    ]
    io = FakeIo({HERE: registry.handle, "store.example": store.handle})
    path = tmp_path / "layer"
    path.write_bytes(CONTENT)
    blob = Blob(KEY[1], len(CONTENT), path)
    run(uploads.upload_blob(Registry(io, HERE), "me/mine", blob, scratch=tmp_path))
    assert store.blobs["s", KEY[1]] == CONTENT
    assert not [each for each in store.seen if "authorization" in each.headers]
