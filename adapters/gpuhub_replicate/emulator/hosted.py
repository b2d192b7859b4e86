"""Models of others: official ones, called by name, and one that needs a version.

Their names are those of models that Replicate hosts, their answers are not: they say what they
were asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gpuhub_replicate.emulator.models import Model, Played, Version, played_id

if TYPE_CHECKING:
    from gpuhub_replicate.emulator.site import Site

__all__ = ["add_hosted", "hosted_models", "schema_of"]

FILES = {"type": "array", "items": {"type": "string", "format": "uri"}, "title": "Output"}
FILE = {"type": "string", "format": "uri", "title": "Output"}
TEXTS = {
    "type": "array",
    "items": {"type": "string"},
    "title": "Output",
    "x-cog-array-type": "iterator",
    "x-cog-array-display": "concatenate",
}
_PNG = b"\x89PNG\r\n\x1a\n"


def schema_of(
    properties: Mapping[str, Any],
    output: Mapping[str, Any],
    *,
    required: tuple[str, ...] = (),
    parts: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Give an OpenAPI document as a version has it."""
    ordered = {
        name: {"title": name.replace("_", " ").title(), "x-order": number, **rule}
        for number, (name, rule) in enumerate(properties.items())
    }
    wanted = {"type": "object", "title": "Input", "properties": ordered}
    if required:
        wanted["required"] = list(required)
    return {
        "openapi": "3.0.2",
        "info": {"title": "Cog", "version": "0.1.0"},
        "paths": {},
        "components": {"schemas": {"Input": wanted, "Output": dict(output), **(parts or {})}},
    }


def add_hosted(
    site: Site,
    path: str,
    played: Played,
    schema: Mapping[str, Any],
    *,
    is_official: bool = True,
) -> Model:
    """Make a model that a function plays."""
    owner, _, name = path.partition("/")
    now = site.stamp()
    model = Model(owner, name, "public", "gpu-h100", {}, is_official, is_ours=False, created_at=now)
    version_id = played_id(path)
    model.versions[version_id] = Version(version_id, path, schema, "0.23.1", now, played=played)
    return model


def hosted_models(site: Site) -> dict[str, Model]:
    """Give the built-in models by ``owner/name``."""
    models = [
        add_hosted(site, "black-forest-labs/flux-schnell", Played(_images), _IMAGES),
        add_hosted(site, "meta/meta-llama-3-8b-instruct", Played(_words, on_thread=True), _WORDS),
        add_hosted(site, "stability-ai/sdxl", Played(_images), _IMAGES, is_official=False),
        add_hosted(site, "openai/whisper", Played(_transcript, on_thread=True), _TRANSCRIPT),
    ]
    return {model.path: model for model in models}


_IMAGES = schema_of(
    {
        "prompt": {"type": "string", "description": "What is to be seen"},
        "num_outputs": {"type": "integer", "default": 1, "minimum": 1, "maximum": 4},
        "aspect_ratio": {
            "allOf": [{"$ref": "#/components/schemas/aspect_ratio"}],
            "default": "1:1",
        },
        "seed": {"type": "integer", "nullable": True},
        "image": {"type": "string", "format": "uri", "nullable": True},
        "go_fast": {"type": "boolean", "default": True},
    },
    FILES,
    required=("prompt",),
    parts={
        "aspect_ratio": {
            "type": "string",
            "title": "aspect_ratio",
            "enum": ["1:1", "16:9", "9:16"],
        }
    },
)
_WORDS = schema_of(
    {
        "prompt": {"type": "string", "default": ""},
        "max_tokens": {"type": "integer", "default": 512, "minimum": 1},
        "temperature": {"type": "number", "default": 0.7, "minimum": 0, "maximum": 5},
    },
    TEXTS,
)
_TRANSCRIPT = schema_of(
    {
        "audio": {"type": "string", "format": "uri"},
        "language": {"type": "string", "default": "auto"},
    },
    {
        "type": "object",
        "title": "Output",
        "required": ["transcription"],
        "properties": {
            "transcription": {"type": "string"},
            "language": {"type": "string"},
            "file": {"type": "string", "format": "uri"},
        },
    },
    required=("audio",),
)


def _images(inputs: dict[str, Any]) -> list[bytes]:
    """Give files that hold the input."""
    said = json.dumps(inputs, sort_keys=True).encode()
    return [_PNG + said + b"#%d" % number for number in range(inputs["num_outputs"])]


def _words(inputs: dict[str, Any]) -> Iterator[str]:
    """Give the prompt back, word by word."""
    words = str(inputs["prompt"]).split(" ")
    for number, word in enumerate(words[: inputs["max_tokens"]]):
        yield word if number == 0 else f" {word}"


def _transcript(inputs: dict[str, Any]) -> dict[str, Any]:
    """Give a text file's words as if they had been spoken."""
    import urllib.request

    if not inputs["audio"].startswith(("http://127.0.0.1:", "data:")):
        raise ValueError("an emulator reaches nothing but this machine")
    with urllib.request.urlopen(inputs["audio"], timeout=30) as answer:  # noqa: S310 - see above
        text = answer.read().decode("utf-8", "replace")
    return {
        "transcription": text,
        "language": inputs["language"],
        "file": f"data:text/plain,{text[:50].replace(' ', '%20')}",
    }
