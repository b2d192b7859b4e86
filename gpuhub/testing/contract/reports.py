"""The translation report: every field is answered for, and the answers are true."""

# ruff: noqa: S101 - assert is how a test speaks
from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gpuhub.errors import GpuHubError, SpecError, UnsupportedSetting
from gpuhub.plan import Fidelity, Plan, Row
from gpuhub.scaling import Scaling
from gpuhub.spec import spec_fields
from gpuhub.testing.contract.bench import Bench
from gpuhub.testing.contract.fixtures import once
from gpuhub.testing.contract.gates import plan_of
from gpuhub.testing.contract.variations import VARIATIONS
from gpuhub.testing.contract.wrappers import Unsupporting

__all__ = ["Reports"]

SENT = (Fidelity.EXACT, Fidelity.APPROXIMATE, Fidelity.PINNED_DEFAULT)


class Reports:
    """Plans and their rows."""

    def test_every_field_has_a_variation(self) -> None:
        """A field that is added to the spec is also added to this suite."""
        assert set(VARIATIONS) == set(spec_fields())

    @once
    def test_the_plan_answers_for_every_field(self, bench: Bench) -> None:
        """One row for each field of the spec, and no other."""
        plan = bench.function("echo").plan()
        answered = [row.field for row in plan.rows]
        assert sorted(answered) == sorted(spec_fields())
        for row in plan.rows:
            _check_row(row)

    @once
    @pytest.mark.parametrize("field", spec_fields())
    def test_changing_a_field_changes_the_plan(self, bench: Bench, field: str) -> None:
        """What the user sets reaches the provider, or the check objects: nothing is dropped."""
        for variation in VARIATIONS[field]:
            try:
                after = plan_of(bench, variation)
            except SpecError:
                continue
            before = plan_of(bench, variation, base=True)
            _check_changed(field, before, after)

    @once
    def test_defaults_are_sent(self, bench: Bench) -> None:
        """Where the row of an unset field names a native field, gpuhub's default is in it."""
        plan = bench.function("echo").plan()
        unset = [row for row in plan.rows if row.fidelity is Fidelity.PINNED_DEFAULT]
        for row in unset:
            assert row.set is False or row.value is None
            if row.native is not None and row.value is not None:
                assert _carries(plan, row.value), f"{row.field}: {row.value!r} is not sent"

    @once
    def test_planning_is_pure(self, bench: Bench) -> None:
        """The same function gives the same plan, and nothing is sent."""
        with bench.sends_nothing():
            first = bench.function("echo", env={"CONTRACT_PLACE": "x"}).plan()
            second = bench.function("echo", env={"CONTRACT_PLACE": "x"}).plan()
        assert first.to_dict() == second.to_dict()

    @once
    def test_the_json_form_is_stable(self, bench: Bench) -> None:
        """``plan --json`` is JSON, says its schema, and shows each row in full."""
        shown = json.loads(json.dumps(bench.function("echo").plan().to_dict(), allow_nan=False))
        assert shown["schema"] == 1
        assert shown["provider"] == bench.provider
        assert len(shown["fingerprint"]) == 64
        columns = {"field", "set", "native", "value", "fidelity", "reason", "cost"}
        assert all(set(row) == columns for row in shown["rows"])

    @once
    def test_an_unsupported_setting_is_refused(self, bench: Bench) -> None:
        """By default the engine refuses what the user set and the provider cannot honour."""
        bench.use(bench.open_workspace(module=Unsupporting(bench.module, "memory")))
        with bench.sends_nothing(), pytest.raises(UnsupportedSetting, match="memory") as caught:
            bench.function("echo", memory=4096).plan()
        assert caught.value.fields == ("memory",)
        assert caught.value.provider == bench.provider
        bench.function("echo").plan()

    def test_an_unsupported_setting_can_be_warned_about(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With ``on_unsupported = "warn"`` it deploys and says what was left out."""
        module = Unsupporting(bench.module, "memory")
        bench.use(bench.open_workspace(module=module, on_unsupported="warn"))
        endpoint = bench.deploy("echo", memory=4096)
        assert any("memory" in record.getMessage() for record in caplog.records)
        assert bench.invoke(endpoint, "runs") == "runs"

    @once
    def test_what_a_function_cannot_do_without_is_no_warning(self, bench: Bench) -> None:
        """A function without its variables would fail later: ``"warn"`` does not let it pass."""
        module = Unsupporting(bench.module, "env")
        bench.use(bench.open_workspace(module=module, on_unsupported="warn"))
        with bench.sends_nothing(), pytest.raises(UnsupportedSetting, match="cannot do without"):
            bench.function("echo", env={"CONTRACT_PLACE": "x"}).plan()

    @once
    def test_an_unsupported_default_is_a_warning(self, bench: Bench) -> None:
        """What the user did not set never stands in the way, but is told."""
        bench.use(bench.open_workspace(module=Unsupporting(bench.module, "timeout")))
        plan = bench.function("echo").plan()
        assert any("timeout" in warning and "default" in warning for warning in plan.warnings)

    @once
    def test_limits_are_checked_before_sending(self, bench: Bench) -> None:
        """Above a limit of the provider the field, the value and the limit are named."""
        limits = bench.adapter.info.limits
        app = "a" * min(50, max(1, limits.name_length - 54))
        bench.use(bench.open_workspace(app=app))
        beyond: dict[str, tuple[Any, dict[str, Any]]] = {}
        if len(app) + 56 > limits.name_length:
            beyond["name"] = (len(app) + 56, {"name": "n" * 55})
        if limits.timeout_s is not None:
            beyond["timeout"] = (limits.timeout_s + 1, {"timeout": limits.timeout_s + 1})
        if limits.max_workers is not None:
            most = limits.max_workers + 1
            beyond["max_workers"] = (most, {"scaling": Scaling(max_workers=most)})
        bench.function("echo").plan()
        for field, (value, settings) in beyond.items():
            with bench.sends_nothing(), pytest.raises(SpecError, match=field) as caught:
                bench.function("echo", **settings).plan()
            assert f"{value:g}" in caught.value.message

    @once
    def test_an_unknown_option_of_the_provider_is_refused(self, bench: Bench) -> None:
        """The adapter checks what is meant for it."""
        options = {bench.provider: {"no-such-option-of-any-provider": 1}}
        with bench.sends_nothing(), pytest.raises(GpuHubError, match="no-such-option"):
            bench.function("echo", options=options).plan()

    @once
    def test_an_unknown_gpu_is_refused(self, bench: Bench) -> None:
        """A GPU that does not exist is named together with the nearest that does."""
        with bench.sends_nothing(), pytest.raises(SpecError, match="H1000"):
            bench.function("echo", gpu="H1000").plan()


def _check_row(row: Row) -> None:
    """Each row is JSON and explains itself."""
    json.dumps(row.to_dict(), allow_nan=False)
    if row.fidelity not in (Fidelity.EXACT, Fidelity.PINNED_DEFAULT):
        assert row.reason, f"{row.field} is {row.fidelity.value} and does not say why"
    if not row.set:
        assert row.fidelity is not Fidelity.EXACT, f"{row.field} is not set, so not exact"


def _check_changed(field: str, before: Plan, after: Plan) -> None:
    old, new = before.row(field), after.row(field)
    assert after.fingerprint != before.fingerprint, f"{field}: the same fingerprint"
    said = [(row.native, row.value, row.reason) for row in (old, new)]
    assert said[0] != said[1], f"{field}: the row says the same of two values: {said[0]}"
    if new.fidelity not in SENT:
        return
    assert new.set or field == "target", f"{field} was set, and the row says it was not"
    sent = [_sent(plan) for plan in (before, after)]
    assert sent[0] != sent[1], f"{field}: the row says {new.fidelity}, the requests are the same"
    assert _carries(after, new.value), (
        f"{field}: the row says {new.native} = {new.value!r}, which no request holds"
    )


def _sent(plan: Plan) -> str:
    """Everything a plan would send, raw bodies by their content."""
    shown = [request.to_dict() for request in plan.requests]
    bodies = [request.body for request in plan.requests if isinstance(request.body, bytes)]
    return json.dumps(shown, sort_keys=True, default=str) + repr(bodies) + plan.bundle.digest


def _carries(plan: Plan, value: Any) -> bool:
    """Whether what a row says is sent is somewhere in the requests."""
    requests = [request.to_dict() for request in plan.requests]
    sent = list(_leaves(requests))
    texts = [leaf for leaf in sent if isinstance(leaf, str)]
    texts += [str(request.body) for request in plan.requests if request.body is not None]
    return all(_is_among(leaf, sent, texts) for leaf in _leaves(value))


def _is_among(wanted: Any, sent: list[Any], texts: list[str]) -> bool:
    if any(type(leaf) is type(wanted) and leaf == wanted for leaf in sent):
        return True
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        if any(leaf == wanted for leaf in sent if not isinstance(leaf, bool)):
            return True
        # Not inside a longer number or a digest.
        alone = re.compile(rf"(?<![\w.]){re.escape(f'{wanted:g}')}(?![\w.])")
        return any(alone.search(text) for text in texts)
    return any(str(wanted) in text for text in texts)


def _leaves(value: Any) -> Iterator[Any]:
    """All scalars inside a JSON value, names of members included."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _leaves(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _leaves(inner)
    elif value is not None:
        yield value
