"""The pytest plugin of gpuhub: loaded in every project that has gpuhub installed.

It imports nothing heavy: what a fixture needs is imported when a test uses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gpuhub.testing.contract.project import Project
    from gpuhub.testing.harness import MockHarness

pytest.register_assert_rewrite("gpuhub.testing.contract")

_RUN_CONTRACT = Path(__file__).with_name("run_contract.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--gpuhub-adapter``."""
    parser.getgroup("gpuhub").addoption(
        "--gpuhub-adapter",
        metavar="PACKAGE[:NAME]",
        default="",
        help="run gpuhub's contract suite against the adapter in this package",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; with the option, collect the suite."""
    config.addinivalue_line(
        "markers",
        "contract_xfail(reason): a test of gpuhub's contract suite that this adapter fails",
    )
    config.addinivalue_line(
        "markers",
        "gpuhub_mock(**options): settings of the mock provider for the fixture of that name",
    )
    if not config.getoption("--gpuhub-adapter"):
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(_RUN_CONTRACT)]  # instead of the project's own tests
    elif not any(_RUN_CONTRACT.name in argument for argument in config.args):
        config.args.append(str(_RUN_CONTRACT))


def pytest_collection(session: pytest.Session) -> None:
    """Find out at once whether the adapter is there."""
    name = session.config.getoption("--gpuhub-adapter")
    if not name:
        return
    from gpuhub.errors import ConfigError
    from gpuhub.testing.contract import Subject

    try:
        Subject.load(name)
    except ConfigError as error:
        raise pytest.UsageError(str(error)) from None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Make a known failure of the suite a strict one: when it is mended, the mark must go."""
    mark = item.get_closest_marker("contract_xfail")
    if mark is None:
        return
    reason = mark.kwargs.get("reason", "")
    if not reason:
        msg = f"{item.nodeid}: contract_xfail needs reason='…'"
        raise pytest.UsageError(msg)
    item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(scope="session")
def gpuhub_contract_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The project whose functions the contract suite deploys."""
    from gpuhub.testing.contract.project import Project

    with Project.made_in(tmp_path_factory.mktemp("gpuhub-contract")) as project:
        yield project


@pytest.fixture
def gpuhub_mock(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MockHarness]:
    """The mock provider, fresh for this test, in the place of the configured one.

    Functions run on this machine, time is virtual, nothing is kept. Deploy what the test needs,
    then use it as the application does::

        from shop.embedding import embed, search      # decorated with @gpuhub.function

        def test_search_embeds_the_query(gpuhub_mock):
            gpuhub_mock.deploy(embed)
            assert search("red shoes")[0] == "shoes-17"         # calls embed.remote(…) inside
            assert gpuhub_mock.calls[0].arguments == {"texts": ["red shoes"]}

        def test_search_survives_a_rate_limit(gpuhub_mock):
            gpuhub_mock.deploy(embed)
            gpuhub_mock.fail("rate_limit", on="submit", times=2)
            assert search("red shoes")

        @pytest.mark.gpuhub_mock(cold_start_s=40)
        def test_a_cold_start_is_billed(gpuhub_mock):
            gpuhub_mock.deploy(embed)
            embed.remote(["x"])
            gpuhub_mock.advance(3600)                            # long idle: scaled to zero
            assert gpuhub_mock.billed_seconds.total < 120

    The settings are those of the project file nearest to the test, but for provider and state
    folder.
    """
    from gpuhub import workspace as workspaces
    from gpuhub.testing.harness import MockHarness

    mark = request.node.get_closest_marker("gpuhub_mock")
    harness = MockHarness.opened(
        request.path.parent, tmp_path / "gpuhub", mark.kwargs if mark else {}
    )
    workspaces.defaults.clear()
    # Not only in this context: threads that the application starts have a context of their own.
    monkeypatch.setattr(workspaces.defaults, "of", lambda _: harness.workspace)
    with harness.workspace.use():
        yield harness
    harness.workspace.close()
