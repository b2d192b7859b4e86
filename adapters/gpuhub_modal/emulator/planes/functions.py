"""Functions and classes: making, looking up, variants, limits, numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gpuhub.testing.emulator.waiting import hold
from gpuhub_modal.emulator.apps import App, Workspace
from gpuhub_modal.emulator.calls import State
from gpuhub_modal.emulator.defining import Definer, check_autoscaler
from gpuhub_modal.emulator.definitions import Definition
from gpuhub_modal.emulator.functions import Function
from gpuhub_modal.emulator.problems import missing
from gpuhub_modal.emulator.rpc import Asked, rpc

if TYPE_CHECKING:
    from gpuhub_modal.emulator.site import Site

__all__ = ["Functions"]

_STATS_S = 5.0
"""Real seconds that a question for numbers is held at most: Modal's client gives up after 10."""


class Functions:
    """RPCs about functions.

    Args:
        site: What all parts share.
        workspace: All apps.
        definer: Checks definitions.
        staff: Gives a new function its desk.
        address: Gives the address of a web function.
    """

    def __init__(
        self,
        site: Site,
        workspace: Workspace,
        definer: Definer,
        staff: Callable[[Function], None],
        address: Callable[[Function], str],
    ) -> None:
        self._site = site
        self._workspace = workspace
        self._definer = definer
        self._staff = staff
        self._address = address
        self._variants: dict[tuple[str, bytes], Function] = {}

    @rpc("FunctionPrecreate", "deploy")
    async def precreate(self, asked: Asked) -> Any:
        """Give a function its id."""
        message = asked.message
        with self._site.change():
            app = self._workspace.app(message.app_id)
            function = self._own(app, message.existing_function_id, message.function_name)
            url = self._address(function) if message.webhook_config.type else ""
            return self._site.pb.FunctionPrecreateResponse(
                function_id=function.id,
                handle_metadata=self._site.wire.early_handle(message, app.id, url),
            )

    @rpc("FunctionCreate", "deploy")
    async def create(self, asked: Asked) -> Any:
        """Define a function; nothing runs it until the app is published."""
        message = asked.message
        with self._site.change():
            app = self._workspace.app(message.app_id)
            given = message.function_data if message.HasField("function_data") else message.function
            function = self._own(app, message.existing_function_id, given.function_name)
            url = self._address(function) if given.webhook_config.type else ""
            definition = self._definer.define(function.id, message, url)
            function.drafts[definition.id] = definition
            return self._site.pb.FunctionCreateResponse(
                function_id=function.id,
                function=definition.sent,
                handle_metadata=self._handle(function, definition),
                function_data=definition.data,
            )

    @rpc("FunctionGet", "find")
    async def get(self, asked: Asked) -> Any:
        """Find a function of a deployed app by its name."""
        message = asked.message
        with self._site.change():
            app = self._deployed(message.app_name, message.environment_name)
            release = app.version(message.app_version) if message.app_version else app.release
            function_id = release.function_ids.get(message.object_tag) if release else None
            if release is None or function_id is None:
                raise self._no_function(app, message.object_tag)
            function, definition = app.functions[function_id], release.definitions[function_id]
            if message.app_version and release is not app.release:
                function = self._pinned(function, definition)
            return self._site.pb.FunctionGetResponse(
                function_id=function.id,
                handle_metadata=self._handle(function, definition),
                function=definition.data,
            )

    @rpc("FunctionGetById", "find", caller="anyone")
    async def get_by_id(self, asked: Asked) -> Any:
        """Find a function by its id."""
        with self._site.change():
            function, definition = self._running(asked.message.function_id)
            return self._site.pb.FunctionGetByIdResponse(
                function=definition.data, handle_metadata=self._handle(function, definition)
            )

    @rpc("FunctionBindParams", "find", caller="anyone")
    async def bind(self, asked: Asked) -> Any:
        """Give a variant of a function: with arguments of its class, or other options."""
        message = asked.message
        with self._site.change():
            base, _ = self._running(message.function_id)
            variant = self._variant(base, message.function_options, message.serialized_params)
            definition = variant.definition
            return self._site.pb.FunctionBindParamsResponse(
                bound_function_id=variant.id,
                handle_metadata=self._handle(variant, definition) if definition else None,
            )

    @rpc("ClassCreate", "deploy")
    async def create_class(self, asked: Asked) -> Any:
        """Give a class its id."""
        message = asked.message
        with self._site.change():
            app = self._workspace.app(message.app_id)
            class_id = message.existing_class_id or self._site.new_id("cs")
            app.classes[class_id] = class_id
            return self._site.pb.ClassCreateResponse(
                class_id=class_id, handle_metadata=self._site.pb.ClassHandleMetadata()
            )

    @rpc("ClassGet", "find")
    async def get_class(self, asked: Asked) -> Any:
        """Find a class of a deployed app by its name."""
        message = asked.message
        with self._site.change():
            app = self._deployed(message.app_name, message.environment_name)
            release = app.version(message.app_version) if message.app_version else app.release
            class_id = release.class_ids.get(message.object_tag) if release else None
            if class_id is None:
                raise missing(f"Class '{message.object_tag}' of app '{app.name}'")
            return self._site.pb.ClassGetResponse(
                class_id=class_id, handle_metadata=self._site.pb.ClassHandleMetadata()
            )

    @rpc("FunctionGetCurrentStats", "status")
    async def stats(self, asked: Asked) -> Any:
        """Count inputs and containers."""
        with self._site.change():
            function, _ = self._running(asked.message.function_id)
        await hold(self._site, self._site.changed, lambda: min(_STATS_S, function.pending_boot_s()))
        with self._site.change():
            now, limits = self._site.now, function.limits
            containers = [each for each in function.containers.values() if not each.is_draining]
            running = function.running()
            ready = sum(each.is_ready(now) for each in containers)
            return self._site.pb.FunctionStats(
                backlog=sum(each.state is State.QUEUED for each in function.queue),
                num_total_tasks=len(containers),
                num_running_inputs=running,
                input_headroom=max(0, ready * limits.most - running),
            )

    @rpc("FunctionGetSchedulingParams", "status")
    async def limits(self, asked: Asked) -> Any:
        """Tell the autoscaler's settings."""
        pb = self._site.pb
        with self._site.change():
            function, definition = self._running(asked.message.function_id)
            return pb.FunctionGetSchedulingParamsResponse(
                autoscaler_configuration=pb.AutoscalerConfiguration(
                    settings=self._settings(function),
                    static_settings=definition.sent.autoscaler_settings,
                    override_settings=pb.AutoscalerSettings(**function.overrides),
                )
            )

    @rpc("FunctionUpdateSchedulingParams", "scale")
    async def set_limits(self, asked: Asked) -> Any:
        """Change the autoscaler's settings until the next deploy."""
        with self._site.change():
            function, _ = self._running(asked.message.function_id)
        await hold(self._site, self._site.changed, function.pending_boot_s)
        with self._site.change():
            settings = asked.message.settings
            wanted = self._settings(function)
            wanted.MergeFrom(settings)
            check_autoscaler(wanted, is_new=False)
            function.overrides |= {field.name: value for field, value in settings.ListFields()}
            function.desk.fleet.review_idleness()
            function.desk.refresh()
            return self._site.pb.FunctionUpdateSchedulingParamsResponse(
                current_settings=self._settings(function)
            )

    def _own(self, app: App, function_id: str, name: str) -> Function:
        """Give a function of an app, or a new one."""
        if function_id in app.functions:
            return app.functions[function_id]
        if function_id:
            raise missing(f"Function {function_id} of app {app.id}")
        return self._add(app, Function(self._site, self._site.new_id("fu"), app, name))

    def _add(self, app: App, function: Function) -> Function:
        self._staff(function)
        self._workspace.functions[function.id] = function
        if function.base is None:
            app.functions[function.id] = function
        return function

    def _running(self, function_id: str) -> tuple[Function, Definition]:
        function = self._workspace.function(function_id)
        if function.definition is None:
            raise missing(f"Function {function_id}")
        return function, function.definition

    def _deployed(self, name: str, environment: str) -> App:
        environment = self._workspace.environment(environment)
        app = self._workspace.deployed(environment, name)
        if app is None:
            raise missing(f"App '{name}' in environment '{environment}'")
        return app

    def _no_function(self, app: App, tag: str) -> Exception:
        classes = app.release.class_ids if app.release else {}
        details = self._site.wire.class_name_used() if tag in classes else ()
        return missing(f"Function '{tag}' of app '{app.name}'", *details)

    def _variant(self, base: Function, options: Any, params: bytes) -> Function:
        key = (base.id, bytes(options.SerializeToString(deterministic=True)) + b"\0" + params)
        known = self._variants.get(key)
        if known is not None and not known.is_stopped:
            return known
        function = Function(self._site, self._site.new_id("fu"), base.app, base.tag, base=base)
        function.derive = self._definer.variant(function.id, options, params)
        return self._start_variant(key, function, base.definition)

    def _pinned(self, base: Function, definition: Definition) -> Function:
        """Give a function that runs one definition whatever is deployed later."""
        key = (base.id, definition.id.encode())
        known = self._variants.get(key)
        if known is not None and not known.is_stopped:
            return known
        function = Function(self._site, self._site.new_id("fu"), base.app, base.tag, base=base)
        function.derive = lambda _: definition
        return self._start_variant(key, function, definition)

    def _start_variant(
        self, key: tuple[str, bytes], function: Function, definition: Definition | None
    ) -> Function:
        self._add(function.app, function)
        if function.derive is not None and definition is not None:
            function.definition = function.derive(definition)
            for each in function.definition.ranked:
                self._definer.check(each)
        self._variants[key] = function
        return function

    def _handle(self, function: Function, definition: Definition) -> Any:
        return self._site.wire.handle(definition, function.app.id)

    def _settings(self, function: Function) -> Any:
        definition = function.definition
        settings = self._site.pb.AutoscalerSettings(
            scaledown_window=int(self._site.options.scaledown_s)
        )
        if definition is not None:
            settings.MergeFrom(definition.sent.autoscaler_settings)
        settings.MergeFrom(self._site.pb.AutoscalerSettings(**function.overrides))
        return settings
