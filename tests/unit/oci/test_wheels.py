"""Layers of packages: the real uv, wheels made on the spot, no index."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest

from gpuhub.errors import SpecError
from gpuhub.oci import installers, wheels_layer
from gpuhub.oci.tidy import tidy
from tests.unit.oci.fake_registry import FakeIo, run
from tests.unit.oci.wheel_files import make_wheel

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """A folder of wheels that is the whole world to uv and pip."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    settings = tmp_path / "uv.toml"
    settings.write_text(f'no-index = true\nfind-links = ["{folder}"]\n')
    monkeypatch.setenv("UV_CONFIG_FILE", str(settings))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return folder


@pytest.fixture
def make(tmp_path):
    """Make a layer."""

    def do(*requirements, cache="cache", python="3.12", **options):
        return run(
            wheels_layer(
                FakeIo({}),
                requirements,
                python=python,
                cache=tmp_path / cache,
                prefix="opt/packages",
                **options,
            )
        )

    return do


def contents(layer):
    """Give the files of a layer by name."""
    with tarfile.open(layer.path) as archive:
        return {
            entry.name: archive.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in archive
            if entry.isfile()
        }


needs_uv = pytest.mark.skipif(
    not installers.find_uv() and os.environ.get("CI") != "true",
    reason="NOT TESTED: layers of packages need uv (python -m pip install uv)",
)


def test_uv_is_found_by_the_name_it_leaves_for_its_children(monkeypatch, tmp_path):
    """`python -m uv run` works where no uv is on the path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    uv = tmp_path / "elsewhere"
    uv.write_text("#!/bin/sh")
    uv.chmod(0o755)
    monkeypatch.setenv("UV", str(uv))
    assert installers.find_uv() == [str(uv)]
    monkeypatch.delenv("UV")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "uv" or None)
    assert installers.find_uv() == [sys.executable, "-m", "uv"]


@needs_uv
def test_packages_and_what_they_need_are_in_the_layer(wheels, make):
    """For the image's Python and platform, not for ours; no trace of the installer."""
    make_wheel(wheels, needs="other; python_version == '3.13' and sys_platform == 'linux'")
    make_wheel(wheels, "other", tag="cp313-cp313-manylinux_2_28_x86_64")
    make_wheel(wheels, "other", "2.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    make_wheel(wheels, "other", "3.0", tag="cp313-cp313-manylinux_2_34_x86_64")
    make_wheel(wheels, "other", "4.0", tag="cp313-cp313-macosx_11_0_arm64")
    files = contents(make("toy", python="3.13"))
    assert sorted(files) == [
        "opt/packages/other-1.0.dist-info/METADATA",
        "opt/packages/other-1.0.dist-info/RECORD",
        "opt/packages/other-1.0.dist-info/WHEEL",
        "opt/packages/other/__init__.py",
        "opt/packages/toy-1.0.dist-info/METADATA",
        "opt/packages/toy-1.0.dist-info/RECORD",
        "opt/packages/toy-1.0.dist-info/WHEEL",
        "opt/packages/toy/__init__.py",
    ]


@needs_uv
def test_two_installs_give_the_same_layer(wheels, make):
    """In other folders, at other times, with other things in uv's cache."""
    make_wheel(wheels, script=True)
    make_wheel(wheels, "other")
    one = make("toy", "other ", cache="one")
    make("other", cache="two")
    two = make("other", "toy", cache="two")
    assert one.digest == two.digest
    assert one.comment == two.comment == "Python 3.12: other toy"


@needs_uv
def test_scripts_start_with_the_container_s_python(wheels, make, tmp_path):
    """And the list of files says so."""
    make_wheel(wheels, script=True)
    files = contents(make("toy"))
    script = files["opt/packages/bin/toy"]
    assert script.startswith(b"#!/usr/bin/env python3\n")
    assert str(tmp_path).encode() not in b"".join(files.values())
    assert sys.executable.encode() not in b"".join(files.values())
    rows = list(csv.reader(files["opt/packages/toy-1.0.dist-info/RECORD"].decode().splitlines()))
    assert rows == sorted(rows)
    assert {path for path, *_ in rows} == {name.removeprefix("opt/packages/") for name in files}
    (size,) = [size for path, _, size in rows if path == "bin/toy"]
    assert int(size) == len(script)


@needs_uv
def test_the_layer_is_kept(wheels, make, monkeypatch):
    """The same requirements need no installer; others do."""
    make_wheel(wheels)
    first = make("toy", " toy")
    monkeypatch.setattr(installers, "find_uv", lambda: [sys.executable, "-c", "raise SystemExit"])
    assert make("toy") == first
    make_wheel(wheels, "toy", "2.0")
    assert make("toy") == first
    first.path.write_bytes(b"cut")
    monkeypatch.setattr(installers, "find_uv", lambda: [sys.executable, "-c", "1/0"])
    with pytest.raises(SpecError, match="cannot be installed"):
        make("toy")


@needs_uv
@pytest.mark.parametrize("change", ["requirement", "python", "platform"])
def test_other_wishes_are_other_layers(wheels, make, change):
    """Each of them is part of what the layer is kept under."""
    make_wheel(wheels, tag="cp312-cp312-manylinux_2_28_x86_64")
    make_wheel(wheels, tag="cp311-cp311-manylinux_2_28_x86_64")
    make_wheel(wheels, "toy", "2.0", tag="cp312-cp312-manylinux_2_34_x86_64")
    other = {
        "requirement": lambda: make("toy==1.0"),
        "python": lambda: make("toy", python="3.11"),
        "platform": lambda: make("toy", platform="x86_64-manylinux_2_34"),
    }
    first = make("toy")
    second = other[change]()
    assert first.path.exists()
    assert (first.digest == second.digest) == (change == "requirement")


@needs_uv
@pytest.mark.parametrize("requirement", ["missing", "toy>=2", "only-source"])
def test_what_has_no_wheel_is_told_with_the_installer_s_words(wheels, make, requirement, tmp_path):
    """Nothing is ever built, and nothing half-made stays."""
    make_wheel(wheels)
    (wheels / "only_source-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(
        SpecError, match=r"cannot be installed from wheels for Python 3\.12"
    ) as caught:
        make(requirement)
    assert "  | " in caught.value.message
    assert requirement.partition(">")[0] in caught.value.message
    assert "versions that have wheels" in caught.value.next_step
    assert list((tmp_path / "cache").iterdir()) == []


def test_passwords_of_an_index_are_not_told(make, monkeypatch):
    """Installers repeat addresses in their errors."""
    words = "print('cannot reach https://me:pa55@index.example/x'); raise SystemExit(2)"
    monkeypatch.setattr(installers, "find_uv", lambda: [sys.executable, "-c", words])
    with pytest.raises(SpecError, match=r"https://\*\*\*@index") as caught:
        make("toy")
    assert "pa55" not in str(caught.value)


def test_an_installer_that_hangs_is_ended(make, monkeypatch):
    """Half an hour is enough for everybody."""
    monkeypatch.setattr(installers, "_SECONDS", 0.1)
    hang = "import threading; threading.Event().wait()"
    monkeypatch.setattr(installers, "find_uv", lambda: [sys.executable, "-c", hang])
    with pytest.raises(SpecError, match="did not end within"):
        make("toy")


@pytest.mark.parametrize("requirement", ["--pre", "-r x.txt", "./pkg", "/pkg", "~/pkg", "a\nb"])
def test_options_and_folders_are_refused(make, requirement):
    """An option would change what the installer does; a folder changes without its name."""
    with pytest.raises(SpecError, match="options and folders"):
        make(requirement)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"python": "3"}, "the python '3'"),
        ({"python": "2.7"}, "the python '2.7'"),
        ({"platform": "linux"}, "the platform 'linux'"),
    ],
)
def test_other_targets_are_refused(make, options, words):
    """Linux on AMD64 only."""
    with pytest.raises(SpecError, match=words):
        make("toy", **options)


def test_nothing_is_no_layer(make):
    """An empty list is the caller's mistake."""
    with pytest.raises(SpecError, match="at least one requirement"):
        make(" ", "")


def test_without_uv_or_a_matching_pip_the_next_step_is_uv(make, monkeypatch):
    """By this machine pip would judge markers."""
    monkeypatch.setattr(installers, "find_uv", list)
    with pytest.raises(SpecError, match="needs uv") as caught:
        make("toy", python="3.9")
    assert caught.value.next_step == "run `python -m pip install uv`"


def test_pip_stands_in_where_it_would_choose_right(tmp_path, monkeypatch):
    """The same platform tags as uv derives, newest first, and no build."""
    monkeypatch.setattr(installers, "find_uv", list)
    monkeypatch.setattr(installers, "_has_pip", lambda: True)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    seen = []

    def record(command, **_):
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, "")

    monkeypatch.setattr(subprocess, "run", record)
    installers.install(["toy"], tmp_path, HERE, "x86_64-manylinux_2_28")
    (command,) = seen
    assert command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-2:] == ["--", "toy"]
    tags = [after for word, after in pairwise(command) if word == "--platform"]
    assert tags[0] == "manylinux_2_28_x86_64"
    assert "manylinux2014_x86_64" in tags
    assert "manylinux_2_29_x86_64" not in tags


def python_with_pip():
    """Give a Python that has pip, and its version; skip when there is none."""
    for folder in os.get_exec_path():
        python = shutil.which("python3", path=folder)
        code = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
        if python:
            done = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
            if done.returncode == 0:
                return python, done.stdout.strip()
    return pytest.skip("no Python with pip on the path")


@needs_uv
@pytest.mark.slow
def test_pip_and_uv_give_the_same_files(wheels, make, tmp_path):
    """But for the launcher's few lines, nobody can tell which one it was."""
    python, version = python_with_pip()
    make_wheel(wheels, script=True)
    make_wheel(wheels, "other")
    by_uv = make("toy", "other", python=version, cache="uv-made")
    folder = tmp_path / "by-pip"
    command = installers.pip_command(folder, version, "x86_64-manylinux_2_28", python)
    subprocess.run([*command, "other", "toy"], check=True, capture_output=True)
    tidy(folder)
    files = {
        f"opt/packages/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    ours = contents(by_uv)
    script = "opt/packages/bin/toy"
    assert sorted(files) == sorted(ours)
    assert {name for name in files if files[name] != ours[name]} <= {
        script,
        "opt/packages/toy-1.0.dist-info/RECORD",
    }
    assert files[script].startswith(b"#!/usr/bin/env python3\n")


def test_tidying_replaces_files_instead_of_writing_into_them(tmp_path):
    """A hard link leads into the installer's cache, which must stay as it is."""
    folder = tmp_path / "packages"
    (folder / "bin").mkdir(parents=True)
    (folder / "a/__pycache__").mkdir(parents=True)
    (folder / "a/__pycache__/a.pyc").write_bytes(b"x")
    kept = tmp_path / "kept"
    kept.write_bytes(b"#!/bin/sh\n'''exec' '/long path/python' \"$0\" \"$@\"\n' '''\nprint()\n")
    kept.chmod(0o755)
    (folder / "bin/tool").hardlink_to(kept)
    (folder / "bin/other").write_bytes(b"#!/bin/sh\necho\n")
    (folder / "bin/binary").write_bytes(b"\x7fELF python\n")
    tidy(folder)
    assert (folder / "bin/tool").read_bytes() == b"#!/usr/bin/env python3\nprint()\n"
    assert (folder / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert kept.read_bytes().startswith(b"#!/bin/sh\n'''exec'")
    assert (folder / "bin/other").read_bytes() == b"#!/bin/sh\necho\n"
    assert (folder / "bin/binary").read_bytes() == b"\x7fELF python\n"
    assert not (folder / "a/__pycache__").exists()


@needs_uv
def test_notes_of_the_cache_are_checked(wheels, make, tmp_path):
    """A note that cannot be read is one that is not there."""
    make_wheel(wheels)
    first = make("toy")
    (note,) = (tmp_path / "cache").glob("*.json")
    assert json.loads(note.read_text())["path"] == Path(first.path).name
    for text in ("{", "[]", '{"path": "gone"}', '{"more": 1}'):
        note.write_text(text)
        assert make("toy").digest == first.digest
