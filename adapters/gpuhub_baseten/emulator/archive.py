"""What becomes of an uploaded archive: unpacked, less what Truss leaves out without a word."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from pathspec import GitIgnoreSpec

if TYPE_CHECKING:
    from gpuhub_baseten.emulator.config import Config

__all__ = ["DROPPED", "ArchiveProblem", "is_dropped", "unpack"]

DROPPED = (
    *("__pycache__/", "*.py[cod]", "*$py.class", "*.so", ".Python", "build/", "develop-eggs/"),
    *("dist/", "downloads/", "eggs/", ".eggs/", "lib/", "lib64/", "parts/", "sdist/", "var/"),
    *("wheels/", "share/python-wheels/", "*.egg-info/", ".installed.cfg", "*.egg", "MANIFEST"),
    *(".DS_Store", "*.manifest", "*.spec", "pip-log.txt", "pip-delete-this-directory.txt"),
    *("htmlcov/", ".tox/", ".nox/", ".coverage", ".coverage.*", ".cache", "nosetests.xml"),
    *("coverage.xml", "*.cover", "*.py,cover", ".hypothesis/", ".pytest_cache/", "cover/"),
    *("*.mo", "*.pot", "*.log", "local_settings.py", "db.sqlite3", "db.sqlite3-journal"),
    *("instance/", ".webassets-cache", ".scrapy", "docs/_build/", ".pybuilder/", "target/"),
    *(".ipynb_checkpoints", "profile_default/", "ipython_config.py", ".pdm.toml"),
    *("__pypackages__/", "celerybeat-schedule", "celerybeat.pid", "*.sage.py", ".env", ".venv"),
    *("env/", "venv/", "ENV/", "env.bak/", "venv.bak/", ".spyderproject", ".spyproject"),
    *(".ropeproject", ".mypy_cache/", ".dmypy.json", "dmypy.json", ".ruff_cache/", ".pyre/"),
    *(".pytype/", "cython_debug/", ".git", "*.tmp", "*.swp"),
)
"""Rules of truss 0.18.35, in the order of its own file (read 2026-11); a test compares them."""

_RULES = GitIgnoreSpec.from_lines(DROPPED)


class ArchiveProblem(Exception):  # noqa: N818 - says why a build fails
    """An archive that no image can be built from."""


def is_dropped(path: str, *, is_folder: bool = False) -> bool:
    """Whether the build leaves a path of the archive out, without saying so."""
    return _RULES.match_file(f"{path}/" if is_folder else path)


def unpack(archive: Path | None, target: Path, config: Config) -> int:
    """Make the folder that stands for an image.

    ``app/`` is ``/app`` of the image, ``packages/`` its ``/packages``.

    Args:
        archive: The uploaded file.
        target: The folder; it does not exist yet.
        config: What was pushed.

    Returns:
        How many paths were left out.

    Raises:
        ArchiveProblem: It cannot be built.
    """
    if archive is None or not archive.is_file():
        raise ArchiveProblem("the archive was never uploaded")
    truss = target / "truss"
    shutil.rmtree(target, ignore_errors=True)  # of a build that is tried again
    truss.mkdir(parents=True)
    dropped = _extract(archive, truss)
    if not (truss / "config.yaml").is_file():
        raise ArchiveProblem("the archive has no config.yaml")
    model = truss / config.model_module_dir
    code = model / config.model_class_filename
    if config.docker_server is None and not code.is_file():
        raise ArchiveProblem(f"the archive has no {code.relative_to(truss)}")
    _lay_out(truss, target, config)
    return dropped


def _extract(archive: Path, truss: Path) -> int:
    dropped = 0
    try:
        with tarfile.open(archive, "r:") as tar:  # Truss's own archives are not compressed
            for member in tar:
                name = member.name.removeprefix("./")
                if name in ("", "."):
                    continue
                if is_dropped(name, is_folder=member.isdir()):
                    dropped += 1
                    continue
                tar.extract(member, truss, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise ArchiveProblem(f"the archive is no tar file: {error}") from None
    return dropped


def _lay_out(truss: Path, target: Path, config: Config) -> None:
    app = target / "app"
    app.mkdir()
    (app / "config.yaml").write_bytes((truss / "config.yaml").read_bytes())
    (truss / config.data_dir).mkdir(exist_ok=True)
    (truss / config.bundled_packages_dir).mkdir(exist_ok=True)
    if (truss / config.model_module_dir).is_dir():
        (app / "model").symlink_to(truss / config.model_module_dir)
    (app / "data").symlink_to(truss / config.data_dir)
    (target / "packages").symlink_to(truss / config.bundled_packages_dir)
