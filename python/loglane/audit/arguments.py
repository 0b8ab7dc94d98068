"""What a decorated function's record takes from its arguments: found by name, never by position.

Everything that can be wrong is found when the function is decorated; a call only looks values up.
"""

from __future__ import annotations

import inspect
import re
import string
import sys
from collections.abc import Callable, Mapping
from typing import Any

Finder = str | Callable[..., Any]
Read = Callable[[tuple[Any, ...], dict[str, Any]], Any]
Look = Callable[[tuple[Any, ...], dict[str, Any], Any], Any]

RESULT = "result"
_EMPTY = inspect.Parameter.empty
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
# No item, no name that begins with an underscore: a template is text, and shows what is public.
_PLACE = re.compile(r"(\w+)((?:\.[A-Za-z]\w*)*)")


class Lookup:
    """How a value is found in a call.

    Attributes:
        needs_result: It can be found only when the function has returned.
        find: Takes the positional arguments, those by name, and the result.
    """

    __slots__ = ("find", "needs_result")

    def __init__(self, find: Look, needs_result: bool = False) -> None:
        self.find = find
        self.needs_result = needs_result


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function, whatever its annotations name.

    Raises:
        ValueError: It has none, as some functions written in C.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(function, annotation_format=Format.FORWARDREF)
    return inspect.signature(function)


def make_lookup(what: str, finder: Finder, signature: inspect.Signature) -> Lookup:
    """Return how a value is found.

    Args:
        what: Name of the value, for the error.
        finder: The name of a parameter; a text with `{parameter}` or `{parameter.attribute}` in it;
            or a callable that takes parameters by their names, and `result`.
        signature: Of the decorated function.

    Raises:
        TypeError: The finder is something else.
        ValueError: It names what is no parameter.
    """
    if callable(finder):
        return _by_call(what, finder, signature)
    if not isinstance(finder, str):
        raise TypeError(
            f"{what} should be a parameter's name, a template or a callable, not "
            f"{type(finder).__name__}"
        )
    if "{" in finder or "}" in finder:
        return _by_template(what, finder, signature)
    read = reader(what, finder, signature)
    return Lookup(lambda args, kwargs, _result: read(args, kwargs))


def _by_call(what: str, call: Callable[..., Any], signature: inspect.Signature) -> Lookup:
    wanted = list(signature_of(call).parameters.values())
    readers: dict[str, Read] = {}
    needs_result = False
    for parameter in wanted:
        name = parameter.name
        if parameter.kind not in (_POSITIONAL[1], inspect.Parameter.KEYWORD_ONLY):
            raise ValueError(f"{what}: its callable should take arguments by name, not {parameter}")
        if name in signature.parameters:
            readers[name] = reader(what, name, signature)
        elif name == RESULT:
            needs_result = True
        elif parameter.default is _EMPTY:
            readers[name] = reader(what, name, signature)

    def find(args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        given = {name: read(args, kwargs) for name, read in readers.items()}
        return call(**given, result=result) if needs_result else call(**given)

    return Lookup(find, needs_result)


def _by_template(what: str, template: str, signature: inspect.Signature) -> Lookup:
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"{what}: {template!r} is no template: {error}") from error
    pieces: list[tuple[str, Callable[..., str] | None]] = []
    for literal, place, form, conversion in parts:
        piece = None
        if place is not None:
            piece = _piece(what, place, form or "", conversion, signature)
        pieces.append((literal, piece))

    def find(args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> str:
        return "".join(
            literal if piece is None else literal + piece(args, kwargs) for literal, piece in pieces
        )

    return Lookup(find)


def _piece(
    what: str, place: str, form: str, conversion: str | None, signature: inspect.Signature
) -> Callable[..., str]:
    found = _PLACE.fullmatch(place)
    if found is None or "{" in form:
        raise ValueError(
            f"{what}: {{{place}}} should be a parameter, or public attributes of one, such as "
            "{order.id}"
        )
    read = reader(what, found[1], signature)
    attributes = found[2].split(".")[1:]
    convert = {None: None, "s": str, "r": repr, "a": ascii}.get(conversion)

    def text(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        value = read(args, kwargs)
        for name in attributes:
            value = getattr(value, name)
        return format(convert(value) if convert else value, form)

    return text


def reader(what: str, name: str, signature: inspect.Signature) -> Read:
    """Return what reads a parameter's value out of the arguments of a call; defaults count.

    Raises:
        ValueError: There is no such parameter.
    """
    parameters: Mapping[str, inspect.Parameter] = signature.parameters
    parameter = parameters.get(name)
    others = next((one for one in parameters.values() if one.kind is one.VAR_KEYWORD), None)
    if parameter is None and others is None:
        known = ", ".join(parameters) or "none at all"
        raise ValueError(
            f"{what} names {name!r}, which is no parameter; there are: {known}. "
            "For a constant text use a callable: lambda: 'text'"
        )
    if parameter is None:
        return lambda _args, kwargs: kwargs[name]
    positional = [one.name for one in parameters.values() if one.kind in _POSITIONAL]
    if parameter.kind is parameter.VAR_POSITIONAL:
        return lambda args, _kwargs: args[len(positional) :]
    if parameter.kind is parameter.VAR_KEYWORD:
        named = {one.name for one in parameters.values() if one.kind is not one.POSITIONAL_ONLY}
        return lambda _args, kwargs: {k: v for k, v in kwargs.items() if k not in named - {name}}
    return _reader_of(parameter, positional.index(name) if name in positional else None)


def _reader_of(parameter: inspect.Parameter, index: int | None) -> Read:
    name, default = parameter.name, parameter.default
    by_name = parameter.kind is not parameter.POSITIONAL_ONLY

    def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if index is not None and index < len(args):
            return args[index]
        if by_name and name in kwargs:
            return kwargs[name]
        if default is _EMPTY:
            raise TypeError(f"the call gives no {name!r}")
        return default

    return read
