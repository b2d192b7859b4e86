"""Lets versions of apps serve: new ones, and older ones again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.apps import App, Release
from gpuhub_modal.emulator.problems import bad
from gpuhub_modal.emulator.schedules import next_due

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.calling import Calling
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.site import Site

__all__ = ["Publisher"]


class Publisher:
    """Makes versions. Every method needs the lock.

    Args:
        site: What all parts share.
        workspace: All apps.
        calling: Runs functions whose schedule is due.
    """

    def __init__(self, site: Site, workspace: Workspace, calling: Calling) -> None:
        self._site = site
        self._workspace = workspace
        self._calling = calling

    def publish(self, app: App, sent: Any, state: str, headers: Mapping[str, str]) -> float:
        """Let drafts serve, all at once.

        Args:
            app: Whose they are.
            sent: Modal's ``AppPublishRequest``.
            state: What the app is from now on.
            headers: Of the request.

        Returns:
            When it was deployed, in seconds since the epoch; 0 when nothing differs from the
            version that serves.

        Raises:
            Refused: It names functions that were not made.
        """
        definitions = {
            function_id: self._draft(app, function_id, sent.definition_ids.get(function_id, ""))
            for function_id in sent.function_ids.values()
        }
        if sent.name:
            self._take_name(app, sent.name)
        app.state = state
        app.tags = dict(sent.tags)
        number = app.releases[-1].number + 1 if app.releases else 1
        release = Release(
            number,
            dict(sent.function_ids),
            dict(sent.class_ids),
            definitions,
            self._site.wall,
            sent.deployment_tag,
            headers.get("x-modal-client-version", ""),
            sent.commit_info if sent.HasField("commit_info") else None,
        )
        current = app.release
        if current is not None and current.key() == release.key():
            self._serve(app, current)
            return 0.0
        app.releases.append(release)
        self._serve(app, release)
        return release.deployed_at

    def roll_back(self, app: App, release: Release) -> float:
        """Let a version serve again, as a new one; give when."""
        number = app.releases[-1].number + 1
        again = replace(
            release, number=number, deployed_at=self._site.wall, rollback_of=release.number
        )
        app.releases.append(again)
        self._serve(app, again)
        return again.deployed_at

    def _take_name(self, app: App, name: str) -> None:
        other = self._workspace.deployed(app.environment, name)
        if other is not None and other is not app:
            self._workspace.stop(other)
        app.name = app.description = name

    def _draft(self, app: App, function_id: str, definition_id: str) -> Any:
        function = app.functions.get(function_id)
        draft = function.drafts.get(definition_id) if function else None
        if draft is None:
            raise bad(f"function {function_id} of app {app.id} was not created")
        return draft

    def _serve(self, app: App, release: Release) -> None:
        for function in app.functions.values():
            definition = release.definitions.get(function.id)
            if definition is None:
                self._withdraw(function)
                continue
            function.is_stopped = False
            function.definition = definition
            function.overrides.clear()
            function.failures = 0
            function.desk.fleet.replace()
            function.desk.fleet.review_idleness()
            function.desk.refresh()
            self._plan(function)
        for function in self._workspace.functions.values():
            if function.base is not None and function.base.app is app:
                self._refresh_variant(function)

    def _refresh_variant(self, function: Function) -> None:
        base = function.base
        if base is None or function.derive is None:
            return
        if base.is_stopped or base.definition is None:
            self._withdraw(function)
        else:
            function.definition = function.derive(base.definition)
            function.desk.fleet.replace()
            function.desk.refresh()

    def _withdraw(self, function: Function) -> None:
        """Take a function out of service that the new version does not have."""
        if function.definition is None or function.is_stopped:
            return
        function.is_stopped = True
        if function.timer is not None:
            function.timer.cancel()
        function.desk.drop_all()

    def _plan(self, function: Function) -> None:
        """Have a function run by its schedule, from now on."""
        if function.timer is not None:
            function.timer.cancel()
            function.timer = None
        definition = function.definition
        if definition is None or definition.sent.schedule.WhichOneof("schedule_oneof") is None:
            return
        due_s = next_due(definition.sent.schedule, self._site.wall) - self._site.wall

        def run() -> None:
            if function.definition is definition and not function.is_stopped:
                self._calling.run_scheduled(function)
                self._plan(function)

        function.timer = self._site.timeline.after(due_s, run)
