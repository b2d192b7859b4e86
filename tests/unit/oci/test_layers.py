"""Layers: the same files give the same bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpuhub.errors import SpecError
from gpuhub.oci import layer_from_files, layer_from_folder

NAMES = st.from_regex(r"[a-zäß_]{1,8}(/[a-z.]{1,3}x){0,2}", fullmatch=True)
TREES = st.dictionaries(NAMES, st.binary(max_size=300), max_size=6)


def members(layer):
    """Give the entries of a layer by name."""
    with tarfile.open(layer.path) as archive:
        return {entry.name: entry for entry in archive.getmembers()}


def test_digests_are_of_the_file_and_of_the_tar_inside(tmp_path):
    """The layer says of itself what a registry and an engine will compute."""
    layer = layer_from_files({"a.py": b"x" * 5000}, tmp_path, prefix="/src/", comment="code")
    packed = layer.path.read_bytes()
    assert layer.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert layer.diff_id == f"sha256:{hashlib.sha256(gzip.decompress(packed)).hexdigest()}"
    assert layer.size == len(packed)
    assert layer.comment == "code"
    assert list(members(layer)) == ["src", "src/a.py"]
    assert [path.name for path in tmp_path.iterdir()] == [layer.path.name]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=TREES, order=st.randoms())
def test_the_order_of_files_does_not_matter(files, order, tmp_path):
    """Neither does how often it is done; what is inside is what was given."""
    usable = {path: data for path, data in files.items() if not any(has(path, files))}
    shuffled = list(usable.items())
    order.shuffle(shuffled)
    layer = layer_from_files(usable, tmp_path, prefix="src")
    assert layer_from_files(dict(shuffled), tmp_path, prefix="src") == layer
    with tarfile.open(layer.path) as archive:
        found = {
            entry.name.removeprefix("src/"): archive.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in archive
            if entry.isfile()
        }
    assert found == usable


def has(path, files):
    """Yield what makes a path a folder of another one."""
    return (other for other in files if other.startswith(f"{path}/"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(files=TREES, time=st.integers(0, 2**31), wide=st.booleans())
def test_times_and_rights_of_a_folder_do_not_matter(files, time, wide, tmp_path_factory):
    """The same files in two folders, of other times and other rights, make the same layer."""
    usable = {path: data for path, data in files.items() if not any(has(path, files))}
    made = []
    for moment, mode in ((0, 0o600), (time, 0o666 if wide else 0o640)):
        folder = tmp_path_factory.mktemp("tree")
        for path, data in usable.items():
            place = folder / "in" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
            place.chmod(mode)
            os.utime(place, (moment, moment))
        (folder / "in").mkdir(exist_ok=True)
        made.append(layer_from_folder(folder / "in", folder, prefix="opt/x"))
    assert made[0].digest == made[1].digest


def test_entries_have_fixed_owners_times_and_modes(tmp_path):
    """Programs stay programs; all else is the same on every machine."""
    folder = tmp_path / "in"
    folder.joinpath("bin").mkdir(parents=True)
    folder.joinpath("bin/run").write_text("#!/bin/sh\n")
    folder.joinpath("bin/run").chmod(0o4775)
    folder.joinpath("bin/link").symlink_to("run")
    folder.joinpath("data").write_text("x")
    folder.joinpath("folder").symlink_to("bin")
    found = members(layer_from_folder(folder, tmp_path, prefix="app"))
    assert list(found) == [
        "app",
        "app/bin",
        "app/bin/link",
        "app/bin/run",
        "app/data",
        "app/folder",
    ]
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in found.values()} == {
        (0, 0, 0, "")
    }
    assert found["app/bin/run"].mode == 0o755
    assert found["app/data"].mode == 0o644
    assert found["app/bin"].isdir()
    assert found["app/bin/link"].linkname == "run"
    assert found["app/folder"].issym()


def test_hard_links_are_files(tmp_path):
    """Installers link files to their cache; each is packed whole."""
    folder = tmp_path / "in"
    folder.mkdir()
    folder.joinpath("a").write_text("same")
    folder.joinpath("b").hardlink_to(folder / "a")
    found = members(layer_from_folder(folder, tmp_path))
    assert [entry.isfile() and entry.size for entry in found.values()] == [4, 4]


def test_folders_that_a_base_has_are_left_alone(tmp_path):
    """An entry would replace the link /bin, or the mode of /tmp."""
    files = {
        "tmp/x": b"",
        "bin/y": b"",
        "usr/local/bin/z": b"",
        "var/mine/w": b"",
        "opt/gpuhub/v": b"",
    }
    folders = [
        name for name, each in members(layer_from_files(files, tmp_path)).items() if each.isdir()
    ]
    assert folders == ["opt/gpuhub", "var/mine"]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("../x", "name a place inside"),
        ("a/../../x", "name a place inside"),
        ("", "name a place inside"),
        ("a\0b", "name a place inside"),
        ("a/.wh.b", "delete files"),
        (".wh..wh..opq", "delete files"),
    ],
)
def test_dangerous_paths_are_refused(path, words, tmp_path):
    """A layer must neither leave its place nor hide the base's files."""
    with pytest.raises(SpecError, match=words):
        layer_from_files({path: b""}, tmp_path)


def test_a_file_is_no_folder(tmp_path):
    """Two paths of which one is below the other cannot both be files."""
    with pytest.raises(SpecError, match="'a' is not a folder"):
        layer_from_files({"a": b"", "a/b": b""}, tmp_path)


@pytest.mark.parametrize("target", ["../outside", "/etc/passwd"])
def test_links_out_of_the_folder_are_refused(target, tmp_path):
    """What they lead to is another file in the container."""
    folder = tmp_path / "in"
    folder.mkdir()
    folder.joinpath("link").symlink_to(target)
    with pytest.raises(SpecError, match="not in the folder"):
        layer_from_folder(folder, tmp_path)


def test_pipes_are_refused(tmp_path):
    """Reading one would wait for ever."""
    folder = tmp_path / "in"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    with pytest.raises(SpecError, match="neither file, folder nor link"):
        layer_from_folder(folder, tmp_path)


def test_nothing_is_left_behind_by_a_failure(tmp_path):
    """A file that cannot be read names itself, and no half layer stays."""
    folder, into = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    into.mkdir()
    folder.joinpath("gone").write_text("x")
    original = Path.open

    def refuse(self, *args, **kwargs):
        if self.name == "gone":
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        with pytest.raises(SpecError, match=r"gone: Permission denied"):
            layer_from_folder(folder, into)
    assert list(into.iterdir()) == []


def test_large_files_do_not_sit_in_memory(tmp_path):
    """Packing 64 MB takes a fraction of that."""
    import tracemalloc

    folder = tmp_path / "in"
    folder.mkdir()
    with (folder / "big").open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    layer_from_folder(folder, tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
