"""What the emulator stands on of Modal's protocol is there, and it says so when it is not."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from gpuhub.errors import ConfigError
from gpuhub_modal.emulator import ModalEmulator, protobuf
from gpuhub_modal.emulator.relied import FIELDS, IGNORED, RPCS
from tests.adapters.modal.emulator.reliance import built_messages, read_requests, rpc_names

pb: Any = pytest.importorskip("modal_proto.api_pb2", reason="needs the SDK: run in .venv-modal")


def test_every_rpc_is_listed() -> None:
    """The list is what the source answers."""
    assert set(RPCS.split()) == rpc_names()


def test_every_message_that_is_built_is_listed() -> None:
    """With every field it is given."""
    messages = {name for name in built_messages() if name in FIELDS}
    assert len(messages) > 60
    for name, fields in built_messages().items():
        if name in FIELDS:
            assert fields <= set(FIELDS[name].split()), name


def test_every_field_that_is_read_is_listed() -> None:
    """Of every request."""
    methods = pb.DESCRIPTOR.services_by_name["ModalClient"].methods_by_name
    for name, fields in read_requests().items():
        request = methods[name].input_type
        listed = set(FIELDS.get(request.name, "").split())
        assert fields & set(request.fields_by_name) <= listed, name


def test_the_installed_modal_has_all_of_it() -> None:
    """Both the oldest and the newest version that are tested."""
    assert protobuf.lacking(pb) == []


def test_new_settings_of_functions_are_noticed() -> None:
    """A field of ``Function`` is either read or known to have no effect."""
    known = {*FIELDS["Function"].split(), *IGNORED.split()}
    assert set(pb.Function.DESCRIPTOR.fields_by_name) <= known


def test_what_is_lacking_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release that renames things is refused at the start, not somewhere in a call."""
    changed = {**FIELDS, "FunctionMapRequest": "function_id inputs_renamed", "NoSuch": "x"}
    monkeypatch.setattr(protobuf, "FIELDS", changed)
    monkeypatch.setattr(protobuf, "RPCS", f"{RPCS} NoSuchRpc")
    assert protobuf.lacking(pb) == [
        "the RPC NoSuchRpc",
        "FunctionMapRequest.inputs_renamed",
        "the message NoSuch",
    ]
    protobuf.load_wire.cache_clear()
    with pytest.raises(ConfigError, match="inputs_renamed"):
        ModalEmulator().start()
    protobuf.load_wire.cache_clear()


def test_without_modal_it_can_be_imported_and_says_what_to_install() -> None:
    """Importing needs nothing; starting names the extra."""
    script = (
        "import sys; sys.modules['modal_proto'] = None\n"
        "from gpuhub_modal.emulator import contract_emulator\n"
        "assert 'grpclib' not in sys.modules and 'modal' not in sys.modules\n"
        "from gpuhub.errors import AdapterNotInstalled\n"
        "try: contract_emulator().start()\n"
        "except AdapterNotInstalled as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert "gpuhub-sdk[modal,emulator]" in done.stdout


def test_secrets_are_not_shown() -> None:
    """Neither values of secrets nor code are kept in the record of requests."""
    wire = protobuf.load_wire()
    sent = pb.SecretGetOrCreateRequest(deployment_name="it", env_dict={"KEY": "hidden-value"})
    assert wire.shown(sent) == {"deployment_name": "it", "env_dict": "****"}
    function = pb.FunctionCreateRequest(function=pb.Function(function_serialized=b"hidden-value"))
    assert wire.shown(function) == {"function": {"function_serialized": "<12 bytes>"}}


def test_enumerations_are_named_without_their_prefix() -> None:
    """``APP_STATE_DEPLOYED`` is ``DEPLOYED``."""
    wire = protobuf.load_wire()
    assert wire.name_of("AppState", pb.APP_STATE_DEPLOYED) == "DEPLOYED"
    assert wire.number_of("FileDescriptor", "STDERR") == pb.FILE_DESCRIPTOR_STDERR


def test_a_category_is_named_for_each_end() -> None:
    """As ``FunctionCallInfo`` counts inputs."""
    wire = protobuf.load_wire()
    statuses = pb.GenericResult
    ends = {
        statuses.GENERIC_STATUS_SUCCESS: "succeeded",
        statuses.GENERIC_STATUS_FAILURE: "failed",
        statuses.GENERIC_STATUS_TERMINATED: "cancelled",
        statuses.GENERIC_STATUS_TIMEOUT: "timeout",
    }
    for status, name in ends.items():
        assert wire.category(SimpleNamespace(result=SimpleNamespace(status=status))) == name
    assert wire.category(None) == "pending"
