"""Whole pushes: what is sent, what is taken over, what is skipped."""

from __future__ import annotations

import asyncio
import json
import tempfile
from typing import Any

import pytest
from pydantic import SecretStr

from gpuhub.errors import AuthFailed, NotFound, SpecError
from gpuhub.oci import (
    ImageChanges,
    Reference,
    RegistryCredentials,
    layer_from_files,
    push_image,
)
from tests.unit.oci.base_images import base_image, descriptor, digest_of
from tests.unit.oci.fake_registry import HERE, FakeRegistry, io_of, refusal, run

BASE = f"{HERE}/me/base:1"
TARGET = f"{HERE}/me/mine:v1"


@pytest.fixture
def layer(tmp_path):
    """The code."""
    return layer_from_files({"run.py": b"print()"}, tmp_path, prefix="src", comment="code")


@pytest.fixture
def push(io, layer):
    """Push the layer."""

    def do(base=BASE, target=TARGET, layers=None, io=io, **options):
        return run(
            push_image(
                io,
                Reference.parse(base),
                [layer] if layers is None else layers,
                Reference.parse(target),
                ImageChanges(env={"A": "1"}),
                **options,
            )
        )

    return do


def writes(registry):
    """Give the requests that change something."""
    found = [each for each in registry.seen if each.method not in {"GET", "HEAD"}]
    return [f"{each.method} {sorted(each.query.keys() - {'state'})}" for each in found]


def test_the_image_is_in_the_registry(registry, push, layer):
    """Under its tag and its digest; configuration and code were sent, the base taken over."""
    image = push()
    media_type, content = registry.manifests["me/mine", "v1"]
    assert media_type == base_image().media_type
    assert digest_of(content) == image.digest
    assert str(image.reference) == f"{HERE}/me/mine@{image.digest}"
    document = json.loads(content)
    for each in (document["config"], *document["layers"]):
        assert len(registry.blobs["me/mine", each["digest"]]) == each["size"]
    assert image.skipped_bytes == len(base_image().layer)
    assert image.uploaded_bytes == layer.size + document["config"]["size"] + len(content)
    assert writes(registry) == [
        "POST []",
        "PUT ['digest']",
        "POST ['from', 'mount']",
        "POST []",
        "PUT ['digest']",
        "PUT []",
    ]


def test_a_second_push_sends_the_manifest_only(registry, push):
    """Whatever is there is left alone."""
    first = push()
    registry.seen.clear()
    second = push()
    assert writes(registry) == ["PUT []"]
    assert second.digest == first.digest
    assert second.uploaded_bytes == len(registry.manifests["me/mine", "v1"][1])


@pytest.mark.parametrize("refused", ["ignored", "denied"])
def test_a_refused_mount_is_a_copy(registry, push, refused):
    """202 has opened an upload, which is used; 401 and 403 have not."""
    registry.mounts = False
    if refused == "denied":
        registry.faults = [lambda asked: refusal(403, "DENIED") if "mount" in asked.query else None]
    image = push()
    assert registry.blobs["me/mine", digest_of(base_image().layer)] == base_image().layer
    assert image.skipped_bytes == 0
    posts = ["POST []", "POST ['from', 'mount']", "POST []"]
    found = [each for each in writes(registry) if each.startswith("POST")]
    assert found == (posts if refused == "ignored" else [*posts[:2], "POST []", "POST []"])


def test_one_login_that_may_not_read_the_base_copies(registry, layer):
    """The target's registry refuses the mount with 401: the base is fetched as an open one."""
    closed = FakeRegistry(login="ann:x")
    closed.store("me/base", base_image())
    closed.faults = [lambda asked: refusal(401, "UNAUTHORIZED") if "mount" in asked.query else None]
    logins = {HERE: RegistryCredentials("ann", SecretStr("x"))}
    image = run(
        push_image(
            io_of(closed),
            Reference.parse(BASE),
            [layer],
            Reference.parse(TARGET),
            credentials=logins,
        )
    )
    assert image.skipped_bytes == 0
    assert closed.blobs["me/mine", digest_of(base_image().layer)] == base_image().layer


def test_a_base_elsewhere_is_copied(registry, push):
    """Each registry gets its own login only; no mount is tried between two of them."""
    other = FakeRegistry(host="other.example", login="bob:y")
    base = other.store("you/base", base_image())
    registry.login = "ann:x"
    logins = {
        HERE: RegistryCredentials("ann", SecretStr("x")),
        "other.example": RegistryCredentials("bob", SecretStr("y")),
    }
    image = push(base=base, io=io_of(registry, other), credentials=logins)
    assert not [each for each in registry.seen if "mount" in each.query]
    assert image.skipped_bytes == 0
    assert len({each.headers.get("authorization") for each in registry.seen}) == 2  # and none
    assert len({each.headers.get("authorization") for each in other.seen}) == 2


def test_a_login_that_may_not_push_is_found_first(registry, io, push):
    """Before anything of the base is fetched."""
    other = FakeRegistry(host="other.example")
    base = other.store("you/base", base_image())
    registry.faults = [lambda asked: refusal(403, "DENIED") if asked.method == "POST" else None]
    with pytest.raises(AuthFailed, match="me/mine"):
        push(base=base, io=io_of(registry, other))
    layer = digest_of(base_image().layer)
    assert other.count("GET", layer) == 0


def test_a_missing_repository_is_named(registry, push):
    """Replicate's registry knows only models that were made before."""
    registry.faults = [
        lambda asked: refusal(404, "NAME_UNKNOWN") if asked.method == "POST" else None
    ]
    with pytest.raises(NotFound, match="me/mine") as caught:
        push()
    assert "create the repository me/mine" in caught.value.next_step


def test_a_lost_layer_is_named(registry, push):
    """The registry checks the manifest against what it has."""
    lost = refusal(404, "MANIFEST_BLOB_UNKNOWN")
    registry.faults = [
        lambda asked: lost if asked.method == "PUT" and "/manifests/" in asked.path else None
    ]
    with pytest.raises(NotFound, match="pushing the manifest") as caught:
        push()
    assert "push again" in caught.value.next_step


def test_the_same_layer_twice_is_sent_once(registry, push, layer):
    """Layers may repeat, as empty ones do."""
    image = push(layers=[layer, layer])
    assert len(json.loads(registry.manifests["me/mine", "v1"][1])["layers"]) == 3
    assert registry.count("HEAD", layer.digest) == 1
    assert image.uploaded_bytes < 3_000


def test_foreign_layers_are_never_touched(registry, push):
    """They are fetched from where they say, by whoever runs the image."""
    document = json.loads(base_image().content)
    kind = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    document["layers"][0] = descriptor(kind, base_image().layer)
    content = json.dumps(document).encode()
    registry.manifests["me/base", "1"] = base_image().media_type, content
    push()
    assert not [each for each in registry.seen if digest_of(base_image().layer) in str(each)]


def test_progress_is_told(registry, push):
    """It grows to the total, and every step is named."""
    registry.mounts = False
    told: list[Any] = []
    push(progress=told.append)
    assert {each.step for each in told} == {"upload", "download", "manifest"}
    done = [each.done for each in told]
    assert done == sorted(done)
    assert {each.total for each in told} == {done[-1]}
    told.clear()
    push(progress=told.append)
    assert {each.step for each in told} == {"present", "manifest"}
    assert told[-1].done == told[-1].total


def test_a_digest_is_no_target(push):
    """It is known only after the push."""
    with pytest.raises(SpecError, match="is the result of a push"):
        push(target=f"{HERE}/me/mine@{digest_of(b'')}")


def test_a_full_disk_is_told(registry, push, monkeypatch, tmp_path):
    """The error names the folder."""
    registry.mounts = False
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SpecError, match="gone") as caught:
        push()
    assert "TMPDIR" in caught.value.next_step


def test_nothing_is_left_on_disk(registry, push, monkeypatch, tmp_path):
    """Copies of the base's layers go with the push."""
    registry.mounts = False
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    push()
    assert list((tmp_path / "temporary").iterdir()) == []


def test_it_works_on_a_loop(io, layer):
    """The same coroutine, awaited."""
    arguments = (io, Reference.parse(BASE), [layer], Reference.parse(TARGET))
    assert asyncio.run(push_image(*arguments)).digest


def test_insecure_speaks_plain_http(registry, io, push):
    """To registries on other machines, only when asked for."""
    push()
    assert {each.scheme for each in registry.seen} == {"https"}
    registry.seen.clear()
    push(insecure=True)
    assert {each.scheme for each in registry.seen} == {"http"}
