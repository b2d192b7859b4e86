"""Keeps deployments, bundles and results of spawned calls in a folder, for later processes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

from gpuhub.bundle import Bundle

__all__ = ["Stamp", "Store"]

Stamp = tuple[int, int, int]


class Store:
    """Files below one folder; every file is written whole or not at all.

    Without a folder nothing is kept: bundles are unpacked to a temporary one when a process
    needs them.

    Args:
        folder: Where to keep things; made at the first write.
        calls_kept_s: Real seconds after which files of spawned calls may go.
    """

    def __init__(self, folder: Path | None, calls_kept_s: float = 86_400.0) -> None:
        self._folder = folder
        self._calls_kept_s = calls_kept_s
        self._is_tidy = False
        self._scratch: Path | None = None
        self._bundles: dict[str, Bundle] = {}

    @property
    def persists(self) -> bool:
        """Whether later processes see what is written."""
        return self._folder is not None

    # Deployments

    def save_deployment(self, name: str, document: dict[str, Any]) -> None:
        """Write what is known of a deployment."""
        if self._folder is not None:
            _write(self._folder / "deployments" / f"{name}.json", document)

    def load_deployment(self, name: str) -> dict[str, Any] | None:
        """Give what an earlier process wrote."""
        return None if self._folder is None else _read(self._deployment(name))

    def deployment_stamp(self, name: str) -> Stamp | None:
        """Give what changes whenever another process writes the deployment."""
        if self._folder is None:
            return None
        try:
            found = self._deployment(name).stat()
        except OSError:
            return None
        # The time alone is coarse: two writes within some milliseconds have the same.
        return found.st_mtime_ns, found.st_ino, found.st_size

    def drop_deployment(self, name: str) -> None:
        """Forget a deployment."""
        if self._folder is not None:
            self._deployment(name).unlink(missing_ok=True)

    def log_file(self, name: str) -> Path | None:
        """Give the file of a deployment's log."""
        return None if self._folder is None else self._folder / "logs" / f"{name}.jsonl"

    def _deployment(self, name: str) -> Path:
        return self._base() / "deployments" / f"{name}.json"

    # Bundles

    def save_bundle(self, bundle: Bundle) -> None:
        """Keep a bundle; the same content is written once."""
        if self._folder is None:
            self._bundles[bundle.digest] = bundle
        else:
            self._unpacked(bundle)

    def bundle_folder(self, digest: str) -> Path | None:
        """Give the folder of an unpacked bundle, ``None`` when there is no such bundle."""
        if self._folder is None:
            bundle = self._bundles.get(digest)
            return None if bundle is None else self._unpacked(bundle)
        folder = self._base() / "bundles" / digest
        return folder if folder.is_dir() else None

    def has_bundle(self, digest: str) -> bool:
        """Whether a bundle was kept."""
        return digest in self._bundles or (self.persists and self.bundle_folder(digest) is not None)

    def sources(self, digest: str, ending: str) -> list[bytes]:
        """Give the user's files in a bundle whose path ends with a name."""
        if self._folder is None:
            files = self._bundles[digest].files if digest in self._bundles else {}
            return [text for path, text in files.items() if _is_source(path, ending)]
        app = self._base() / "bundles" / digest / "app"
        return [path.read_bytes() for path in app.rglob(Path(ending).name) if _ends(path, ending)]

    def _unpacked(self, bundle: Bundle) -> Path:
        folder = self._base() / "bundles" / bundle.digest
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            # Beside it, then renamed: another process must not see half of it.
            partial = Path(tempfile.mkdtemp(prefix="partial-", dir=folder.parent))
            bundle.write_to(partial)
            try:
                partial.rename(folder)
            except OSError:
                shutil.rmtree(partial, ignore_errors=True)
        return folder

    # Spawned calls

    def save_call(self, call_id: str, document: dict[str, Any]) -> None:
        """Write the state of a spawned call."""
        if self._folder is not None:
            self._drop_old_calls(self._folder / "calls")
            _write(self._folder / "calls" / f"{call_id}.json", document)

    def load_call(self, call_id: str) -> dict[str, Any] | None:
        """Give the state of a call of an earlier process."""
        if self._folder is None or "/" in call_id or "\\" in call_id:
            return None
        return _read(self._base() / "calls" / f"{call_id}.json")

    def drop_call(self, call_id: str) -> None:
        """Forget a call."""
        if self._folder is not None:
            for suffix in ("json", "claim"):
                (self._base() / "calls" / f"{call_id}.{suffix}").unlink(missing_ok=True)

    def _drop_old_calls(self, folder: Path) -> None:
        """Once in each process: nobody else would ever remove them."""
        if self._is_tidy:
            return
        self._is_tidy = True
        oldest = time.time() - self._calls_kept_s
        for path in folder.glob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def claim_call(self, call_id: str) -> bool:
        """Take the right to run a call; only one process ever gets it."""
        if self._folder is None:
            return True
        try:
            with (self._folder / "calls" / f"{call_id}.claim").open("x") as file:
                file.write(str(os.getpid()))
        except FileExistsError:
            return False
        return True

    def is_claimed(self, call_id: str) -> bool:
        """Whether a process runs or ran a call."""
        return self._folder is not None and (self._folder / "calls" / f"{call_id}.claim").exists()

    # Volumes

    def volume_folder(self, name: str) -> Path:
        """Give the folder that stands for a volume, made at first use."""
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name).lstrip(".")
        folder = self._base() / "volumes" / (safe or "volume")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def close(self) -> None:
        """Remove what was temporary."""
        scratch, self._scratch = self._scratch, None
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)

    def _base(self) -> Path:
        if self._folder is not None:
            return self._folder
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="gpuhub-mock-"))
            weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        return self._scratch


def _is_source(path: str, ending: str) -> bool:
    return path.startswith("app/") and f"/{path}".endswith(f"/{ending}")


def _ends(path: Path, ending: str) -> bool:
    return f"/{path.as_posix()}".endswith(f"/{ending}")


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".partial-", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None
