"""Reading option files: what YAML may hold, and overrides that the toolbox would evaluate as code."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from satvsr_plugin.errors import OptionError
from satvsr_plugin.options import load_options

toolbox_options = importlib.import_module('basicsr.utils.options')  # only now: satvsr_plugin mends its import


@pytest.fixture
def write(tmp_path: Path):
    """Write an option file; text or bytes."""

    def write_file(content: str | bytes) -> Path:
        path = tmp_path / 'options.yml'
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.mark.parametrize('text, value', [
    ('1e-4', 0.0001),
    ('2.5e3', 2500.0),
    ('-1E+2', -100.0),
    ('.5e1', 5.0),
    ('!!float 5e3', 5000.0),
    ('0.1', 0.1),
    ('16', 16),
    ('true', True),
    ('~', None),
    ('2024-05-01', '2024-05-01'),
    ('e4', 'e4'),
    ('1e', '1e'),
    ('[1, 2e5]', [1, 200000.0]),
])
def test_values_of_yaml(write, text: str, value: object) -> None:
    read = load_options(write(f'value: {text}'))['value']
    assert read == value and type(read) is type(value)


def test_order_and_merge_keys(write) -> None:
    options = load_options(write('z: 1\na: &a {x: 1, y: 2}\nm: {<<: *a, y: 3}\n'))
    assert list(options) == ['z', 'a', 'm']
    assert options['m'] == {'x': 1, 'y': 3}


@pytest.mark.parametrize('content, message', [
    ('name: x\ntrain:\n  lr: 1\n  lr: 2\n', ':4: lr is given twice, first in line 3'),
    ('name: [1, 2\nb: 3\n', ':2: while parsing a flow sequence'),
    ('name: x\nb: !!python/tuple [1]\n', ':2: the tag !!python/tuple is refused'),
    ('name: x\nb: !mine 1\n', ':2: the tag !mine is refused'),
    ('name: x\nb: !!int five\n', ":2: 'five' does not fit its tag !!int"),
    ('- a\n- b\n', ': holds no options'),
    ('', ': holds no options'),
    ('name: caf\xe9'.encode('latin-1'), ': is not UTF-8 text (byte 9)'),
    ('name: "\x01"', ': is not valid YAML'),
    ('[' * 3000, ': is not valid YAML'),
    ('name: x\na: &a {b: *a}\n', ':2: found unconstructable recursive node'),
    ('a: 1\n---\nb: 2\n', ':2: expected a single document'),
])
def test_bad_files_are_named_with_their_line(write, content: str | bytes, message: str) -> None:
    path = write(content)
    with pytest.raises(OptionError) as error:
        load_options(path)
    assert str(error.value).startswith(f'{path}{message}')


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match='no.yml: cannot read the option file: No such file'):
        load_options(tmp_path / 'no.yml')


def test_python_objects_are_not_built(write, tmp_path: Path) -> None:
    victim = tmp_path / 'built'
    path = write(f'name: x\nscale: !!python/object/apply:os.system ["touch {victim}"]\n')
    with pytest.raises(OptionError, match=':2: the tag !!python/object/apply:os.system is refused'):
        load_options(path)
    with pytest.raises(Exception, match='the tag !!python/object/apply:os.system is refused'):
        _parse_with_toolbox(path, [])
    assert not victim.exists()


@pytest.mark.parametrize('text', [
    '~', 'None', 'TRUE', 'false', '12', '007', '1.5', '.5', '5.', '!!float1e-4', '!!float 1e-4', '1e-4', '-1', '[1, 2]',
    '["a", [1.5, None, True]]', '[]', '{"a": 1}', 'a/path with spaces', '',
])
def test_override_values_are_those_of_the_toolbox(write, text: str) -> None:
    expected = toolbox_options._postprocess_yml_value(text)
    read = load_options(write('a: {b: 0}'), [f'a:b={text}'])['a']['b']
    assert read == expected and type(read) is type(expected)


def test_overrides_reach_the_toolbox_unchanged(write) -> None:
    overrides = ['train:total_iter=7', ' train:lr = !!float 1e-4 ', 'train:amp=bf16', 'train:list=[1, [2]]']
    path = write('name: x\nnum_gpu: 0\ndatasets: {}\npath: {}\ntrain: {total_iter: 5, lr: 1.0}\nlogger: {}\n')
    train = load_options(path, overrides)['train']
    assert train == {'total_iter': 7, 'lr': 0.0001, 'amp': 'bf16', 'list': [1, [2]]}
    assert _parse_with_toolbox(path, overrides)['train'] == train


@pytest.mark.parametrize('entry, message', [
    ('trian:total_iter=1', 'has no section trian; did you mean train?'),
    ('train:optim:lr=1', 'has no section train:optim; did you mean optim_g?'),
    ('name:x=1', 'name is not a section'),
    ('train:total_iter', 'with one "="'),
    ('name=a=b', 'with one "="'),
    ('=1', "'' is not the name of an option"),
    ('train: total_iter=1', "' total_iter' is not the name of an option"),
    ('train:total_iter=!!floatx', 'cannot read the value'),
    ('train:total_iter=²', 'cannot read the value'),
    ('train:total_iter=[1', 'cannot read the value'),
    ('train:total_iter=[x]', 'cannot read the value'),
    ('train:total_iter=' + '[' * 5000, 'cannot read the value'),
])
def test_bad_overrides(write, entry: str, message: str) -> None:
    path = write('name: x\ntrain: {total_iter: 5, optim_g: {lr: 1}}\n')
    with pytest.raises(OptionError) as error:
        load_options(path, [entry])
    assert str(error.value).startswith(f'--force_yml {entry}: ') and message in str(error.value)


@pytest.mark.parametrize('entry', [
    'name"];__import__("os").system("touch VICTIM")#=1',
    'name"]+__import__("os").system("touch VICTIM")+opt["name',
    'train:x"] = open("VICTIM", "w") #=1',
    'train:total_iter=[__import__("os").system("touch VICTIM")]',
    'train:total_iter=[open("VICTIM", "w")]',
    'train:total_iter=[1][0] or open("VICTIM", "w")',
    'train:total_iter=[open("VICTIM", "w") for _ in [1]]',
])
def test_overrides_are_not_executed(write, entry: str, tmp_path: Path) -> None:
    victim = tmp_path / 'touched'
    path = write('name: x\ntrain: {total_iter: 5}\n')
    with pytest.raises(OptionError):
        load_options(path, [entry.replace('VICTIM', str(victim))])
    assert not victim.exists()


def _parse_with_toolbox(path: Path, overrides: list[str]) -> dict:
    """The toolbox's own reading of the same command line, with the mended loader."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['basicsr', '-opt', str(path), *(['--force_yml', *overrides] if overrides else [])])
        return toolbox_options.parse_options('/nowhere', is_train=True)[0]
