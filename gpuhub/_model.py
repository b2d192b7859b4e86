"""The base of gpuhub's models: frozen, strict about names, with gpuhub's own errors."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gpuhub.errors import SpecError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class Model(BaseModel):
    """A frozen model that refuses unknown fields and raises :class:`~gpuhub.errors.SpecError`.

    A subclass names in ``_positional`` the field that its first positional argument fills.
    """

    # defer_build: the validators are built at first use, not at import of the user's module.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    _positional: ClassVar[str] = ""

    def __init__(self, *positional: Any, **fields: Any) -> None:
        if positional:
            if len(positional) > 1 or not self._positional:
                allowed = f"at most one ({self._positional})" if self._positional else "none"
                msg = f"{type(self).__name__} takes {allowed} positional, got {len(positional)}"
                raise SpecError(msg, next_step="name the arguments")
            if self._positional in fields:
                msg = f"{type(self).__name__} got {self._positional} twice"
                raise SpecError(msg, next_step="give it once")
            fields[self._positional] = positional[0]
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise spec_error(error, type(self)) from None


def spec_error(error: ValidationError, model: type[Model]) -> SpecError:
    """Turn pydantic's report into one error that names each field, its value and the rule."""
    return SpecError(
        "; ".join(_problem(error.title, detail, model) for detail in error.errors()),
        next_step=f"correct the argument; `help(gpuhub.{error.title})` lists the fields",
    )


def _problem(title: str, detail: ErrorDetails, model: type[Model]) -> str:
    field = ".".join([title, *(str(part) for part in detail["loc"])])
    if detail["type"] == "extra_forbidden":
        near = get_close_matches(str(detail["loc"][-1]), model.model_fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{field}: unknown field{hint}"
    message = detail["msg"].removeprefix("Value error, ")
    got = "" if "got " in message or detail["type"] == "missing" else _shown(detail["input"])
    return f"{field}: {message}{got}"


def _shown(value: Any) -> str:
    text = repr(value)
    return f" (got {text if len(text) <= 80 else text[:77] + '…'})"
