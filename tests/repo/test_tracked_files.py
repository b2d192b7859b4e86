"""What git keeps: agreed places only, and nothing about the machine it was written on."""

from __future__ import annotations

import re
from pathlib import Path

TOP_LEVEL = {
    ".ci",
    ".github",
    ".gitignore",
    "LICENSE",
    "README.md",
    "adapters",
    "docs",
    "examples",
    "gpuhub",
    "pyproject.toml",
    "tests",
}
README_TEST_COMMAND = "python -m pip install uv && python -m uv run pytest -n 2 --dist loadfile"

# Written so that this file does not match itself.
FORBIDDEN = {
    "a home folder": re.compile(r"(?<![\w.}])/(?:home|Users)/[a-z]\w*/"),
    "a build machine's folder": re.compile(r"(?<![\w.}])/(?:work)/"),
    "a package index": re.compile(r"(?:pypi|pythonhosted|npmjs)\.(?:org|com)|(?:index)-url"),
}
INTERNAL_NOTES = re.compile(r"\.\./(?:shared)/")
TEXT = {"", ".cfg", ".json", ".md", ".py", ".sh", ".toml", ".txt", ".yaml", ".yml"}


def texts(root: Path, tracked: list[Path]) -> dict[Path, str]:
    """Give the content of the text files."""
    return {path: (root / path).read_text() for path in tracked if path.suffix in TEXT}


def test_only_agreed_entries_at_the_top(tracked):
    """A new entry at the top level is a decision, not an accident."""
    assert {path.parts[0] for path in tracked} <= TOP_LEVEL


def test_nothing_about_the_machine(root, tracked):
    """No absolute path of a developer or build machine, and no address of an index."""
    found = [
        f"{path}: {what}: {match[0]}"
        for path, text in texts(root, tracked).items()
        for what, pattern in FORBIDDEN.items()
        for match in pattern.finditer(text)
    ]
    assert not found


def test_no_links_to_internal_notes(root, tracked):
    """Readers of the published files cannot follow a link out of the repository."""
    public = [path for path in tracked if path.parts[0] not in {".ci", "tests"}]
    assert not [path for path, text in texts(root, public).items() if INTERNAL_NOTES.search(text)]


def test_the_patterns_find_what_they_name():
    """Each pattern sees its own kind and lets a container's paths pass."""
    assert FORBIDDEN["a home folder"].search("open('/home/" + "ann/x')")
    assert FORBIDDEN["a build machine's folder"].search("cd /" + "work/main")
    assert FORBIDDEN["a package index"].search("https://pypi" + ".org/simple")
    assert FORBIDDEN["a package index"].search("--extra-index" + "-url")
    assert INTERNAL_NOTES.search("see ../" + "shared/notes.md")
    for fine in ("/root/app.py", "/workspace/x", "/models", "~/home/x", "docker.io/me/worker:1"):
        assert not any(pattern.search(fine) for pattern in FORBIDDEN.values())


def test_no_lock_file(tracked):
    """A lock file would record index addresses; the bounds are in pyproject.toml."""
    assert not [path for path in tracked if path.name in {"uv.lock", "poetry.lock", "pdm.lock"}]


def test_the_readme_names_the_command_that_ci_runs(root):
    """One line in the README does all set-up and passes the tests; .ci/run proves it."""
    assert README_TEST_COMMAND in (root / "README.md").read_text().splitlines()
    assert "-m uv run pytest -n 2 --dist loadfile" in (root / ".ci" / "run").read_text()
