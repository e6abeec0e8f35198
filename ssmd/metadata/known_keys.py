"""The keys of a file compared with those of the models: which are unknown, and which have no effect.

This walks the data beside the models instead of asking pydantic. So both are found even where the same file has errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from ssmd.metadata.fields import Fault, Model
from ssmd.metadata.problem import Path
from ssmd.spelling import misspelling

__all__ = ["Sections", "unknown_keys", "without_effect"]

Sections = Mapping[Path, "type[Model] | None"]
"""By its path, the model with which a part extends a section of a file. None when the section names a part that does
not exist: then no key of it can be called unknown."""


def unknown_keys(model: type[Model], data: Any, sections: Sections, at: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the path of every key that no model knows, with a hint for one that was certainly meant.

    That is `; did you mean ...?` for a known key misspelt, and the right place for a key that belongs elsewhere.
    """
    if not isinstance(data, dict):
        return
    known = model.keys_known()
    if at in sections:
        part = sections[at]
        if part is None:
            return
        known = known | part.keys_known()
    for key, value in data.items():
        if key not in known:
            yield (*at, key), model.misplaced().get(key) or misspelling(key, known, data)
        elif inner := _model_within(known[key]):
            for path, item in _items(known[key], value, (*at, key)):
                yield from unknown_keys(inner, item, sections, path)


def without_effect(model: type[Model], data: Any, at: Path = ()) -> Iterator[Fault]:
    """Yield each field of the data that has no effect in a model or in one of the models inside it."""
    if not isinstance(data, dict):
        return
    for path, message in model.without_effect(data):
        yield (*at, *path), message
    for name, annotation in model.keys_known().items():
        if name in data and (inner := _model_within(annotation)):
            for path, item in _items(annotation, data[name], (*at, name)):
                yield from without_effect(inner, item, path)


def _items(annotation: Any, value: Any, at: Path) -> Iterator[tuple[Path, Any]]:
    """Yield the path and the data of every model in a field of this type."""
    if get_origin(annotation) is tuple and isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield (*at, index), item
    elif get_origin(annotation) is dict and isinstance(value, dict):
        for key, item in value.items():
            yield (*at, key), item
    else:
        yield at, value


def _model_within(annotation: Any) -> type[Model] | None:
    """Return the model that a field of this type holds, None for a field without one."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_within, get_args(annotation))), None)
