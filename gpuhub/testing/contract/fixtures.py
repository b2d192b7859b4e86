"""The fixtures of the suite; a subclass may replace those about its provider."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gpuhub.adapter import AdapterModule
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.drive import MODES, Drive
from gpuhub.testing.contract.planted import planted
from gpuhub.testing.contract.project import Project
from gpuhub.testing.contract.subject import Subject
from gpuhub.testing.contract.variations import LOCAL_SECRET

__all__ = ["Fixtures", "once"]

once = pytest.mark.parametrize("drive", ["sync"], indirect=True)
"""For tests without anything to await: they run once instead of in three modes."""


class Fixtures:
    """What the tests take.

    Attributes:
        adapter: The adapter under test: ``"package"`` or ``"package:name"`` as the option
            ``--gpuhub-adapter`` takes it, or a :class:`Subject`. Left out: the option's.
        function_settings: Settings every deployed function gets, such as ``{"gpu": "L4"}`` for
            a provider without CPU-only workers.
    """

    adapter: ClassVar[str | Subject] = ""
    function_settings: ClassVar[Mapping[str, Any]] = {}

    @pytest.fixture
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        """The adapter under test and its emulator's factory."""
        chosen = self.adapter or request.config.getoption("--gpuhub-adapter")
        if not chosen:
            pytest.fail(
                f"{type(self).__name__}.adapter is empty: name the adapter's package there, or "
                "run pytest --gpuhub-adapter PACKAGE"
            )
        return chosen if isinstance(chosen, Subject) else Subject.load(chosen)

    @pytest.fixture
    def emulator(self, subject: Subject) -> Iterator[Any]:
        """The provider, not yet started; ``bench`` starts it."""
        emulator = subject.make_emulator()
        yield emulator
        emulator.stop()

    @pytest.fixture
    def adapter_module(self, subject: Subject, emulator: Any) -> AdapterModule:
        """``INFO`` and ``create``; an emulator in this process brings its own."""
        module: AdapterModule = getattr(emulator, "adapter_module", subject.module)
        return module

    @pytest.fixture
    def provider_options(self, emulator: Any) -> dict[str, Any]:
        """Settings beside the URLs that the emulator's ``start()`` gives."""
        return dict(getattr(emulator, "provider_options", {}))

    @pytest.fixture
    def environ(self, adapter_module: AdapterModule, emulator: Any) -> dict[str, str]:
        """The environment of the workspaces: every credential, and a local secret."""
        accepted: Mapping[str, str] = getattr(emulator, "credentials", {})
        variables = {
            declared.env: accepted.get(declared.name) or planted(declared.name)
            for declared in adapter_module.INFO.credentials
        }
        return {**variables, LOCAL_SECRET: planted("local-secret")}

    @pytest.fixture(params=MODES)
    def drive(self, request: pytest.FixtureRequest) -> Iterator[Drive]:
        """Run the test in each of the three ways of calling."""
        with asyncio.Runner() as runner:
            yield Drive(request.param, runner)

    @pytest.fixture
    def bench(
        self,
        adapter_module: AdapterModule,
        emulator: Any,
        drive: Drive,
        gpuhub_contract_project: Project,
        provider_options: dict[str, Any],
        environ: dict[str, str],
        tmp_path: Path,
    ) -> Iterator[Bench]:
        """The provider, started, with a project and a workspace."""
        urls = dict(emulator.start())
        known = adapter_module.INFO.settings
        options = {name: url for name, url in urls.items() if name in known} | provider_options
        bench = Bench(
            module=adapter_module,
            emulator=emulator,
            drive=drive,
            project=gpuhub_contract_project,
            options=options,
            environ=environ,
            folder=tmp_path,
            defaults=self.function_settings,
        )
        yield bench
        bench.close()
