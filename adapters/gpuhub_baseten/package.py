"""The Truss folder: what it holds, under which names, and how it is packed. Pure.

Truss leaves files out of the upload, and again out of the image, by a fixed list and without a word
(``truss/util/.truss_ignore`` of 0.18.35). A project may well have a folder ``lib``; such names get
``.kept`` at their end, and the worker takes it away again.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpuhub.errors import SpecError
from gpuhub_baseten.yaml_text import to_yaml

if TYPE_CHECKING:
    from gpuhub.bundle import Bundle

__all__ = ["BUNDLE", "config_text", "pack", "safe_path", "truss_files"]

BUNDLE = "packages/gpuhub_bundle"
"""Where the project and gpuhub's worker are, below the Truss folder."""

_KEPT = ".kept"
_FOLDERS = frozenset(
    (
        *("__pycache__", "build", "develop-eggs", "dist", "downloads", "eggs", ".eggs", "lib"),
        *("lib64", "parts", "sdist", "var", "wheels", "htmlcov", ".tox", ".nox", ".hypothesis"),
        *(".pytest_cache", "cover", "instance", ".pybuilder", "target", "profile_default"),
        *("__pypackages__", "env", "venv", "ENV", "env.bak", "venv.bak", ".mypy_cache"),
        *(".ruff_cache", ".pyre", ".pytype", "cython_debug"),
    )
)
_NAMES = frozenset(
    (
        *(".Python", ".installed.cfg", "MANIFEST", ".DS_Store", "pip-log.txt"),
        *("pip-delete-this-directory.txt", ".cache", "nosetests.xml", "coverage.xml"),
        *("local_settings.py", "db.sqlite3", "db.sqlite3-journal", ".webassets-cache", ".scrapy"),
        *(".ipynb_checkpoints", "ipython_config.py", ".pdm.toml", "celerybeat-schedule"),
        *("celerybeat.pid", ".env", ".venv", ".spyderproject", ".spyproject", ".ropeproject"),
        *(".dmypy.json", "dmypy.json", ".git"),
    )
)
_ENDS = re.compile(
    r".*(\.py[cod]|\$py\.class|\.so|\.egg-info|\.egg|\.manifest|\.spec|\.cover|\.py,cover|\.mo|\.pot"
    r"|\.log|\.sage\.py|\.tmp|\.swp)",
    re.DOTALL,
)
_TIME = 315_532_800  # the first of January 1980, as in gpuhub's other archives
_HERE = Path(__file__).parent
_COMMENT = """\
Written by gpuhub: the next deploy or export writes it again. `truss push` deploys this folder.
The project is in packages/gpuhub_bundle/app; what the worker is told, in worker.json beside it."""


def truss_files(
    config: Mapping[str, Any], bundle: Bundle, facts: Mapping[str, Any]
) -> dict[str, bytes]:
    """Give content by path of the Truss folder, sorted.

    Args:
        config: Of ``config.yaml``.
        bundle: The project and gpuhub's worker.
        facts: What the worker is told.
    """
    is_web = "docker_server" in config
    inside = {
        **bundle.files,
        "runtime/gpuhub_baseten/__init__.py": b"",
        "runtime/gpuhub_baseten/entry.py": (_HERE / "entry.py").read_bytes(),
        "worker.json": json.dumps(facts, indent=1, sort_keys=True).encode(),
    }
    if is_web:
        inside["serve.py"] = (_HERE / "serve.py").read_bytes()
    files = {f"{BUNDLE}/{safe_path(path)}": content for path, content in inside.items()}
    files["config.yaml"] = config_text(config).encode()
    if not is_web:
        files["model/model.py"] = (_HERE / "model.py").read_bytes()
    return dict(sorted(files.items()))


def config_text(config: Mapping[str, Any]) -> str:
    """Give the text of ``config.yaml``."""
    return to_yaml(config, _COMMENT)


def safe_path(path: str) -> str:
    """Give a path whose every name Truss keeps.

    Raises:
        SpecError: Truss would drop it under any name that ends otherwise.
    """
    if any(part == ".coverage" or part.startswith(".coverage.") for part in path.split("/")):
        raise SpecError(
            f"{path.removeprefix('app/')} cannot be shipped: Truss leaves out .coverage*",
            next_step="leave it out with `exclude`, or rename it",
            provider="baseten",
        )
    *folders, name = path.split("/")
    kept = [each + _KEPT if _is_dropped(each) or each in _FOLDERS else each for each in folders]
    return "/".join([*kept, name + _KEPT if _is_dropped(name) else name])


def pack(files: Mapping[str, bytes]) -> bytes:
    """Give the archive that is uploaded: a plain tar; the same files give the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.mode = len(files[path]), _TIME, 0o644
            archive.addfile(info, io.BytesIO(files[path]))
    return packed.getvalue()


def _is_dropped(name: str) -> bool:
    """Whether Truss drops a file or folder of that name, or the mark would be taken away."""
    return name in _NAMES or name.endswith(_KEPT) or _ENDS.fullmatch(name) is not None
