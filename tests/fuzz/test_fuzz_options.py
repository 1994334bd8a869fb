"""Option files as people and editors damage them: the check tells what is wrong, or it is right."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import basicsr.test
import basicsr.train
import numpy as np
import pytest
import yaml
from fuzzing import STRANGE, damaged, exit_code, fuzz, outcome
from hypothesis import example, given
from hypothesis import strategies as st

from satvsr_plugin import cli
from satvsr_plugin.data.degradation import downsample
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import OptionError, SatVSRError
from satvsr_plugin.option_check import check_options
from satvsr_plugin.options import load_options

OPTIONS = Path(__file__).resolve().parents[2] / 'options'
FILES = sorted(str(file.relative_to(OPTIONS)) for file in OPTIONS.rglob('*.yml'))
TRAIN, TEST = 'demo/train_MSDTGP_small_x4_demo.yml', 'demo/test_Bicubic_x4_demo.yml'  # for the cases that are known

NUMBERS = [0, 1, -1, 2, 3, 7, 100, 10**6, 2**31, 2**63, 2**64, -2**63, 10**30, 0.5, -0.0, 1e-320, 1e308,
           -1e308, math.inf, -math.inf, math.nan]
values = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.sampled_from(NUMBERS), st.floats(),
                                st.text(max_size=8), st.sampled_from(STRANGE)),
                      lambda inner: st.lists(inner, max_size=3)
                      | st.dictionaries(st.text(max_size=4) | st.sampled_from(NUMBERS), inner, max_size=2),
                      max_leaves=4)


@pytest.fixture(scope='module')
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the relative paths of the option files lead to small data, and which is the current one."""
    folder = tmp_path_factory.mktemp('workplace')
    for root in ('datasets/Jilin-189/trainset/train', 'datasets/Jilin-189/testset/eval', 'data/train', 'data/eval'):
        _write_clip(folder / root / 'GT/002', folder / root / 'LR4x/002')
    shutil.copytree(folder / 'data', folder / 'datasets/simulated')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for pipelines, name in ((basicsr.train, 'train_pipeline'), (basicsr.test, 'test_pipeline')):
            patch.setattr(pipelines, name, lambda root: None)
        yield folder


def _write_clip(gt_folder: Path, lr_folder: Path) -> None:
    gt = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    for folder, image in ((gt_folder, gt), (lr_folder, downsample(gt, 4))):
        write_image(folder / '000.png', image)
        for index in range(1, 40):
            (folder / f'{index:03d}.png').hardlink_to(folder / '000.png')


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in nested sections and lists."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in inner:
        yield (*path, key)
        yield from places(value, (*path, key))


@st.composite
def edited(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """The options of a shipped file after one to three edits."""
    options = load_options(OPTIONS / name)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(options)) or [('a',)]))
        section = options
        for key in path[:-1]:
            section = section[key]
        old = section[path[-1]] if isinstance(section, list) else section.get(path[-1])
        match draw(st.sampled_from(['delete', 'value', 'value', 'value', 'rename', 'copy', 'wrap', 'add'])):
            case 'delete':
                section.pop(path[-1], None) if isinstance(section, dict) else section.pop(path[-1])
            case 'value':
                section[path[-1]] = draw(values)
            case 'rename' if isinstance(section, dict):
                section[draw(st.text(max_size=6) | st.sampled_from(NUMBERS))] = section.pop(path[-1], None)
            case 'copy':
                options[draw(st.sampled_from(list(options) or ['a']))] = deepcopy(old)
            case 'wrap':
                section[path[-1]] = draw(st.sampled_from([[old], [old, old], {'type': old}, str(old)]))
            case 'add' if isinstance(section, dict):
                section[draw(st.text(max_size=6))] = draw(values)
    return options


def check(options: dict[str, Any], name: str) -> None:
    """The check ends in the right way, and leaves the options as they are."""
    before = repr(options)
    found = outcome(lambda: check_options(options, is_train='train_' in name, file=name), names=name)
    assert isinstance(found, SatVSRError | None)
    assert repr(options) == before


def with_value(name: str, *path: str, value: Any) -> dict[str, Any]:
    options = section = load_options(OPTIONS / name)
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    return options


@fuzz(40)
@given(data=st.data())
def test_edited_options(workplace: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES))
    options = data.draw(edited(name))
    check(options, name)


@fuzz(15)
@given(data=st.data())
def test_edited_files(workplace: Path, data: st.DataObject) -> None:
    """What YAML makes of such values is read back as it was, and passes the check or not."""
    name = data.draw(st.sampled_from(FILES))
    options = data.draw(edited(name))
    text = yaml.safe_dump(options, sort_keys=False)
    file = workplace / 'edited.yml'
    file.write_text(text)
    found = outcome(lambda: load_options(file), names=file)
    if isinstance(found, SatVSRError):
        assert not options or 'is given twice' in str(found) or 'does not fit' in str(found)
    else:
        check(found, name)


@fuzz(40)
@given(data=st.data())
def test_damaged_files(workplace: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FILES))
    file = workplace / 'damaged.yml'
    file.write_bytes(data.draw(damaged((OPTIONS / name).read_bytes())))
    found = outcome(lambda: load_options(file), names=file)
    if not isinstance(found, SatVSRError):
        check(found, name)


TOKENS = ['a', ': ', '- ', '\n', '  ', '[', ']', '{', '}', '&x ', '*x', '<<', '? ', '!!', '!!int ', '!!python/name:os ',
          '"', "'", '|', '>', '#', ',', '%YAML 1.1\n', '---', '...', '\t', '0x', '1_0', '1:2', '.nan', '.inf',
          '\\ud800', '=', '~', '\ufeff', '\x85', '\0', 'f' * 4000]


@fuzz(60)
@given(text=st.text(max_size=40) | st.lists(st.sampled_from(TOKENS), max_size=20).map(''.join))
@example('a: 0x' + 'f' * 4000)  # more digits than Python prints
def test_any_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / 'any.yml'
    file.write_bytes(text.encode('utf-8', 'surrogatepass'))
    found = outcome(lambda: load_options(file), names=file)
    assert isinstance(found, dict | SatVSRError)


TYPED = ['0', '-1', '9' * 25, '9' * 5000, '0.5', '1.', '.5', '.', '²', '٣', '!!float1e400', '!!float', '!!floatx',
         '[1, 2]', '[1, 2', '[' * 3000, f'[{"9" * 5000}]', f'[0x{"f" * 4000}]', '[__import__("os")]', '[1e999]',
         "['a' * 9]", '[{}]', '[[1]]', '["\\ud800"]', '[1j]', '[...]', '[b"x"]']  # values after --force_yml


@fuzz(40)
@given(data=st.data())
def test_overrides(workplace: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([TRAIN, TEST]))
    known = [':'.join(map(str, path)) for path in places(load_options(OPTIONS / name))]
    keys = data.draw(st.sampled_from(known) | st.text(max_size=10))
    value = data.draw(st.sampled_from(STRANGE + TYPED) | st.text(max_size=10))
    entry = data.draw(st.sampled_from([f'{keys}={value}', f'{keys}={value}={value}', keys, value, f'={value}']))
    found = outcome(lambda: load_options(OPTIONS / name, [entry]), names='--force_yml')
    if not isinstance(found, SatVSRError):
        check(found, name)


@pytest.mark.parametrize(('path', 'value'), [
    (('datasets', 'train', 'dataroot'), 'x' * 5000),
    (('datasets', 'train', 'dataroot'), '~nobody/clips'),
    (('datasets', 'train', 'dataroot'), 'a\0b'),
    (('datasets', 'train', 'meta_info_file'), 'a\0b'),
    (('path', 'pretrain_network_g'), '~nobody/net.pth'),
    (('path', 'pretrain_network_g'), 'x' * 5000),
    (('datasets', 'train', 'dataset_enlarge_ratio'), 1e308),
    (('network_g', 'num_feat'), 10**6),  # more memory than there is
    (('network_g', 'num_extract_block'), 10**6),  # hours
])
def test_values_that_were_once_fatal(workplace: Path, path: tuple[str, ...], value: Any) -> None:
    options = with_value(TRAIN, *path, value=value)
    with pytest.raises(OptionError, match='.'.join(path[:2])):
        check_options(options, is_train=True, file=TRAIN)


@fuzz(8)
@given(data=st.data())
def test_command_line(workplace: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject) -> None:
    """A file that is refused ends the command with code 2 and one message, and nothing is made."""
    name = data.draw(st.sampled_from([TRAIN, TEST]))
    file = workplace / 'command.yml'
    file.write_text(yaml.safe_dump(data.draw(edited(name)), sort_keys=False))
    before = sorted(workplace.rglob('*'))
    code = exit_code(lambda: cli.main(['train' if 'train_' in name else 'test', '-opt', str(file)]))
    message = capsys.readouterr().err
    assert code == 0 or (code == 2 and message.startswith('error: ') and 'Traceback' not in message)
    assert sorted(workplace.rglob('*')) == before
