"""The base of gpuhub's models: frozen, strict about names, with gpuhub's own errors."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gpuhub.errors import SpecError


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
            raise spec_error(error) from None


def spec_error(error: ValidationError) -> SpecError:
    """Turn pydantic's report into one error that names each field, its value and the rule."""
    problems = []
    for detail in error.errors(include_url=False):
        field = ".".join([error.title, *(str(part) for part in detail["loc"])])
        message = detail["msg"].removeprefix("Value error, ")
        got = "" if "got " in message or detail["type"] == "missing" else _shown(detail["input"])
        problems.append(f"{field}: {message}{got}")
    return SpecError(
        "; ".join(problems),
        next_step=f"correct the argument; `help(gpuhub.{error.title})` lists the fields",
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return f" (got {text if len(text) <= 80 else text[:77] + '…'})"
