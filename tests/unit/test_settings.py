"""Settings: where each value comes from, what is refused, and that secrets stay out of sight."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from gpuhub._settings_checks import safe_app_name
from gpuhub.errors import ConfigError, MissingCredentials
from gpuhub.settings import (
    Credential,
    ProviderSettings,
    SettingKey,
    explain,
    load_settings,
    provider_settings,
)

TOKEN = "tok_very_secret_0123456789"
KEYS = {
    key.name: key
    for key in (
        SettingKey("api_url", default="https://api.acme.test", help="control plane"),
        SettingKey("retries", int, 2),
        SettingKey("patience", float, 1.5),
        SettingKey("verify", bool, default=True),
        SettingKey("regions", list, ()),
        SettingKey("registry_password", secret=True),
    )
}
CREDENTIALS = (
    Credential("api_key", "ACME_API_KEY", help="create one under Settings, API keys"),
    Credential("org", "ACME_ORG", required=False),
)


@pytest.fixture
def project(tmp_path):
    """A project's folder and a way to write its file and load its settings."""
    return Project(tmp_path / "my-project")


class Project:
    def __init__(self, root):
        self.root = root
        root.mkdir()

    def write(self, text, name="gpuhub.toml"):
        (self.root / name).write_text(text, encoding="utf-8")
        return self

    def load(self, start=".", environ=None, **explicit):
        return load_settings(self.root / start, environ=environ or {}, **explicit)

    def acme(self, environ=None, options=None, known=(), name="acme", **explicit):
        return provider_settings(
            self.load(environ=environ, **explicit),
            name,
            KEYS,
            credentials=CREDENTIALS,
            options=options,
            known_providers=known,
        )


# -- where values come from --------------------------------------------------------------------


def test_defaults_without_a_file(project):
    """Without a file: the mock, the folder's name, a state folder of the user's own."""
    settings = project.load()
    assert (settings.provider, settings.app, settings.profile) == ("mock", "my-project", None)
    assert (settings.on_unsupported, settings.payload_store) == ("error", None)
    assert (settings.include, settings.exclude, settings.providers) == ((), (), {})
    assert (settings.file, settings.root) == (None, project.root)
    assert "gpuhub" in settings.state_dir.parts
    assert project.root not in settings.state_dir.parents
    assert settings.journal == settings.state_dir / "journal.db"
    assert {str(origin) for origin in settings.origins.values()} == {"default"}
    (project.root / "other").mkdir()
    assert project.load("other").state_dir != settings.state_dir
    assert not settings.state_dir.exists()


def test_defaults_with_a_file(project):
    """The state lives beside the file, also when the search starts below it."""
    project.write("")
    (project.root / "a" / "b").mkdir(parents=True)
    (project.root / "a" / "b" / "app.py").touch()
    for start in (".", "a", "a/b", "a/b/app.py"):
        settings = project.load(start)
        assert settings.root == project.root
        assert settings.file == project.root / "gpuhub.toml"
        assert settings.app == "my-project"
        assert settings.state_dir == project.root / ".gpuhub"
        assert settings.journal == project.root / ".gpuhub" / "journal.db"


def test_every_key_of_the_file(project):
    """Each top-level key arrives, paths counted from the file."""
    project.write(
        'app = "demo"\nprovider = "acme"\non_unsupported = "warn"\n'
        'payload_store = "s3://bucket/x"\nstate_dir = "var/state"\njournal = "j.db"\n'
        'include = ["data/*.json"]\nexclude = ["old/**"]\n[providers.acme]\nretries = 3\n'
    )
    (project.root / "sub").mkdir()
    settings = project.load("sub")
    assert (settings.app, settings.provider, settings.on_unsupported) == ("demo", "acme", "warn")
    assert settings.payload_store == "s3://bucket/x"
    assert settings.state_dir == project.root / "var" / "state"
    assert settings.journal == project.root / "j.db"
    assert (settings.include, settings.exclude) == (("data/*.json",), ("old/**",))
    assert settings.providers == {"acme": {"retries": 3}}
    assert str(settings.origins["app"]) == "gpuhub.toml"
    assert str(settings.origins["providers.acme.retries"]) == "gpuhub.toml [providers.acme]"


def test_pyproject(project):
    """The table of pyproject.toml does the same, and yields to gpuhub.toml beside it."""
    project.write(
        '[tool.gpuhub]\nprovider = "acme"\n[tool.gpuhub.providers.acme]\nretries = 4\n',
        "pyproject.toml",
    )
    settings = project.load()
    assert (settings.provider, settings.providers["acme"]["retries"]) == ("acme", 4)
    assert str(settings.origins["provider"]) == "pyproject.toml [tool.gpuhub]"
    origin = settings.origins["providers.acme.retries"]
    assert str(origin) == "pyproject.toml [tool.gpuhub.providers.acme]"
    project.write('provider = "other"')
    assert project.load().provider == "other"


@pytest.mark.parametrize(
    "text", ['[project]\ndependencies = ["gpuhub-sdk"]', "tool = 3", "[broken"]
)
def test_a_pyproject_without_the_table_is_passed_by(project, text):
    """The search goes on above a pyproject.toml that is not about gpuhub."""
    project.write('app = "above"')
    (project.root / "inner").mkdir()
    project.write(text, "inner/pyproject.toml")
    assert project.load("inner").app == "above"


def test_the_nearest_file_wins_alone(project):
    """Files further up are not merged in."""
    project.write('app = "above"\nprovider = "acme"')
    (project.root / "inner").mkdir()
    project.write('app = "inner"', "inner/gpuhub.toml")
    settings = project.load("inner")
    assert (settings.app, settings.provider) == ("inner", "mock")


@pytest.mark.parametrize(
    ("sources", "winner", "origin"),
    [
        ("", "mock", "default"),
        ("f", "from-file", "gpuhub.toml"),
        ("fp", "from-profile", "profile prod in gpuhub.toml"),
        ("p", "from-profile", "profile prod in gpuhub.toml"),
        ("fe", "from-env", "environment GPUHUB_PROVIDER"),
        ("pe", "from-env", "environment GPUHUB_PROVIDER"),
        ("fpe", "from-env", "environment GPUHUB_PROVIDER"),
        ("fa", "from-argument", "argument"),
        ("pa", "from-argument", "argument"),
        ("ea", "from-argument", "argument"),
        ("fpea", "from-argument", "argument"),
    ],
)
def test_precedence(project, sources, winner, origin):
    """Argument, environment, profile, file, default: each beats all after it."""
    lines = ['provider = "from-file"'] if "f" in sources else []
    if "p" in sources:
        lines = ['profile = "prod"', *lines, "[profiles.prod]", 'provider = "from-profile"']
    environ = {"GPUHUB_PROVIDER": "from-env"} if "e" in sources else {}
    explicit = {"provider": "from-argument"} if "a" in sources else {}
    settings = project.write("\n".join(lines)).load(environ=environ, **explicit)
    assert (settings.provider, str(settings.origins["provider"])) == (winner, origin)


@pytest.mark.parametrize(
    ("sources", "winner", "origin"),
    [
        ("", 2, "default"),
        ("f", 3, "gpuhub.toml [providers.acme]"),
        ("fp", 4, "profile prod in gpuhub.toml"),
        ("fpe", 5, "environment GPUHUB_ACME_RETRIES"),
        ("fpel", 6, "argument"),
        ("fpeo", 7, "argument"),
        ("fpelo", 7, "argument"),
    ],
)
def test_precedence_of_a_providers_key(project, sources, winner, origin):
    """The same order holds inside a provider's table."""
    text = 'provider = "acme"\n'
    text += "[providers.acme]\nretries = 3\n" if "f" in sources else ""
    text += "[profiles.prod.providers.acme]\nretries = 4\n" if "p" in sources else ""
    acme = project.write(text).acme(
        environ={"GPUHUB_ACME_RETRIES": "5"} if "e" in sources else {},
        profile="prod" if "p" in sources else None,
        provider_options={"retries": 6} if "l" in sources else {"retries": None},
        options={"retries": 7} if "o" in sources else {"retries": None},
    )
    assert (acme["retries"], str(acme.origins["retries"])) == (winner, origin)


def test_profile_selection(project):
    """An argument beats GPUHUB_PROFILE, which beats the file; tables merge key by key."""
    project.write(
        'profile = "a"\n[providers.acme]\nretries = 1\nverify = false\n'
        '[profiles.a]\napp = "app-a"\n[profiles.b]\napp = "app-b"\n[profiles.c]\napp = "app-c"\n'
        "[profiles.c.providers.acme]\nretries = 9\n"
    )
    assert project.load().app == "app-a"
    assert project.load(environ={"GPUHUB_PROFILE": "b"}).app == "app-b"
    chosen = project.load(environ={"GPUHUB_PROFILE": "b"}, profile="c")
    assert (chosen.app, chosen.profile) == ("app-c", "c")
    assert chosen.providers["acme"] == {"retries": 9, "verify": False}
    assert str(chosen.origins["providers.acme.retries"]) == "profile c in gpuhub.toml"
    assert str(chosen.origins["providers.acme.verify"]) == "gpuhub.toml [providers.acme]"


def test_variables_of_the_top_level(project):
    """Each scalar has a variable; a blank one is not set; relative paths count from the start."""
    environ = {
        "GPUHUB_APP": " env-app ",
        "GPUHUB_ON_UNSUPPORTED": "warn",
        "GPUHUB_PROVIDER": " ",
        "GPUHUB_PAYLOAD_STORE": "file:///x",
        "GPUHUB_STATE_DIR": "s",
        "GPUHUB_JOURNAL": "j.db",
    }
    (project.root / "sub").mkdir()
    settings = project.write('provider = "acme"').load("sub", environ=environ)
    assert (settings.app, settings.on_unsupported) == ("env-app", "warn")
    assert (settings.provider, settings.payload_store) == ("acme", "file:///x")
    assert settings.state_dir == project.root / "sub" / "s"
    assert settings.journal == project.root / "sub" / "j.db"


def test_arguments(project):
    """Arguments take the types Python has: paths and tuples; None is not given."""
    settings = project.load(state_dir=Path("s"), include=("a",), app=None, exclude=["b"])
    assert settings.state_dir == project.root / "s"
    assert (settings.include, settings.exclude, settings.app) == (("a",), ("b",), "my-project")


def test_two_workspaces_do_not_mix(project, monkeypatch):
    """The environment is copied at load: neither the other's nor later changes are seen."""
    first_environ = {"GPUHUB_APP": "one", "ACME_API_KEY": "key-one"}
    first = project.load(environ=first_environ)
    second = project.load(environ={"GPUHUB_APP": "two", "GPUHUB_ACME_RETRIES": "8"})
    first_environ["ACME_API_KEY"] = "changed"
    first_environ["GPUHUB_ACME_RETRIES"] = "9"
    monkeypatch.setenv("ACME_API_KEY", "from-the-process")
    one = provider_settings(first, "acme", KEYS, credentials=CREDENTIALS)
    two = provider_settings(second, "acme", KEYS, credentials=CREDENTIALS)
    assert (one.app, one["retries"]) == ("one", 2)
    assert (two.app, two["retries"]) == ("two", 8)
    assert one.credential("api_key").get_secret_value() == "key-one"
    assert two.find_credential("api_key") is None


def test_the_process_is_the_default_source(project, monkeypatch):
    """Without arguments: the working directory and the process's environment."""
    project.write('app = "demo"')
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("GPUHUB_PROVIDER", "acme")
    settings = load_settings()
    assert (settings.app, settings.provider, settings.root) == ("demo", "acme", project.root)


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('provder = "x"', "gpuhub.toml: unknown key 'provder'; did you mean 'provider'?"),
        ("[provider.x]\na = 1", "gpuhub.toml: 'provider' must be a string, not a table"),
        (
            '[profiles.prod]\non_unsuported = "warn"',
            "gpuhub.toml: unknown key 'profiles.prod.on_unsuported'; did you mean 'on_unsupported'",
        ),
        ("[profiles.prod]\nprofile = 'x'", "gpuhub.toml: unknown key 'profiles.prod.profile'"),
        ("app = 3", "gpuhub.toml: 'app' must be a string, not a whole number (3)"),
        ("include = 'a'", "gpuhub.toml: 'include' must be a list of strings, not a string (a)"),
        ("exclude = ['a', 1]", "gpuhub.toml: 'exclude' must be a list of strings, not a list"),
        ("providers = 1", "gpuhub.toml: 'providers' must be a table, not a whole number"),
        ("[providers]\nacme = 1", "gpuhub.toml: 'providers.acme' must be a table, not a whole"),
        ("[profiles]\nprod = true", "gpuhub.toml: 'profiles.prod' must be a table, not true or f"),
        ("profiles = []", "gpuhub.toml: 'profiles' must be a table, not a list"),
        ("[providers.'A b']", "gpuhub.toml: 'providers': 'A b' is not a provider name"),
        ("provider = 'RunPod'", "gpuhub.toml: 'provider': 'RunPod' is not a provider name"),
        ("on_unsupported = 'ignore'", "gpuhub.toml: 'on_unsupported': 'ignore' must be 'error' or"),
        ("payload_store = 'bucket'", "gpuhub.toml: 'payload_store': 'bucket' must be a URL"),
        ("state_dir = ''", "gpuhub.toml: 'state_dir' must not be empty"),
        ("[profiles.p]\njournal = 1.5", "gpuhub.toml: 'profiles.p.journal' must be a string"),
        ("profile = ''", "gpuhub.toml: 'profile' must not be empty"),
        (
            "profile = 'prd'\n[profiles.prod]",
            "gpuhub.toml: 'profile': unknown profile 'prd'; did you mean 'prod'?",
        ),
        ("app = 'x'\n\napp = = 2", "gpuhub.toml: not valid TOML: Invalid value (at line 3"),
        ("a = 1\nb = [1,\n", "(at line 3, the end of the file)"),
    ],
)
def test_a_wrong_file(project, text, message):
    """The message names file, dotted key, value and rule; the next step is never empty."""
    with pytest.raises(ConfigError) as caught:
        project.write(text).load()
    assert message in caught.value.message
    assert caught.value.next_step


def test_a_wrong_pyproject_table(project):
    """The dotted path starts at tool.gpuhub."""
    project.write("[tool]\ngpuhub = 1", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"pyproject.toml: 'tool.gpuhub' must be a table"):
        project.load()
    project.write("[tool.gpuhub.profiles.x]\nap = 'a'", "pyproject.toml")
    message = r"pyproject.toml: unknown key 'tool.gpuhub.profiles.x.ap'; did you mean 'app'\?"
    with pytest.raises(ConfigError, match=message):
        project.load()


def test_a_file_that_is_not_text(project):
    """The line of the first bad byte is named."""
    (project.root / "gpuhub.toml").write_bytes(b"app = 'x'\n# \xff\n")
    with pytest.raises(ConfigError, match=r"not UTF-8 \(at line 2\)"):
        project.load()


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"GPUHUB_PROVDER": "x"}, "environment: unknown variable 'GPUHUB_PROVDER'; did you mean"),
        ({"GPUHUB_ON_UNSUPPORTED": "no"}, "environment: 'GPUHUB_ON_UNSUPPORTED': 'no' must be"),
        ({"GPUHUB_APP": "My App"}, "environment: 'GPUHUB_APP': 'My App' must be 1 to 50 of"),
        ({"GPUHUB_PROFILE": "x"}, "environment: 'GPUHUB_PROFILE': unknown profile 'x'"),
    ],
)
def test_a_wrong_variable(project, environ, message):
    """Variables are held to the same rules; a misspelt one does not silently select the mock."""
    with pytest.raises(ConfigError) as caught:
        project.load(environ=environ)
    assert message in caught.value.message


def test_variables_of_others_are_left_alone(project):
    """A variable unlike any of ours may belong to an adapter or to the worker."""
    settings = project.load(environ={"GPUHUB_WORKER_PORT": "1", "GPUHUB_ACME_API_URL": "x"})
    assert settings.provider == "mock"


@pytest.mark.parametrize(
    ("explicit", "message"),
    [
        ({"provder": "x"}, "argument: unknown key 'provder'; did you mean 'provider'?"),
        ({"app": 3}, "argument: 'app' must be a string, not a whole number (3)"),
        ({"on_unsupported": "x"}, "argument: 'on_unsupported': 'x' must be 'error' or 'warn'"),
        ({"include": b"x"}, "argument: 'include' must be a list of strings, not a bytes"),
    ],
)
def test_a_wrong_argument(project, explicit, message):
    """Arguments are held to the same rules."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        project.load(**explicit)


@pytest.mark.parametrize(
    ("app", "suggestion"),
    [
        ("My App", "my-app"),
        ("2fast", "app-2fast"),
        ("a_b", "a-b"),
        ("-x", "x"),
        ("x" * 51, "x" * 50),
        ("", "app"),
        ("é", "app"),
        ("app\n", "app"),
    ],
)
def test_the_rule_for_app_names(project, app, suggestion):
    """A name that would not do is refused with one that would."""
    with pytest.raises(ConfigError, match="1 to 50 of a-z, 0-9 and -") as caught:
        project.load(app=app)
    assert f'"{suggestion}"' in caught.value.next_step


@given(st.text(max_size=80))
def test_any_folder_name_makes_an_app_name(text):
    """The default obeys the rule, and a safe name stays as it is."""
    name = safe_app_name(text)
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,49}", name)
    assert safe_app_name(name) == name


# -- one provider ------------------------------------------------------------------------------


def test_a_providers_keys(project):
    """Declared keys all have a value, of their kind."""
    acme = project.write(
        "[providers.acme]\npatience = 3\nverify = false\nregions = ['eu', 'us']\n"
        "registry_password = 'hunter2'\n"
    ).acme()
    assert dict(acme.values) == {
        "api_url": "https://api.acme.test",
        "retries": 2,
        "patience": 3.0,
        "verify": False,
        "regions": ("eu", "us"),
        "registry_password": SecretStr("hunter2"),
    }
    assert type(acme["patience"]) is float
    assert (acme.get("retries"), acme.get("undeclared", 5)) == (2, 5)
    assert project.write("").acme().get("registry_password", "none") == "none"
    with pytest.raises(KeyError):
        acme["undeclared"]


def test_a_providers_surroundings(project):
    """The adapter learns the app, the state folder, and what to do about missing features."""
    acme = project.write('on_unsupported = "warn"').acme()
    assert (acme.provider, acme.app, acme.on_unsupported) == ("acme", "my-project", "warn")
    assert (acme.state_dir, acme.root) == (project.root / ".gpuhub", project.root)


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("API_URL", " http://127.0.0.1:1 ", "api_url", "http://127.0.0.1:1"),
        ("RETRIES", "0", "retries", 0),
        ("PATIENCE", "2", "patience", 2.0),
        ("VERIFY", "No", "verify", False),
        ("VERIFY", "1", "verify", True),
        ("REGIONS", "eu, us,", "regions", ("eu", "us")),
        ("REGISTRY_PASSWORD", "hunter2", "registry_password", SecretStr("hunter2")),
        ("RETRIES", "", "retries", 2),
    ],
)
def test_a_providers_variables(project, variable, text, key, value):
    """The text of a variable is read as the kind of its key."""
    acme = project.acme(environ={f"GPUHUB_ACME_{variable}": text})
    assert (acme[key], type(acme[key])) == (value, type(value))


@pytest.mark.parametrize(
    ("variable", "text", "rule"),
    [
        ("RETRIES", "two", "a whole number"),
        ("RETRIES", "1.5", "a whole number"),
        ("PATIENCE", "x", "a number"),
        ("PATIENCE", "nan", "a number"),
        ("VERIFY", "maybe", "true or false"),
    ],
)
def test_a_providers_variable_of_the_wrong_kind(project, variable, text, rule):
    """The message names variable, rule and value."""
    message = f"environment: 'GPUHUB_ACME_{variable}' must be {rule}, not "
    with pytest.raises(ConfigError, match=message) as caught:
        project.acme(environ={f"GPUHUB_ACME_{variable}": text})
    assert text in caught.value.message


@pytest.mark.parametrize("name", ["my-gpu", "my_gpu"])
def test_the_variables_of_a_provider_with_a_hyphen(project, name):
    """Hyphen and underscore are both an underscore in a variable."""
    acme = project.acme(name=name, environ={"GPUHUB_MY_GPU_API_URL": "http://127.0.0.1"})
    assert acme["api_url"] == "http://127.0.0.1"
    assert str(acme.origins["api_url"]) == "environment GPUHUB_MY_GPU_API_URL"


def test_a_provider_whose_name_begins_with_anothers(project):
    """GPUHUB_ACME_EU_… is acme-eu's where there is such a provider, else acme's mistake."""
    environ = {"GPUHUB_ACME_EU_RETRIES": "9", "GPUHUB_ACME_RETRIES": "4"}
    assert project.acme(environ, known=["acme", "acme-eu"])["retries"] == 4
    assert project.acme(environ, known=["acme", "acme-eu"], name="acme-eu")["retries"] == 9
    with pytest.raises(ConfigError, match="unknown variable 'GPUHUB_ACME_EU_RETRIES'"):
        project.acme(environ)
    project.write("[providers.acme-eu]\nretries = 1")
    assert project.acme(environ)["retries"] == 4


def test_a_variable_of_the_top_level_is_no_providers_key(project):
    """A provider called state does not claim GPUHUB_STATE_DIR."""
    state = project.acme(name="state", environ={"GPUHUB_STATE_DIR": "x"})
    assert state.state_dir == project.root / "x"


@pytest.mark.parametrize(
    ("arrange", "message"),
    [
        (
            {"environ": {"GPUHUB_ACME_API_ULR": "x"}},
            "unknown variable 'GPUHUB_ACME_API_ULR'; did you mean 'GPUHUB_ACME_API_URL'?",
        ),
        (
            {"options": {"api_ulr": "x"}},
            "argument: unknown key 'api_ulr'; did you mean 'api_url'?",
        ),
        (
            {"provider": "acme", "provider_options": {"retires": 1}},
            "argument: unknown key 'retires'; did you mean 'retries'?",
        ),
        ({"options": {"retries": True}}, "argument: 'retries' must be a whole number, not true or"),
        ({"options": {"retries": 1.0}}, "argument: 'retries' must be a whole number, not a number"),
        (
            {"options": {"verify": 1}},
            "argument: 'verify' must be true or false, not a whole number",
        ),
        ({"options": {"regions": "eu"}}, "argument: 'regions' must be a list of strings, not"),
        ({"options": {"patience": float("inf")}}, "argument: 'patience' must be a number"),
        ({"name": "Acme"}, "provider: 'Acme' is not a provider name"),
    ],
)
def test_wrong_provider_settings(project, arrange, message):
    """Unknown keys get the nearest, wrong kinds the rule."""
    with pytest.raises(ConfigError, match=re.escape(message)):
        project.acme(**arrange)


def test_unknown_keys_in_a_providers_table(project):
    """The dotted path leads to the key, also within a profile and pyproject.toml."""
    project.write("[providers.acme]\nretires = 1")
    message = "gpuhub.toml: unknown key 'providers.acme.retires'; did you mean 'retries'?"
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        project.acme()
    assert "regions" in caught.value.next_step
    project.write("[profiles.p.providers.acme]\nretries = '1'")
    message = "gpuhub.toml: 'profiles.p.providers.acme.retries' must be a whole number, not a strin"
    with pytest.raises(ConfigError, match=message):
        project.acme(profile="p")
    (project.root / "gpuhub.toml").unlink()
    project.write("[tool.gpuhub.providers.acme]\nqqq = 1", "pyproject.toml")
    with pytest.raises(ConfigError, match=r"unknown key 'tool.gpuhub.providers.acme.qqq'\n"):
        provider_settings(project.load(), "acme", {"api_url": KEYS["api_url"]})


def test_a_misspelt_table(project):
    """A table named almost like a registered provider is refused, a stranger's is not."""
    project.write("[providers.acmee]\nretries = 1\n[providers.elsewhere]\nx = 1\n")
    assert project.acme()["retries"] == 2
    with pytest.raises(ConfigError, match=r"'\[providers.acmee\]'; did you mean 'acme'\?"):
        project.acme(known=["acme", "mock"])


def test_a_declaration_that_cannot_be_kept():
    """Mistakes of an adapter's author show at once."""
    with pytest.raises(TypeError, match="kind"):
        SettingKey("x", dict)
    with pytest.raises(TypeError, match="secret"):
        SettingKey("x", int, secret=True)


def test_a_default_of_the_wrong_kind(project):
    """Defaults are checked like everything else."""
    with pytest.raises(ConfigError, match="acme: the default of 'x' must be a whole number"):
        provider_settings(project.load(), "acme", {"x": SettingKey("x", int, "1")})


# -- credentials and other secrets -------------------------------------------------------------


def test_a_credential_comes_from_the_vendors_variable(project):
    """Only from there, or from an argument, which wins."""
    acme = project.acme(environ={"ACME_API_KEY": f" {TOKEN}\n"})
    assert acme.credential("api_key").get_secret_value() == TOKEN
    assert acme.missing_credentials() == ()
    explicit = project.acme(environ={"ACME_API_KEY": TOKEN}, options={"api_key": "given"})
    assert explicit.credential("api_key").get_secret_value() == "given"
    wrapped = project.acme(options={"api_key": SecretStr("wrapped")})
    assert wrapped.credential("api_key").get_secret_value() == "wrapped"
    loaded = project.acme(provider="acme", provider_options={"api_key": "loaded"})
    assert loaded.credential("api_key").get_secret_value() == "loaded"


@pytest.mark.parametrize("blank", [{}, {"ACME_API_KEY": ""}, {"ACME_API_KEY": " \n"}])
def test_a_missing_credential(project, blank):
    """Settings are built without it; reading it names variable, provider and where to get it."""
    acme = project.acme(environ=blank)
    assert acme.find_credential("api_key") is None
    assert [missing.env for missing in acme.missing_credentials()] == ["ACME_API_KEY"]
    with pytest.raises(MissingCredentials, match="ACME_API_KEY is not set") as caught:
        acme.credential("api_key")
    assert caught.value.provider == "acme"
    assert caught.value.next_step == "set ACME_API_KEY; create one under Settings, API keys"
    with pytest.raises(MissingCredentials, match="ACME_ORG"):
        acme.credential("org")
    with pytest.raises(KeyError, match="undeclared"):
        acme.credential("undeclared")


def test_a_credential_in_a_file_is_refused(project):
    """The message says where it belongs and does not repeat it."""
    for key in ("api_key", "ACME_API_KEY", "acme_api_key"):
        project.write(f"[providers.acme]\n{key} = '{TOKEN}'")
        with pytest.raises(ConfigError, match="is a credential, which is read from ACME_AP") as got:
            project.acme()
        assert TOKEN not in str(got.value)
    project.write("")
    with pytest.raises(ConfigError, match="'GPUHUB_ACME_API_KEY' is a credential") as got:
        project.acme(environ={"GPUHUB_ACME_API_KEY": TOKEN})
    assert TOKEN not in str(got.value)


def test_secrets_are_not_shown(project):
    """Neither printing nor explaining shows a secret or a piece of one."""
    environ = {
        "ACME_API_KEY": TOKEN,
        "GPUHUB_ACME_API_URL": f"https://me:{TOKEN}@h.test/?k={TOKEN}",
    }
    project.write(
        f"payload_store = 's3://key:{TOKEN}@bucket'\n"
        f"[providers.acme]\nregistry_password = '{TOKEN}'\n[providers.other]\nx = '{TOKEN}'\n"
    )
    settings = project.load(environ=environ)
    acme = provider_settings(settings, "acme", KEYS, credentials=CREDENTIALS)
    shown = [
        form(subject)
        for subject in (settings, acme, settings.environment, acme.secrets, acme.origins)
        for form in (repr, str, format, ascii)
    ]
    shown += [repr(explain(settings)), repr(explain(settings, acme))]
    assert not [text for text in shown if TOKEN[:8] in text or TOKEN[-8:] in text]


def test_secrets_are_not_in_errors(project):
    """A secret of the wrong kind, or beside a mistake, is not quoted."""
    with pytest.raises(ConfigError, match="'registry_password' must be a string") as caught:
        project.acme(options={"registry_password": 987654})
    assert "987654" not in str(caught.value)
    with pytest.raises(ConfigError, match="must be a URL") as caught:
        project.load(payload_store=f"://me:{TOKEN}@host")
    assert TOKEN not in str(caught.value)
    project.write(f"[providers]\nacme = '{TOKEN}'")
    with pytest.raises(ConfigError, match="must be a table") as caught:
        project.load()
    assert TOKEN not in str(caught.value)


def test_secrets_are_not_pickled(project):
    """Pickle and copy leak nothing: the one refuses, the other gives the same object."""
    acme = project.acme(environ={"ACME_API_KEY": TOKEN})
    settings = project.load(environ={"ACME_API_KEY": TOKEN})
    for subject in (acme, settings, settings.environment):
        with pytest.raises(TypeError, match="holds secrets and cannot be pickled"):
            pickle.dumps(subject)
        assert copy.copy(subject) is subject
        assert copy.deepcopy(subject) is subject


def test_explain(project):
    """Each value with its origin; secrets as their length, other providers' tables unseen."""
    project.write(
        'profile = "p"\ninclude = ["a", "b"]\n[profiles.p]\napp = "demo"\n'
        "[providers.acme]\nregistry_password = 'hunter2'\n[providers.other]\nx = 1\n"
    )
    environ = {"GPUHUB_PROVIDER": "acme", "ACME_API_KEY": "k" * 40}
    settings = project.load(environ=environ, on_unsupported="warn")
    acme = provider_settings(settings, "acme", KEYS, credentials=CREDENTIALS)
    rows = {row.key: (row.value_masked, row.origin) for row in explain(settings, acme)}
    assert rows == {
        "app": ("demo", "profile p in gpuhub.toml"),
        "provider": ("acme", "environment GPUHUB_PROVIDER"),
        "profile": ("p", "gpuhub.toml"),
        "on_unsupported": ("warn", "argument"),
        "payload_store": ("not set", "default"),
        "state_dir": (str(project.root / ".gpuhub"), "default"),
        "journal": (str(project.root / ".gpuhub" / "journal.db"), "default"),
        "include": ("a, b", "gpuhub.toml"),
        "exclude": ("none", "default"),
        "providers.acme.api_url": ("https://api.acme.test", "default"),
        "providers.acme.retries": ("2", "default"),
        "providers.acme.patience": ("1.5", "default"),
        "providers.acme.verify": ("true", "default"),
        "providers.acme.regions": ("none", "default"),
        "providers.acme.registry_password": (
            "set, 7 characters",
            "gpuhub.toml [providers.acme]",
        ),
        "ACME_API_KEY": ("set, 40 characters", "environment ACME_API_KEY"),
        "ACME_ORG": ("not set", "environment ACME_ORG"),
        "providers.other.x": ("set, not shown", "gpuhub.toml [providers.other]"),
    }


def test_provider_settings_by_hand():
    """An adapter's tests need no project."""
    acme = ProviderSettings(
        provider="acme",
        values={"api_url": "http://127.0.0.1"},
        credentials=CREDENTIALS,
        secrets={"api_key": SecretStr(TOKEN)},
    )
    assert acme.credential("api_key").get_secret_value() == TOKEN
    assert repr(acme) == (
        "ProviderSettings('acme', {api_url='http://127.0.0.1'}, credentials set: api_key)"
    )
    assert explain_rows(acme)["api_url"] == "default"


def explain_rows(acme):
    """Key -> origin of a provider's rows."""
    settings = load_settings(environ={})
    prefix = f"providers.{acme.provider}."
    return {row.key.removeprefix(prefix): row.origin for row in explain(settings, acme)}
