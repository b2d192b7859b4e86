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
        "contract_xfail(reason): a test of gpuhub's contract suite that an adapter is known to fail",
    )
    if not config.getoption("--gpuhub-adapter"):
        return
    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.args[:] = [str(_RUN_CONTRACT)]  # instead of the project's own tests
    elif not any(_RUN_CONTRACT.name in argument for argument in config.args):
        config.args.append(str(_RUN_CONTRACT))


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
