"""Apps: looking up, publishing, versions, stopping; environments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpuhub_modal.emulator.apps import App, Release
from gpuhub_modal.emulator.problems import Refused, bad, missing
from gpuhub_modal.emulator.rpc import Asked, rpc

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import Workspace
    from gpuhub_modal.emulator.publishing import Publisher
    from gpuhub_modal.emulator.site import Site

__all__ = ["Apps"]

_USER = "emulator"


class Apps:
    """RPCs about apps.

    Args:
        site: What all parts share.
        workspace: All apps.
        publisher: Lets versions serve.
    """

    def __init__(self, site: Site, workspace: Workspace, publisher: Publisher) -> None:
        self._site = site
        self._workspace = workspace
        self._publisher = publisher

    @rpc("ClientHello", "list")
    async def hello(self, _asked: Asked) -> Any:
        """Say that the client may come in."""
        return self._site.pb.ClientHelloResponse(
            image_builder_version=self._site.options.builder_version
        )

    @rpc("WorkspaceNameLookup", "list")
    async def workspace_name(self, _asked: Asked) -> Any:
        """Name the workspace of a token."""
        return self._site.pb.WorkspaceNameLookupResponse(workspace_name=_USER, username=_USER)

    @rpc("EnvironmentGetOrCreate", "find")
    async def environment(self, asked: Asked) -> Any:
        """Give an environment."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            name = message.deployment_name or "main"
            creates = message.object_creation_type == pb.OBJECT_CREATION_TYPE_CREATE_IF_MISSING
            if creates and name not in self._workspace.environments:
                self._workspace.environments[name] = self._site.new_id("en")
            name = self._workspace.environment(name)
            return pb.EnvironmentGetOrCreateResponse(
                environment_id=self._workspace.environments[name],
                metadata=pb.EnvironmentMetadata(name=name, settings=self._settings()),
            )

    @rpc("EnvironmentCreate", "create")
    async def create_environment(self, asked: Asked) -> Any:
        """Make an environment."""
        with self._site.change():
            if asked.message.name in self._workspace.environments:
                raise Refused("ALREADY_EXISTS", f"Environment '{asked.message.name}' exists")
            self._workspace.environments[asked.message.name] = self._site.new_id("en")
        return self._site.wire.empty()

    @rpc("EnvironmentList", "list")
    async def environments(self, _asked: Asked) -> Any:
        """List the environments."""
        pb = self._site.pb
        return pb.EnvironmentListResponse(
            items=[
                pb.EnvironmentListItem(name=name, default=name == "main")
                for name in self._workspace.environments
            ]
        )

    @rpc("AppCreate", "deploy")
    async def create(self, asked: Asked) -> Any:
        """Make an app that is not deployed yet."""
        message = asked.message
        with self._site.change():
            state = self._site.wire.name_of("AppState", message.app_state)
            environment = self._workspace.environment(message.environment_name)
            app = self._workspace.new_app(environment, message.description, state)
            app.tags = dict(message.tags)
            return self._site.pb.AppCreateResponse(
                app_id=app.id, app_page_url=_page(app), app_logs_url=f"{_page(app)}/logs"
            )

    @rpc("AppGetByDeploymentName", "find")
    async def by_name(self, asked: Asked) -> Any:
        """Find a deployed app."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            environment = self._workspace.environment(message.environment_name)
            app = self._workspace.deployed(environment, message.name)
            if app is None:
                before = self._workspace.stopped(environment, message.name)
                return pb.AppGetByDeploymentNameResponse(
                    previous_app_id=before.id if before else "",
                    environment_name=environment,
                    lifecycle=self._lifecycle(before) if before else None,
                )
            return pb.AppGetByDeploymentNameResponse(
                app_id=app.id, environment_name=environment, lifecycle=self._lifecycle(app)
            )

    @rpc("AppGetOrCreate", "find")
    async def get_or_create(self, asked: Asked) -> Any:
        """Find a deployed app, or make an empty one."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            environment = self._workspace.environment(message.environment_name)
            app = self._workspace.deployed(environment, message.app_name)
            if app is None and message.object_creation_type:
                name = message.app_name
                app = self._workspace.new_app(environment, name, "DEPLOYED", name)
            if app is None:
                raise missing(f"App '{message.app_name}' in environment '{environment}'")
            return pb.AppGetOrCreateResponse(app_id=app.id, handle_metadata=self._handle(app))

    @rpc("AppGetInfo", "find")
    async def info(self, asked: Asked) -> Any:
        """Describe an app."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            return self._site.pb.AppGetInfoResponse(info=self._handle(app))

    @rpc("AppGetLifecycle", "find")
    async def lifecycle(self, asked: Asked) -> Any:
        """Tell where an app is."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            return self._site.pb.AppGetLifecycleResponse(lifecycle=self._lifecycle(app))

    @rpc("AppGetLayout", "find")
    async def layout(self, asked: Asked) -> Any:
        """Name what an app consists of."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            return self._site.pb.AppGetLayoutResponse(app_layout=self._site.wire.layout(app))

    @rpc("AppHeartbeat", "list", caller="anyone")
    async def heartbeat(self, _asked: Asked) -> Any:
        """Note that a client lives."""
        return self._site.wire.empty()

    @rpc("AppPublish", "deploy")
    async def publish(self, asked: Asked) -> Any:
        """Let what was made serve, all of it at once."""
        pb, message = self._site.pb, asked.message
        with self._site.change():
            app = self._workspace.app(message.app_id)
            state = self._site.wire.name_of("AppState", message.app_state)
            deployed_at = self._publisher.publish(app, message, state, asked.headers)
            return pb.AppPublishResponse(url=_page(app), deployed_at=deployed_at)

    @rpc("AppClientDisconnect", "deploy")
    async def disconnect(self, asked: Asked) -> Any:
        """Note that a client is done: what it did not publish goes."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            if app.state in ("INITIALIZING", "EPHEMERAL"):
                self._workspace.stop(app)
        return self._site.wire.empty()

    @rpc("AppSetTags", "deploy")
    async def set_tags(self, asked: Asked) -> Any:
        """Replace the labels of an app."""
        with self._site.change():
            self._workspace.app(asked.message.app_id).tags = dict(asked.message.tags)
        return self._site.wire.empty()

    @rpc("AppGetTags", "find")
    async def tags(self, asked: Asked) -> Any:
        """Give the labels of an app."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            return self._site.pb.AppGetTagsResponse(tags=app.tags)

    @rpc("AppStop", "delete")
    async def stop(self, asked: Asked) -> Any:
        """Stop an app."""
        with self._site.change():
            self._workspace.stop(self._workspace.app(asked.message.app_id))
        return self._site.wire.empty()

    @rpc("AppList", "list")
    async def apps(self, asked: Asked) -> Any:
        """List apps, the newest first."""
        pb = self._site.pb
        with self._site.change():
            environment = self._workspace.environment(asked.message.environment_name)
            found = [
                pb.AppListResponse.AppListItem(
                    app_id=app.id,
                    description=app.description,
                    state=self._site.wire.number_of("AppState", app.state),
                    created_at=app.created_at,
                    stopped_at=app.stopped_at,
                    n_running_tasks=sum(len(each.containers) for each in app.functions.values()),
                    name=app.name,
                    metadata=self._handle(app),
                )
                for app in reversed(self._workspace.apps.values())
                if app.environment == environment
            ]
            return pb.AppListResponse(apps=found)

    @rpc("AppDeploymentHistory", "versions")
    async def history(self, asked: Asked) -> Any:
        """List the versions of an app, the newest first."""
        pb = self._site.pb
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            releases = [self._version(app, each) for each in reversed(app.releases)]
            number = app.release.number if app.release else 0
            return pb.AppDeploymentHistoryResponse(
                app_deployment_histories=releases, production_app_version=number
            )

    @rpc("AppRollback", "rollback")
    async def rollback(self, asked: Asked) -> Any:
        """Let an older version serve, as a new one."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            number = asked.message.version
            if number < 0:
                number = app.releases[-1].number - 1 if app.releases else 0
                if number < 1:
                    raise bad(f"App {app.name} has no version before this one")
            deployed_at = self._publisher.roll_back(app, app.version(number))
            return self._site.pb.AppRollbackResponse(url=_page(app), deployed_at=deployed_at)

    @rpc("AppRollover", "deploy")
    async def rollover(self, asked: Asked) -> Any:
        """Replace the containers of an app, as a new version."""
        with self._site.change():
            app = self._workspace.app(asked.message.app_id)
            if app.release is None:
                raise missing(f"a version of app {app.id}")
            deployed_at = self._publisher.roll_back(app, app.release)
            return self._site.pb.AppRolloverResponse(url=_page(app), deployed_at=deployed_at)

    def _settings(self) -> Any:
        return self._site.pb.EnvironmentSettings(
            image_builder_version=self._site.options.builder_version
        )

    def _lifecycle(self, app: App) -> Any:
        release = app.release
        return self._site.pb.AppLifecycle(
            app_state=self._site.wire.number_of("AppState", app.state),
            created_at=app.created_at,
            created_by=_USER,
            deployed_at=release.deployed_at if release else 0,
            deployed_by=_USER if release else "",
            version=release.number if release else 0,
            stopped_at=app.stopped_at,
            stopped_by=_USER if app.stopped_at else "",
        )

    def _handle(self, app: App) -> Any:
        return self._site.pb.AppHandleMetadata(
            description=app.name or app.description,
            app_id=app.id,
            environment_name=app.environment,
            lifecycle=self._lifecycle(app),
            functions=app.release.function_ids if app.release else {},
        )

    def _version(self, app: App, release: Release) -> Any:
        return self._site.pb.AppDeploymentHistory(
            app_id=app.id,
            version=release.number,
            client_version=release.client_version,
            deployed_at=release.deployed_at,
            deployed_by=_USER,
            tag=release.tag,
            rollback_version=release.rollback_of,
            rollback_allowed=True,
            commit_info=release.commit,
        )


def _page(app: App) -> str:
    return f"https://modal.com/id/{app.id}"
