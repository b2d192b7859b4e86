"""Apps: names, versions, and the functions of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.problems import Refused, missing

if TYPE_CHECKING:
    from gpuhub_modal.emulator.definitions import Definition
    from gpuhub_modal.emulator.functions import Function
    from gpuhub_modal.emulator.site import Site

__all__ = ["App", "Release", "Workspace"]


@dataclass(slots=True, eq=False)
class Release:
    """One version of an app; does not change.

    Attributes:
        number: 1, 2, ….
        function_ids: By name.
        class_ids: By name.
        definitions: What each function runs, by its id.
        deployed_at: Seconds since the epoch.
        tag: Given at the deploy.
        client_version: Of the client that deployed it.
        commit: Modal's ``CommitInfo``, where the client sent one.
        rollback_of: Number of the version that it is a copy of; 0: of none.
    """

    number: int
    function_ids: dict[str, str]
    class_ids: dict[str, str]
    definitions: dict[str, Definition]
    deployed_at: float
    tag: str = ""
    client_version: str = ""
    commit: Any = None
    rollback_of: int = 0

    def key(self) -> tuple[Any, ...]:
        """Equal for versions that do not differ."""
        running = {name: each.key for name, each in self.definitions.items()}
        return (self.function_ids, self.class_ids, running, self.tag)


@dataclass(slots=True, eq=False)
class App:
    """One app. Changed with the lock held.

    Attributes:
        id: ``ap-…``.
        name: It is deployed under this; empty until then.
        description: Its name before.
        environment: Where it is.
        state: Name of Modal's ``AppState``, without the prefix.
        created_at: Seconds since the epoch.
        stopped_at: Likewise.
        tags: Its labels.
        releases: Oldest first.
        functions: All it ever had, by id.
        classes: Names of its classes, by id.
    """

    id: str
    name: str
    description: str
    environment: str
    state: str
    created_at: float
    stopped_at: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)
    releases: list[Release] = field(default_factory=list)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)

    @property
    def release(self) -> Release | None:
        """The version that serves."""
        return self.releases[-1] if self.releases else None

    @property
    def is_stopped(self) -> bool:
        """Whether it is gone."""
        return self.state == "STOPPED"

    def version(self, number: int) -> Release:
        """Give a version by number.

        Raises:
            Refused: There is none.
        """
        for release in self.releases:
            if release.number == number:
                return release
        raise missing(f"version {number} of app {self.name}")


class Workspace:
    """All apps and environments. Every method needs the lock.

    Args:
        site: What all parts share.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.apps: dict[str, App] = {}
        self.environments: dict[str, str] = {"main": site.new_id("en")}
        self.functions: dict[str, Function] = {}

    def environment(self, name: str) -> str:
        """Give the name of an environment; an empty one is ``main``.

        Raises:
            Refused: There is none.
        """
        name = name or "main"
        if name not in self.environments:
            raise Refused("NOT_FOUND", f"Environment '{name}' not found")
        return name

    def app(self, app_id: str) -> App:
        """Give an app.

        Raises:
            Refused: There is none.
        """
        if app_id not in self.apps:
            raise missing(f"App {app_id}")
        return self.apps[app_id]

    def deployed(self, environment: str, name: str) -> App | None:
        """Find an app by the name it is deployed under."""
        for app in self.apps.values():
            if (app.environment, app.name) == (environment, name) and not app.is_stopped:
                return app
        return None

    def stopped(self, environment: str, name: str) -> App | None:
        """Find the app that was last deployed under a name and is stopped."""
        for app in reversed(self.apps.values()):
            if (app.environment, app.name) == (environment, name) and app.is_stopped:
                return app
        return None

    def new_app(self, environment: str, description: str, state: str, name: str = "") -> App:
        """Make an app."""
        wall = self._site.wall
        app = App(self._site.new_id("ap"), name, description, environment, state, wall)
        self.apps[app.id] = app
        return app

    def function(self, function_id: str) -> Function:
        """Give a function.

        Raises:
            Refused: There is none, or its app was stopped.
        """
        function = self.functions.get(function_id)
        if function is None or function.is_stopped:
            raise missing(f"Function {function_id}")
        return function

    def stop(self, app: App) -> None:
        """Stop an app: its containers end, its calls too, and its name is free."""
        if app.is_stopped:
            return
        app.state, app.stopped_at = "STOPPED", self._site.wall
        for function in self.functions.values():
            if function.app is app:
                function.is_stopped = True
                if function.timer is not None:
                    function.timer.cancel()
                function.desk.drop_all()
        self._site.note()
