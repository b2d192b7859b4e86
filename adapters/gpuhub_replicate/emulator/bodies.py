"""Bodies of requests as the API documents them: nothing else is accepted."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gpuhub_replicate.emulator.problems import Problem
from gpuhub_replicate.emulator.web import Request

__all__ = [
    "DeploymentChange",
    "DeploymentCreation",
    "ModelChange",
    "ModelCreation",
    "PredictionCreation",
    "VersionPredictionCreation",
    "read",
]

Event = Literal["start", "output", "logs", "completed"]


class Strict(BaseModel):
    """Refuses what it does not know, and what only looks like the right type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PredictionCreation(Strict):
    """``POST …/predictions`` of a deployment or an official model."""

    input: dict[str, Any]
    stream: bool | None = None
    webhook: str | None = None
    webhook_events_filter: list[Event] | None = None


class VersionPredictionCreation(PredictionCreation):
    """``POST /predictions``."""

    version: str


class ModelCreation(Strict):
    """``POST /models``."""

    owner: str
    name: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$")]
    visibility: Literal["public", "private"]
    hardware: str
    description: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None


class ModelChange(Strict):
    """``PATCH /models/{owner}/{name}``, which the snapshot of the document does not have yet."""

    description: str | None = None
    readme: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    weights_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None


class DeploymentChange(Strict):
    """``PATCH /deployments/{owner}/{name}``."""

    hardware: str | None = None
    min_instances: Annotated[int, Field(ge=0, le=5)] | None = None
    max_instances: Annotated[int, Field(ge=0, le=20)] | None = None
    version: str | None = None


class DeploymentCreation(Strict):
    """``POST /deployments``."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?$")]
    model: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")]
    version: str
    hardware: str
    min_instances: Annotated[int, Field(ge=0, le=5)]
    max_instances: Annotated[int, Field(ge=0, le=20)]


Body = TypeVar("Body", bound=Strict)


def read(request: Request, kind: type[Body]) -> Body:
    """Read a body.

    Raises:
        Problem: 400, it is no JSON; 422, it is not as documented.
    """
    document = request.json()
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise Problem(422, _words(error), title="Invalid request body") from None


def _words(error: ValidationError) -> str:
    lines = []
    for each in error.errors():
        field = ".".join(str(part) for part in each["loc"]) or "(root)"
        lines.append(f"- {field}: {each['msg']}\n")
    return "".join(lines)
