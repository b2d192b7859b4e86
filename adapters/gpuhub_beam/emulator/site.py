"""What all parts of the emulator share."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field

from typing_extensions import override

from gpuhub.testing.emulator import RequestLog
from gpuhub.testing.emulator.site import EmulatorSite
from gpuhub_beam.emulator.options import EmulatorOptions

__all__ = ["Site"]


@dataclass(kw_only=True)
class Site(EmulatorSite):
    """One workspace at one gateway, as seen from inside.

    Attributes:
        options: How it behaves.
        worker_requests: What runners asked.
        grpc_address: ``host:port`` of the gRPC face, where there is one.
        worker_token: What runners authorize themselves with.
        workspace_id: External id of the workspace.
        signing_key: What callbacks are signed with.
    """

    options: EmulatorOptions
    worker_requests: RequestLog = field(default_factory=RequestLog)
    grpc_address: str = ""
    worker_token: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    workspace_id: str = ""
    signing_key: str = field(default_factory=lambda: f"sk_{secrets.token_hex(16)}", repr=False)

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        self.workspace_id = self.new_id()

    def new_id(self) -> str:
        """Give a UUID, as all of Beam's external ids are."""
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def signed(self, payload: bytes) -> tuple[str, int]:
        """Give the signature of a payload and its timestamp, as ``SignPayload`` does."""
        timestamp = int(self.timeline.wall())
        text = f"{base64.b64encode(payload).decode()}:{timestamp}"
        digest = hmac.new(self.signing_key.encode(), text.encode(), hashlib.sha256)
        return digest.hexdigest(), timestamp
