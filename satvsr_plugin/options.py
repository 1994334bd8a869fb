"""Reading option files safely: plain YAML only, and ``--force_yml`` overrides without ``eval``.

BasicSR 1.4.2 reads YAML with a loader that builds any Python object a tag asks for, and evaluates overrides as
code. :mod:`satvsr_plugin.toolbox` makes it read option files by ``load_options`` instead. This module imports nothing
of the toolbox, which it has to precede.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml.constructor import ConstructorError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from satvsr_plugin.errors import OptionError

_YAML_TAG = 'tag:yaml.org,2002:'
LONGEST_SHOWN = 60  # letters of a wrong value
LONGEST_FILE = 200_000  # bytes; the numbers of a longer one could take minutes to read
MOST_VALUES = 100_000  # an alias counts as all that it stands for, since printing writes that out


class SafeOptionLoader(yaml.SafeLoader):
    """YAML as option files need it.

    Refuses tags that build Python objects, keys given twice, and aliases that make a small file endless; ``1e-4`` is a
    number (YAML 1.1 wants ``1.0e-4``), ``2024-05-01`` stays text. Works with ``yaml.load``; raises ``yaml.YAMLError``
    with the line. The C loader is not used: it crashes the interpreter on deep nesting, and option files are small.
    """

    yaml_implicit_resolvers: ClassVar[dict[str, list[Any]]] = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f'{_YAML_TAG}timestamp']
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def get_single_node(self) -> Node | None:
        node = super().get_single_node()
        _refuse_double_keys(node)
        if node is not None and _count_values(node, {}) > MOST_VALUES:
            raise ConstructorError(None, None, f'holds more than {MOST_VALUES:,} values', node.start_mark)
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep=True)  # deep: a section that holds itself is refused
            return _printable(value)
        except (ValueError, LookupError, AttributeError) as error:  # e.g. `!!int five`
            problem = f'{str(node.value)[:LONGEST_SHOWN]!r} does not fit its tag {_short(node.tag)}'
            raise ConstructorError(None, None, problem, node.start_mark) from error

    def refuse_tag(self, node: Node) -> None:
        problem = (f'the tag {_short(node.tag)} is refused, option files hold plain values only '
                   '(text, numbers, true, false, lists, sections); remove it')
        raise ConstructorError(None, None, problem, node.start_mark)


SafeOptionLoader.add_constructor(None, SafeOptionLoader.refuse_tag)
SafeOptionLoader.add_implicit_resolver(
    f'{_YAML_TAG}float', re.compile(r'[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)[eE][-+]?[0-9]+\Z'),
    list('-+.0123456789'))


def load_options(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Read an option file and apply ``--force_yml`` overrides to it.

    Args:
        path: the YAML file.
        overrides: entries like ``train:total_iter=1000``; values are read as the toolbox reads them.

    Returns:
        The options, in the order of the file.

    Raises:
        OptionError: the file is missing, not UTF-8, not valid YAML, gives a key twice, asks for Python objects or
            is not a mapping; or an override cannot be applied. Names the file and the line.
    """
    options = _read_yaml(Path(path))
    for entry in overrides:
        _apply_override(options, entry, path)
    return options


def unknown_name(name: Any, known: Sequence[str]) -> str:
    """What to say after an unknown name: the names that were probably meant, or all that there are."""
    name = str(name)
    close = difflib.get_close_matches(name, known, n=1)
    close = close or [other for other in known if len(name) > 1 and name.lower() in other.lower()]
    if close:
        return f'did you mean {" or ".join(close)}?'
    return f'known here: {", ".join(known)}' if known else 'there is none here'


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open('rb') as file:
            content = file.read(LONGEST_FILE + 1)
        if len(content) > LONGEST_FILE:
            raise OptionError(f'{path}: is longer than {LONGEST_FILE:,} bytes, so that it is no option file')
        options = yaml.load(content.decode('utf-8'), Loader=SafeOptionLoader)  # noqa: S506  (a safe loader)
    except OSError as error:
        raise OptionError(f'{path}: cannot read the option file: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise OptionError(f'{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8') from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ', '.join(filter(None, [error.context, error.problem]))
        raise OptionError(f'{path}:{mark.line + 1}: {what}') from error
    except (yaml.YAMLError, RecursionError) as error:
        raise OptionError(f'{path}: is not valid YAML: {error}') from error
    if not isinstance(options, dict):
        raise OptionError(f'{path}: holds no options; an option file consists of lines like "name: my_experiment"')
    return options


def _refuse_double_keys(root: Node | None) -> None:
    """YAML keeps the last of two equal keys without a word; raises ConstructorError instead."""
    waiting, seen = [root] if root else [], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, MappingNode):
            waiting.extend(value for _, value in node.value)
            first: dict[str, Node] = {}
            for key, _ in node.value:
                if not isinstance(key, ScalarNode):
                    continue
                if key.value in first:
                    problem = f'{key.value} is given twice, first in line {first[key.value].start_mark.line + 1}'
                    raise ConstructorError(None, None, problem, key.start_mark)
                first[key.value] = key


def _count_values(node: Node, counts: dict[int, int]) -> int:
    """How many values there are once every alias is written out; ``counts`` holds those of nodes met before."""
    if id(node) not in counts:
        counts[id(node)] = 1  # for a node that holds itself, which is refused when it is built
        if isinstance(node, MappingNode):
            counts[id(node)] += sum(_count_values(part, counts) for pair in node.value for part in pair)
        elif isinstance(node, SequenceNode):
            counts[id(node)] += sum(_count_values(item, counts) for item in node.value)
    return counts[id(node)]


def _apply_override(options: dict[str, Any], entry: str, path: str | Path) -> None:
    """Set one value in place, as the toolbox does: all sections on the way must exist."""
    keys, value = _parse_override(entry)
    section = options
    for depth, key in enumerate(keys[:-1], start=1):
        if key not in section:
            raise OptionError(f'--force_yml {entry}: {path} has no section {":".join(keys[:depth])}; '
                              f'{unknown_name(key, [str(known) for known in section])}')
        section = section[key]
        if not isinstance(section, dict):
            raise OptionError(f'--force_yml {entry}: {":".join(keys[:depth])} is not a section in {path}')
    section[keys[-1]] = value


def _parse_override(entry: str) -> tuple[list[str], Any]:
    keys, *values = entry.split('=')
    if len(values) != 1:
        raise OptionError(f'--force_yml {entry}: must be like train:total_iter=1000, with one "="; '
                          'change the option file for a value that holds a "="')
    path = keys.strip().split(':')
    # A toolbox without our mends pastes the keys into code that it executes: only word characters may get there.
    wrong = [key for key in path if not re.fullmatch(r'\w+', key)]
    if wrong:
        raise OptionError(f'--force_yml {entry}: {wrong[0]!r} is not the name of an option '
                          '(letters, digits and _; sections are separated by ":")')
    try:
        return path, _printable(_parse_value(values[0].strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise OptionError(f'--force_yml {entry}: cannot read the value; lists hold plain values: [1, 2.5, "text"], '
                          'numbers with an exponent are written !!float1e-4') from error


def _parse_value(text: str) -> Any:
    """Read a value exactly as the toolbox's ``_postprocess_yml_value``, with literals in place of its ``eval``."""
    words = {'~': None, 'none': None, 'true': True, 'false': False}
    if text.lower() in words:
        return words[text.lower()]
    if text.startswith('!!float'):
        return float(text.replace('!!float', ''))
    if text.isdigit():
        return int(text)
    if text.replace('.', '', 1).isdigit():
        return float(text)
    if text.startswith('['):
        return ast.literal_eval(text)
    return text


def _printable(value: Any) -> Any:
    """The value; raises ValueError for numbers of more digits than Python prints, which no message could name."""
    repr(value)
    return value


def _short(tag: str) -> str:
    return tag.replace(_YAML_TAG, '!!')
