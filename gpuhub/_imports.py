"""Finds imports that would fail in the container, before anything is sent there."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NoReturn

from gpuhub._import_statements import Import, statements
from gpuhub._packages import ImagePackages
from gpuhub.errors import SpecError

__all__ = ["Project", "Scan", "scan_imports"]

_OURS = ("gpuhub", "gpuhub.errors", "gpuhub.worker")


@dataclass(frozen=True, slots=True)
class Project:
    """What the container will have.

    Attributes:
        files: Content of the bundle's user files by path relative to the root.
        bases: Folders modules are imported from, relative to the root; ``""`` is the root.
        why_left_out: Says why a path that exists is not in the bundle, else ``None``.
        packages: The image's packages.
        image_known: Whether ``packages`` is all the image has.
    """

    files: Mapping[str, bytes]
    bases: tuple[str, ...]
    why_left_out: Callable[[str], str | None]
    packages: ImagePackages
    image_known: bool = True


@dataclass(frozen=True, slots=True)
class Scan:
    """What a scan found.

    Attributes:
        bases: The folders that modules are imported from, in the order given.
        notes: Imports that only the image can satisfy, one sentence each.
    """

    bases: tuple[str, ...]
    notes: tuple[str, ...]


def scan_imports(project: Project, entry: str, qualname: str) -> Scan:
    """Follow the imports of the target's module through the project's modules.

    Args:
        project: What the container will have.
        entry: Path of the target's module.
        qualname: The target in it, whose body is looked into as well.

    Raises:
        SpecError: An import would fail; names file, line and statement.
    """
    scanner = _Scanner(project)
    scanner.follow(entry)
    while scanner.waiting:
        path = scanner.waiting.pop(0)
        scanner.scan(path, qualname if path == entry else "")
    used = tuple(base for base in project.bases if base in scanner.used)
    return Scan(used, tuple(scanner.notes.values()))


class _Scanner:
    """The state of one scan."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.waiting: list[str] = []
        self.used: set[str] = set()
        self.notes: dict[str, str] = {}
        self._seen: set[str] = set()
        self._folders = {
            str(parent) for path in project.files for parent in PurePosixPath(path).parents
        }

    def follow(self, path: str) -> None:
        """Put a module on the list, with the packages it is in."""
        for parent in PurePosixPath(path).parents:
            package = _join(str(parent), "__init__.py")
            if package not in self.project.files:
                break
            self._add(package)
        self._add(path)

    def _add(self, path: str) -> None:
        if path not in self._seen:
            self._seen.add(path)
            self.waiting.append(path)

    def scan(self, path: str, qualname: str) -> None:
        """Check the imports of one module."""
        try:
            tree = ast.parse(self.project.files[path])
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None) or 1
            raise SpecError(
                f"{path}:{line}: not Python: {error}", next_step="correct it or stop importing it"
            ) from None
        for statement in statements(tree, qualname):
            self._check(path, statement)

    def _check(self, path: str, statement: Import) -> None:
        if statement.level:
            self._check_relative(path, statement)
            return
        top = statement.module.split(".")[0]
        if top == "gpuhub":
            _check_ours(path, statement)
            return
        regular, namespace = self._local_bases(top)
        for base in regular or ([] if self._is_elsewhere(top) else namespace):
            self.used.add(base)
            self._descend(path, statement, base)
            return
        if not self._is_elsewhere(top):
            self._missing(path, statement, top)

    def _local_bases(self, top: str) -> tuple[list[str], list[str]]:
        """Give the folders that hold a module of that name, and those with a bare folder."""
        regular, namespace = [], []
        for base in self.project.bases:
            place = _join(base, top)
            if self._module_file(place):
                regular.append(base)
            elif place in self._folders:
                namespace.append(base)
        return regular, namespace

    def _module_file(self, place: str) -> str | None:
        for path in (f"{place}/__init__.py", f"{place}.py"):
            if path in self.project.files:
                return path
        return None

    def _is_elsewhere(self, top: str) -> bool:
        if top in sys.stdlib_module_names:
            return True
        # A file of the project that is left out wins over a package of the same name.
        return self._left_out(top) is None and self.project.packages.provide(top)

    def _left_out(self, module: str) -> str | None:
        place = module.replace(".", "/")
        for base in self.project.bases:
            for path in (f"{place}/__init__.py", f"{place}.py"):
                why = self.project.why_left_out(_join(base, path))
                if why:
                    return f"{_join(base, path)} is not in the bundle: {why}"
        return None

    def _check_relative(self, path: str, statement: Import) -> None:
        folder = PurePosixPath(path).parent
        for _ in range(statement.level - 1):
            if str(folder) in (".", *self.project.bases):
                _refuse(path, statement, "goes above the top folder", "import it by its full name")
            folder = folder.parent
        self._descend(path, statement, str(folder))

    def _descend(self, path: str, statement: Import, start: str) -> None:
        """Follow a dotted name from a folder down, then the names imported from it."""
        place = "" if start == "." else start
        for part in filter(None, statement.module.split(".")):
            place = self._enter(path, statement, place, part, must_exist=True)
        for name in statement.names:
            # A name may also be something the package itself defines.
            is_namespace = place in self._folders and not self._module_file(place)
            if self._module_file(place) != f"{place}.py" and name != "*":
                self._enter(path, statement, place, name, must_exist=is_namespace)

    def _enter(
        self, path: str, statement: Import, folder: str, name: str, *, must_exist: bool
    ) -> str:
        place = _join(folder, name)
        found = self._module_file(place)
        if found:
            self.follow(found)
            return place
        if place in self._folders:
            return place
        for candidate in (f"{place}/__init__.py", f"{place}.py"):
            why = self.project.why_left_out(candidate)
            if why:
                _refuse(
                    path,
                    statement,
                    f"{candidate} is not in the bundle: {why}",
                    "let the ignore rules pass it, or name it in `include`",
                )
        if must_exist:
            _refuse(path, statement, f"there is no {place}.py in the project", "correct the import")
        return place

    def _missing(self, path: str, statement: Import, top: str) -> None:
        left_out = self._left_out(top)
        if left_out:
            _refuse(path, statement, left_out, "let the ignore rules pass it, or use `include`")
        if not self.project.image_known or self.project.packages.is_opaque:
            self.notes.setdefault(
                top, f"{path}:{statement.line}: `{statement.text}`: the image must have {top}"
            )
            return
        _refuse(
            path,
            statement,
            f"the container will not have {top}",
            f'add it to the image: Image(pip=["{self.project.packages.suggest(top)}"]), or guard '
            "the import with try/except ImportError",
        )


def _check_ours(path: str, statement: Import) -> None:
    """Only the package itself has a stand-in in the container."""
    if statement.module in _OURS or statement.module.startswith("gpuhub.worker."):
        return
    _refuse(
        path,
        statement,
        "the gpuhub inside the container has no submodules",
        "import public names from gpuhub itself, and what only this side needs inside functions",
    )


def _join(folder: str, name: str) -> str:
    return name if folder in ("", ".") else f"{folder}/{name}"


def _refuse(path: str, statement: Import, why: str, next_step: str) -> NoReturn:
    raise SpecError(f"{path}:{statement.line}: `{statement.text}`: {why}", next_step=next_step)
