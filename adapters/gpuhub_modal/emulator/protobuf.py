"""The only file that knows Modal's protobuf: imports it, checks it, builds its larger messages.

Modal calls its protocol internal and may change it with any release. So the emulator says which
RPCs and fields it stands on (:mod:`gpuhub_modal.emulator.relied`), and refuses to start when the
installed ``modal`` lacks one of them, instead of failing somewhere in the middle of a call.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gpuhub.errors import AdapterNotInstalled, ConfigError
from gpuhub_modal.emulator.relied import FIELDS, RPCS

if TYPE_CHECKING:
    from gpuhub_modal.emulator.apps import App
    from gpuhub_modal.emulator.definitions import Definition
    from gpuhub_modal.emulator.problems import Refused

__all__ = ["Wire", "load_wire"]

_SERVICE = "ModalClient"
_PREFIX = "/modal.client.ModalClient/"
_SECRET_FIELDS = frozenset({"env_dict", "updates"})
_LARGEST_SHOWN = 262_144


class Wire:
    """Modal's messages, as installed.

    Attributes:
        pb: The generated module.
        waited_kinds: ``FunctionCallInvocationType`` of calls that their client waits for, and
            repeats itself when they fail.
    """

    def __init__(self, pb: Any) -> None:
        self.pb = pb
        self.waited_kinds = frozenset(
            {pb.FUNCTION_CALL_INVOCATION_TYPE_SYNC, pb.FUNCTION_CALL_INVOCATION_TYPE_SYNC_LEGACY}
        )

    # Words

    def empty(self) -> Any:
        """Make the message without fields."""
        return _module("google.protobuf.empty_pb2").Empty()

    def name_of(self, enum: str, number: int) -> str:
        """Give the name of an enumeration's value without the prefix that all have."""
        name: str = self._enum(enum).values_by_number[number].name
        return name.removeprefix(_prefix(enum))

    def number_of(self, enum: str, name: str) -> int:
        """Give the number of an enumeration's value, by its name without the prefix."""
        number: int = self._enum(enum).values_by_name[f"{_prefix(enum)}{name}"].number
        return number

    def set_time(self, timestamp: Any, wall: float) -> None:
        """Write seconds since the epoch into a ``Timestamp``."""
        timestamp.FromNanoseconds(int(wall * 1_000_000_000))

    # Functions

    def layout(self, app: App) -> Any:
        """Make ``AppLayout``: what an app consists of, as far as it is published or being so."""
        release = app.release
        function_ids = release.function_ids if release else {}
        class_ids = release.class_ids if release else {}
        objects: list[Any] = []
        for function_id, definition in (release.definitions if release else {}).items():
            handle = self.handle(definition, app.id)
            objects.append(self.pb.Object(object_id=function_id, function_handle_metadata=handle))
        none = self.pb.ClassHandleMetadata()
        objects += [
            self.pb.Object(object_id=each, class_handle_metadata=none)
            for each in class_ids.values()
        ]
        return self.pb.AppLayout(objects=objects, function_ids=function_ids, class_ids=class_ids)

    def handle(self, definition: Definition, app_id: str) -> Any:
        """Make ``FunctionHandleMetadata`` of a definition."""
        return self._handle(definition.sent, app_id, definition.url, definition.id)

    def early_handle(self, sent: Any, app_id: str, url: str) -> Any:
        """Make ``FunctionHandleMetadata`` of a function that is not defined yet.

        Args:
            sent: Modal's ``FunctionPrecreateRequest``.
            app_id: Of its app.
            url: Its address, if it is one for the web.
        """
        return self._handle(sent, app_id, url, "")

    def function_data(self, sent: Any) -> Any:
        """Make ``FunctionData`` of a ``Function``, as a client does for a list of GPUs."""
        data = self.pb.FunctionData()
        known = {field.name: field for field in data.DESCRIPTOR.fields}
        for field, value in sent.ListFields():
            target = known.get(field.name)
            if target is None or target.type != field.type:
                continue
            if isinstance(value, str | bytes | bool | int | float):
                setattr(data, field.name, value)
            else:
                _merge(getattr(data, field.name), value)
        data.ranked_functions.add(rank=0, function=sent)
        return data

    def with_options(self, sent: Any, options: Any) -> Any:
        """Give a ``Function`` as a variant has it.

        Args:
            sent: The base's.
            options: Modal's ``FunctionOptions``; only set fields change something.
        """
        changed = self.pb.Function()
        changed.CopyFrom(sent)
        settings = changed.autoscaler_settings
        targets: Mapping[str, Callable[[Any], None]] = {
            "buffer_containers": lambda value: setattr(settings, "buffer_containers", value),
            "concurrency_limit": lambda value: setattr(settings, "max_containers", value),
            "task_idle_timeout_secs": lambda value: setattr(settings, "scaledown_window", value),
            "warm_pool_size": lambda value: setattr(settings, "min_containers", value),
        }
        settings.min_containers = 0
        for field, value in options.ListFields():
            if field.name in targets:
                targets[field.name](value)
            elif field.name.startswith(("replace_", "pinned_")):
                continue
            elif isinstance(value, str | bytes | bool | int | float):
                setattr(changed, field.name, value)
            else:
                if getattr(options, f"replace_{field.name}", False):
                    changed.ClearField(field.name)
                _merge(getattr(changed, field.name), value)
        return changed

    def class_name_used(self) -> tuple[Any, ...]:
        """Make the detail that says that a name is a class's, not a function's."""
        error = self.pb.FunctionLookupError
        return (error(reason=error.REASON_CLASS_NAME_USED),)

    def heartbeat(self, cancelled: Iterable[str]) -> Any:
        """Make the answer of a heartbeat, with the inputs that are to be cancelled."""
        answer = self.pb.ContainerHeartbeatResponse()
        ids = list(cancelled)
        if ids:
            answer.cancel_input_event.input_ids.extend(ids)
        return answer

    def category(self, output: Any) -> str:
        """Name where an input is, as ``FunctionCallInfo`` counts them."""
        if output is None:
            return "pending"
        status = self.name_of("GenericResult.GenericStatus", output.result.status)
        words = {"SUCCESS": "succeeded", "TIMEOUT": "timeout", "TERMINATED": "cancelled"}
        return words.get(status, "failed")

    # Web functions

    def asgi_request(self, body: bytes, number: int, *, is_more: bool) -> Any:
        """Make the ``DataChunk`` of a part of a request's body."""
        pb = self.pb
        part = pb.Asgi(http_request=pb.Asgi.HttpRequest(body=body, more_body=is_more))
        data = part.SerializeToString()
        return pb.DataChunk(data_format=pb.DATA_FORMAT_ASGI, data=data, index=number)

    def asgi_message(self, chunk: Any) -> dict[str, Any] | None:
        """Read a part of an answer from a ``DataChunk``; ``None``: it is nothing of HTTP's."""
        part = self.pb.Asgi.FromString(chunk.data)
        kind = part.WhichOneof("type")
        if kind == "http_response_start":
            flat = list(part.http_response_start.headers)
            return {
                "type": "http.response.start",
                "status": part.http_response_start.status,
                "headers": list(zip(flat[::2], flat[1::2], strict=True)),
            }
        if kind == "http_response_body":
            body = part.http_response_body
            return {"type": "http.response.body", "body": body.body, "more_body": body.more_body}
        return None

    # The server

    def handlers(self, answers: Mapping[str, Callable[[Any], Any]]) -> Any:
        """Give the service for grpclib's server.

        All other RPCs of Modal's are refused by their name.

        Args:
            answers: Coroutine functions by name of the RPC; each takes grpclib's stream.
        """
        const = _module("grpclib.const")
        class_of = _module("google.protobuf.message_factory").GetMessageClass
        methods = self.pb.DESCRIPTOR.services_by_name[_SERVICE].methods_by_name
        mapping = {}
        for name, method in methods.items():
            answer = answers.get(name) or _unplayed(name)
            cardinality = const.Cardinality
            streams = (
                cardinality.UNARY_STREAM if method.server_streaming else cardinality.UNARY_UNARY
            )
            kinds = (class_of(method.input_type), class_of(method.output_type))
            mapping[f"{_PREFIX}{name}"] = const.Handler(answer, streams, *kinds)
        return SimpleNamespace(__mapping__=lambda: mapping)

    def streams(self, name: str) -> bool:
        """Tell whether an RPC answers with a stream."""
        methods = self.pb.DESCRIPTOR.services_by_name[_SERVICE].methods_by_name
        return bool(methods[name].server_streaming)

    def connections(self, service: Any) -> Callable[[], Any]:
        """Give what makes a protocol of asyncio's for each connection to a service."""
        codec = _module("grpclib.encoding.proto").ProtoCodec()
        details = _Details(self.pb)
        server = _module("grpclib.server").Server(
            [service], codec=codec, status_details_codec=details
        )
        make: Callable[[], Any] = server._protocol_factory  # noqa: SLF001 - to know connections
        return make

    def error(self, refused: Refused) -> Exception:
        """Make what grpclib turns into a status."""
        grpclib = _module("grpclib")
        status = grpclib.Status[refused.status]
        error: Exception = grpclib.GRPCError(status, refused.message, list(refused.details) or None)
        return error

    def shown(self, message: Any) -> Any:
        """Give a message as JSON for the record, without what may be secret."""
        if message.ByteSize() > _LARGEST_SHOWN:
            return None
        return _shown(message)

    def _handle(self, sent: Any, app_id: str, url: str, definition_id: str) -> Any:
        handle = self.pb.FunctionHandleMetadata(
            app_id=app_id,
            function_name=sent.function_name,
            function_type=sent.function_type,
            web_url=url,
            definition_id=definition_id,
            function_schema=sent.function_schema,
            supported_input_formats=sent.supported_input_formats,
            supported_output_formats=sent.supported_output_formats,
        )
        if definition_id and sent.is_class:
            handle.class_parameter_info.CopyFrom(sent.class_parameter_info)
        for name, method in sent.method_definitions.items():
            handle.method_handle_metadata[name].CopyFrom(
                self.pb.FunctionHandleMetadata(
                    app_id=app_id,
                    function_name=method.function_name,
                    function_type=method.function_type,
                    is_method=True,
                    use_method_name=name,
                    function_schema=method.function_schema,
                    supported_input_formats=method.supported_input_formats,
                    supported_output_formats=method.supported_output_formats,
                )
            )
        return handle

    def _enum(self, path: str) -> Any:
        first, _, nested = path.partition(".")
        if nested:
            return self.pb.DESCRIPTOR.message_types_by_name[first].enum_types_by_name[nested]
        return self.pb.DESCRIPTOR.enum_types_by_name[path]


class _Details:
    """grpclib's codec of error details, in Modal's form.

    Args:
        pb: The generated module.
    """

    def __init__(self, pb: Any) -> None:
        self._pb = pb

    def encode(self, status: Any, message: str | None, details: Any) -> bytes:
        """Write what goes along with a status."""
        answer = self._pb.RPCStatus(code=status.value, message=message or "")
        for detail in details or ():
            answer.details.add().Pack(detail, type_url_prefix="type.modal.com/")
        return bytes(answer.SerializeToString())


@functools.cache
def load_wire() -> Wire:
    """Import Modal's messages and check that they are the ones this is written for.

    Raises:
        AdapterNotInstalled: ``modal`` is not installed.
        ConfigError: It lacks an RPC or a field that the emulator stands on.
    """
    try:
        api_pb2 = _module("modal_proto.api_pb2")
        version = _module("modal_version").__version__
    except ImportError as error:
        raise AdapterNotInstalled(
            f"the emulator of Modal speaks modal's own protocol: {error}",
            next_step='pip install "gpuhub-sdk[modal,emulator]"',
        ) from error
    problems = lacking(api_pb2)
    if problems:
        raise ConfigError(
            f"modal {version} has another protocol than this emulator knows: it lacks "
            + ", ".join(problems),
            next_step="install a version of modal that gpuhub is tested with (see pyproject.toml)",
        )
    return Wire(api_pb2)


def lacking(pb: Any) -> list[str]:
    """Give what the emulator stands on and Modal's messages do not have."""
    methods = pb.DESCRIPTOR.services_by_name[_SERVICE].methods_by_name
    problems = [f"the RPC {name}" for name in RPCS.split() if name not in methods]
    for path, names in FIELDS.items():
        message = _message(pb, path)
        if message is None:
            problems.append(f"the message {path}")
            continue
        fields = message.fields_by_name
        problems += [f"{path}.{name}" for name in names.split() if name not in fields]
    return problems


def _module(name: str) -> Any:
    """Import a module that comes with ``modal``, when it is needed."""
    return importlib.import_module(name)


def _message(pb: Any, path: str) -> Any:
    first, *nested = path.split(".")
    message = pb.DESCRIPTOR.message_types_by_name.get(first)
    for name in nested:
        message = message.nested_types_by_name.get(name) if message is not None else None
    return message


def _unplayed(name: str) -> Callable[[Any], Any]:
    """Give what refuses an RPC."""

    async def refuse(_stream: Any) -> None:
        grpclib = _module("grpclib")
        words = f"gpuhub's emulator of Modal does not play {name}"
        raise grpclib.GRPCError(grpclib.Status.UNIMPLEMENTED, words)

    return refuse


def _prefix(enum: str) -> str:
    """Give what all names of an enumeration begin with: ``APP_STATE_`` of ``AppState``."""
    last = enum.rpartition(".")[2]
    words = "".join(f"_{letter}" if letter.isupper() else letter for letter in last)
    return f"{words.strip('_').upper()}_"


def _merge(target: Any, value: Any) -> None:
    """Add a repeated, mapped or nested value to an empty one."""
    if hasattr(value, "MergeFrom"):
        target.MergeFrom(value)
    elif hasattr(value, "items"):
        for key, each in value.items():
            if hasattr(each, "DESCRIPTOR"):
                target[key].CopyFrom(each)
            else:
                target[key] = each
    else:
        target.extend(value)


def _shown(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name in _SECRET_FIELDS:
            found[field.name] = "****"
        else:
            found[field.name] = _shown_value(value)
    return found


def _shown_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "ListFields"):
        return _shown(value)
    if hasattr(value, "items"):
        return {str(key): _shown_value(each) for key, each in value.items()}
    return [_shown_value(each) for each in value]
