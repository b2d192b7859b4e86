"""Adapters that show secrets."""

from __future__ import annotations

import logging
from dataclasses import replace

from gpuhub.errors import MissingCredentials, ProviderError
from tests.contract.broken.changes import with_body, with_header
from tests.contract.doubles import AuthenticatedAdapter


class ShowsACredentialInThePlan(AuthenticatedAdapter):
    """Writes the credential into the requests of the plan."""

    def plan(self, spec, bundle):
        token = self.settings.find_credential("token")
        plan = self._inner.plan(spec, bundle)
        return plan if token is None else with_header(plan, "auth", token.get_secret_value())


class LogsACredential(AuthenticatedAdapter):
    """Logs what it sends."""

    async def submit(self, io, ref, payload, options):
        token = self.settings.credential("token").get_secret_value()
        logging.getLogger("gpuhub_broken").debug("sending to %s with %s", ref.address, token)
        return await self._inner.submit(io, ref, payload, options)


class ShowsACredentialInErrors(AuthenticatedAdapter):
    """Tells in an error what was refused."""

    async def submit(self, io, ref, payload, options):
        token = self.settings.credential("token").get_secret_value()
        try:
            return await self._inner.submit(io, ref, payload, options)
        except ProviderError as error:
            error.message = f"{error.message} (sent {token})"
            error.args = (error.message,)
            raise


class ShowsACredentialInItsRepr(AuthenticatedAdapter):
    """Prints itself with everything it knows."""

    def __repr__(self):
        token = self.settings.find_credential("token")
        return f"Adapter({token.get_secret_value()!r})" if token else "Adapter()"


class WritesASecretIntoTheJournal(AuthenticatedAdapter):
    """Keeps the value of a local secret with the deployment's identity."""

    async def deploy(self, io, plan, previous):
        ref = await self._inner.deploy(io, plan, previous)
        values = {name: each.get_secret_value() for name, each in plan.secret_values.items()}
        return replace(ref, data=values)


class SendsASecretAsAVariable(AuthenticatedAdapter):
    """Puts a secret where anyone who sees the deployment can read it."""

    async def deploy(self, io, plan, previous):
        values = {name: each.get_secret_value() for name, each in plan.secret_values.items()}
        body = with_body(with_body(plan, "secrets", None, []), "env", None, values)
        return await self._inner.deploy(io, body, previous)


class NeedsCredentialsToStart(AuthenticatedAdapter):
    """Cannot be made, and so cannot plan, without an account."""

    def __init__(self, inner, module):
        super().__init__(inner, module)
        self.settings.credential("token")


class AsksBeforeItHasCredentials(AuthenticatedAdapter):
    """Finds out that a credential is missing after the first request."""

    async def find(self, io, name):
        found = await self._inner.find(io, name)
        self.settings.credential("token")
        return found


class NamesNoVariable(AuthenticatedAdapter):
    """Says that a credential is missing, and not which."""

    async def find(self, io, name):
        try:
            self.settings.credential("token")
        except MissingCredentials:
            raise MissingCredentials("no credentials") from None
        return await self._inner.find(io, name)
