"""Reading a base image, and what appending to it makes."""

from __future__ import annotations

import json

import pytest

from gpuhub.errors import MalformedResponse, NotFound
from gpuhub.oci import (
    ImageChanges,
    Reference,
    Registry,
    append,
    fetch_image,
    layer_from_files,
)
from tests.unit.oci.base_images import base_image, base_index, digest_of
from tests.unit.oci.fake_registry import HERE, answer, once, run

PLATFORMS = ("linux/arm64/v8", "unknown/unknown", "linux/amd64", "windows/amd64")


def fetched(io, name=f"{HERE}/me/base:1", platform="linux/amd64"):
    """Read an image."""
    return run(fetch_image(Registry(io, HERE), Reference.parse(name), platform))


def stored(registry, document, media_type=None, tag="1"):
    """Replace the manifest; without a type, the document's own is all there is."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    registry.manifests["me/base", tag] = media_type or "text/plain", content


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_an_image_is_read(registry, io, kind):
    """Manifest, configuration and layers, of Docker's and of OCI's types."""
    base = base_image(kind)
    registry.store("me/base", base)
    image = fetched(io)
    assert image.manifest.digest == base.digest
    assert image.manifest.media_type == base.media_type
    assert [each.digest for each in image.layers] == [digest_of(base.layer)]
    assert image.settings()["config"]["Cmd"] == ["sh"]
    accepted = next(each for each in registry.seen if "manifests" in each.path).headers["accept"]
    assert accepted.count("application/vnd.") == 4


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_the_platform_is_chosen_from_an_index(registry, io, kind):
    """The index's entry for Linux on AMD64, not its first one."""
    registry.store("me/base", base_index(kind, *PLATFORMS))
    assert fetched(io).manifest.digest == base_image(kind).digest
    arm = fetched(io, platform="linux/arm64")
    assert arm.manifest.digest != base_image(kind).digest


def test_a_missing_platform_is_an_error(registry, io):
    """The error names the platforms there are, attestations left out."""
    registry.store("me/base", base_index("oci", "linux/arm64/v8", "unknown/unknown"))
    with pytest.raises(NotFound, match=r"no image for linux/amd64; it has linux/arm64/v8\n"):
        fetched(io)


def test_the_type_is_read_from_the_document(registry, io):
    """Where a registry's header says nothing useful."""
    stored(registry, base_image().content)
    assert fetched(io).manifest.media_type == base_image().media_type


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"<html>", "no JSON object"),
        ([], "no JSON object"),
        ({"schemaVersion": 1, "fsLayers": []}, "of no kind"),
        ({"mediaType": "application/vnd.cncf.helm"}, "cncf.helm"),
        ({**json.loads(base_image().content), "config": {"digest": "x"}}, "without type"),
        ({**json.loads(base_image().content), "layers": [{}]}, "without type"),
        ({**json.loads(base_image().content), "layers": []}, "does not list the layers"),
    ],
)
def test_what_is_no_image_is_refused(registry, io, document, words):
    """An old manifest, an artifact, nonsense."""
    stored(registry, document)
    with pytest.raises(MalformedResponse, match=words):
        fetched(io)


def test_the_digest_is_checked(registry, io):
    """A manifest or configuration other than was asked for is never used."""
    base = base_image()
    name = f"{HERE}/me/base@{base.digest}"
    assert fetched(io, name).manifest.digest == base.digest
    stored(registry, base.content + b" ", base.media_type, base.digest)
    with pytest.raises(MalformedResponse, match="where it must be"):
        fetched(io, name)
    registry.faults = [once(lambda asked: "/blobs/" in asked.path, answer(200, b"{}"))]
    with pytest.raises(MalformedResponse, match="has another digest"):
        fetched(io)


def test_a_missing_image_is_not_found(io):
    """The error says where it was looked for and what the registry said."""
    with pytest.raises(NotFound, match=f"{HERE}/me/none failed.*MANIFEST_UNKNOWN") as caught:
        fetched(io, f"{HERE}/me/none:1")
    assert caught.value.code == "MANIFEST_UNKNOWN"


@pytest.fixture
def layer(tmp_path):
    """A layer."""
    return layer_from_files({"a.py": b"x"}, tmp_path, prefix="src", comment="code")


@pytest.fixture
def base(io):
    """The base, read."""
    return fetched(io)


def run_settings(image):
    """Give what the container is started with."""
    return image.settings()["config"]


def test_layers_are_appended(base, layer):
    """Manifest, diff ids and history agree; the rest of the base stays."""
    image = append(base, [layer], ImageChanges())
    document, settings = image.manifest.json(), image.settings()
    assert [each["digest"] for each in document["layers"]] == [base.layers[0].digest, layer.digest]
    assert document["layers"][1]["mediaType"] == document["layers"][0]["mediaType"]
    assert document["layers"][1]["size"] == layer.size
    assert document["config"]["digest"] == image.config.digest
    assert document["config"]["size"] == image.config.size
    assert settings["rootfs"]["diff_ids"][1:] == [layer.diff_id]
    assert settings["history"][1] == {
        "created": "1970-01-01T00:00:00Z",
        "created_by": "gpuhub",
        "comment": "code",
    }
    assert settings["architecture"] == "amd64"
    assert run_settings(image) == run_settings(base)
    assert image.manifest.digest == digest_of(image.manifest.content)


def test_the_same_image_has_the_same_digest(base, layer):
    """Whatever the order in which variables and labels were given."""
    one = ImageChanges(env={"B": "1", "A": "2"}, labels={"y": "1", "x": "2"})
    two = ImageChanges(env={"A": "2", "B": "1"}, labels={"x": "2", "y": "1"})
    assert append(base, [layer], one) == append(base, [layer], two)
    other = ImageChanges(env={"A": "2", "B": "3"}, labels={"x": "2", "y": "1"})
    assert append(base, [layer], one) != append(base, [layer], other)


def test_the_environment_is_merged(base):
    """The base's order stays, its values are replaced, new names come sorted at the end."""
    image = append(base, [], ImageChanges(env={"Z": "1=2", "LANG": "de", "A": ""}))
    assert run_settings(image)["Env"] == ["PATH=/usr/bin:/bin", "LANG=de", "A=", "Z=1=2"]


def test_labels_ports_folder_and_user_are_set(base):
    """Added to the base's, or in their place."""
    changes = ImageChanges(
        labels={"mine": "1"}, exposed_ports=iter(["80/tcp"]), working_dir="/src", user="1000"
    )
    found = run_settings(append(base, [], changes))
    assert found["Labels"] == {"base": "yes", "mine": "1"}
    assert found["ExposedPorts"] == {"80/tcp": {}}
    assert (found["WorkingDir"], found["User"]) == ("/src", "1000")


@pytest.mark.parametrize(
    ("changes", "entrypoint", "cmd"),
    [
        (ImageChanges(), ["/sbin/tini", "--"], ["sh"]),
        (ImageChanges(cmd=["x"]), ["/sbin/tini", "--"], ["x"]),
        (ImageChanges(cmd=[]), ["/sbin/tini", "--"], []),
        (ImageChanges(entrypoint=["e"]), ["e"], None),
        (ImageChanges(entrypoint=[]), [], None),
        (ImageChanges(entrypoint=["e"], cmd=["x"]), ["e"], ["x"]),
    ],
)
def test_a_new_entrypoint_forgets_the_command(base, changes, entrypoint, cmd):
    """As in a Dockerfile: the old command was meant for the old entrypoint."""
    found = run_settings(append(base, [], changes))
    assert (found["Entrypoint"], found["Cmd"]) == (entrypoint, cmd)


def test_a_base_without_settings_can_be_used(registry, io, layer):
    """``FROM scratch`` images may have none at all."""
    config = json.dumps({"rootfs": {"diff_ids": []}, "config": None}).encode()
    registry.blobs["me/base", digest_of(config)] = config
    document = json.loads(base_image().content)
    entry = {"mediaType": "x", "digest": digest_of(config), "size": len(config)}
    stored(registry, {**document, "layers": [], "config": entry}, base_image().media_type)
    image = append(fetched(io), [layer], ImageChanges(env={"A": "1"}))
    assert run_settings(image) == {"Env": ["A=1"]}
    assert len(image.layers) == 1
