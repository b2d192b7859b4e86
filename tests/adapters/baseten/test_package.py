"""The Truss folder: names that Truss would drop, and an archive that is always the same."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhub.errors import SpecError
from gpuhub_baseten.entry import restored
from gpuhub_baseten.export import export
from gpuhub_baseten.package import pack, safe_path
from gpuhub_baseten.translate import files_of

DROPPED = [
    *("app/build/a.py", "app/lib/a.py", "app/x/dist/b.py", "app/env/c.py", "app/target/d.py"),
    *("app/native.so", "app/train.log", "app/a.spec", "app/local_settings.py", "app/db.sqlite3"),
    *("app/.cache/x", "app/instance/a.py", "app/a.egg-info/x", "app/MANIFEST", "app/wheels/a.py"),
    *("app/var/a.py", "app/parts/a.py", "app/a.pyc", "app/profile_default/a"),
]
KEPT = ["app/a.py", "app/library/a.py", "app/builds.py", "app/a.json", "app/lib.py", "app/logs/x"]
NAMES = st.sampled_from(
    ["lib", "a.py", "x.so", "x.so.kept", "lib.kept", "build", "app", "a.log", "lib.kept.kept"]
)

IGNORED = """
import json, sys
from truss.util.path import is_ignored, load_trussignore_patterns
patterns = load_trussignore_patterns()
print(json.dumps([bool(is_ignored(__import__("pathlib").Path(p), patterns)) for p in sys.argv[1:]]))
"""


@pytest.mark.parametrize("path", DROPPED)
def test_a_dropped_name_is_marked(path):
    """And only what must be."""
    assert safe_path(path) != path
    assert safe_path(path).replace(".kept", "") == path


@pytest.mark.parametrize("path", KEPT)
def test_other_names_stay(path):
    """A reader finds the project as it is."""
    assert safe_path(path) == path


@pytest.mark.parametrize("name", [".coverage", ".coverage.host.123"])
def test_what_no_name_can_save(name):
    """Is refused at plan time."""
    with pytest.raises(SpecError, match="Truss leaves out"):
        safe_path(f"app/{name}")


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_names_come_back(parts):
    """Whatever they are, even those that look marked already."""
    path = "/".join(parts)
    back = "/".join(part.removesuffix(".kept") for part in safe_path(path).split("/"))
    assert back == path


def test_a_bundle_is_restored(tmp_path):
    """The worker runs a copy with the project's own names; without marks, the folder itself."""
    plain = tmp_path / "plain"
    (plain / "app").mkdir(parents=True)
    (plain / "app" / "a.py").write_text("a")
    assert restored(plain) == plain
    for path in DROPPED:
        place = plain / safe_path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path)
    copy = restored(plain)
    assert copy != plain
    assert all((copy / path).read_text() == path for path in DROPPED)
    assert (copy / "app" / "a.py").read_text() == "a"


@pytest.mark.sdk
def test_truss_drops_what_is_marked_here_and_nothing_else(vendor):
    """By Truss's own list, in the folder where they travel."""
    marked = [f"packages/gpuhub_bundle/{safe_path(path)}" for path in (*DROPPED, *KEPT)]
    bare = [f"packages/gpuhub_bundle/{path}" for path in (*DROPPED, *KEPT)]
    ran = subprocess.run(
        [vendor, "-c", IGNORED, *bare, *marked],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    ignored = json.loads(ran.stdout.splitlines()[-1])
    expected = [True] * len(DROPPED) + [False] * (len(KEPT) + len(marked))
    wrong = [
        path
        for path, found, want in zip(bare + marked, ignored, expected, strict=True)
        if found is not want
    ]
    assert wrong == []


def test_the_archive_is_a_plain_tar(lab, bundle_of):
    """Uncompressed, sorted, dated 1980, with the three parts of a Truss."""
    plan = lab.plan(bundle_of("echo"))
    body = plan.request("upload", {"upload": {"url": "https://x"}}).body
    with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    assert names == sorted(names)
    assert {"config.yaml", "model/model.py"} <= set(names)
    assert "packages/gpuhub_bundle/app/shop.py" in names
    assert "packages/gpuhub_bundle/runtime/gpuhub_baseten/entry.py" in names
    assert {member.mtime for member in members} == {315_532_800}


def test_the_same_files_give_the_same_archive(lab, bundle_of):
    """Whenever it is made, in whatever order."""
    files = files_of(lab.plan(bundle_of("echo")))
    backwards = dict(reversed(list(files.items())))
    assert hashlib.sha256(pack(files)).digest() == hashlib.sha256(pack(backwards)).digest()


def test_export_writes_what_is_pushed(lab, bundle_of, tmp_path):
    """The folder holds the files of the archive, to the byte."""
    plan = lab.plan(bundle_of("echo"))
    export(plan, tmp_path)
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert written == files_of(plan)


def test_a_web_application_has_no_model(lab, bundle_of):
    """But what starts it."""
    files = files_of(lab.plan(bundle_of("app")))
    assert "packages/gpuhub_bundle/serve.py" in files
    assert "model/model.py" not in files


def test_marked_names_are_in_the_archive(lab, bundle_of):
    """A project with a folder ``lib`` is shipped whole."""
    bundle = bundle_of("echo")
    bundle = replace(bundle, files={**bundle.files, "app/lib/helpers.py": b"x = 1\n"})
    files = files_of(lab.plan(bundle))
    assert files["packages/gpuhub_bundle/app/lib.kept/helpers.py"] == b"x = 1\n"


def test_the_command_line_exports(lab, bundle_of, tmp_path):
    """``gpuhub export`` finds the function where it looks for it."""
    import gpuhub_baseten
    from gpuhub.cli.optional import _function_of

    assert _function_of(gpuhub_baseten, "export") is export
    assert Path(tmp_path).is_dir()
