"""Secrets planted everywhere, looked for in everything: what is kept, sent, shipped, said."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import io
import json
import logging
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gpuhub import function
from gpuhub.adapter import Feature
from gpuhub.errors import GpuHubError
from gpuhub.spec import Secret
from gpuhub.testing.contract.drive import Drive
from gpuhub.testing.contract.fixtures import Fixtures
from gpuhub.testing.contract.planted import planted, traces_of
from gpuhub.testing.contract.variations import LOCAL_SECRET

DEFAULT = planted("default-of-a-function")
CODE = '''"""A function whose default is a secret of the machine that decorates it."""

import os


def greet(name: str = os.environ.get("DRILL_DEFAULT", "nobody")) -> int:
    return len(name)
'''

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


class Leaks(Fixtures):
    """One look at everything; a subclass for each provider."""

    adapter: ClassVar[str]

    @pytest.fixture
    def drive(self):
        """Blocking calls; the contract suite has the other ways."""
        import asyncio

        with asyncio.Runner() as runner:
            yield Drive("sync", runner)

    def test_nothing_leaks(self, bench, caplog, monkeypatch):
        """Credentials, local secrets, defaults, and what exceptions say of them."""
        caplog.set_level(logging.DEBUG)
        monkeypatch.setenv("DRILL_DEFAULT", DEFAULT)
        said = [*self._working_day(bench), *self._defaults(bench, monkeypatch)]
        said += [record.getMessage() for record in caplog.records]
        said += [json.dumps(each.json, default=str) + each.path for each in bench.sent()]
        places = {f"text {number}": text.encode() for number, text in enumerate(said)}
        places |= dict(_files(bench.folder))
        provider = {**dict(_files(_kept_by(bench.emulator))), **dict(_layers(bench.emulator))}
        assert any(b"def complain_of" in content for content in provider.values()), "no code?"
        places |= provider
        secrets = {**bench.environ, "DRILL_DEFAULT": DEFAULT}
        secrets.pop("GPUHUB_STATE_DIR", None)
        found = [
            f"{place}: {name} {how}"
            for place, content in places.items()
            for name, secret in secrets.items()
            for how, trace in traces_of(secret).items()
            if trace in content
        ]
        assert not found, "\n".join(found)

    def _working_day(self, bench) -> Iterator[str]:
        """Deploy, call, fail, look; give all that was said."""
        settings: dict[str, Any] = {"env": {"DRILL_PLACE": "x"}}
        if not bench.lacks(Feature.SECRETS) and not bench.lacks(Feature.SECRETS_LOCAL):
            settings["secrets"] = Secret.from_local_env(LOCAL_SECRET, env="CONTRACT_TOKEN")
        made = bench.function("complain_of", **settings)
        plan = made.plan()
        yield json.dumps(plan.to_dict())
        yield repr(plan)
        endpoint = bench.drive.call(made, "deploy")
        variable = "CONTRACT_TOKEN" if "secrets" in settings else "DRILL_PLACE"
        for fault in ("", "unauthorized", "malformed", "crash"):
            if fault:
                bench.emulator.fail(fault, on="submit")
            error = bench.attempt(lambda: bench.invoke(endpoint, variable))
            assert isinstance(error, GpuHubError)
            yield f"{error} {error!r} {error.__dict__}"
        if not bench.lacks(Feature.LOGS):
            yield repr(bench.drive.items(endpoint, "logs"))
        yield f"{bench.workspace!r} {bench.workspace.session().settings!r} {endpoint!r}"

    def _defaults(self, bench, monkeypatch) -> Iterator[str]:
        """A default stays where it is: the worker has its own."""
        with bench.project.having("drill_defaults.py", CODE):
            monkeypatch.delitem(sys.modules, "drill_defaults", raising=False)
            importlib.invalidate_caches()
            greet = importlib.import_module("drill_defaults").greet
            made = function(**bench.defaults)(greet).in_workspace(bench.workspace)
            yield json.dumps(made.plan().to_dict())
            bench.drive.call(made, "deploy")
            assert bench.drive.call(made, "remote") == len("nobody")
            monkeypatch.delitem(sys.modules, "drill_defaults", raising=False)


def _kept_by(emulator: Any) -> Path:
    """Give the emulator's folder: code, images, archives and logs of the workers."""
    folder = getattr(emulator, "_folder", None)
    return Path(emulator._site.folder if folder is None else folder)


def _files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give all files; workers that still run make and remove some meanwhile."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file() and not path.is_symlink():
                    yield from _opened(str(path.relative_to(folder)), path.read_bytes())


def _layers(emulator: Any) -> Iterator[tuple[str, bytes]]:
    """Give what was pushed to an emulator's own registry."""
    registry: Any = getattr(emulator, "store", None)
    for name, repository in getattr(registry, "repositories", {}).items():
        for digest in repository.blobs:
            yield from _opened(f"{name}@{digest}", registry.blob(name, digest) or b"")
        for manifest in repository.manifests.values():
            yield f"{name}@{manifest.digest}", manifest.content


def _opened(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Give a file, unpacked too where it is packed."""
    yield name, content
    if content[:2] == b"\x1f\x8b":
        yield f"{name} (unpacked)", gzip.decompress(content)
    elif content[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for each in archive.namelist():
                yield f"{name}!{each}", archive.read(each)


class TestBaseten(Leaks):
    """Baseten's emulator."""

    adapter = "gpuhub_baseten"


class TestBeam(Leaks):
    """Beam's emulator."""

    adapter = "gpuhub_beam"


@pytest.mark.skipif(
    importlib.util.find_spec("modal") is None,
    reason="needs modal: .venv-modal/bin/python -m pytest tests/drill -k Modal",
)
class TestModal(Leaks):
    """Modal's emulator."""

    adapter = "gpuhub_modal"


class TestReplicate(Leaks):
    """Replicate's emulator, with its registry."""

    adapter = "gpuhub_replicate"


class TestRunPod(Leaks):
    """RunPod's emulator."""

    adapter = "gpuhub_runpod"
