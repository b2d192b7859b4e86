"""Uploads around the size of a part, by the SDK and by gpuhub."""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile

import pytest

from gpuhub._function import function
from gpuhub_beam import wire
from gpuhub_beam.archive import object_hash
from gpuhub_beam.emulator import EmulatorOptions
from tests.vendor.beam.conftest import TOKEN

pytestmark = [pytest.mark.sdk, pytest.mark.slow, pytest.mark.timeout(180)]

MIB = 1024 * 1024
PART = 16 * MIB


def parts(emulator, mark):
    """Give the sizes of what was put since."""
    return [each.size for each in list(emulator.requests)[mark:] if each.operation == "put"]


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize("count", [1, 2])
def test_the_sdk_uploads_in_parts(emulator, vendor, count, more):
    """The bytes of its archive, not of the files, decide."""
    content = vendor.project / "weights.bin"
    content.write_bytes(b"")
    (vendor.project / ".beta9ignore").write_text("nothing\n")
    names = ["weights.bin", ".beta9ignore"]
    with zipfile.ZipFile(vendor.project.parent / "empty.zip", "w") as empty:
        for name in names:
            empty.write(vendor.project / name, name)
    overhead = (vendor.project.parent / "empty.zip").stat().st_size
    size = count * PART + more
    content.write_bytes(bytes(size - overhead))
    (uploaded,) = vendor.do(["upload", str(vendor.project)])
    assert uploaded["done"]
    sizes = parts(emulator, 0)
    assert sum(sizes) == size
    expected = -(-size // PART)
    assert len(sizes) == expected
    assert max(sizes) <= PART


def test_both_have_parts_of_one_size(vendor):
    """16 MiB."""
    assert vendor.do(["part_size"]) == [wire.PART_SIZE] == [PART]


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_gpuhub_uploads_in_parts(emulator, ours, monkeypatch, more):
    """Above the size of one, a byte more makes two."""
    sizes, size = put_by_gpuhub(emulator, ours, monkeypatch, more)
    assert sizes == ([size - 1, 1] if more > 0 else [size])


class TestWithoutTwin:
    """A gateway whose HTTP mount cannot put parts together, as the published one."""

    @pytest.fixture
    def options(self):
        """Such a gateway."""
        return EmulatorOptions(
            cold_start_s=0.05,
            tokens=frozenset({TOKEN}),
            serves_grpc=True,
            completes_over_http=False,
        )

    def test_gpuhub_uploads_the_whole_then(self, emulator, ours, monkeypatch):
        """After its parts were put in vain."""
        sizes, size = put_by_gpuhub(emulator, ours, monkeypatch, 1)
        assert sizes == [size - 1, 1, size]


def put_by_gpuhub(emulator, ours, monkeypatch, more):
    """Deploy an archive of so many bytes more than a part; give the sizes of what was put.

    The archive is compressed, so its size is what it is, and the part is made to fit it.
    """
    noise = base64.b64encode(random.Random(5).randbytes(6 * MIB)).decode()  # noqa: S311 - made up
    with ours.project.having("gpuhub_contract_large.py", f"NOISE = {noise!r}\n"):
        target = function()(ours.project.functions.echo).in_workspace(ours.workspace)
        size = len(target.plan().request("upload").body)
        assert size > 6 * MIB
        monkeypatch.setattr(wire, "PART_SIZE", size - more)
        mark = len(emulator.requests)
        endpoint = target.deploy()
        assert endpoint.invoke(1) == 1
    return parts(emulator, mark), size


def test_the_object_id_is_the_sdks(vendor):
    """Over the same paths, contents and modes: the same code is never sent twice."""
    files = {"a/b.py": b"x = 1\n", "c.txt": b"", "ü.py": "y = 'ß'\n".encode()}
    folder = vendor.project / "content"
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o644)
    (theirs,) = vendor.do(["object_hash", str(folder)])
    assert object_hash(files) == theirs


def test_a_changed_file_is_merged_by_the_gateway(emulator, vendor):
    """The SDK sends what changed since its last upload; the gateway has the whole."""
    (vendor.project / "large.bin").write_bytes(bytes(MIB))
    (vendor.project / "app.py").write_text("x = 1\n")
    (first,) = vendor.do(["upload", str(vendor.project)])
    (vendor.project / "app.py").write_text("x = 2\n")
    (second,) = vendor.do(["upload", str(vendor.project)])
    assert first["done"]
    assert second["done"]
    assert first["object"] != second["object"]
    with zipfile.ZipFile(emulator.objects.by_id[second["object"]].path) as merged:
        assert merged.read("app.py") == b"x = 2\n"
        assert len(merged.read("large.bin")) == MIB
    assert emulator.requests.of("put")[-1].size < MIB


class TestWithoutStorage:
    """A workspace without object storage."""

    @pytest.fixture
    def options(self):
        """Such a workspace."""
        return EmulatorOptions(
            cold_start_s=0.05, tokens=frozenset({TOKEN}), serves_grpc=True, has_storage=False
        )

    def test_the_sdk_streams_by_grpc(self, emulator, vendor):
        """In chunks, put together by the gateway."""
        (vendor.project / "large.bin").write_bytes(hashlib.sha256().digest() * 200_000)
        (uploaded,) = vendor.do(["upload", str(vendor.project)])
        assert uploaded["done"]
        with zipfile.ZipFile(emulator.objects.by_id[uploaded["object"]].path) as whole:
            assert len(whole.read("large.bin")) == 6_400_000
        assert emulator.requests.of("put") == []
