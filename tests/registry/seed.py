"""Fill a registry by its documented requests, without the code under test."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.unit.oci.base_images import BaseImage, digest_of


def seed(
    address: str, repository: str, image: BaseImage, *, tag: str = "1", login: str = ""
) -> str:
    """Store an image under a tag; give its name."""
    base = f"http://{address}/v2/{repository}"
    for digest, content in image.blobs.items():
        opened = ask("POST", f"{base}/blobs/uploads/", b"", login=login)
        joint = "&" if "?" in opened["Location"] else "?"
        ask("PUT", f"{opened['Location']}{joint}digest={digest}", content, login=login)
    for media_type, content in image.below:
        url = f"{base}/manifests/{digest_of(content)}"
        ask("PUT", url, content, media_type, login=login)
    ask("PUT", f"{base}/manifests/{tag}", image.content, image.media_type, login=login)
    return f"{address}/{repository}:{tag}"


def ask(
    method: str,
    url: str,
    body: bytes | None = None,
    kind: str = "application/octet-stream",
    *,
    login: str = "",
) -> dict[str, str]:
    """Send a request; give the headers of the answer."""
    request = Request(url, body, {"Content-Type": kind}, method=method)  # noqa: S310 - loopback
    if login:
        request.add_header("Authorization", login)
    try:
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            return dict(answer.headers)
    except HTTPError as error:
        raise AssertionError(f"{method} {url}: {error.code} {error.read()!r}") from error
