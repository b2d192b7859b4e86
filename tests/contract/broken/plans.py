"""Adapters whose plans and declarations are wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace

from gpuhub.adapter import Feature
from gpuhub.plan import Fidelity
from gpuhub.testing.contract.wrappers import WrappedAdapter
from tests.contract.broken.changes import with_body, with_header, with_row


class DropsASetting(WrappedAdapter):
    """Says that the limit is sent, and sends another."""

    def plan(self, spec, bundle):
        return with_body(self._inner.plan(spec, bundle), "workers", "max", 3)


class DropsASettingSilently(WrappedAdapter):
    """Leaves the variables out of row and request alike."""

    def plan(self, spec, bundle):
        plan = with_body(self._inner.plan(spec, bundle), "env", None, {})
        return with_row(plan, "env", value={})


class DropsASettingBehindAnother(WrappedAdapter):
    """Sends something that changes with every setting, but not the setting."""

    def plan(self, spec, bundle):
        plan = with_body(self._inner.plan(spec, bundle), "calls", "timeout_s", 300)
        return with_header(plan, "x-spec", str(hash(spec.model_dump_json())))


class MissesARow(WrappedAdapter):
    """Does not answer for one field."""

    def plan(self, spec, bundle):
        plan = self._inner.plan(spec, bundle)
        return replace(plan, rows=tuple(row for row in plan.rows if row.field != "memory"))


class GivesNoReason(WrappedAdapter):
    """Calls something approximate without saying how it differs."""

    def plan(self, spec, bundle):
        plan = self._inner.plan(spec, bundle)
        return with_row(plan, "disk", fidelity=Fidelity.APPROXIMATE, reason="")


class DoesNotSendDefaults(WrappedAdapter):
    """Leaves gpuhub's default to the provider, though the row says it is pinned."""

    def plan(self, spec, bundle):
        return with_body(self._inner.plan(spec, bundle), "workers", "idle_timeout_s", 17.5)


class PlansDifferentlyEachTime(WrappedAdapter):
    """Puts a number into the request that counts up: every deploy looks like a change."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self._number = itertools.count()

    def plan(self, spec, bundle):
        plan = self._inner.plan(spec, bundle)
        return with_header(plan, "x-number", str(next(self._number)))


class AsksWhilePlanning(WrappedAdapter):
    """Looks at the provider to plan."""

    def plan(self, spec, bundle):
        self._inner.cloud.deployments.find(spec.deployment_name)
        return self._inner.plan(spec, bundle)


class ForgetsAFeature(WrappedAdapter):
    """Takes no stand on one feature."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self.capabilities = {
            feature: support
            for feature, support in inner.capabilities.items()
            if feature is not Feature.SNAPSHOT
        }


class IgnoresItsOptions(WrappedAdapter):
    """Takes any option that is meant for it."""

    def plan(self, spec, bundle):
        bare = spec.model_copy(update={"options": {}})
        return replace(self._inner.plan(bare, bundle), spec=spec)
