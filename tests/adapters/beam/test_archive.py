"""What is uploaded: complete, the same each time, and known to Beam by the SDK's own name."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile

import pytest

from gpuhub.bundle import build_bundle
from gpuhub_beam.archive import object_hash, pack
from tests.adapters.needed import ROOT, absent

SDK = ROOT / ".venv-beam" / "bin" / "python"
HASH_BY_SDK = """
import hashlib, sys
from pathlib import Path
from beta9.sync import _Manifest, _ManifestEntry

root = Path(sys.argv[1])
entries = {}
for path in root.rglob("*"):
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        mode = path.stat().st_mode & 0o777
        name = path.relative_to(root).as_posix()
        entries[name] = _ManifestEntry(path.stat().st_size, 0, digest, mode)
print(_Manifest(entries).hash())
"""


def members(archive: bytes) -> dict[str, bytes]:
    """Unpack in memory."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        return {info.filename: packed.read(info) for info in packed.infolist()}


def test_the_entry_is_beside_the_bundle(bundle_of):
    """At the root, where Beam's runner imports from."""
    bundle = bundle_of("echo")
    found = members(pack(bundle).content)
    entry = found.pop("gpuhub_beam_entry.py")
    assert found == dict(bundle.files)
    compile(entry, "entry.py", "exec")


def test_the_same_code_gives_the_same_archive(bundle_of):
    """So it is uploaded once."""
    bundle = bundle_of("echo")
    assert pack(bundle) == pack(bundle)
    assert pack(bundle).hash != pack(bundle_of("fail")).hash


def test_the_hash_is_over_paths_contents_and_modes():
    """Spelled out once by hand."""
    digest = hashlib.sha256(b"pass\n").hexdigest()
    lines = f"a.py\0{digest}\x00644\nb/c.py\0{digest}\x00644\n"
    found = object_hash({"b/c.py": b"pass\n", "a.py": b"pass\n"})
    assert found == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.sdk
def test_the_hash_is_the_sdks(bundle_of, tmp_path):
    """Beam's own client would call the unpacked archive the same."""
    if not SDK.exists():
        absent(f"{SDK} is missing: the SDK's hash was NOT compared")
    packed = pack(bundle_of("echo"))
    for name, content in members(packed.content).items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o644)
    ran = subprocess.run(
        [SDK, "-c", HASH_BY_SDK, tmp_path], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.stdout.strip() == packed.hash, ran.stderr


def test_secrets_in_files_stay_at_home(tmp_path, monkeypatch):
    """``.env`` is never in it, and nothing is written into the project."""
    (tmp_path / "gpuhub.toml").write_text('app = "x"\n')
    (tmp_path / "mine_for_beam.py").write_text("def run() -> int:\n    return 1\n")
    (tmp_path / ".env").write_text("KEY=hunter2\n")
    monkeypatch.syspath_prepend(tmp_path)
    import mine_for_beam  # type: ignore[import-not-found]

    before = sorted(tmp_path.rglob("*"))
    found = members(pack(build_bundle(mine_for_beam.run, tmp_path)).content)
    assert not [name for name in found if ".env" in name]
    assert b"hunter2" not in b"".join(found.values())
    ours = [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts]
    assert ours == [path for path in before if "__pycache__" not in path.parts]
