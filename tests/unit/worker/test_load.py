"""Loading a bundle: import path, failures that every call reports."""

from __future__ import annotations

import json
import sys

import pytest

from gpuhub.worker.load import load_bundle, load_target, read_manifest
from gpuhub.worker.target import Target


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch):
    """Forget what the bundles of a test import."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def bundle(tmp_path):
    """Write a bundle from files and a target."""

    def write(files, target, path=None):
        for name, content in files.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(content)
        manifest = {"target": target.to_dict(), **({"path": path} if path else {})}
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        return tmp_path

    return write


def test_the_target_is_loaded_from_app(bundle):
    """The module is imported from ``app`` and called."""
    files = {"app/loaded_one.py": "def f(a: int) -> int: return a + 1"}
    handler = load_bundle(bundle(files, Target("loaded_one", "f")))
    assert handler.invoke({"a": 1}) == {"result": 2}


def test_other_folders_come_from_the_manifest(bundle):
    """A ``src`` layout names its folder in the manifest."""
    files = {"app/src/loaded_two.py": "def f() -> int: return 2"}
    folder = bundle(files, Target("loaded_two", "f"), ["app/src", "app"])
    assert load_bundle(folder).invoke({}) == {"result": 2}
    wanted = [str(folder / entry) for entry in ("app/src", "app", "runtime")]
    assert sys.path[:3] == wanted
    load_bundle(folder)
    assert [entry for entry in sys.path if entry in wanted] == wanted


@pytest.mark.parametrize(
    ("source", "qualname", "kind"),
    [
        ("import no_such_module", "f", "ModuleNotFoundError"),
        ("raise ValueError('at import')", "f", "ValueError"),
        ("raise SystemExit(1)", "f", "SystemExit"),
        ("def f(: pass", "f", "SyntaxError"),
        ("x = 1", "f", "AttributeError"),
        ("def f(*args): pass", "f", "SignatureProblem"),
    ],
)
def test_code_that_cannot_be_loaded_answers_with_the_reason(bundle, source, qualname, kind):
    """The worker lives, and every call says what is wrong with the code."""
    folder = bundle({"app/loaded_bad.py": source}, Target("loaded_bad", qualname))
    handler = load_bundle(folder)
    assert handler.describe()["status"] == "failed"
    assert handler.invoke({})["gpuhub_error"]["type"].endswith(kind)


def test_ctrl_c_while_loading_is_not_swallowed(bundle):
    """``KeyboardInterrupt`` ends the worker."""
    folder = bundle({"app/loaded_int.py": "raise KeyboardInterrupt"}, Target("loaded_int", "f"))
    with pytest.raises(KeyboardInterrupt):
        load_bundle(folder)


def test_a_module_that_can_be_imported_needs_no_folder():
    """For code that is installed in the image."""
    handler = load_target(None, Target("textwrap", "dedent"))
    assert handler.invoke({"text": " a"}) == {"result": "a"}


@pytest.mark.parametrize("manifest", [None, "{", "[]", "{}", '{"target": {"module": "a"}}'])
def test_what_is_no_bundle_is_refused(tmp_path, manifest):
    """Without a manifest that names a target there is nothing to run."""
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(ValueError, match="is no gpuhub bundle"):
        read_manifest(tmp_path)
