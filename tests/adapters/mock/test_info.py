"""Facts, settings, capabilities and the error table."""

from __future__ import annotations

from typing import Any, get_args

import pytest

import gpuhub_mock
from gpuhub.adapter import Adapter, Feature, Level, SuppliesClock
from gpuhub.errors import ConfigError, GpuHubError, MalformedResponse, ProviderError
from gpuhub.settings import ProviderSettings, load_settings, provider_settings
from gpuhub.testing.emulator import Fault, FaultKind
from gpuhub.testing.emulator.clocks import ScaledClock, SystemClock, VirtualClock
from gpuhub_mock.capabilities import CAPABILITIES, capabilities
from gpuhub_mock.emulator.refusals import Refusal, refusal_of
from gpuhub_mock.errors import ERRORS, error_of


def create(tmp_path, **options: Any) -> Any:
    """Make an adapter as a workspace would."""
    settings = load_settings(tmp_path, environ={"GPUHUB_STATE_DIR": str(tmp_path / "state")})
    info = gpuhub_mock.INFO
    given = provider_settings(settings, "mock", info.settings, options=options)
    return gpuhub_mock.create(given)


def test_it_can_be_made_without_anything(tmp_path) -> None:
    """No credential, no network, no folder."""
    adapter: Adapter = create(tmp_path)
    assert isinstance(adapter, SuppliesClock)
    assert isinstance(adapter.clock, VirtualClock)
    assert adapter.info.name == "mock"
    assert list(tmp_path.iterdir()) == []
    adapter.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("virtual", VirtualClock), ("system", SystemClock), ("scaled:20", ScaledClock)],
)
def test_the_setting_chooses_the_clock(tmp_path, text, kind) -> None:
    """Of each adapter by itself."""
    adapter = create(tmp_path, clock=text)
    assert isinstance(adapter.clock, kind)
    adapter.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "docker"}, "inline, thread, subprocess"),
        ({"clock": "fast"}, "scaled:20"),
        ({"clock": "scaled:no"}, "scaled:20"),
        ({"clock": "scaled:0"}, "scaled:20"),
        ({"clock": "virtual:2"}, "scaled:20"),
        ({"cold_start_s": -1.0}, "at least 0"),
        ({"payload_limit": -1}, "payload_limit"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, options, words) -> None:
    """With the key, the value and what would be right."""
    with pytest.raises(ConfigError, match=r"providers\.mock") as caught:
        create(tmp_path, **options)
    assert words in str(caught.value)
    assert caught.value.next_step


def test_settings_reach_the_provider(tmp_path) -> None:
    """All of them."""
    adapter = create(
        tmp_path,
        mode="thread",
        cold_start_s=7.0,
        result_ttl_s=5.0,
        payload_limit=11,
        spawn_payload_limit=12,
        result_limit=13,
        idempotency_keys=False,
        persist=False,
    )
    options = adapter.cloud.options
    assert (options.mode, options.cold_start_s, options.result_ttl_s) == ("thread", 7.0, 5.0)
    assert (options.idempotency_keys, options.state_dir) == (False, None)
    limits = adapter.info.limits
    found = (limits.payload_bytes, limits.spawn_payload_bytes, limits.result_bytes)
    assert found == (11, 12, 13)
    adapter.close()


def test_it_persists_by_default(tmp_path) -> None:
    """Below the state folder of the project."""
    adapter = create(tmp_path)
    assert adapter.cloud.options.state_dir == tmp_path / "state" / "mock"
    adapter.close()


def test_every_feature_is_declared() -> None:
    """Each with its reason, where it is not native."""
    assert set(CAPABILITIES) == set(Feature)
    assert all(each.how for each in CAPABILITIES.values() if each.level is not Level.NATIVE)


def test_capabilities_follow_the_settings() -> None:
    """What a setting switches off is declared unsupported."""
    off = capabilities(idempotency_keys=False, mode="subprocess")
    assert off[Feature.IDEMPOTENCY_KEY].level is Level.UNSUPPORTED
    assert off[Feature.CANCEL_RUNNING].level is Level.NATIVE
    assert set(off) == set(Feature)


@pytest.mark.parametrize("kind", sorted(set(get_args(FaultKind)) - {"cold_start"}))
def test_every_fault_is_one_line_of_the_table(kind) -> None:
    """Each becomes an error that says what to do."""
    error = error_of(refusal_of(Fault(kind)))
    assert isinstance(error, ProviderError)
    assert (error.provider, error.message != "", error.next_step != "") == ("mock", True, True)
    unknown = kind in ("lost_response", "malformed", "server_error", "timeout", "crash")
    assert error.accepted is (None if unknown else False)


def test_an_unknown_status_is_an_unknown_outcome() -> None:
    """The table's default errs on the safe side."""
    error = error_of(Refusal(599, "new", "what"))
    assert isinstance(error, ProviderError)
    assert (error.accepted, error.status, error.code) == (None, 599, "new")


def test_the_table_is_ordered() -> None:
    """A line with a code comes before the one for all codes of the status."""
    general: set[int] = set()
    for rule in ERRORS:
        assert rule.code is None or rule.status not in general, rule
        if rule.code is None:
            general.add(rule.status)
        assert rule.next_step


def test_faults_of_the_control_plane(lab) -> None:
    """Every operation can fail; those that change something fail after they did, or before."""
    ref = lab.deploy("add")
    lab.cloud.fail("malformed", on="status", times=9)
    with pytest.raises(MalformedResponse):
        lab.status(ref)
    lab.cloud.heal()
    lab.cloud.fail("lost_response", on="deploy")
    with pytest.raises(GpuHubError) as caught:
        lab.deploy("add", env={"A": "1"})
    assert getattr(caught.value, "accepted", False) is None
    assert lab.status(ref).version == "2"
    lab.cloud.fail("unauthorized", on="deploy")
    with pytest.raises(GpuHubError):
        lab.deploy("add", env={"A": "2"})
    assert lab.status(ref).version == "2"


def test_requests_are_recorded(lab) -> None:
    """In order, with the clock's time, and without secrets."""
    ref = lab.deploy("add")
    lab.submit(ref, x=1)
    lab.status(ref)
    found = [(each.operation, each.method, each.at) for each in lab.cloud.requests]
    assert found == [
        ("upload", "PUT", 0.0),
        ("deploy", "PUT", 0.0),
        ("submit", "POST", 0.0),
        ("status", "GET", 2.0),
    ]


def test_the_contract_emulator_is_shared() -> None:
    """Closing one of its adapters stops nothing."""
    cloud = gpuhub_mock.contract_emulator()
    settings = ProviderSettings(provider="mock")
    first = cloud.adapter_module.create(settings)
    second = cloud.adapter_module.create(settings)
    assert first.cloud is second.cloud is cloud
    first.close()
    assert cloud.adapter_module.INFO is gpuhub_mock.INFO
    cloud.stop()
