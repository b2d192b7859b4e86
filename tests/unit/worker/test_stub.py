"""The gpuhub of a container: every public name, no work, clear refusals."""

from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import gpuhub
from gpuhub import errors, worker

STUB = Path(worker.__file__).with_name("stub.py")


def sample() -> None:
    """Be decorated."""


METHODS = [
    name
    for decorated in (gpuhub.function(sample), gpuhub.web(sample))
    for name in dir(type(decorated))
    if not name.startswith("_")
]


@pytest.fixture
def stub(monkeypatch):
    """Load the stub as the package it becomes in a bundle, without harm to the real one."""
    names = [name for name in sys.modules if name.split(".")[0] == "gpuhub"]
    for name in names:
        monkeypatch.setitem(sys.modules, name, sys.modules[name])
    spec = importlib.util.spec_from_file_location("gpuhub", STUB)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpuhub", module)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_there(stub):
    """What the real package offers, the stub offers: the user's imports work in the container."""
    missing = [name for name in gpuhub.__all__ if not hasattr(stub, name)]
    assert not missing


def test_errors_keep_their_tree(stub):
    """``except gpuhub.CallFailed`` means the same classes below it."""
    for name in errors.__all__:
        real, ours = getattr(errors, name), getattr(stub, name)
        assert issubclass(ours, Exception)
        bases = [base.__name__ for base in real.__mro__ if base.__name__ in errors.__all__]
        assert [base.__name__ for base in ours.__mro__ if base.__name__ in bases] == bases
    from gpuhub.errors import RemoteError

    assert RemoteError is stub.RemoteError


def test_decorators_give_the_function_back(stub):
    """Bare and with settings; ``local`` is the function itself."""

    def f(number):
        return number + 1

    assert stub.function(f) is f
    assert stub.function(gpu="A100", image=stub.Image(python="3.12", pip=["torch"]))(f) is f
    assert stub.web(gpu="L4")(f) is f
    assert f.local(1) == 2


def test_decorators_give_the_class_back(stub):
    """A class stays the class."""

    @stub.function(gpu=stub.gpu(memory=">=40GB"))
    class Model:
        map = "mine"

        def __call__(self):
            return 1

    assert inspect.isclass(Model)
    assert Model()() == 1
    assert Model.map == "mine"
    assert isinstance(Model.local(), Model)  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["remote", "spawn", "map", "stream", "deploy", "remote_async"])
def test_remote_calls_are_refused_inside_the_worker(stub, method):
    """Code that would call itself remotely at import says so at once."""
    f = stub.function(lambda: None)
    with pytest.raises(RuntimeError, match=f"Function.{method} is not available inside the worker"):
        getattr(f, method)()


def test_client_classes_are_refused_inside_the_worker(stub):
    """Endpoint and Workspace belong to the caller; naming them in annotations is fine."""
    with pytest.raises(RuntimeError, match=r"gpuhub\.Endpoint\.connect is not available inside"):
        stub.Endpoint.connect("runpod://abc")
    with pytest.raises(RuntimeError, match=r"gpuhub\.Workspace is not available inside"):
        stub.Workspace()
    assert stub.Endpoint | None
    assert int | stub.Call
    assert stub.Call[int]
    assert "not available" in repr(stub.Call)


def test_every_method_of_a_function_is_refused(stub):
    """No method of the real class is an AttributeError in the container."""
    f = stub.function(lambda: None)
    assert not [name for name in METHODS if not hasattr(f, name)]


def test_declarations_accept_anything(stub):
    """Whatever newer versions take, an old bundle's stub is of the same version; extras pass."""
    volume = stub.Volume("models", read_only=True)
    assert volume.read_only is True
    assert stub.Secret.from_local_env("A", env="B")
    assert stub.Image("x").pip_install("torch").run("ls") is not None
    assert stub.Image is stub.Image
    assert isinstance(volume, stub.Volume)


def test_file_is_the_real_one(stub):
    """Files are values: they work inside."""
    assert stub.File is gpuhub.File


def test_unknown_names_explain_themselves(stub):
    """A misspelt name is an AttributeError that says what there is."""
    with pytest.raises(AttributeError, match="the gpuhub inside the worker has no 'fnction'"):
        _ = stub.fnction
    with pytest.raises(AttributeError):
        _ = stub.Volume("a").__len__
    with pytest.raises(AttributeError):
        _ = stub.Volume.__nope__
    with pytest.raises(AttributeError):
        _ = stub.Endpoint.__nope__


PROBE = """
import sys, time
start = time.process_time()
import user_module
took = time.process_time() - start
third = [n for n, m in sys.modules.items() if "site-packages" in str(getattr(m, "__file__", ""))]
print(took, len(third), len(sys.modules))
"""


def test_importing_through_the_stub_costs_milliseconds(tmp_path):
    """Less than 20 ms of work over a bare import, and not one package.

    The best run of each counts: others ran beside whatever else the machine does.
    """
    decorated = "import gpuhub\n@gpuhub.function(gpu='A100', image=gpuhub.Image(pip=['torch']))\n"
    for name, source in {"bare": "", "decorated": decorated}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "user_module.py").write_text(f"{source}def f(): ...\n")
    (tmp_path / "decorated" / "gpuhub").mkdir()
    (tmp_path / "decorated" / "gpuhub" / "__init__.py").write_bytes(STUB.read_bytes())

    def measure(name):
        command = [sys.executable, "-S", "-E", "-c", PROBE]
        done = subprocess.run(
            command, cwd=tmp_path / name, capture_output=True, text=True, check=True
        )
        took, packages, modules = done.stdout.split()
        assert packages == "0"
        return float(took), int(modules)

    bare = [measure("bare") for _ in range(5)]
    decorated_runs = [measure("decorated") for _ in range(5)]
    assert min(decorated_runs)[0] - min(bare)[0] < 0.020
    assert decorated_runs[0][1] - bare[0][1] <= 2
