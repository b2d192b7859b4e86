"""Bundles: which objects and files are shipped, deterministic, without secrets."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import pytest

from gpuhub._files import ProjectFiles
from gpuhub.bundle import Bundle, _read, build_bundle, describe_target
from gpuhub.errors import SpecError
from gpuhub.worker.load import read_manifest
from gpuhub.worker.target import Target

SOURCE = """
import functools

def f(number: int) -> int:
    return number

def items():
    yield 1

async def items_async():
    yield 1

async def wait():
    return 1

class Model:
    def setup(self): ...
    def __call__(self, number: int) -> int:
        return number
    def method(self): ...
    class Inner:
        async def __call__(self): ...

def outer():
    def inner(): ...
    return inner

square = lambda number: number ** 2
partial = functools.partial(f, 1)
nested = outer()
bound = Model().method

def shadowed(): return 1
first = shadowed
def shadowed(): return 2
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write files into a project and import its modules as a program there would."""
    root = tmp_path / "project"
    root.mkdir()
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    yield Project(root)
    for name in set(sys.modules) - before:
        if str(root) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


class Project:
    """A folder with code."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, files: dict[str, str | bytes]) -> Project:
        """Write files by path."""
        for name, content in files.items():
            place = self.root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def load(self, name: str = "app", attribute: str = "f"):
        """Import a module of the project and give something in it."""
        importlib.invalidate_caches()
        return getattr(importlib.import_module(name), attribute)

    def bundle(self, name: str = "app", attribute: str = "f", **options) -> Bundle:
        """Bundle something of the project."""
        return build_bundle(self.load(name, attribute), self.root, **options)

    def shipped(self, **options) -> set[str]:
        """Give the paths of the user's files in a bundle of ``app.f``."""
        files = self.bundle(**options).files
        return {name.removeprefix("app/") for name in files if name.startswith("app/")}


@pytest.fixture
def simple(project):
    """A project of one module."""
    return project.put({"app.py": SOURCE})


@pytest.mark.parametrize(
    ("attribute", "kind", "is_async"),
    [
        ("f", "function", False),
        ("wait", "function", True),
        ("items", "generator", False),
        ("items_async", "generator", True),
        ("Model", "class", False),
    ],
)
def test_targets_are_described(simple, attribute, kind, is_async):
    """Module, name, kind."""
    target = describe_target(simple.load(attribute=attribute), simple.root)
    assert target == Target("app", attribute, kind, is_async)


def test_nested_classes_and_web_functions(simple):
    """A class inside a class has an importable name; a web function is told by the caller."""
    inner = simple.load(attribute="Model").Inner
    assert describe_target(inner, simple.root) == Target("app", "Model.Inner", "class", True)
    assert describe_target(simple.load(), simple.root, web=True).kind == "web"
    assert build_bundle(Target("app", "f", "web"), simple.root).target.kind == "web"


def test_the_decorated_object_is_unwrapped(simple, monkeypatch):
    """The wrapper of gpuhub is taken off."""

    class Function:
        __module__ = "gpuhub._function"

    wrapper = Function()
    wrapper.__wrapped__ = simple.load()  # type: ignore[attr-defined]
    monkeypatch.setattr(sys.modules["app"], "f", wrapper)
    assert describe_target(wrapper, simple.root) == Target("app", "f")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ("square", "a lambda has no name"),
        ("partial", "functools.partial"),
        ("nested", "outer.<locals>.inner is defined inside a function"),
        ("bound", "Model.method is a method"),
        ("first", "the name shadowed in app is something else by now"),
    ],
)
def test_objects_without_a_name_are_refused(simple, attribute, message):
    """What cannot be imported by name cannot be shipped; the error says what to do."""
    with pytest.raises(SpecError, match=message) as caught:
        simple.bundle(attribute=attribute)
    assert caught.value.next_step


def test_other_objects_are_refused(simple):
    """Methods, builtins, instances, and code of other projects."""
    with pytest.raises(SpecError, match=r"Model\.method is a method"):
        build_bundle(simple.load(attribute="Model").method, simple.root)
    with pytest.raises(SpecError, match="a builtin_function_or_method object cannot be shipped"):
        build_bundle(len, simple.root)
    with pytest.raises(SpecError, match="a list object cannot be shipped"):
        build_bundle([], simple.root)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"outside of the project's folder"):
        build_bundle(json.dumps, simple.root)


def test_functions_of_a_repl_are_refused(simple, monkeypatch):
    """No file, nothing to ship."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("def f(): ...", main.__dict__)  # noqa: S102
    with pytest.raises(SpecError, match="f was defined in a REPL or notebook"):
        build_bundle(main.f, simple.root)


SCRIPT = """
import sys
sys.path.append({gpuhub!r})
def f(): ...
if __name__ == "__main__":
    import pathlib
    from gpuhub.bundle import build_bundle
    bundle = build_bundle(f, pathlib.Path({root!r}))
    print(bundle.target.module, bundle.files["manifest.json"].decode())
"""


@pytest.mark.parametrize(
    ("path", "command", "module", "folders"),
    [
        ("tools/job.py", ["tools/job.py"], "job", ["app/tools", "app"]),
        ("tools/job.py", ["-m", "tools.job"], "tools.job", ["app"]),
        ("run-it.py", ["run-it.py"], "run-it", ["app"]),
    ],
)
def test_scripts_ship_under_their_names(project, path, command, module, folders):
    """``python script.py`` by its stem, ``python -m`` by its full name."""
    gpuhub = str(Path(__file__).resolve().parents[2])
    project.put({path: SCRIPT.format(gpuhub=gpuhub, root=str(project.root))})
    done = subprocess.run(
        [sys.executable, *command], cwd=project.root, capture_output=True, text=True, check=True
    )
    found, manifest = done.stdout.split(maxsplit=1)
    assert found == module
    assert json.loads(manifest)["path"] == folders


def test_a_src_layout_is_imported_from_src(project, monkeypatch):
    """Modules keep the names they have here."""
    monkeypatch.syspath_prepend(str(project.root / "src"))
    project.put({"src/pkg/__init__.py": "", "src/pkg/mod.py": SOURCE})
    bundle = project.bundle("pkg.mod")
    assert bundle.target.module == "pkg.mod"
    assert json.loads(bundle.files["manifest.json"])["path"] == ["app/src", "app"]
    assert "app/src/pkg/mod.py" in bundle.files


def test_a_package_above_the_root_is_refused(project):
    """The container could not import it by the name it has here."""
    project.put({"pkg/__init__.py": "", "pkg/mod.py": SOURCE})
    with pytest.raises(SpecError, match="begins above the project's folder") as caught:
        build_bundle(project.load("pkg.mod"), project.root / "pkg")
    assert str(project.root) in caught.value.next_step


def test_a_module_loaded_under_another_name_goes_by_its_folders(project):
    """Tools load files under names of their own."""
    project.put({"pkg/__init__.py": "", "pkg/mod.py": SOURCE})
    spec = importlib.util.spec_from_file_location("odd_name", project.root / "pkg" / "mod.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["odd_name"] = module
    spec.loader.exec_module(module)
    assert describe_target(module.f, project.root).module == "pkg.mod"


def test_the_bundle_has_code_worker_stub_and_manifest(simple):
    """The layout adapters rely on."""
    bundle = simple.bundle(manifest_extra={"app": "demo"})
    assert list(bundle.files) == sorted(bundle.files)
    assert bundle.files["app/app.py"].decode() == SOURCE
    assert {"runtime/gpuhub/__init__.py", "runtime/gpuhub/worker/__main__.py"} < set(bundle.files)
    assert "runtime/gpuhub/worker/stub.py" not in bundle.files
    assert json.loads(bundle.files["manifest.json"]) == {
        "schema": 1,
        "wire": 1,
        "app": "demo",
        "path": ["app"],
        "target": {"module": "app", "qualname": "f", "kind": "function", "is_async": False},
    }
    assert bundle.size == sum(map(len, bundle.files.values()))
    assert repr(bundle) == f"Bundle(digest={bundle.digest[:12]!r}, size={bundle.size})"
    with pytest.raises(TypeError):
        bundle.files["more"] = b""


def test_the_worker_is_small(simple):
    """Below 48 kB compressed: RunPod carries bundles in environment variables."""
    assert len(simple.bundle().tar_gz()) < 48_000


def test_manifest_extras_do_not_replace_ours(simple):
    """The worker depends on what we write."""
    with pytest.raises(ValueError, match="must not replace target"):
        simple.bundle(manifest_extra={"target": {}})


def test_the_same_code_gives_the_same_bytes(simple):
    """Whatever the times and modes of the files and the order of the folder."""
    first = simple.put({"b.py": "", "a.py": ""}).bundle()
    for number, name in enumerate(("a.py", "b.py", "app.py")):
        os.utime(simple.root / name, (number, number))
        (simple.root / name).chmod(0o600)
    second = simple.bundle()
    assert first.digest == second.digest
    assert first.tar_gz() == second.tar_gz()
    assert first.zip() == second.zip()
    assert simple.put({"a.py": "x = 1"}).bundle().digest != first.digest


def test_the_digest_is_over_paths_and_contents(simple):
    """Moving content between files changes it."""
    one = simple.put({"a.py": "x", "b.py": ""}).bundle().digest
    assert simple.put({"a.py": "", "b.py": "x"}).bundle().digest != one
    bundle = simple.bundle()
    lines = [f"{n}\0{hashlib.sha256(c).hexdigest()}\n" for n, c in bundle.files.items()]
    assert bundle.digest == hashlib.sha256("".join(lines).encode()).hexdigest()


def test_archives_hold_the_files(simple, tmp_path):
    """Tar, zip and folder have the same content, readable by all, owned by nobody."""
    bundle = simple.put({"é.py": ""}).bundle()
    with tarfile.open(fileobj=io.BytesIO(bundle.tar_gz())) as archive:
        infos = archive.getmembers()
        content = {i.name: archive.extractfile(i).read() for i in infos}  # type: ignore[union-attr]
    assert content == dict(bundle.files)
    assert {(i.mode, i.uid, i.gid, i.uname, i.mtime) for i in infos} == {
        (0o644, 0, 0, "", 315_532_800)
    }
    with zipfile.ZipFile(io.BytesIO(bundle.zip())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == dict(bundle.files)
    folder = bundle.write_to(tmp_path / "out")
    assert (folder / "app" / "é.py").exists()
    assert read_manifest(folder)["target"] == bundle.target.to_dict()


def test_python_files_are_shipped_as_the_ignore_rules_allow(simple):
    """Nested rules, negations and folders, as git reads them."""
    simple.put(
        {
            ".gitignore": "build/\n/generated.py\n*.tmp.py\n!keep.tmp.py\n",
            "build/x.py": "",
            "generated.py": "",
            "sub/generated.py": "",
            "a.tmp.py": "",
            "keep.tmp.py": "",
            "sub/.gitignore": "local.py\n!../build/\n",
            "sub/local.py": "",
            "sub/deep/local.py": "",
            "local.py": "",
            ".gpuhubignore": "tests/\n",
            "tests/test_x.py": "",
            "notes.txt": "",
            "data.csv": "",
        }
    )
    assert simple.shipped() == {"app.py", "keep.tmp.py", "local.py", "sub/generated.py"}


def test_gpuhubignore_has_the_last_word(simple):
    """It may pass what git ignores, and leave out what git keeps."""
    simple.put({".gitignore": "made.py\n", ".gpuhubignore": "!made.py\nkept.py\n"})
    simple.put({"made.py": "", "kept.py": ""})
    assert simple.shipped() == {"app.py", "made.py"}


def test_include_ships_data_and_ignored_files(simple):
    """Named files go along, even out of ignored folders."""
    simple.put({".gitignore": "data/\n", "data/a.csv": "1", "data/b.bin": "2", "c.csv": "3"})
    assert simple.shipped(include=["*.csv"]) == {"app.py", "data/a.csv", "c.csv"}
    assert simple.shipped(include=["/data/"]) == {"app.py", "data/a.csv", "data/b.bin"}


def test_exclude_leaves_files_out(simple):
    """Exclusion is stronger than inclusion."""
    simple.put({"a.csv": "", "b.csv": "", "sub/x.py": "", "y.py": ""})
    shipped = simple.shipped(include=["*.csv"], exclude=["b.csv", "sub/", "y.py"])
    assert shipped == {"app.py", "a.csv"}


NEVER = [
    ".env",
    ".env.local",
    "sub/.env",
    "server.pem",
    "SERVER.KEY",
    "id_rsa",
    "id_ed25519.pub",
    "cert.p12",
    ".netrc",
    ".npmrc",
    ".pypirc",
    "credentials.json",
    "credentials-prod.json",
    "service_account.json",
    ".git-credentials",
]


@pytest.mark.parametrize("name", NEVER)
def test_keys_and_passwords_never_leave(simple, name):
    """Not by default, and an explicit include is refused by name."""
    simple.put({name: "SECRET=1"})
    assert simple.shipped() == {"app.py"}
    with pytest.raises(SpecError, match="hold keys or passwords") as caught:
        simple.shipped(include=[name])
    assert name in str(caught.value)
    assert simple.shipped(include=["**"], exclude=[name]) == {"app.py"}


@pytest.mark.parametrize(
    "folder",
    [".git", "node_modules", "__pycache__", ".gpuhub", "env/lib/site-packages", "sub/.git"],
)
def test_some_folders_never_leave(simple, folder):
    """Version control, caches and packages, whatever ``include`` says."""
    simple.put({f"{folder}/x.py": "", f"{folder}/data.csv": ""})
    assert simple.shipped(include=["*.csv", "x.py"]) == {"app.py"}
    with pytest.raises(SpecError, match="never leaves the machine"):
        simple.shipped(include=[f"{folder}/data.csv"])


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta/history"])
def test_virtual_environments_never_leave(simple, mark):
    """Known by their marker, whatever their name."""
    simple.put({f"my-env/{mark}": "", "my-env/lib/x.py": ""})
    assert simple.shipped(include=["my-env/**"]) == {"app.py"}


def test_links_inside_the_project_are_followed_to_files(simple):
    """The content is shipped, not the link; linked folders are not walked."""
    simple.put({"real.py": "x = 1", "folder/y.py": ""})
    (simple.root / "link.py").symlink_to("real.py")
    (simple.root / "linked").symlink_to("folder")
    bundle = simple.bundle()
    assert bundle.files["app/link.py"] == b"x = 1"
    assert simple.shipped() == {"app.py", "folder/y.py", "link.py", "real.py"}


def test_links_out_of_the_project_are_refused(simple, tmp_path):
    """A link must not carry a stranger's file along."""
    (tmp_path / "outside.py").write_text("x = 1")
    (simple.root / "link.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(SpecError, match=r"link.py is a symbolic link to .*outside of the project"):
        simple.bundle()
    assert simple.shipped(exclude=["link.py"]) == {"app.py"}


def test_links_to_what_never_leaves_are_refused(simple):
    """Another name does not make a key harmless, and a dangling link has no content."""
    simple.put({".env": "SECRET=1", ".git/config.py": ""})
    for name, goal in {"a.csv": ".env", "b.csv": ".git/config.py", "c.csv": "nowhere"}.items():
        (simple.root / name).symlink_to(goal)
        with pytest.raises(SpecError, match=f"{name}: it is a symbolic link"):
            simple.bundle(include=[name])
    assert simple.shipped() == {"app.py"}


def test_linked_folders_are_not_included(simple, tmp_path):
    """A linked folder is refused when ``include`` names it, and else passed over."""
    (simple.root / "data").symlink_to(tmp_path)
    assert simple.shipped() == {"app.py"}
    with pytest.raises(SpecError, match="data is a symbolic link"):
        simple.bundle(include=["data"])


def test_names_that_are_no_text_are_refused(simple):
    """Neither JSON nor zip can carry them."""
    place = os.fsencode(simple.root) + b"/caf\xe9.py"
    Path(os.fsdecode(place)).write_text("")
    with pytest.raises(SpecError, match="is not UTF-8"):
        simple.bundle()
    assert simple.shipped(exclude=["caf*.py"]) == {"app.py"}


def test_the_size_is_limited_and_the_largest_files_named(simple):
    """The error shows where the size comes from."""
    simple.put({"big.bin": b"x" * 2000, "small.bin": b"x" * 10})
    with pytest.raises(SpecError, match=r"largest: big.bin \(0.0 MB\)") as caught:
        simple.bundle(include=["*.bin"], size_limit=2000)
    assert "exclude" in caught.value.next_step


def test_secret_values_never_leave(simple):
    """A file with the value of a secret is refused by name, without the value."""
    simple.put({"sub/settings.py": 'TOKEN = "hf_abcdefgh"'})
    with pytest.raises(
        SpecError, match=r"sub/settings.py contains the value of a secret"
    ) as caught:
        simple.bundle(secret_values=["hf_abcdefgh", ""])
    assert "hf_abcdefgh" not in str(caught.value)
    assert simple.bundle(secret_values=["def", "", "other-secret"])


def test_a_target_that_is_ignored_is_refused(simple):
    """With the line that leaves it out."""
    simple.put({".gitignore": "# code\napp.py\n"})
    with pytest.raises(SpecError, match=r"line 2 of .gitignore \(app.py\) leaves it out"):
        simple.bundle()


@pytest.mark.parametrize("option", ["include", "exclude"])
def test_broken_patterns_are_refused(simple, option):
    """A pattern git could not read either."""
    with pytest.raises(SpecError, match=f"{option}: not a pattern"):
        simple.bundle(**{option: ["!"]})


def test_unreadable_files_are_refused(simple, monkeypatch):
    """By name, with the way out."""
    simple.put({"locked.py": ""})
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "locked.py":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(SpecError, match=r"cannot read .*locked.py: Permission denied"):
        simple.bundle()


def test_our_own_package_is_left_out(simple):
    """A bundle made in a checkout of gpuhub has the stub in its place."""
    root = Path(__file__).resolve().parents[2]
    project = ProjectFiles.__new__(ProjectFiles)
    project.paths = {"gpuhub/plan.py": root / "gpuhub" / "plan.py", "x.py": simple.root / "app.py"}
    assert set(_read(project, 10**6)) == {"x.py"}


def test_wraps_decorators_do_not_mislead(project):
    """A function decorated by a library is found where it was written."""
    project.put(
        {
            "deco.py": "import functools\n"
            "def deco(g):\n"
            "    @functools.wraps(g)\n"
            "    def wrapper(*a, **k): return g(*a, **k)\n"
            "    return wrapper\n",
            "app.py": "from deco import deco\n@deco\ndef f(): ...\n",
        }
    )
    assert describe_target(project.load(), project.root) == Target("app", "f")


def test_a_home_folder_is_no_project(project, monkeypatch):
    """A script beside everything else one owns must not take it along."""
    monkeypatch.setenv("HOME", str(project.root))
    project.put({"app.py": SOURCE})
    with pytest.raises(SpecError, match="the project's folder would be"):
        project.bundle()


def test_rules_of_an_inner_folder_end_with_it(simple):
    """Anchored patterns are about their own folder."""
    simple.put({"sub/.gitignore": "/made.py\n", "sub/made.py": "", "sub/deep/made.py": ""})
    assert simple.shipped() == {"app.py", "sub/deep/made.py"}


def test_an_excluded_folder_is_not_entered(simple):
    """Whatever it holds."""
    simple.put({"old/x.py": "", "old/data.csv": ""})
    assert simple.shipped(exclude=["old/"], include=["*.csv"]) == {"app.py"}
    assert simple.shipped(exclude=["old/"]) == {"app.py"}


def test_a_package_itself_can_hold_the_target(project):
    """The module may be a package's ``__init__``."""
    project.put({"pkg/__init__.py": SOURCE})
    assert describe_target(project.load("pkg"), project.root).module == "pkg"
