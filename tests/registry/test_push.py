"""Pushing to Debian's docker-registry, read back by skopeo."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhub.errors import NotFound
from gpuhub.oci import ImageChanges, Layer, PushedImage, Reference, layer_from_files, push_image
from tests.registry.conftest import RealRegistry
from tests.registry.seed import seed
from tests.unit.oci.base_images import base_image, base_index, digest_of

Use = Callable[[Callable[[Any], Any]], Any]
CHANGES = ImageChanges(
    env={"COG_PREDICT_TYPE_STUB": "run.py:Runner", "LANG": "C.UTF-8"},
    labels={"run.cog.has_init": "true"},
    cmd=["python", "-m", "cog.server.http"],
    working_dir="/src",
    exposed_ports=["5000/tcp"],
)


@pytest.fixture(scope="module")
def registry(start_registry: Callable[[str], RealRegistry]) -> RealRegistry:
    """One that lets everybody in."""
    return start_registry("")


def code(folder: Path, text: str = "print('hi')") -> Layer:
    """Give a layer with the user's code."""
    return layer_from_files({"run.py": text.encode()}, folder, prefix="src", comment="code")


def pushed(use: Use, base: str, target: str, layers: list[Layer], **options: Any) -> PushedImage:
    """Push with the usual changes."""
    image: PushedImage = use(
        lambda io: push_image(
            io, Reference.parse(base), layers, Reference.parse(target), CHANGES, **options
        )
    )
    return image


@pytest.mark.parametrize("kind", ["oci", "docker"])
def test_skopeo_reads_what_was_pushed(use, registry, repository, tmp_path, kind):
    """Digest, labels, environment, layers and run settings arrive as asked."""
    base = base_image(kind)
    name = seed(registry.address, f"{repository}/base", base)
    layer = code(tmp_path)
    image = pushed(use, name, f"{registry.address}/{repository}/mine:v1", [layer])
    place = f"docker://{registry.address}/{repository}/mine:v1"
    seen = json.loads(registry.skopeo("inspect", "--tls-verify=false", place))
    assert seen["Digest"] == image.digest == image.reference.digest
    assert seen["Labels"] == {"base": "yes", "run.cog.has_init": "true"}
    assert seen["Layers"] == [digest_of(base.layer), layer.digest]
    assert seen["Env"] == [
        "PATH=/usr/bin:/bin",
        "LANG=C.UTF-8",
        "COG_PREDICT_TYPE_STUB=run.py:Runner",
    ]
    config = json.loads(registry.skopeo("inspect", "--config", "--tls-verify=false", place))
    assert config["config"]["Entrypoint"] == ["/sbin/tini", "--"]
    assert config["config"]["Cmd"] == ["python", "-m", "cog.server.http"]
    assert config["config"]["WorkingDir"] == "/src"
    assert config["config"]["ExposedPorts"] == {"5000/tcp": {}}
    assert config["history"][-1]["comment"] == "code"
    assert config["rootfs"]["diff_ids"][-1] == layer.diff_id


def test_skopeo_copies_what_was_pushed(use, registry, repository, tmp_path):
    """All blobs are there with the right digests, and the code is in the last layer."""
    name = seed(registry.address, f"{repository}/base", base_image())
    image = pushed(use, name, f"{registry.address}/{repository}/mine:v1", [code(tmp_path)])
    copy = tmp_path / "copy"
    registry.skopeo("copy", "--src-tls-verify=false", f"docker://{image.reference}", f"dir:{copy}")
    manifest = json.loads((copy / "manifest.json").read_text())
    last = manifest["layers"][-1]["digest"].removeprefix("sha256:")
    with tarfile.open(copy / last) as archive:
        assert archive.getnames() == ["src", "src/run.py"]


def test_a_second_push_sends_the_manifest_only(use, registry, repository, tmp_path):
    """Nothing that is there is sent again; changed code sends code, configuration, manifest."""
    base = base_image(size=40_000)
    name = seed(registry.address, f"{repository}/base", base)
    target = f"{registry.address}/{repository}/mine:v1"
    first = pushed(use, name, target, [code(tmp_path)])
    last = ("PUT", f"/v2/{repository}/mine/manifests/v1")
    writes = registry.writes(last)
    second = pushed(use, name, target, [code(tmp_path)])
    assert second.digest == first.digest
    assert registry.writes(last, times=2) == [*writes, last]
    assert second.uploaded_bytes < 2000
    assert first.skipped_bytes == len(base.layer)  # mounted, never sent
    assert second.skipped_bytes + second.uploaded_bytes == (
        first.skipped_bytes + first.uploaded_bytes
    )
    changed = code(tmp_path, "print('ho')")
    third = pushed(use, name, target, [changed])
    assert third.digest != first.digest
    assert changed.size < third.uploaded_bytes < changed.size + 4000


def test_layers_of_another_registry_are_copied(use, start_registry, registry, repository, tmp_path):
    """The base's blobs travel when they cannot be taken over."""
    elsewhere = start_registry("")
    base = base_index("docker", "linux/arm64/v8", "linux/amd64")
    name = seed(elsewhere.address, f"{repository}/base", base)
    image = pushed(use, name, f"{registry.address}/{repository}/mine:v1", [code(tmp_path)])
    assert image.uploaded_bytes > len(base.layer)
    registry.skopeo(
        "copy", "--src-tls-verify=false", f"docker://{image.reference}", f"dir:{tmp_path / 'x'}"
    )


def test_a_missing_base_is_not_found(use, registry, repository, tmp_path):
    """The error names the base."""
    with pytest.raises(NotFound, match=f"{repository}/none"):
        pushed(
            use,
            f"{registry.address}/{repository}/none:1",
            f"{registry.address}/{repository}/mine:1",
            [],
        )
