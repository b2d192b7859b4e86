"""What people read when something is wrong; what programs read; the exit codes."""

from __future__ import annotations

import json

import pytest

from gpuhub import errors
from gpuhub.cli.exit_codes import EXIT_CODES
from gpuhub.cli.failures import NotConfirmed
from gpuhub.registry import available


def shown(answer, project):
    """Standard error, with the project's folder left out."""
    return answer.err.replace(str(project), "PROJECT")


def test_unknown_gpu(project, cli):
    """The nearest names, and the user's line."""
    (project / "typo.py").write_text(
        'import gpuhub\n\n@gpuhub.function(gpu="H1000")\ndef work() -> None: ...\n'
    )
    answer = cli("plan", "typo.py")
    assert answer.code == 2
    assert shown(answer, project) == (
        "error: gpu: 'H1000' is not a known GPU; the nearest names are H100, H100-MIG-40GB, V100\n"
        "  Next: list the names with `gpuhub gpus`\n"
        "\n"
        '  File "PROJECT/typo.py", line 3\n'
        '    @gpuhub.function(gpu="H1000")\n'
    )


def test_wrong_setting_in_the_code(project, cli):
    """The field, the value, the rule, and the user's line."""
    (project / "typo.py").write_text(
        "import gpuhub\n\n@gpuhub.function(timeout=-1)\ndef work() -> None: ...\n"
    )
    answer = cli("plan", "typo.py")
    assert answer.code == 2
    assert shown(answer, project).startswith(
        "error: FunctionSpec.timeout: Input should be greater than 0 (got -1)\n"
    )
    assert 'File "PROJECT/typo.py", line 3' in shown(answer, project)


def test_unknown_provider(project, cli):
    """The names there are."""
    answer = cli("plan", "app.py", "--provider", "mok")
    assert answer.code == 2
    assert shown(answer, project) == (
        f"error: unknown provider 'mok'; registered: {', '.join(available())}\n"
        "  Next: did you mean 'mock'? set `provider` in gpuhub.toml or GPUHUB_PROVIDER to one of "
        "them\n"
    )


def test_missing_file(project, cli):
    """The nearest file."""
    answer = cli("deploy", "ap.py")
    assert answer.code == 2
    assert shown(answer, project) == (
        "error: there is no file ap.py\n"
        "  Next: did you mean app.py? `gpuhub init` writes a project to start with\n"
    )


def test_syntax_error(project, cli):
    """Python's own words, and none of gpuhub's frames."""
    (project / "broken.py").write_text("import gpuhub\ndef work(:\n")
    answer = cli("plan", "broken.py")
    assert answer.code == 2
    assert shown(answer, project) == (
        "error: importing broken.py failed: SyntaxError: invalid syntax (broken.py, line 2)\n"
        "  Next: correct it; the traceback is below\n"
        "\n"
        '  File "PROJECT/broken.py", line 2\n'
        "    def work(:\n"
        "             ^\n"
        "SyntaxError: invalid syntax\n"
    )


def test_exception_at_import(project, cli):
    """The traceback begins at the user's first line."""
    (project / "broken.py").write_text("def work():\n    1 / 0\n\nwork()\n")
    answer = cli("plan", "broken.py")
    assert answer.code == 2
    assert shown(answer, project).startswith(
        "error: importing broken.py failed: ZeroDivisionError: division by zero\n"
        "  Next: correct it; the traceback is below\n"
        "\n"
        "Traceback (most recent call last):\n"
        '  File "PROJECT/broken.py", line 4, in <module>\n'
    )
    assert "importlib" not in answer.err


def test_missing_package_at_import(project, cli):
    """What to do about it."""
    (project / "heavy.py").write_text("import torchh\n")
    answer = cli("plan", "heavy.py", "--json")
    assert answer.code == 2
    assert (
        "install 'torchh' here too, or import it inside the function" in (answer.error["next_step"])
    )
    assert "import torchh" in answer.error["notes"][0]


def test_exit_at_import_does_not_end_the_command(project, cli):
    """`exit()` at module level is an error of the file."""
    (project / "leaving.py").write_text("raise SystemExit(0)\n")
    answer = cli("plan", "leaving.py")
    assert answer.code == 2
    assert "importing leaving.py failed: SystemExit: 0" in answer.err


def test_not_deployed(project, cli):
    """How to deploy."""
    answer = cli("invoke", "double", "number=1")
    assert answer.code == 8
    assert shown(answer, project) == (
        "error: 'shop-double' is not deployed on the mock provider\n"
        "  (provider mock)\n"
        "  Next: deploy it: `gpuhub deploy FILE.py`, or .deploy() in Python\n"
    )


def test_bad_key_in_settings(project, cli):
    """The file, the key, and the nearest one."""
    (project / "gpuhub.toml").write_text('provder = "mock"\n')
    answer = cli("status")
    assert answer.code == 2
    first, second = shown(answer, project).splitlines()[:2]
    assert first == "error: gpuhub.toml: unknown key 'provder'; did you mean 'provider'?"
    assert second.startswith("  Next: correct or remove the key; known here: app,")


def test_cost_refusal(warm, cli):
    """What it would cost, and how to say yes."""
    cli("deploy", "warm.py", "-y")
    answer = cli("scale", "ready", "--min-workers", "1")
    assert answer.code == 12
    assert answer.err == (
        "error: shop-ready would keep 1 worker warm, billed without traffic: an idle hour costs "
        "$0.55 (fictional, for tests)\n"
        "  Next: pass --yes to go on without being asked\n"
    )


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("app.py::doubel", "app has no function 'doubel'"),
        ("app.py::plain", "plain in app is not decorated"),
        ("empty.py", "empty.py defines no function for gpuhub"),
        ("imports.py", "imports.py defines no function for gpuhub; it imports double"),
        ("two-words.py", "two-words.py: 'two-words' cannot be imported as a module"),
        ("json.py", "json.py: the name 'json' already belongs to"),
        ("nowhere:work", "there is no module 'nowhere'"),
        ("no where", "'no where' is neither a file nor a module"),
        ("lib/", "lib/ is a folder"),
    ],
)
def test_targets_that_mean_nothing(project, cli, target, message):
    """Each says what is wrong and what would do."""
    (project / "lib").mkdir()
    (project / "empty.py").write_text("")
    (project / "imports.py").write_text("from app import double\n")
    (project / "two-words.py").write_text("")
    (project / "json.py").write_text("")
    answer = cli("plan", target, "--json")
    assert answer.code == 2
    assert message in answer.error["message"]
    assert answer.error["next_step"]


def test_file_with_several_functions_where_one_is_needed(deployed, cli):
    """The choices, ready to copy."""
    answer = cli("invoke", "app.py", "--json")
    assert answer.code == 2
    assert answer.error["next_step"] == "name one: app.py::double, app.py::spell"


def test_json_errors_have_the_same_keys(project, cli):
    """Whatever the error is; standard output stays empty."""
    keys = {"type", "message", "next_step", "provider", "status", "code", "request_id"}
    failures = [
        ["invoke", "double", "--json"],
        ["plan", "none.py", "--json"],
        ["plan", "--json"],
        ["plan", "app.py", "--bogus", "--json"],
        ["scale", "double", "--max-workers", "0", "--json"],
    ]
    for arguments in failures:
        answer = cli(*arguments)
        assert answer.code in (2, 8)
        assert answer.out == ""
        assert answer.error.keys() >= keys
        assert answer.error["message"]


def test_usage_error_for_people(project, cli):
    """Typer's own words, with the usage line."""
    answer = cli("plan", "app.py", "--bogus")
    assert answer.code == 2
    assert "Usage: " in answer.err
    assert "--bogus" in answer.err


def test_mistyped_verb(project, cli):
    """The nearest verb."""
    answer = cli("depoly", "app.py")
    assert answer.code == 2
    assert "deploy" in answer.err


def test_unexpected_exception_is_called_a_bug(project, cli, monkeypatch):
    """A short message; the traceback only with -v."""

    def fail(*_, **__):
        raise KeyError("surprise")

    monkeypatch.setattr("gpuhub.cli.environment.extras", fail)
    monkeypatch.setattr("gpuhub.cli.verbs.doctor.extras", fail)
    answer = cli("doctor")
    assert answer.code == 1
    assert answer.err == (
        "error: KeyError: 'surprise'\n"
        "  Next: this is a bug in gpuhub or an adapter: report it with the output of -v\n"
    )
    answer = cli("doctor", "-v")
    assert "Traceback (most recent call last)" in answer.err
    assert cli("doctor", "--json").error["type"] == "KeyError"


def test_unwritable_file_is_no_bug(deployed, cli):
    """The system's own words."""
    answer = cli("map", "double", "--input", "-", "--output", "no/such/folder", text="")
    assert answer.code == 1
    assert "No such file or directory" in answer.err
    assert "bug" not in answer.err


def test_interrupted(project, cli, monkeypatch):
    """130, without a traceback."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gpuhub.cli.verbs.plan.read_target", interrupt)
    answer = cli("plan", "app.py")
    assert (answer.code, answer.err) == (130, "")


def test_verbose_shows_what_the_library_logs(project, cli, acme):
    """Warnings of a plan, for one; without -v they are said once, by deploy itself."""
    (project / "gpuhub.toml").write_text('app = "shop"\non_unsupported = "warn"\n')
    source = "import gpuhub\n@gpuhub.function(retries=2)\ndef again() -> None: ...\n"
    (project / "retried.py").write_text(source)
    quiet = cli("deploy", "retried.py", "--provider", "acme")
    assert quiet.err.count("retries: set, but unsupported: runs once") == 1
    assert quiet.err.count("warning: ") == 1


def test_what_user_code_prints_stays_off_standard_output(project, cli):
    """Results can be piped, whatever the user's module prints."""
    source = (project / "app.py").read_text()
    (project / "app.py").write_text(f"print('hello')\n{source}")
    answer = cli("plan", "app.py::double", "--json")
    assert answer.json["deployment"] == "shop-double"
    assert "hello" in answer.err
    cli("deploy", "app.py")
    assert json.loads(cli("invoke", "app.py::double", "number=1").out)["value"] == 2


def every_error():
    """All classes of the tree."""
    return [getattr(errors, name) for name in errors.__all__] + [NotConfirmed]


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_exit_code_is_documented(kind):
    """`gpuhub --help` explains whatever a script may see."""
    assert kind.exit_code in EXIT_CODES
    assert kind.exit_code != 0
