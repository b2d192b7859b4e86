"""From a spec to a checked plan: nothing is sent, nothing is dropped."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpuhub._engine.features import require
from gpuhub.adapter import Adapter, Feature
from gpuhub.errors import GpuHubError, SpecError, UnsupportedSetting
from gpuhub.plan import Fidelity, Plan, Row, unsupported_rows
from gpuhub.spec import spec_fields

if TYPE_CHECKING:
    from pydantic import SecretStr

    from gpuhub.bundle import Bundle
    from gpuhub.spec import FunctionSpec

_log = logging.getLogger("gpuhub")

ESSENTIAL = frozenset({"batching", "env", "schedule", "secrets", "volumes"})
"""Fields without which the function itself fails or never runs: refused even with ``"warn"``."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Checks a spec against one adapter and asks it for a plan.

    Attributes:
        adapter: Whose plan.
        on_unsupported: ``"error"`` refuses fields the user set and the provider lacks, ``"warn"``
            lets them pass with a warning, but for those in :data:`ESSENTIAL`.
        salt: Gives the key of the digest of local secrets inside the fingerprint, so that a
            recorded fingerprint cannot be used to guess them.
    """

    adapter: Adapter
    on_unsupported: str
    salt: Callable[[], bytes]

    def plan(
        self,
        spec: FunctionSpec,
        bundle: Bundle,
        secrets: Mapping[str, SecretStr],
        *,
        refuse: bool = True,
    ) -> Plan:
        """Check and plan.

        Args:
            spec: What was asked.
            bundle: What is shipped.
            secrets: Values of local secrets, for the fingerprint.
            refuse: Whether settings that cannot be honoured are refused; else they are rows.

        Raises:
            SpecError: The provider cannot run this, see the subclasses.
        """
        self._check_kind(spec)
        self._check_limits(spec)
        plan = self.adapter.plan(spec, bundle)
        _check_complete(plan)
        dropped = self._refused(plan) if refuse else ()
        if dropped:
            raise self._refusal(dropped)
        warnings = (*plan.warnings, *_warnings(plan.rows))
        return plan.with_facts(
            warnings=warnings,
            secret_values=dict(secrets),
            fingerprint=self._fingerprint(plan, secrets),
        )

    def _check_kind(self, spec: FunctionSpec) -> None:
        """Refuse kinds the provider cannot run; a warning would not make them run."""
        wanted = {
            "class": Feature.KIND_CLASS,
            "generator": Feature.KIND_GENERATOR,
            "web": Feature.KIND_WEB,
        }.get(spec.target.kind)
        features = [wanted] if wanted else []
        if spec.target.is_async:
            features.append(Feature.KIND_ASYNC)
        for feature in features:
            require(self.adapter, feature, of=spec.name)

    def _check_limits(self, spec: FunctionSpec) -> None:
        info = self.adapter.info
        found = {
            "name": (len(spec.deployment_name), info.limits.name_length, "characters"),
            "timeout": (spec.timeout, info.limits.timeout_s, "seconds"),
            "scaling.max_workers": (spec.scaling.max_workers, info.limits.max_workers, "workers"),
        }
        for field, (value, limit, unit) in found.items():
            if limit is not None and value > limit:
                msg = f"{field}: {value:g} is above the {limit:g} {unit} that {info.title} allows"
                raise SpecError(
                    msg,
                    provider=info.name,
                    next_step=f"lower {field} in the decorator of {spec.name!r}",
                )

    def _refused(self, plan: Plan) -> tuple[Row, ...]:
        dropped = unsupported_rows(plan.rows)
        if self.on_unsupported == "warn":
            return tuple(row for row in dropped if row.field in ESSENTIAL)
        return dropped

    def _refusal(self, dropped: tuple[Row, ...]) -> UnsupportedSetting:
        info = self.adapter.info
        reasons = "; ".join(f"{row.field}: {row.reason}" for row in dropped)
        ways = 'remove the setting, change the provider, or set on_unsupported = "warn"'
        if needs := ", ".join(row.field for row in dropped if row.field in ESSENTIAL):
            ways = f"remove it or change the provider: the function cannot do without {needs}"
        return UnsupportedSetting(
            f"{info.title} cannot honour {reasons}",
            fields=tuple(row.field for row in dropped),
            provider=info.name,
            next_step=ways,
        )

    def _fingerprint(self, plan: Plan, secrets: Mapping[str, SecretStr]) -> str:
        keyed = {
            name: hmac.new(self.salt(), value.get_secret_value().encode(), "sha256").hexdigest()
            for name, value in sorted(secrets.items())
        }
        shown = plan.to_dict()
        facts = {name: shown[name] for name in ("provider", "deployment", "requests", "spec")}
        facts |= {"bundle": plan.bundle.digest, "secrets": keyed}
        text = json.dumps(facts, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def _check_complete(plan: Plan) -> None:
    """Find fields that an adapter does not answer for: a dropped setting is a bug in it."""
    answered = {row.field for row in plan.rows}
    if missing := [field for field in spec_fields() if field not in answered]:
        msg = f"the adapter {plan.provider!r} does not answer for {', '.join(missing)}"
        raise GpuHubError(
            msg, provider=plan.provider, next_step="report this: an adapter answers for every field"
        )


def _warnings(rows: tuple[Row, ...]) -> tuple[str, ...]:
    lines = []
    for row in rows:
        if row.fidelity is Fidelity.UNSUPPORTED:
            which = "set, but unsupported" if row.set else "unsupported (default)"
            lines.append(f"{row.field}: {which}: {row.reason}")
    return tuple(lines)


def log_warnings(plan: Plan) -> None:
    """Say a plan's warnings once, when it is deployed."""
    for line in plan.warnings:
        _log.warning("%s on %s: %s", plan.deployment, plan.provider, line)
