"""A throw-away project whose functions the suite deploys."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

__all__ = ["Project"]

MODULE = "gpuhub_contract_functions"
APP = "contract"


@dataclass(frozen=True)
class Project:
    """A folder with a ``gpuhub.toml`` and one module, importable in this process.

    Attributes:
        root: The folder.
        functions: The module, a copy of :mod:`gpuhub.testing.functions`.
    """

    root: Path
    functions: ModuleType

    @classmethod
    @contextmanager
    def made_in(cls, root: Path) -> Iterator[Project]:
        """Write the project; at the end of the block its module is forgotten."""
        original = Path(__file__).parent.parent / "functions.py"
        (root / "gpuhub.toml").write_text(f'app = "{APP}"\n', encoding="utf-8")
        (root / f"{MODULE}.py").write_bytes(original.read_bytes())
        sys.path.insert(0, str(root))
        try:
            importlib.invalidate_caches()
            yield cls(root, importlib.import_module(MODULE))
        finally:
            sys.path.remove(str(root))
            sys.modules.pop(MODULE, None)

    @contextmanager
    def having(self, name: str, text: str) -> Iterator[None]:
        """Let the project have one more Python file inside the block."""
        place = self.root / name
        place.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            place.unlink()
