"""Which files of a project may leave the machine, and why the others may not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NoReturn

from pathspec import GitIgnoreSpec

from gpuhub.errors import SpecError

__all__ = ["ProjectFiles"]

_IGNORE_FILES = (".gitignore", ".gpuhubignore")
_NEVER_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".gpuhub", "__pycache__", "node_modules", "site-packages"}
)
_NEVER_FILES = (
    *(".env*", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*"),
    *(".netrc", "_netrc", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd"),
    *("credentials*.json", "client_secret*.json", "service_account*.json", "service-account*.json"),
)
_KEYS = "files of that name hold keys or passwords"
_LINK = "it is reached through a symbolic link"


@dataclass(frozen=True, slots=True)
class _Rules:
    """The ignore lines of one folder."""

    folder: str
    spec: GitIgnoreSpec
    origins: tuple[str, ...]

    def verdict(self, path: str) -> tuple[bool, str] | None:
        """Say whether these lines decide about a path, and which line does."""
        found = self.spec.check_file(path.removeprefix(f"{self.folder}/") if self.folder else path)
        if found.include is None or found.index is None:
            return None
        return found.include, self.origins[found.index]


class ProjectFiles:
    """The files of a project that go into a bundle.

    Python files as ``.gitignore`` and ``.gpuhubignore`` allow, in each folder, and whatever
    ``include`` names. Keys, ``.env`` files, version control and virtual environments never.

    Args:
        root: The project's folder.
        include: Patterns, in the language of ``.gitignore``, of further files.
        exclude: Patterns of files to leave out.

    Raises:
        SpecError: A pattern is broken, or ``include`` names a file that must not leave.
    """

    def __init__(
        self, root: Path, include: Iterable[str] = (), exclude: Iterable[str] = ()
    ) -> None:
        self.root = root.resolve()
        self._include_lines, self._exclude_lines = tuple(include), tuple(exclude)
        self._include = _patterns(self._include_lines, "include")
        self._exclude = _patterns(self._exclude_lines, "exclude")
        self._left_out: dict[str, str] = {}
        _check_root(self.root)
        self._refuse_folders_by_name()
        self.paths: dict[str, Path] = dict(sorted(self._walk("", (), "")))
        """Files by path relative to the root, with ``/``; sorted."""

    def why_left_out(self, path: str) -> str | None:
        """Say why a file or folder that exists is not in the bundle; ``None`` if it does not."""
        if not (self.root / path).exists():
            return None
        for parent in (PurePosixPath(path), *PurePosixPath(path).parents):
            if str(parent) in self._left_out:
                return self._left_out[str(parent)]
        return _LINK

    def _refuse_folders_by_name(self) -> None:
        for line in self._include_lines:
            for part in line.lstrip("!").split("/"):
                if part in _NEVER_FOLDERS:
                    _refuse(line, f"{part} never leaves the machine")

    def _walk(
        self, folder: str, outer: tuple[_Rules, ...], reason: str
    ) -> Iterator[tuple[str, Path]]:
        """Yield the files to ship below a folder, which is ignored for a reason or not at all."""
        place = self.root / folder
        rules = (*outer, *_read_rules(place, folder))
        for entry in sorted(os.scandir(place), key=lambda entry: entry.name):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir(follow_symlinks=False):
                why = self._why_not_enter(path, rules) or reason
                if why:
                    self._left_out[path] = why
                # An ignored folder may hold what ``include`` names; a forbidden one may not.
                if not why or (self._include_lines and not _is_forbidden(self.root / path)):
                    yield from self._walk(path, rules, why)
            elif self._is_wanted(path, entry, rules, reason):
                yield path, Path(entry.path)

    def _why_not_enter(self, path: str, rules: tuple[_Rules, ...]) -> str:
        if _is_forbidden(self.root / path):
            return "such folders never leave the machine"
        if self._exclude.match_file(f"{path}/"):
            return "`exclude` leaves it out"
        return _ignored(f"{path}/", rules)

    def _is_wanted(
        self, path: str, entry: os.DirEntry[str], rules: tuple[_Rules, ...], reason: str
    ) -> bool:
        if not (entry.is_file() or entry.is_symlink()):
            return False
        why = self._why_not_ship(path, entry, rules, reason)
        if why:
            self._left_out[path] = why
            return False
        _check_name(path)
        if entry.is_symlink():
            self._check_link(path, Path(entry.path).resolve())
        return True

    def _why_not_ship(
        self, path: str, entry: os.DirEntry[str], rules: tuple[_Rules, ...], reason: str
    ) -> str:
        is_included = self._include.match_file(path)
        if self._exclude.match_file(path):
            return "`exclude` leaves it out"
        if _looks_secret(entry.name):
            if is_included:
                _refuse(path, _KEYS)
            return _KEYS
        if not entry.is_file() and not is_included:
            return _LINK
        if is_included:
            return ""
        return reason or _ignored(path, rules) or _not_python(entry.name)

    def _check_link(self, path: str, target: Path) -> None:
        if not target.is_relative_to(self.root):
            raise SpecError(
                f"{path} is a symbolic link to {target}, outside of the project",
                next_step="copy the file into the project, or leave it out with `exclude`",
            )
        parts = target.relative_to(self.root).parts
        if not target.is_file() or _looks_secret(target.name) or _NEVER_FOLDERS & set(parts):
            _refuse(path, f"it is a symbolic link to {target.name}, which is not shipped")


def _check_name(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise SpecError(
            f"the file name {path!r} is not UTF-8 and cannot be shipped",
            next_step="rename it, or leave it out with `exclude` in gpuhub.toml",
        ) from None


def _not_python(name: str) -> str:
    return "" if name.endswith(".py") else "it is no Python file: name it in `include`"


def _check_root(root: Path) -> None:
    """Refuse folders with far more than a project, as when a script lies in the home folder."""
    if root in (Path("~").expanduser().resolve(), Path(root.anchor)):
        raise SpecError(
            f"the project's folder would be {root}, with every Python file below it",
            next_step="put the code into a folder of its own, with a gpuhub.toml",
        )


def _refuse(path: str, why: str) -> NoReturn:
    raise SpecError(
        f"include: {path}: {why}",
        next_step="narrow `include` or add the file to `exclude`; pass secrets with secrets=[…]",
    )


def _patterns(lines: tuple[str, ...], origin: str) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError as error:
        raise SpecError(
            f"{origin}: not a pattern of .gitignore's language: {error}",
            next_step=f"correct `{origin}`",
        ) from error


def _read_rules(place: Path, folder: str) -> Iterator[_Rules]:
    lines: list[str] = []
    origins: list[str] = []
    for name in _IGNORE_FILES:
        try:
            text = (place / name).read_text("utf-8", "replace")
        except OSError:
            continue
        where = f"{folder}/{name}" if folder else name
        for number, line in enumerate(text.splitlines(), 1):
            lines.append(line)
            origins.append(f"line {number} of {where} ({line.strip()})")
    if lines:
        yield _Rules(folder, _patterns(tuple(lines), folder or "the root"), tuple(origins))


def _ignored(path: str, rules: tuple[_Rules, ...]) -> str:
    """Name the ignore line that leaves a path out; the innermost folder decides."""
    for level in reversed(rules):
        verdict = level.verdict(path)
        if verdict is not None:
            is_ignored, line = verdict
            return f"{line} leaves it out" if is_ignored else ""
    return ""


def _is_forbidden(folder: Path) -> bool:
    is_environment = (folder / "pyvenv.cfg").is_file() or (folder / "conda-meta").is_dir()
    return folder.name in _NEVER_FOLDERS or is_environment


def _looks_secret(name: str) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in _NEVER_FILES)
