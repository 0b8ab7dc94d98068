"""Read the fields of model objects (dataclasses, pydantic, attrs, msgspec) without their help.

Also what there is to know about numpy; none of these libraries is imported.

Nothing of the object runs: no property, no validator, no `__getattr__`. Only what lies in its
`__dict__` or in a slot is read, so a field that was never set is left out. A field that its class
keeps out of the repr is left out too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import GetSetDescriptorType, MemberDescriptorType
from typing import Any

_MISSING: Any = object()


def class_attribute(cls: type, name: str) -> Any:
    """Return an attribute of a class as it is defined, or None."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return None


def shown_names(cls: type) -> tuple[str, ...] | None:
    """Return the fields that a model class or a namedtuple shows, or None for another class."""
    if issubclass(cls, (tuple, BaseException)):
        names = class_attribute(cls, "_fields") if issubclass(cls, tuple) else None
        return names if isinstance(names, tuple) else None
    for attribute in ("__dataclass_fields__", "__pydantic_fields__", "__fields__"):
        fields = class_attribute(cls, attribute)
        if type(fields) is dict:
            return tuple(name for name, field in fields.items() if _is_shown(field))
    attributes = class_attribute(cls, "__attrs_attrs__")
    if isinstance(attributes, tuple):
        return tuple(attribute.name for attribute in attributes if _is_shown(attribute))
    # msgspec has it on the metaclass.
    names = getattr(cls, "__struct_fields__", None)
    return names if isinstance(names, tuple) else None


def named_elsewhere(record: Mapping[str, Any], hides: Callable[[object], bool]) -> str | None:
    """Return the member of an object whose name is another member, when that name is hidden.

    These are `{"name": ..., "value": ...}` as in HAR files, and the errors of pydantic with `loc`
    and `input`.
    """
    if "value" in record and (hides(record.get("name")) or hides(record.get("key"))):
        return "value"
    loc = record.get("loc")
    return "input" if "input" in record and type(loc) is list and any(map(hides, loc)) else None


def named_before(items: list[Any], hides: Callable[[object], bool]) -> list[int]:
    """Return where in a command line there are values of options with a hidden name."""
    return [
        i
        for i, item in enumerate(items[:-1], 1)
        if type(item) is str and item[:1] == "-" and "=" not in item and hides(item)
    ]


def mapping_items(value: Any) -> Iterable[tuple[Any, Any]]:
    """Return names and values of a mapping by its own method."""
    return value.items()  # type: ignore[no-any-return]


def tuple_fields(value: tuple[Any, ...], names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each field of a namedtuple."""
    return zip(names, tuple.__iter__(value), strict=False)


def _is_shown(field: Any) -> bool:
    # pydantic 1 keeps both in `field_info`; dataclasses mark class variables by their kind.
    info = getattr(field, "field_info", field)
    kind = getattr(getattr(field, "_field_type", None), "name", "_FIELD")
    shown = getattr(info, "repr", True) is not False and not getattr(info, "exclude", None)
    return shown and kind == "_FIELD"


def read_fields(value: Any, names: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each field that is set, and of the extra fields of pydantic."""
    cls = type(value)
    stored = _stored(value, cls)
    for name in names:
        found = stored.get(name, _MISSING)
        if found is _MISSING:
            found = _slot(value, cls, name)
        if found is not _MISSING:
            yield name, found
    extra = _slot(value, cls, "__pydantic_extra__")
    if type(extra) is dict:
        yield from list(extra.items())


def _stored(value: Any, cls: type) -> dict[str, Any]:
    descriptor = class_attribute(cls, "__dict__")
    if type(descriptor) is not GetSetDescriptorType:
        return {}
    stored = descriptor.__get__(value, cls)
    return stored if type(stored) is dict else {}


def _slot(value: Any, cls: type, name: str) -> Any:
    descriptor = class_attribute(cls, name)
    if type(descriptor) is not MemberDescriptorType:
        return _MISSING
    try:
        return descriptor.__get__(value, cls)
    except AttributeError:
        return _MISSING


def is_numpy(cls: type) -> bool:
    """Tell whether a class is a scalar or an array of numpy, or derives from one."""
    return class_attribute(cls, "tolist") is not None and any(
        base.__module__ == "numpy" for base in cls.__mro__
    )


def is_array(cls: type) -> bool:
    """Tell whether a class of numpy is an array."""
    return class_attribute(cls, "__array_finalize__") is not None


def array_items(array: Any) -> Iterator[Any]:
    """Iterate an array's first dimension; one without dimensions has one item."""
    return iter(array) if array.ndim else iter([array.item()])
