"""Any Python value as one that JSON holds: masked, bounded, and never raising.

Types and the marks of what was cut:

    str, int, bool, None         as they are; half of a surrogate pair is scalars.escaped
    float                        as it is; what is none in JSON as 'NaN', 'Infinity', '-Infinity'
    int over 64 bit              its digits as text, or `<int of N bits>`
    datetime, date, time         ISO 8601
    timedelta                    seconds
    Enum                         its value
    mapping, model, namedtuple   an object (dataclasses, pydantic, attrs, msgspec)
    list, tuple, deque, set      an array; sets are sorted by their text
    bytes                        text; JSON in it, as in a str, is masked inside
    exception                    `Type: text`
    class, function              `module.qualname`
    anything else                its repr

`...(+N more)` stands for items, `...[+N chars]` for text, `<cycle>` and `<too deep>` for
containers. Iterators are never consumed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, MappingView, Sequence, Set
from enum import Enum
from functools import partial
from typing import Any

import orjson

from loglane import models, scalars
from loglane.bounds import Handler, Walk, container, free_name, plain_container
from loglane.credentials import hide_netloc
from loglane.masking import MASK, Masker, masked_value
from loglane.scalars import LARGEST, SMALLEST, safe_repr

_MAX_JSON, _MAX_NAME = 1_000_000, 200
_NAME_ITEMS, _CACHED = 50, 2048
# A credential that begins before the cut is recognised by what follows within so many characters.
_MARGIN = 4096
_JSON_STARTS = "{[ \t\r\n"
_MORE = "..."
_PAIRS = frozenset((tuple, list))


class Sanitizer:
    """Copies values into what orjson renders; safe to share between threads.

    Args:
        masker: Decides what is hidden.
        max_depth: How many containers may lie in each other.
        max_items: How many items all containers of one record may have together.
        max_text: The longest text, in characters.
    """

    def __init__(
        self,
        masker: Masker,
        *,
        max_depth: int = 16,
        max_items: int = 2000,
        max_text: int = 65_536,
    ) -> None:
        self._mask = masker.text
        self._hides = masker.hides
        self._max_items, self._max_text = max_items, max_text
        self._container = partial(container, max_depth=max_depth)
        plain = partial(plain_container, max_depth=max_depth)
        # How each name is written, and what writes its values when that is not done as usual.
        self._names: dict[str, tuple[str, Handler | None]] = {}
        self._bases: dict[type, Handler] = {
            str: lambda value, walk: self._str(str.__str__(value), walk),
            **dict.fromkeys((bool, type(None)), lambda value, _walk: value),
            dict: self._container(dict.items, self._object),
            list: self._container(list.__iter__, self._array),
            tuple: self._container(tuple.__iter__, self._array),
            set: self._container(set.__iter__, self._sorted),
            frozenset: self._container(frozenset.__iter__, self._sorted),
            deque: self._container(deque.__iter__, self._array),
            bytes: self._bytes,
            bytearray: self._bytes,
            memoryview: self._bytes,
            BaseException: self._exception,
            Enum: lambda value, walk: self._any(scalars.from_enum(value), walk),
        }
        # Of these very types, which nearly all values have, nothing is overridden.
        self._exact = self._bases | {
            str: self._str,
            dict: plain(self._bases[dict], lambda value: value.copy().items(), self._object),
            list: plain(self._bases[list], list.copy, self._array),
        }
        self._handlers = dict(self._exact)

    def record(self, fields: Mapping[Any, Any]) -> dict[str, Any]:
        """Copy the fields of a line.

        Args:
            fields: Names and values of any type. A name that is no str becomes one; of two that
                are the same then, the later gets a number at its end.

        Returns:
            What orjson renders; nothing of it belongs to the caller.
        """
        try:
            return self._record(fields)
        except Exception as error:  # noqa: BLE001 - such as no stack left
            return {"fields": f"<not copied: {scalars.type_name(error)}>"}

    def _record(self, fields: Mapping[Any, Any]) -> dict[str, Any]:
        walk, more = Walk(self._max_items), ""
        items: Iterable[tuple[Any, Any]]
        try:
            if type(fields) is dict and len(fields) <= self._max_items:
                items = fields.copy().items()
            else:
                items, more = walk.taken(fields, models.mapping_items)
        except Exception:  # noqa: BLE001 - a mapping's own bug must not reach the log call
            items = [("fields", safe_repr(fields))]
        # The fields themselves are free: a large value must not displace those behind it.
        walk.left = self._max_items
        return self._fields(items, more, walk)

    def value(self, value: Any) -> Any:
        """Copy one value; see `record`."""
        try:
            return self._any(value, Walk(self._max_items))
        except Exception as error:  # noqa: BLE001 - as in `record`
            return f"<not copied: {scalars.type_name(error)}>"

    def _any(self, value: Any, walk: Walk) -> Any:
        try:
            handler = self._handlers.get(type(value)) or self._handler(type(value))
            return handler(value, walk)
        except Exception:  # noqa: BLE001 - a value's own bug must not reach the log call
            return self._text(safe_repr(value), self._max_text)

    def _handler(self, kind: type) -> Handler:
        found = self._find_handler(kind)
        if len(self._handlers) >= _CACHED:
            self._handlers = dict(self._exact)
        self._handlers[kind] = found
        return found

    def _find_handler(self, kind: type) -> Handler:
        if models.class_attribute(kind, "get_secret_value") is not None:
            return lambda _value, _walk: MASK
        names = models.shown_names(kind)
        if names is not None:
            read = models.tuple_fields if issubclass(kind, tuple) else models.read_fields
            return self._container(partial(read, names=names), self._object)
        if models.is_numpy(kind):
            array = self._container(models.array_items, self._array)
            return array if models.is_array(kind) else self._numpy
        bases = (self._base_handler(base) for base in kind.__mro__)
        found = next((handler for handler in bases if handler is not None), None)
        if found is not None:
            return found
        if issubclass(kind, Mapping):
            return self._container(models.mapping_items, self._object)
        is_many = issubclass(kind, (Sequence, Set, MappingView)) and kind is not range
        return self._container(iter, self._array) if is_many else self._other

    def _base_handler(self, base: type) -> Handler | None:
        convert = scalars.converter_of(base)
        return self._scalar(convert) if convert else self._bases.get(base)

    def _scalar(self, convert: Callable[[Any], Any]) -> Handler:
        def handle(value: Any, _walk: Walk) -> Any:
            found = convert(value)
            return self._text(found, self._max_text) if type(found) is str else found

        return handle

    def _numpy(self, value: Any, walk: Walk) -> Any:
        if value.dtype.names:
            return self._object([(name, value[name]) for name in value.dtype.names], "", walk)
        found = value.item()
        is_time = value.dtype.kind in "mM"
        return str(value) if is_time or type(found) is type(value) else self._any(found, walk)

    def _other(self, value: Any, _walk: Walk) -> str:
        return self._text(safe_repr(value), self._max_text)

    def _exception(self, error: BaseException, walk: Walk) -> str:
        args = scalars.structured_args(error)
        if not args:
            return self._text(scalars.from_exception(error), self._max_text)
        text = orjson.dumps(self._any(args if len(args) > 1 else args[0], walk)).decode()
        return self._text(f"{scalars.type_name(error)}: {text}", self._max_text)

    def _str(self, value: str, walk: Walk) -> str:
        if value[:1] in _JSON_STARTS and 1 < len(value) <= _MAX_JSON:
            value = self._json(value, walk)
        if len(value) <= self._max_text and value.isascii():
            return self._mask(value)
        return self._text(value, self._max_text)

    def _bytes(self, value: Any, walk: Walk) -> str:
        view = memoryview(value)
        raw = (view.cast("B") if view.c_contiguous else view.tobytes())[:_MAX_JSON]
        text = self._str(bytes(raw).decode(errors="backslashreplace"), walk)
        more = view.nbytes - len(raw)
        return f"{text}...[+{more} bytes]" if more else text

    def _json(self, text: str, walk: Walk) -> str:
        """Mask inside a text that is a JSON object or array; another text stays as it is."""
        parsed = scalars.parse_json(text)
        if parsed is None:
            return text
        masked = self._any(parsed, walk)
        # An scalars.escaped name may hide behind a second, harmless one of the same name.
        if masked == parsed and "\\u" not in text:
            return text
        return orjson.dumps(masked).decode()

    def _text(self, text: str, limit: int) -> str:
        if len(text) <= limit:
            return self._mask(scalars.escaped(text))
        head = self._mask(scalars.escaped(text[: limit + _MARGIN]))[:limit]
        return f"{head}...[+{len(text) - limit} chars]"

    def _object(self, items: Iterable[tuple[Any, Any]], more: str, walk: Walk) -> dict[str, Any]:
        result = self._fields(items, more, walk)
        if "value" in result or "input" in result:
            name = models.named_elsewhere(result, self._hides)
            if name:
                result[name] = masked_value(result[name])
        return result

    def _fields(self, items: Iterable[tuple[Any, Any]], more: str, walk: Walk) -> dict[str, Any]:
        result: dict[str, Any] = {}
        # What most values are is decided here: a call for each would take half of the time.
        names, text, any_value, limit = self._names, self._str, self._any, self._max_text
        for key, value in items:
            known = names.get(key) if type(key) is str else None
            name, special = known or self._name(key)
            if name in result:
                name = free_name(name, result)
            kind = type(value)
            if special:
                result[name] = special(value, walk)
            elif kind is str:
                plain = value.isalnum() and len(value) <= limit
                result[name] = value if plain else text(value, walk)
            elif kind is bool or value is None or (kind is int and SMALLEST <= value <= LARGEST):
                result[name] = value
            else:
                result[name] = any_value(value, walk)
        if more:
            result[free_name(_MORE, result) if _MORE in result else _MORE] = more
        return result

    def _array(self, items: list[Any], more: str, walk: Walk) -> list[Any]:
        any_value = self._any
        result = [
            self._pair(item, walk)
            if type(item) in _PAIRS and len(item) == 2
            else any_value(item, walk)
            for item in items
        ]
        if str in map(type, items):
            for i in models.named_before(items, self._hides):
                result[i] = masked_value(items[i])
        return [*result, f"{_MORE}({more})"] if more else result

    def _pair(self, pair: Any, walk: Walk) -> Any:
        # A header or a parameter as `(name, value)` among others.
        found = self._any(pair, walk)
        if type(found) is list and self._hides(pair[0]):
            found[1:] = [masked_value(pair[1])]
        return found

    def _netloc(self, value: Any, walk: Walk) -> Any:
        text = self._any(value, walk)
        return hide_netloc(text) if type(text) is str else text

    def _sorted(self, items: list[Any], more: str, walk: Walk) -> list[Any]:
        return self._array(sorted(items, key=safe_repr), more, walk)

    def _name(self, key: Any) -> tuple[str, Handler | None]:
        value = key if type(key) is str else self._any(key, Walk(_NAME_ITEMS))
        text = value if type(value) is str else orjson.dumps(value).decode()
        special: Handler | None = _hidden if self._hides(text) else None
        if special is None and text.endswith("netloc"):
            special = self._netloc
        found = self._text(text, _MAX_NAME), special
        if type(key) is str and len(key) <= _MAX_NAME:
            if len(self._names) >= _CACHED:
                self._names.clear()
            self._names[key] = found
        return found


def _hidden(value: Any, _walk: Walk) -> Any:
    return masked_value(value)
