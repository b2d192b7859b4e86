"""Annotations as objects: text resolved, qualifiers stripped, type variables filled in."""

from __future__ import annotations

import ast
import sys
import types
import typing
from typing import Any

__all__ = ["call_hints", "class_hints", "item_hint", "strip_qualifiers"]

_QUALIFIERS = ("Required", "NotRequired", "ReadOnly", "Final")
_ITERATORS = ("Iterator", "Generator", "Iterable")


def strip_qualifiers(annotation: Any) -> Any:
    """Give the bare type behind ``Annotated``, ``Required``, ``NewType``, an alias or a variable.

    Text and forward references that nothing resolved give ``Any``.
    """
    while True:
        inner = _inner(annotation)
        if inner is annotation:
            return annotation
        annotation = inner


def _inner(annotation: Any) -> Any:  # noqa: PLR0911  (one return for each kind)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return annotation.__origin__
    if origin is not None and getattr(origin, "_name", None) in _QUALIFIERS:
        return annotation.__args__[0]
    if isinstance(annotation, typing.TypeVar):
        return annotation.__bound__ or Any
    if isinstance(annotation, (str, typing.ForwardRef)):
        return Any
    if type(annotation).__name__ == "TypeAliasType":
        return _alias_value(annotation)
    if type(origin).__name__ == "TypeAliasType":
        values = dict(zip(origin.__type_params__, typing.get_args(annotation)))
        return _fill(_alias_value(origin), values)
    return getattr(annotation, "__supertype__", annotation)


def _alias_value(alias: Any) -> Any:
    value = alias.__value__
    return (
        _evaluate(value, vars(sys.modules[alias.__module__])) if isinstance(value, str) else value
    )


def _fill(hint: Any, values: dict[Any, Any]) -> Any:
    """Put types in the place of type variables."""
    if isinstance(hint, typing.TypeVar):
        return values.get(hint, hint)
    wanted = getattr(hint, "__parameters__", ())
    if not wanted or isinstance(hint, type):
        return hint
    return hint[tuple(values.get(variable, variable) for variable in wanted)]


def class_hints(kind: Any, annotation: Any) -> dict[str, Any]:
    """Give the annotations of a class's fields; ``annotation`` may say what it is generic over."""
    try:
        hints = typing.get_type_hints(kind, include_extras=True)
    except Exception:  # noqa: BLE001  (evaluating somebody's text may raise anything)
        hints = {}
        for base in reversed(kind.__mro__):
            module = sys.modules.get(base.__module__)
            names = {**vars(module or types), **vars(base)}
            hints.update(_one_by_one(_raw_annotations(base, base.__dict__), names))
    arguments = typing.get_args(annotation)
    if not arguments:
        return hints
    values = dict(zip(getattr(kind, "__parameters__", ()), arguments))
    return {name: _fill(hint, values) for name, hint in hints.items()}


def call_hints(function: Any) -> dict[str, Any]:
    """Give the annotations of a function's parameters and of its ``return``.

    What cannot be resolved, such as a name that only type checkers import, is ``Any``.
    """
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  (evaluating somebody's text may raise anything)
        inner = function
        while hasattr(inner, "__wrapped__"):
            inner = inner.__wrapped__
        return _one_by_one(_raw_annotations(function), getattr(inner, "__globals__", {}))


def _raw_annotations(owner: Any, names: Any = None) -> dict[str, Any]:
    if sys.version_info >= (3, 14):
        import annotationlib

        return annotationlib.get_annotations(owner, format=annotationlib.Format.FORWARDREF)
    source = vars(owner) if names is None and isinstance(owner, type) else names
    if source is None:
        return dict(getattr(owner, "__annotations__", {}))
    return dict(source.get("__annotations__", {}))


def _one_by_one(raw: dict[str, Any], names: dict[str, Any]) -> dict[str, Any]:
    return {name: _evaluate(hint, names) for name, hint in raw.items()}


def _evaluate(hint: Any, names: dict[str, Any]) -> Any:
    if not isinstance(hint, str):
        return hint
    for read in (str, _without_bars):
        try:
            found = eval(read(hint), dict(names))  # noqa: S307  (the user's own annotation)
        except Exception:  # noqa: BLE001, S112
            continue
        if not isinstance(found, str):
            return found
        return _evaluate(found, names) if found != hint else Any
    return Any


class _Unions(ast.NodeTransformer):
    """Rewrite ``X | Y`` for Pythons before 3.10."""

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        self.generic_visit(node)
        if not isinstance(node.op, ast.BitOr):
            return node
        union = ast.parse("__import__('typing').Union", mode="eval").body
        members = ast.Tuple([node.left, node.right], ast.Load())
        return ast.Subscript(union, members, ast.Load())


def _without_bars(text: str) -> Any:
    tree = _Unions().visit(ast.parse(text, mode="eval"))
    return compile(ast.fix_missing_locations(tree), "<annotation>", "eval")


def item_hint(returns: Any) -> Any:
    """Give what a generator function yields, from its return annotation; ``Any`` if unclear."""
    returns = strip_qualifiers(returns)
    origin = typing.get_origin(returns)
    arguments = typing.get_args(returns)
    if origin is not None and origin.__name__.removeprefix("Async") in _ITERATORS and arguments:
        return arguments[0]
    return Any
