"""`gpuhub deploy`, and the question before workers are kept warm."""

from __future__ import annotations

import pytest


def test_deploy_all_functions_of_a_file(project, cli):
    """Each is named with provider and version."""
    answer = cli("deploy", "app.py", "--json")
    assert answer.code == 0, answer.err
    done = answer.json["deployments"]
    assert [each["deployment"] for each in done] == ["shop-double", "shop-spell"]
    assert [each["changed"] for each in done] == [True, True]
    assert {each["version"] for each in done} == {"1"}


def test_deploy_says_what_it_did(project, cli):
    """People see the summary before and the result after."""
    answer = cli("deploy", "app.py::double")
    assert answer.out == "deployed shop-double on mock version 1\n"
    assert "shop-double on mock" in answer.err
    assert "worker" in answer.err


def test_unchanged_function_is_said_to_be(deployed, cli):
    """A second deploy of the same code changes nothing."""
    answer = cli("deploy", "app.py", "--json")
    assert [each["changed"] for each in answer.json["deployments"]] == [False, False]
    assert cli("deploy", "app.py::double").out == "unchanged shop-double on mock version 1\n"


def test_nothing_is_deployed_when_one_cannot_be_planned(project, cli):
    """All are planned before the first is sent."""
    source = (project / "app.py").read_text()
    (project / "app.py").write_text(
        source + "\n\n@gpuhub.function(timeout=1e9)\ndef endless() -> None: ...\n"
    )
    answer = cli("deploy", "app.py", "--json")
    assert answer.code == 2
    assert "timeout" in answer.error["message"]
    assert cli("status", "--json").json == {"deployments": []}


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_warm_workers_need_a_yes(warm, cli, arguments):
    """Without somebody to ask, nothing is sent; the exit code is its own."""
    answer = cli("deploy", "warm.py", *arguments)
    assert answer.code == 12
    assert "keeps 2 workers warm" in answer.err
    assert "an idle hour costs $" in answer.err
    assert cli("status", "--json").json == {"deployments": []}


def test_warm_workers_with_yes(warm, cli):
    """`--yes` is the answer of scripts."""
    assert cli("deploy", "warm.py", "--yes", "--json").code == 0
    assert cli("status", "ready", "--json").json["scaling"]["min_workers"] == 2


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 12)])
def test_warm_workers_are_asked_about(warm, cli, monkeypatch, answer, code):
    """At a terminal the price is shown, and the answer counts."""
    monkeypatch.setattr("gpuhub.cli.run._somebody_is_there", lambda: True)
    done = cli("deploy", "warm.py", text=answer)
    assert done.code == code
    assert "an idle hour costs $" in done.err
    assert bool(cli("status", "--json").json["deployments"]) is (code == 0)


def test_warm_option_is_asked_about_as_well(project, cli):
    """A worker that starts at once is billed, too."""
    answer = cli("deploy", "app.py::double", "--warm")
    assert answer.code == 12
    assert "starts 1 worker now (--warm), billed until it was idle for 60 s" in answer.err
    assert cli("deploy", "app.py::double", "--warm", "--yes").code == 0
    assert any("starting" in line["message"] for line in cli("logs", "double", "--json").lines)


def test_unknown_price_is_said(warm, cli, acme):
    """A price that nobody knows is not taken for zero."""
    module = acme / "gpuhub_acme.py"
    prices = "CostEstimate(9.5, 9.5 * spec.scaling.min_workers, "
    module.write_text(module.read_text().replace(prices, "CostEstimate(None, None, "))
    answer = cli("deploy", "warm.py", "--provider", "acme")
    assert answer.code == 12
    assert "what an idle hour costs is unknown" in answer.err


def test_failed_deploy_has_its_exit_code_and_log(project, cli, monkeypatch):
    """The tail of the log is part of the error."""
    from gpuhub.errors import DeployFailed

    def fail(*_, **__):
        raise DeployFailed("it did not start", log_tail=("line one", "line two"), provider="mock")

    monkeypatch.setattr("gpuhub._engine.Deployments.deploy", fail)
    answer = cli("deploy", "app.py::double")
    assert answer.code == 7
    assert "| line one\n" in answer.err
    assert cli("deploy", "app.py::double", "--json").error["log_tail"] == ["line one", "line two"]
