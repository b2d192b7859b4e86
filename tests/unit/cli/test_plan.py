"""`gpuhub plan` and `gpuhub diff`."""

from __future__ import annotations

import pytest


def test_plan_json_of_one_is_the_plan(project, cli):
    """The stable form, one object for one function."""
    plan = cli("plan", "app.py::double", "--json").json
    assert plan["schema"] == 1
    assert (plan["provider"], plan["deployment"]) == ("mock", "shop-double")
    rows = {row["field"]: row for row in plan["rows"]}
    assert rows["timeout"]["set"]
    assert rows["timeout"]["fidelity"] == "exact"
    assert rows["scaling.idle_timeout"]["fidelity"] == "pinned-default"


def test_plan_json_of_several_is_a_list(project, cli):
    """In the order of the file."""
    plans = cli("plan", "app.py", "--json").json
    assert [plan["deployment"] for plan in plans] == ["shop-double", "shop-spell"]


def test_plan_shows_every_row(project, cli):
    """People see what programs see."""
    plan = cli("plan", "app.py::double", "--json").json
    text = cli("plan", "app.py::double").out
    assert "shop-double on mock" in text
    assert all(row["field"] in text for row in plan["rows"])
    assert "$" in text


def test_plan_sends_nothing(project, cli):
    """Nothing is made, neither a deployment nor a journal."""
    assert cli("plan", "app.py").code == 0
    assert cli("status", "--json").json == {"deployments": []}


def test_plan_requests_shows_the_templates(project, cli):
    """Only when asked."""
    step = cli("plan", "app.py::double", "--json").json["requests"][0]["path"]
    assert f'"path": "{step}"' in cli("plan", "app.py::double", "--requests").out
    assert f'"path": "{step}"' not in cli("plan", "app.py::double").out


def test_plan_never_shows_a_secret(project, cli, monkeypatch):
    """A secret of this machine is a name in the plan."""
    monkeypatch.setenv("SHOP_KEY", "sesame-open-up")
    source = (
        "import gpuhub\n"
        "@gpuhub.function(secrets=[gpuhub.Secret.from_local_env('SHOP_KEY')])\n"
        "def opened() -> None: ...\n"
    )
    (project / "keyed.py").write_text(source)
    for arguments in (["--json"], ["--requests"], []):
        answer = cli("plan", "keyed.py", *arguments)
        assert answer.code == 0, answer.err
        assert "sesame-open-up" not in answer.out + answer.err
        assert "SHOP_KEY" in answer.out


@pytest.mark.parametrize("target", ["app.py::double", "app:double", "./app.py::double"])
def test_target_forms(project, cli, target):
    """A file, a module, a path."""
    assert cli("plan", target, "--json").json["deployment"] == "shop-double"


def test_target_by_deployment_name(project, cli):
    """`word-count` finds `def word_count`."""
    source = "import gpuhub\n@gpuhub.function\ndef word_count(text: str) -> int: ...\n"
    (project / "words.py").write_text(source)
    assert cli("plan", "words.py::word-count", "--json").json["deployment"] == "shop-word-count"


def test_target_in_a_package_is_named_as_in_the_container(project, cli):
    """A file below `__init__.py` is imported by its dotted name, its siblings too."""
    package = project / "lib" / "inner"
    package.mkdir(parents=True)
    (project / "lib" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "sibling.py").write_text("NUMBER = 7\n")
    source = (
        "import gpuhub\n"
        "from lib.inner.sibling import NUMBER\n"
        "@gpuhub.function\n"
        "def seven() -> int: return NUMBER\n"
    )
    (package / "work.py").write_text(source)
    plan = cli("plan", "lib/inner/work.py", "--json").json
    assert plan["spec"]["target"]["module"] == "lib.inner.work"


def test_imported_functions_are_not_the_files_own(project, cli):
    """A file's target is what it defines."""
    (project / "other.py").write_text(
        "import gpuhub\nfrom app import double\n@gpuhub.function\ndef own() -> None: ...\n"
    )
    assert cli("plan", "other.py", "--json").json["deployment"] == "shop-own"


def test_project_is_found_from_the_file(project, cli, monkeypatch, tmp_path):
    """The settings are those around the file, wherever the command runs."""
    monkeypatch.chdir(tmp_path)
    assert cli("plan", "shop/app.py::double", "--json").json["deployment"] == "shop-double"


def test_options_win_over_the_file(project, cli):
    """`--app` names the deployment."""
    plan = cli("plan", "app.py::double", "--app", "other", "--json").json
    assert plan["deployment"] == "other-double"


def test_diff_of_one_provider_is_empty(project, cli):
    """Nothing differs from itself."""
    answer = cli("diff", "app.py", "--to", "mock", "--exit-code", "--json")
    assert answer.code == 0
    assert answer.json["from"] == answer.json["to"] == "mock"
    assert [each["rows"] for each in answer.json["deployments"]] == [[], []]
    assert all(each["same"] for each in answer.json["deployments"])


def test_diff_shows_what_differs(project, cli, acme):
    """Value, fidelity, reason and price, and only the fields that differ."""
    answer = cli("diff", "app.py::double", "--from", "mock", "--to", "acme", "--json")
    assert answer.code == 0, answer.err
    [found] = answer.json["deployments"]
    assert not found["same"]
    [row] = found["rows"]
    assert row["field"] == "scaling.idle_timeout"
    assert (row["from"]["fidelity"], row["to"]["fidelity"]) == ("pinned-default", "approximate")
    assert row["to"]["value"] == 300
    assert found["cost"]["to"]["worker_usd_per_hour"] == 9.5
    text = cli("diff", "app.py::double", "--to", "acme").out
    assert "only 300 s" in text
    assert "$9.50/h" in text


def test_diff_exit_code(project, cli, acme):
    """As git has it: 1 only when asked."""
    assert cli("diff", "app.py", "--to", "acme").code == 0
    assert cli("diff", "app.py", "--to", "acme", "--exit-code").code == 1


def test_diff_shows_what_cannot_be_honoured(project, cli, acme):
    """A setting that stops a deploy is a row of the answer here."""
    source = "import gpuhub\n@gpuhub.function(retries=2)\ndef again() -> None: ...\n"
    (project / "retried.py").write_text(source)
    answer = cli("diff", "retried.py", "--to", "acme", "--json")
    assert answer.code == 0, answer.err
    rows = {row["field"]: row for row in answer.json["deployments"][0]["rows"]}
    assert rows["retries"]["to"]["fidelity"] == "unsupported"
    refused = cli("deploy", "retried.py", "--provider", "acme", "--json")
    assert refused.code == 3
    assert refused.error["fields"] == ["retries"]


def test_diff_shows_what_a_function_cannot_do_without(project, cli, acme):
    """No warning lets such a function be deployed; here it is a row like others."""
    source = (
        "import gpuhub\n"
        "@gpuhub.function(volumes={'/m': gpuhub.Volume('models')})\n"
        "def kept() -> None: ...\n"
    )
    (project / "kept.py").write_text(source)
    answer = cli("diff", "kept.py", "--to", "acme", "--json")
    assert answer.code == 0, answer.err
    rows = {row["field"]: row for row in answer.json["deployments"][0]["rows"]}
    assert rows["volumes"]["to"]["fidelity"] == "unsupported"
    (project / "gpuhub.toml").write_text('app = "shop"\non_unsupported = "warn"\n')
    refused = cli("deploy", "kept.py", "--provider", "acme", "--json")
    assert (refused.code, refused.error["fields"]) == (3, ["volumes"])
    assert "cannot do without volumes" in refused.error["next_step"]


def test_diff_shows_what_cannot_run_at_all(project, cli, acme):
    """A provider without such a GPU gives no plan; the other one's is not lost for that."""
    (project / "small.py").write_text(
        "import gpuhub\n@gpuhub.function(gpu='T4')\ndef f() -> None: ...\n"
    )
    answer = cli("diff", "small.py", "--to", "acme", "--json", "--exit-code")
    assert answer.code == 1
    [found] = answer.json["deployments"]
    assert (found["same"], found["rows"]) == (False, [])
    assert found["refused"] == {"from": None, "to": "gpu: Acme has no T4"}
    assert "acme cannot run it: gpu: Acme has no T4" in cli("diff", "small.py", "--to", "acme").out
    assert cli("diff", "small.py", "--from", "acme", "--to", "acme", "--exit-code").code == 0
