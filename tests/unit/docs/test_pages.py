"""The pages agree with the code and with each other."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gpuhub
from gpuhub import errors
from gpuhub._settings_checks import TOP_LEVEL, VARIABLES

REPOSITORY = Path(__file__).parents[3]
DOCS = REPOSITORY / "docs"
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def generator() -> Any:
    """Import the script that writes the reference."""
    place = DOCS / "reference" / "generate.py"
    spec = importlib.util.spec_from_file_location("docs_reference_generate", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_say() -> None:
    """Nobody changed a docstring without writing the reference again."""
    for name, text in generator().pages().items():
        written = (DOCS / "reference" / name).read_text("utf-8")
        assert written == text, f"{name} is old: run `python docs/reference/generate.py`"


def test_every_public_name_is_in_the_reference() -> None:
    """No public name is left out, and none is listed twice."""
    listed = [name for _, names in generator().PAGES.values() for name in names]
    of_errors = [name for name in gpuhub.__all__ if name in errors.__all__]
    assert sorted([*listed, *of_errors]) == sorted(gpuhub.__all__)


def test_the_table_of_errors_is_the_tree() -> None:
    """Name, base and exit code of each error, in the order of the tree."""
    rows = [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in (DOCS / "errors.md").read_text("utf-8").splitlines()
        if line.startswith("| `")
    ]
    for name, base, when, next_step, code in rows:
        kind = getattr(gpuhub, name)
        assert base == (kind.__base__.__name__ if kind is not gpuhub.GpuHubError else "")
        assert int(code) == kind.exit_code, name
        assert when
        assert next_step
    assert sorted(row[0] for row in rows) == sorted(errors.__all__)


@pytest.mark.parametrize("key", [*TOP_LEVEL, *VARIABLES])
def test_every_setting_is_documented(key: str) -> None:
    """Keys of the project file and environment variables are on the page of the settings."""
    assert f"`{key}`" in (DOCS / "settings.md").read_text("utf-8")


def pages() -> Iterator[Path]:
    """Give README and all pages."""
    yield REPOSITORY / "README.md"
    yield from sorted(DOCS.rglob("*.md"))


@pytest.mark.parametrize(
    "page", [*pages()], ids=lambda page: page.relative_to(REPOSITORY).as_posix()
)
def test_links_lead_somewhere(page: Path) -> None:
    """A relative link names a file of the repository, and a heading that exists in it."""
    for link in _LINK.findall(page.read_text("utf-8")):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_file(), link
        assert target.is_relative_to(REPOSITORY), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_names_every_page() -> None:
    """Each page is reachable from the start page."""
    index = (DOCS / "index.md").read_text("utf-8")
    for page in [*DOCS.glob("*.md"), *(DOCS / "providers").glob("*.md")]:
        if page.name != "index.md":
            assert page.relative_to(DOCS).as_posix() in index


def test_every_command_and_option_is_documented() -> None:
    """The page of the command line knows each command and each of its options."""
    page = (DOCS / "cli.md").read_text("utf-8")
    for name, command in commands().items():
        assert f"| `{name}` |" in page, name
        for option in options_of(command):
            assert option in page, f"{name} {option}"


def commands() -> dict[str, Any]:
    """Give the commands of `gpuhub` by name."""
    from typer.main import get_command

    from gpuhub.cli.app import app

    found: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    return {name: command for name, command in found.items() if not command.hidden}


def options_of(command: Any) -> Iterator[str]:
    """Give the long options of a command and of those below it."""
    for inner in getattr(command, "commands", {}).values():
        yield from options_of(inner)
    for parameter in command.params:
        yield from (option for option in parameter.opts if option.startswith("--"))


def test_every_exit_code_is_documented() -> None:
    """The table of exit codes is the code's own."""
    from gpuhub.cli.exit_codes import EXIT_CODES

    page = (DOCS / "cli.md").read_text("utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page
