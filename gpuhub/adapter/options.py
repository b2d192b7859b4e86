"""``options={"<provider>": {…}}`` of a function: checked by a pydantic model, and reported. Pure.

An adapter may use it, nothing asks it to.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from gpuhub.plan import Rows
    from gpuhub.spec import FunctionSpec

__all__ = ["check_options", "ignored_options", "option_row"]

OptionsT = TypeVar("OptionsT", bound=BaseModel)


def check_options(
    kind: type[OptionsT], given: Mapping[str, Any], *, provider: str, title: str
) -> OptionsT:
    """Check a function's options for one provider.

    Args:
        kind: What may be set: a model with ``extra="forbid"``.
        given: What is set.
        provider: Name of the adapter, such as ``"runpod"``.
        title: The provider's name as it writes it, such as ``"RunPod"``.

    Raises:
        SpecError: One is unknown or of the wrong kind; all such are named, with what may be meant.
    """
    try:
        return kind.model_validate(dict(given))
    except ValidationError as error:
        known = list(kind.model_fields)
        problems = [_problem(detail, provider, known) for detail in error.errors()]
        raise SpecError(
            f"options: {'; '.join(problems)}",
            next_step=f"{title}'s options are {', '.join(known)}",
            provider=provider,
        ) from None


def option_row(
    rows: Rows,
    spec: FunctionSpec,
    provider: str,
    *,
    own: Mapping[str, Any] | None = None,
    reason: str = "each is in the field of its name",
) -> None:
    """Answer for ``options``; those of other providers are named, for they do nothing here.

    Args:
        rows: Of the plan.
        spec: With the options of all providers.
        provider: Name of the adapter.
        own: The provider's options as they are sent. Default: as they are given.
        reason: What becomes of them.
    """
    given = dict(spec.options.get(provider, {}) if own is None else own)
    others, ignored = ignored_options(spec, provider)
    if given:
        rows.emulated("options", "options", given, "; ".join(filter(None, [reason, ignored])))
    elif others:
        rows.emulated("options", None, others, ignored)
    else:
        rows.unset("options")


def ignored_options(spec: FunctionSpec, provider: str) -> tuple[list[str], str]:
    """Give the other providers that a function has options for, and the words for a row.

    Args:
        spec: With the options of all providers.
        provider: Name of the adapter.
    """
    others = sorted(set(spec.options) - {provider})
    return others, f"ignored here: options of {', '.join(others)}" if others else ""


def _problem(detail: Any, provider: str, known: list[str]) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(name, known, n=1)
        return f"{provider} has no {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return f"{provider}.{name}: {detail['msg']} (got {detail['input']!r})"
