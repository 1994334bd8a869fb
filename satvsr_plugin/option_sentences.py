"""From the complaints of pydantic and of Python signatures to sentences for the user of an option file."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from satvsr_plugin.errors import SatVSRError
from satvsr_plugin.options import unknown_name

_Place = tuple[str | int, ...]

# pydantic's words for types, where plain ones say it better
_EXPECTED = {
    'int_type': 'a whole number',
    'int_from_float': 'a whole number',
    'float_type': 'a number',
    'bool_type': 'true or false',
    'string_type': 'text',
    'invalid_key': 'text',
    'path_type': 'a path',
    'list_type': 'a list',
    'tuple_type': 'a list',
    'dict_type': 'a section of options',
    'model_type': 'a section of options',
    'none_required': 'empty',
    'string_too_short': 'given',
    'too_short': 'at least {min_length} long',
    'too_long': 'at most {max_length} long',
}


class Problem(NamedTuple):
    """One thing that is wrong in an option file."""

    where: str
    """The option, with its sections: ``datasets.train.gt_size``."""
    what: str
    """What is wrong and what to do."""


def problems_of_section(model: type[BaseModel], section: Any, where: str = '') -> list[Problem]:
    """Validate a section with its pydantic model.

    Args:
        model: the model.
        section: the section as read from the file.
        where: the section's name, for the messages.
    """
    return list(_collect(lambda: model.model_validate(section), model, section, where))


def problems_of_call(function: Callable[..., Any], arguments: Mapping[str, Any], where: str,
                     filled: Collection[str] = ()) -> list[Problem]:
    """Whether ``function(**arguments)`` would be accepted: names, and types where the signature has them.

    Args:
        function: a function or a class.
        arguments: the arguments that the option file gives.
        where: the section's name, for the messages.
        filled: parameters that the toolbox gives itself.
    """
    given = {str(key): value for key, value in arguments.items() if not _is_default(function, key, value)}
    model = _model_of_call(function, filled)
    # As JSON, since there a list is also right for a parameter that is annotated as a tuple.
    return list(_collect(lambda: model.model_validate_json(json.dumps(given, default=str)), model, given, where))


def describe(value: Any) -> str:
    """How a message names a value."""
    if value is None:
        return 'empty'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'"
    if isinstance(value, dict):
        return 'a section of options'
    return f'the list {value}' if isinstance(value, list) else str(value)


def _model_of_call(function: Callable[..., Any], filled: Collection[str]) -> type[BaseModel]:
    parameters = inspect.signature(function).parameters.values()
    try:
        hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    except (NameError, AttributeError, TypeError):  # names that exist for type checkers only
        hints = {}
    fields: dict[str, Any] = {
        item.name: (hints.get(item.name, Any), ... if item.default is item.empty else item.default)
        for item in parameters
        if item.kind in (item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY) and item.name not in filled
    }
    takes_any = any(item.kind is item.VAR_KEYWORD for item in parameters)
    config = ConfigDict(strict=True, extra='allow' if takes_any else 'forbid', arbitrary_types_allowed=True,
                        protected_namespaces=())
    return create_model(function.__name__, __config__=config, **fields)


def _is_default(function: Callable[..., Any], key: Any, value: Any) -> bool:
    """The default is right even where the annotation forgets it (``act: str = None``)."""
    parameter = inspect.signature(function).parameters.get(key)
    return parameter is not None and value is None and parameter.default is None


def _collect(validate: Callable[[], Any], model: type[BaseModel], section: Any, where: str) -> Iterator[Problem]:
    try:
        validate()
    except SatVSRError as error:  # raised by a validator of ours
        yield Problem(where, str(error))
    except ValidationError as error:
        by_place: dict[_Place, list[Any]] = {}
        for item in error.errors(include_url=False):
            by_place.setdefault(_place(item, section), []).append(item)
        for place, items in by_place.items():
            yield Problem('.'.join(map(str, [where, *place] if where else place)), _sentence(items, place, model))


def _place(item: Any, section: Any) -> _Place:
    """The option that an error is about; pydantic's location also names the branches of a union."""
    place: list[str | int] = []
    for part in item['loc']:
        if isinstance(section, dict) and (part in section or item['type'] == 'missing'):
            section = section.get(part)
            place.append(part)
        elif isinstance(section, list) and isinstance(part, int) and part < len(section):
            section = section[part]
            place.append(part)
    return tuple(place)


def _sentence(items: list[Any], place: _Place, model: type[BaseModel]) -> str:
    """One sentence for all errors at one option (a union has one error for each of its branches)."""
    kind, value = items[0]['type'], items[0]['input']
    if kind == 'missing':
        return f'is missing; add it{_purpose(model, place)}'
    if kind == 'extra_forbidden':
        return f'unknown option; {unknown_name(place[-1], _known_options(model, place[:-1]))}'
    if kind == 'value_error':
        return str(items[0]['ctx']['error'])
    expected = ' or '.join(dict.fromkeys(_expected(item) for item in items))
    return f'must be {expected}, not {describe(value)}{_hint(items, value)}'


def _expected(item: Any) -> str:
    words = _EXPECTED.get(item['type'])
    return words.format(**item.get('ctx', {})) if words else item['msg'].removeprefix('Input should be ')


def _hint(items: list[Any], value: Any) -> str:
    """Text that YAML took for a number, and numbers that YAML or ``--force_yml`` took for text."""
    if not isinstance(value, (str, dict, list, type(None))) and _expected(items[0]) == 'text':
        return '; put it in quotes'
    if not isinstance(value, str) or not any('number' in _expected(item) for item in items):
        return ''
    try:
        float(value)
    except ValueError:
        return ''
    return f'; write {value} without quotes (after --force_yml: "!!float {value}")'


def _purpose(model: type[BaseModel], place: _Place) -> str:
    field = model.model_fields.get(str(place[0])) if len(place) == 1 else None
    return f' ({field.description})' if field and field.description else ''


def _known_options(model: type[BaseModel], place: _Place) -> list[str]:
    for part in place:
        field = model.model_fields.get(str(part))
        branches = getattr(field.annotation, '__args__', (field.annotation,)) if field else ()
        inner = next((kind for kind in branches if inspect.isclass(kind) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)
