"""Facts about Modal, its settings, and how they make an adapter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpuhub.adapter import AdapterInfo, Limits, Origin
from gpuhub.settings import Credential, SettingKey
from gpuhub_modal.adapter import ModalAdapter
from gpuhub_modal.capabilities import CAPABILITIES
from gpuhub_modal.limits import LONGEST_S
from gpuhub_modal.session import Session

if TYPE_CHECKING:
    from gpuhub.settings import ProviderSettings

__all__ = ["INFO", "create"]

_KEYS = (
    SettingKey(
        "server_url",
        help="address of Modal's gRPC server; default: the SDK's, https://api.modal.com",
    ),
    SettingKey("environment", help="Modal environment; default: the workspace's"),
)

_PROXY = "make a proxy token: modal workspace proxy-tokens create"

# Names: 64 characters of a-z, 0-9 and -_. (``is_valid_object_name`` of the SDK). No limit of a
# payload is documented: above 2 MiB, or 8 KiB for a spawned call, the SDK stores it first.
INFO = AdapterInfo(
    name="modal",
    title="Modal",
    docs_url="https://modal.com/docs",
    credentials=(
        Credential("token_id", "MODAL_TOKEN_ID", help="make a token: modal token new"),
        Credential("token_secret", "MODAL_TOKEN_SECRET", help="make a token: modal token new"),
        Credential("proxy_token_id", "MODAL_PROXY_TOKEN_ID", required=False, help=_PROXY),
        Credential("proxy_token_secret", "MODAL_PROXY_TOKEN_SECRET", required=False, help=_PROXY),
    ),
    settings={key.name: key for key in _KEYS},
    origins=(
        # Web functions have an address each; this says what a request to them takes.
        Origin(
            "web",
            "server_url",
            "https://api.modal.com",
            {"Modal-Key": "{proxy_token_id}", "Modal-Secret": "{proxy_token_secret}"},
        ),
    ),
    limits=Limits(timeout_s=LONGEST_S, name_length=64),
    web_origin="web",
    extra="modal",
    long_poll_s=30.0,
)


def create(settings: ProviderSettings) -> ModalAdapter:
    """Make an adapter; needs no credentials yet."""
    return ModalAdapter(INFO, CAPABILITIES, Session(settings))
