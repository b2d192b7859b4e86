"""The import scan: what would fail in the container fails here, with file, line and statement."""

from __future__ import annotations

import ast
from importlib import metadata

import pytest

from gpuhub._import_statements import statements
from gpuhub._imports import Project, Scan, scan_imports
from gpuhub._packages import ImagePackages, normalised
from gpuhub.errors import SpecError


def scan(files, *, packages=(), bases=("",), left_out=None, known=True, entry="app.py"):
    """Scan the imports of ``f`` in a project."""
    project = Project(
        {path: text.encode() for path, text in files.items()},
        bases,
        (left_out or {}).get,
        ImagePackages(packages),
        known,
    )
    return scan_imports(project, entry, "f")


def refused(files, **options) -> SpecError:
    """Give the refusal."""
    with pytest.raises(SpecError) as caught:
        scan(files, **options)
    assert caught.value.next_step
    return caught.value


def test_the_standard_library_and_gpuhub_are_there():
    """Nothing to add for these."""
    source = (
        "import json, os.path\nfrom collections import abc\nimport gpuhub\n"
        "from gpuhub.errors import RemoteError\nimport gpuhub.worker.file\n"
    )
    assert scan({"app.py": source}) == Scan((), ())


def test_a_missing_package_is_named_with_file_line_and_statement():
    """The message is what one needs to fix it."""
    error = refused({"app.py": "import json\n\nimport numpy as np\n"})
    assert error.message == "app.py:3: `import numpy as np`: the container will not have numpy"
    assert 'Image(pip=["numpy"])' in error.next_step


def test_the_suggestion_is_the_distribution():
    """``yaml`` comes from ``pyyaml``, ``cv2`` from ``opencv-python``."""
    assert 'pip=["pyyaml"]' in refused({"app.py": "import yaml"}).next_step
    assert 'pip=["opencv-python"]' in refused({"app.py": "import cv2"}).next_step


@pytest.mark.parametrize(
    ("module", "requirement"),
    [
        ("numpy", "numpy>=2"),
        ("numpy", "NumPy ; python_version > '3'"),
        ("yaml", "PyYAML==6.*"),
        ("attr", "attrs"),
        ("httpx", "httpx[http2]>=0.28"),
        ("httpcore", "httpx"),
        ("h11", "httpx"),
        ("typing_extensions", "pydantic"),
        ("not_here_at_all", "not-here.at_all"),
        ("dateutil", "python-dateutil"),
        ("notherelib", "python-notherelib==1"),
        ("notherelib", "pynotherelib"),
        ("cv2", "opencv-python-headless<5"),
        ("PIL", "Pillow"),
        ("sklearn", "scikit-learn"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("flash_attn", "flash-attn @ https://example.invalid/flash_attn-2-cp312.whl"),
        ("nothere", "https://example.invalid/a/nothere-1.0-py3-none-any.whl"),
        ("nothere", "git+https://example.invalid/x/y.git#egg=nothere"),
    ],
)
def test_packages_of_the_image_provide_imports(module, requirement):
    """By name, by what is installed here, by dependency, by likeness."""
    assert scan({"app.py": f"import {module}"}, packages=[requirement]) == Scan((), ())


@pytest.mark.parametrize(
    ("module", "requirement"),
    [("numpy", "torch"), ("httpx", "httpcore"), ("requests", "moto-lite"), ("nothere", "here")],
)
def test_other_packages_do_not(module, requirement):
    """A dependency does not bring its dependents, nor a stranger anything."""
    refused({"app.py": f"import {module}"}, packages=[requirement])


@pytest.mark.parametrize(
    "line", ["-r requirements.txt", "git+https://example.invalid/x/y.git", "./lib"]
)
def test_lines_that_name_no_package_leave_it_open(line):
    """What may be in there cannot be known: a note, no error."""
    notes = scan({"app.py": "import nothere"}, packages=[line]).notes
    assert notes == ("app.py:1: `import nothere`: the image must have nothere",)


def test_an_unknown_image_gives_notes():
    """The user's own image may have anything; each package is noted once."""
    source = "import numpy\nimport numpy.linalg\nfrom torch import nn\n"
    notes = scan({"app.py": source}, known=False).notes
    assert notes == (
        "app.py:1: `import numpy`: the image must have numpy",
        "app.py:3: `from torch import nn`: the image must have torch",
    )


def test_local_modules_are_followed():
    """Modules, packages, submodules and the packages around them."""
    files = {
        "app.py": "import a\nfrom pkg.sub import mod, name\n",
        "a.py": "",
        "pkg/__init__.py": "",
        "pkg/sub/__init__.py": "name = 1",
        "pkg/sub/mod.py": "from . import other\nfrom .. import top\nfrom ..top import x\n",
        "pkg/sub/other.py": "",
        "pkg/top.py": "x = 1\nimport nothere\n",
    }
    assert refused(files).message.startswith("pkg/top.py:2: `import nothere`")
    files["pkg/top.py"] = "x = 1"
    assert scan(files) == Scan(("",), ())
    files["pkg/__init__.py"] = "import nothere"
    assert refused(files).message.startswith("pkg/__init__.py:1:")


def test_modules_that_nobody_imports_are_not_looked_at():
    """A broken neighbour is no obstacle."""
    assert scan({"app.py": "", "other.py": "import nothere", "bad.py": "def"}) == Scan((), ())


def test_the_packages_around_the_target_are_looked_at():
    """Importing ``pkg.app`` runs ``pkg/__init__.py``."""
    files = {"pkg/__init__.py": "import nothere", "pkg/app.py": ""}
    assert refused(files, entry="pkg/app.py").message.startswith("pkg/__init__.py:1:")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import pkg.nope", "there is no pkg/nope.py in the project"),
        ("import mod.nope", "there is no mod/nope.py in the project"),
        ("from pkg.nope import x", "there is no pkg/nope.py in the project"),
        ("from space import nope", "there is no space/nope.py in the project"),
        ("from .nope import x", "there is no nope.py in the project"),
        ("from .. import x", "goes above the top folder"),
    ],
)
def test_local_modules_that_do_not_exist_are_named(source, message):
    """A wrong local import is found before Python finds it in the container."""
    files = {"app.py": source, "pkg/__init__.py": "", "mod.py": "", "space/x.py": ""}
    assert message in refused(files).message


def test_names_of_a_package_need_no_file():
    """``from pkg import name`` may be anything the package defines."""
    files = {"app.py": "from pkg import name\nfrom pkg import *\nfrom space import x\n"}
    files |= {"pkg/__init__.py": "name = 1", "space/x.py": ""}
    assert scan(files) == Scan(("",), ())


def test_files_that_are_left_out_are_named_with_the_rule():
    """The reader learns which line keeps the file away."""
    rule = "line 1 of .gitignore (gen/) leaves it out"
    left_out = {"gen.py": rule, "pkg/gen.py": rule, "pkg/data/__init__.py": rule}
    files = {"app.py": "import gen", "pkg/__init__.py": ""}
    assert refused(files, left_out=left_out).message == (
        f"app.py:1: `import gen`: gen.py is not in the bundle: {rule}"
    )
    for source in ("from pkg import gen", "import pkg.gen", "from pkg.gen import x"):
        error = refused({**files, "app.py": source}, left_out=left_out, known=False)
        assert f"pkg/gen.py is not in the bundle: {rule}" in error.message
    error = refused({**files, "app.py": "from pkg.data import x"}, left_out=left_out)
    assert "pkg/data/__init__.py is not in the bundle" in error.message


def test_imports_start_from_every_folder_of_the_path():
    """A ``src`` folder or a script's own; the scan tells which were needed."""
    files = {"src/app.py": "import near\nimport far\n", "src/near.py": "", "far.py": ""}
    found = scan(files, bases=("src", "", "unused"), entry="src/app.py")
    assert found.bases == ("src", "")
    refused(files, bases=("src",), entry="src/app.py")


def test_a_local_module_wins_over_a_package():
    """As on Python's path; a bare folder does not."""
    files = {"app.py": "import numpy", "numpy.py": "import nothere"}
    assert refused(files, packages=["numpy"]).message.startswith("numpy.py:1:")
    files = {"app.py": "import numpy.linalg", "numpy/notes.py": "import nothere"}
    assert scan(files, packages=["numpy"]) == Scan((), ())
    files = {"app.py": "import json.tool", "json/notes.py": ""}
    assert scan(files) == Scan((), ())


def test_submodules_of_gpuhub_are_refused():
    """The stub in the container is one module."""
    error = refused({"app.py": "from gpuhub.scaling import Scaling"})
    assert "`from gpuhub.scaling import Scaling`" in error.message
    assert "from gpuhub itself" in error.next_step


def test_code_that_is_no_python_is_named():
    """A followed module must parse."""
    error = refused({"app.py": "import bad", "bad.py": "x = 1\ndef"})
    assert error.message.startswith("bad.py:2: not Python")


RUNS = """
import a
if flag:
    import b
else:
    import c
try:
    import d
except ValueError:
    import e
with open(p) as q:
    import g
for x in y:
    import h
while z:
    import i
class Inside:
    import j
    def method(self):
        import no1
match value:
    case 1:
        import k
if not TYPE_CHECKING:
    import l
async def other():
    import no2
def f():
    import m
    def inner():
        import n
    try:
        import no3
    except ImportError:
        pass
try:
    pass
finally:
    import o
"""

DOES_NOT_RUN = """
from typing import TYPE_CHECKING
import typing, sys
if TYPE_CHECKING:
    import no1
if typing.TYPE_CHECKING:
    import no2
else:
    import yes1
try:
    import no3
except ImportError:
    import no4
try:
    import no5
except (ModuleNotFoundError, ValueError):
    pass
else:
    import no6
finally:
    import yes2
try:
    import no7
except Exception:
    pass
try:
    import no8
except:
    pass
if __name__ == "__main__":
    import no9
if sys.version_info < (3, 11):
    import no10
if sys.platform == "win32":
    import no11
lambda: __import__("no12")
"""


def imported(source: str, qualname: str = "") -> list[str]:
    """Give the modules that count."""
    return [found.module for found in statements(ast.parse(source), qualname)]


def test_imports_that_run_are_found():
    """At the top level in any block, in class bodies, and in the target."""
    assert imported(RUNS, "f") == [*"abcdeghijklomn"]


def test_imports_that_do_not_run_are_not():
    """For type checkers, guarded, for scripts, for other versions and systems."""
    found = imported(DOES_NOT_RUN)
    assert [name for name in found if name.startswith("no")] == []
    assert [name for name in found if name.startswith("yes")] == ["yes1", "yes2"]


def test_the_body_of_a_class_target_counts():
    """Its methods are what runs."""
    source = "class Outer:\n class f:\n  def setup(self):\n   import a\n  def __call__(self): ...\n"
    assert imported(source, "Outer.f") == ["a"]
    assert imported(source, "Outer") == ["a"]
    assert imported(source) == []


def test_statements_keep_their_place_and_text():
    """Line, level, names."""
    (found,) = statements(ast.parse("\n\nfrom ..a.b import (c as d,\n  e)"))
    assert (found.module, found.names, found.level, found.line) == ("a.b", ("c", "e"), 2, 3)
    assert found.text == "from ..a.b import c as d, e"


def test_distribution_names_are_compared_as_indexes_do():
    """Case, dots and underscores do not matter."""
    assert normalised("Foo_Bar.baz--x") == "foo-bar-baz-x"


def test_extras_bring_their_packages(monkeypatch):
    """``pkg[x]`` brings what the extra requires, ``pkg`` does not."""
    requires = {"pkg": ["inner[y]; extra == 'x'", "always>=1; python_version > '3'"], "inner": []}

    def fake(name):
        if name not in requires:
            raise metadata.PackageNotFoundError(name)
        return requires[name]

    monkeypatch.setattr(metadata, "requires", fake)
    found = {"inner": ["inner"], "always": ["always"], "pkg": ["pkg"]}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: found)
    assert ImagePackages(["pkg[x]"]).provide("inner.sub")
    assert not ImagePackages(["pkg"]).provide("inner")
    assert ImagePackages(["pkg"]).provide("always")
