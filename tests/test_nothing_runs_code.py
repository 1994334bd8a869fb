"""Files and arguments made to run code: each is refused in one message, and the file it would make is not there.

Every payload is first shown to work against a reader without protection.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import lmdb
import numpy as np
import pytest
import torch
import yaml
from sound_options import write_sound_options

import satvsr_plugin
from satvsr_plugin import cli
from satvsr_plugin.data.clip_lmdb import ClipLmdb
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation_record import read_record as read_degradation
from satvsr_plugin.data.flow_files import FlowFiles
from satvsr_plugin.data.pairs import read_frame_list
from satvsr_plugin.errors import DataError, OptionError, SatVSRError, WeightsError
from satvsr_plugin.options import LONGEST_FILE, load_options
from satvsr_plugin.test_record import read_record
from satvsr_plugin.toolbox import hand_over
from satvsr_plugin.weights import load_checkpoint, load_original

toolbox_options = import_module('basicsr.utils.options')  # only now: satvsr_plugin mends the import

OPTIONS = """
name: bicubic
model_type: SatVSRModel
scale: 4
num_gpu: 0
datasets: {test: {name: clips, type: Jilin189TestDataset, dataroot: DATA, num_frame: 3}}
network_g: {type: Bicubic, scale: 4}
path: {pretrain_network_g: ~}
val: {save_img: true, pbar: false, metrics: {psnr: {type: satvsr_psnr}}}
"""


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable, tuple[str, str]]:
        return open, (str(self.canary), 'w')


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """What a payload would make; nothing that runs in the test may have made it."""
    yield tmp_path / 'canary'
    assert not (tmp_path / 'canary').exists()


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound option file for testing on one clip of three frames; the current folder is an empty one."""
    return write_sound_options(tmp_path, monkeypatch, OPTIONS)


def works(canary: Path, unprotected: Callable[[], Any]) -> None:
    """Show that a payload makes its file where nothing protects, whatever else becomes of the reader."""
    with contextlib.suppress(Exception, SystemExit):
        unprotected()
    assert canary.exists(), 'this payload does nothing'
    canary.unlink()


def run(*arguments: object) -> int:
    """The command in this process; returns its exit code."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return end.value.code


@pytest.fixture(scope='module')
def plain_toolbox() -> ModuleType:
    """``basicsr.utils.options`` as it was released, without our mends."""
    spec = importlib.util.spec_from_file_location('plain_options', toolbox_options.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse(module: ModuleType, file: Path, *overrides: str) -> dict[str, Any]:
    """How a version of the toolbox reads a command line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('sys.argv', ['basicsr', '-opt', str(file), *(['--force_yml', *overrides] if overrides else [])])
        return module.parse_options('/nowhere', is_train=False)[0]


# -------------------------------------------------------------------------------------------------- option files
@pytest.mark.parametrize('line', [
    'a: !!python/object/apply:builtins.open [CANARY, w]',
    'a: !!python/object/apply:io.FileIO {args: [CANARY, w]}',
    'a: !<tag:yaml.org,2002:python/object/apply:builtins.open> [CANARY, w]',
    'a: [{b: !!python/object/apply:os.system ["touch CANARY"]}]',
    '? !!python/object/apply:builtins.open [CANARY, w]\n: 1',
    '<<: [{b: !!python/object/apply:subprocess.call [[touch, CANARY]]}]',
    'a: &x !!python/object/apply:os.system ["touch CANARY"]\nb: *x',
])
def test_tags_of_an_option_file_build_nothing(options: Path, canary: Path, plain_toolbox: ModuleType,
                                              line: str) -> None:
    options.write_text(f'{options.read_text()}{line.replace("CANARY", str(canary))}\n')
    # The toolbox's loader knows no merging of sections.
    works(canary, lambda: yaml.unsafe_load(options.read_text()) if '<<' in line else parse(plain_toolbox, options))
    for read in (load_options, lambda path: parse(toolbox_options, path)):
        with pytest.raises(OptionError, match=r'options\.yml:\d+: '):
            read(options)


@pytest.mark.parametrize('tag', ['python/name:os.system', 'python/module:os', 'python/tuple', 'python/bytes', 'mine'])
def test_tags_that_name_code_are_refused(options: Path, tag: str) -> None:
    options.write_text(f'name: !!{tag} ""\n')
    with pytest.raises(OptionError, match=rf'options\.yml:1: the tag !!{tag} is refused'):
        load_options(options)


@pytest.mark.parametrize('overrides', [
    ['scale=[open("CANARY", "w")]'],
    ['scale=[__import__("os").system("touch CANARY")]'],
    ['scale=[open("CANARY", "w") for _ in [1]]'],
    ['scale=[(lambda: open("CANARY", "w"))()]'],
    ['scale=[f"{open(\'CANARY\', \'w\')}"]'],
    ['name"];open("CANARY", "w");opt["name=1'],
    ['val:"+str(open("CANARY", "w"))+"=1'],
    ['name=sound', 'scale=[1, *[open("CANARY", "w")]]'],
])
def test_overrides_are_not_executed(options: Path, canary: Path, plain_toolbox: ModuleType,
                                    overrides: list[str]) -> None:
    overrides = [entry.replace('CANARY', str(canary)) for entry in overrides]
    works(canary, lambda: parse(plain_toolbox, options, *overrides))
    for read in (load_options, lambda file, entries: parse(toolbox_options, file, *entries)):
        with pytest.raises(OptionError, match='--force_yml '):
            read(options, overrides)


@pytest.mark.parametrize('value', ['٣', '१.५', '[0x10]', '!!float1_0', '[set()]', '[-1, 2+3j]', '[b"a"]', 'nan', '-1'])
def test_values_are_what_the_toolbox_makes_of_them(options: Path, plain_toolbox: ModuleType, value: str) -> None:
    """Nothing gets another value here than where the file was checked."""
    read = parse(toolbox_options, options, f'val:x={value}')['val']['x']
    assert read == load_options(options, [f'val:x={value}'])['val']['x'] == plain_toolbox._postprocess_yml_value(value)


def test_the_toolbox_uses_what_was_checked(options: Path, canary: Path) -> None:
    """A file that changes between the check and its use, or that can be read only once, as a pipe."""
    sound = options.read_text()
    checked = load_options(options, ['name=checked'])
    options.write_text(f'{sound}train: !!python/object/apply:builtins.open [{canary}, w]\n')
    hand_over(checked, str(options), ['name=checked'])
    assert parse(toolbox_options, options, 'name=checked')['name'] == 'checked'
    with pytest.raises(OptionError, match='is refused'):  # handed over for one time
        parse(toolbox_options, options, 'name=checked')
    options.write_text(sound.replace('bicubic', 'other'))
    assert parse(toolbox_options, options)['name'] == 'other'


def test_the_command_line_is_the_toolbox_own_afterwards(options: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ['basicsr test', '-opt', str(options), '--debug', '--force_yml', 'name=a', 'val:pbar=true', '--launcher',
               'none']
    monkeypatch.setattr('sys.argv', command)
    opt, args = toolbox_options.parse_options('/nowhere', is_train=False)
    assert sys.argv is command and (opt['name'], opt['val']['pbar']) == ('debug_a', True)
    assert (args.opt, args.debug, args.launcher) == (str(options), True, 'none')


def bomb(line: str) -> str:
    """Ten anchors, each of nine times the one before."""
    return 'a: &a [x, x, x, x, x, x, x, x, x]\n' + ''.join(
        line.format(new=new, old=', '.join([f'*{old}'] * 9)) for old, new in zip('abcdefghi', 'bcdefghij', strict=True))


def test_a_small_file_does_not_become_endless(options: Path) -> None:
    laughs = bomb('{new}: &{new} [{old}]\n')
    value: Any = yaml.safe_load(laughs)['j']
    count = 1
    while isinstance(value, list):
        count, value = count * len(value), value[0]
    assert count == 9**10  # what printing it would write out
    options.write_text(laughs)
    with pytest.raises(OptionError, match=r'options\.yml:1: holds more than 100,000 values'):
        load_options(options)
    options.write_text(bomb('{new}: &{new} {{x: [{old}], <<: [{{y: [{old}]}}]}}\n'))
    with pytest.raises(OptionError, match='holds more than'):
        load_options(options)
    options.write_text('a: &a [x, y]\nb: [*a, *a]\nc: {d: *a}\n')
    assert load_options(options) == {'a': ['x', 'y'], 'b': [['x', 'y']] * 2, 'c': {'d': ['x', 'y']}}


@pytest.mark.parametrize('content', ['scale: ' + ':'.join(['59'] * 100_000), '#' * (LONGEST_FILE + 1)])
def test_a_long_file_is_not_read_to_its_end(options: Path, content: str) -> None:
    """To read the first number would take a minute: its time grows with the square of its length."""
    options.write_text(content)
    with pytest.raises(OptionError, match='is longer than 200,000 bytes, so that it is no option file'):
        load_options(options)
    with pytest.raises(OptionError, match='is longer than'):
        load_options('/dev/zero')


# ------------------------------------------------------------------------------------- weights and training states
@pytest.mark.parametrize('suffix', ['.pth', '.safetensors', '.state', '.pt'])
@pytest.mark.parametrize('protocol', [0, 2])
def test_pickles_are_refused_whatever_they_are_called(tmp_path: Path, canary: Path, suffix: str, protocol: int) -> None:
    path = tmp_path / f'net{suffix}'
    path.write_bytes(pickle.dumps({'params': Payload(canary)}, protocol))
    works(canary, lambda: pickle.loads(path.read_bytes()))
    for load in (load_checkpoint, load_original):
        with pytest.raises(WeightsError, match=rf'net\{suffix}: '):
            load(path)


@pytest.mark.parametrize('legacy', [False, True])
def test_checkpoints_with_objects_are_refused(tmp_path: Path, canary: Path, legacy: bool) -> None:
    path = tmp_path / 'net.pth'
    content = {'params': {'w': torch.ones(2)}, 'network': Payload(canary)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    works(canary, lambda: torch.load(path, weights_only=False))
    for load in (load_checkpoint, load_original):
        with pytest.raises(WeightsError, match=r'net\.pth: '):
            load(path)


@pytest.mark.parametrize('auto_resume', [False, True])
def test_training_states_with_objects_are_refused(tmp_path: Path, canary: Path, auto_resume: bool) -> None:
    path = tmp_path / 'training_states' / '400.state'
    path.parent.mkdir()
    (tmp_path / 'models').mkdir()
    torch.save({'epoch': 0, 'iter': 400, 'optimizers': [Payload(canary)], 'schedulers': []}, path)
    works(canary, lambda: torch.load(path, weights_only=False))
    opt = {'auto_resume': auto_resume, 'network_g': {}, 'name': 'x',
           'path': {'training_states': str(path.parent), 'models': str(tmp_path / 'models'),
                    **({} if auto_resume else {'resume_state': str(path)})}}
    with pytest.raises(WeightsError, match='training_states'):
        import_module('basicsr.train').load_resume_state(opt)


@pytest.mark.parametrize('network', [
    '{type: EDVR, num_feat: 8, num_frame: 3}',
    '{type: BasicVSR, num_feat: 4, num_block: 1, spynet_path: WEIGHTS}',
])
def test_weights_that_an_option_file_names(options: Path, canary: Path, capsys, network: str) -> None:
    weights = options.with_name('net.pth')
    torch.save({'params': Payload(canary)}, weights)
    works(canary, lambda: torch.load(weights, weights_only=False))
    text = options.read_text().replace('{type: Bicubic, scale: 4}', network.replace('WEIGHTS', str(weights)))
    options.write_text(text if 'spynet' in network else text.replace('_g: ~', f'_g: {weights}'))
    assert run('test', '-opt', options) == 2
    error = capsys.readouterr().err
    assert f'{weights}: ' in error and 'Traceback' not in error and 'weights_only' not in error


def test_flow_files_with_objects_are_refused(options: Path, canary: Path) -> None:
    flow = options.with_name('flow') / '000'
    flow.mkdir(parents=True)
    lq = ClipFolder(options.with_name('data') / 'LR4x')
    np.save(flow / '000.npy', np.array([Payload(canary)], object), allow_pickle=True)
    (flow / '001.npy').write_bytes(pickle.dumps(Payload(canary)))
    for name in ('000.npy', '001.npy'):
        works(canary, lambda name=name: np.load(flow / name, allow_pickle=True))
    with pytest.raises(DataError, match=r'000/000\.npy: not a readable \.npy file[\s\S]*000/001\.npy: not a readable'):
        FlowFiles(flow.parent, lq, 3).check([('000', 0), ('000', 1)])


# ------------------------------------------------------------------------------------------- names that lead out
OUT = '../../../../../out'


def make_lmdb(root: Path, clip: str, size: int, frames: Path) -> None:
    root.mkdir(parents=True)
    with lmdb.open(str(root), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        for frame in range(3):
            transaction.put(f'{clip}/{frame:03d}'.encode(), (frames / f'{frame:03d}.png').read_bytes())
    lines = [f'{clip}/{frame:03d}.png ({size},{size},3) 1\n' for frame in range(3)]
    (root / 'meta_info.txt').write_text(''.join(lines))


@pytest.mark.parametrize('clip', [OUT, '/out', 'a/../../out', '..'])
def test_clips_of_an_lmdb_stay_in_the_results(options: Path, capsys, clip: str) -> None:
    """Pictures are saved under the clips' names, which the LMDB gives."""
    data = options.with_name('data')
    for folder, size in (('GT', 32), ('LR4x', 8)):
        make_lmdb(data / f'{folder}.lmdb', clip, size, data / folder / '000')
    assert not Path(os.path.normpath(Path('/results/clips', clip, '000.png'))).is_relative_to('/results/clips')
    options.write_text(options.read_text().replace('num_frame: 3', 'num_frame: 3, io_backend: {type: lmdb}'))
    assert run('test', '-opt', options) == 2
    assert f'line 1: "{clip}/000.png (8,8,3) 1" leads out of the folder' in capsys.readouterr().err
    assert not list(Path().iterdir())


@pytest.mark.parametrize('override', [
    f'datasets:test:name={OUT}', 'datasets:test:name=/tmp/out', f'val:suffix={OUT}', f'name={OUT}', 'name=..',
    'datasets:test:name=..',
])
def test_names_in_an_option_file_stay_in_the_results(options: Path, capsys, override: str) -> None:
    assert run('test', '-opt', options, '--force_yml', override) == 2
    where, _, name = override.replace(':', '.').partition('=')
    assert f'{options}: {where}: {name!r} cannot be the name of a folder' in capsys.readouterr().err
    assert not list(Path().iterdir())


def test_lists_of_frames_stay_in_the_data(options: Path, tmp_path: Path) -> None:
    lines = ['../../etc/passwd', '/etc/passwd', '000/../../secret/000.png', '../data/LR4x/000/000.png', '000/000.png\0']
    list_file = tmp_path / 'list.txt'
    list_file.write_text('\n'.join(lines))
    with pytest.raises(DataError) as error:
        read_frame_list(list_file, ClipFolder(tmp_path / 'data' / 'LR4x'))
    assert all(f'line {number}: ' in str(error.value) for number in range(1, 6))


@pytest.mark.parametrize('about', [
    '{"encoding": "exec", "recompressed": false, "formats": {}}',
    '{"encoding": "raw", "recompressed": false, "formats": {"000": [8, 8, 3, "__import__(\'os\')"]}}',
    '{"encoding": "raw", "recompressed": false, "formats": {"000": [1e9, 8, 3, 8]}}',
    '[' * 100_000, '{"encoding": ' + '9' * 5000 + '}', '!!python/object/apply:os.system ["ls"]',
])
def test_hostile_words_about_an_lmdb(options: Path, about: str) -> None:
    root = options.with_name('data') / 'LR4x.lmdb'
    make_lmdb(root, '000', 8, root.with_suffix('') / '000')
    assert len(ClipLmdb(root).clips['000']) == 3
    (root / 'about.json').write_text(about)
    with pytest.raises(DataError, match=r'about\.json: cannot be used .*; make the LMDB again'):
        ClipLmdb(root)


def test_a_pickle_in_the_place_of_an_lmdb(options: Path, canary: Path) -> None:
    root = options.with_name('data') / 'LR4x.lmdb'
    root.mkdir()
    (root / 'meta_info.txt').write_text('000/000.png (8,8,3) 1\n')
    (root / 'data.mdb').write_bytes(pickle.dumps(Payload(canary)) + bytes(8192))
    works(canary, lambda: pickle.loads((root / 'data.mdb').read_bytes()))
    with pytest.raises(DataError, match='cannot open the LMDB'):
        ClipLmdb(root)


@pytest.mark.parametrize('read, name, content', [
    (read_degradation, 'degradation.json', '[' * 100_000),
    (read_degradation, 'degradation.json', '{"LR4x": "!!python/name:os.system"}'),
    (lambda folder: read_record(folder / 'test_clips.json'), 'test_clips.json', '[' * 100_000),
    (lambda folder: read_record(folder / 'test_clips.json'), 'test_clips.json', '{"scale": ' + '9' * 5000 + '}'),
])
def test_hostile_records_are_refused(tmp_path: Path, read: Callable[[Path], Any], name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SatVSRError, match=rf'{name}: '):
        read(tmp_path)


@pytest.mark.parametrize('change, why', [
    ({'pictures': '/etc/{clip}/{frame}.png'}, 'out of its folder'),
    ({'pictures': '../../{clip}/{frame}.png'}, 'out of its folder'),
    ({'pictures': '{clip.__class__.__mro__}/{frame}.png'}, 'more than {clip} and {frame}'),
    ({'pictures': '{clip:>1000000000}/{frame}.png'}, 'more than {clip} and {frame}'),
    ({'pictures': '{clip}/{frame!r}.png'}, 'more than {clip} and {frame}'),
    ({'clips': OUT}, 'out of its folder'),
])
def test_results_name_pictures_of_their_own_only(tmp_path: Path, change: dict[str, str], why: str) -> None:
    clip = {'height': 8, 'width': 8, 'bands': 3, 'bit_depth': 8, 'frames': ['000'], 'lq_crc32': [1], 'gt_crc32': [1],
            'scores': {'psnr': [30.0]}}
    record = {'name': 'x', 'scale': 4, 'network': {'type': 'Bicubic'}, 'weights': None, 'settings': {}, 'metrics': {},
              'dataset': {'name': 'clips', 'backend': 'disk', 'lq': '/lq', 'gt': None},
              'pictures': 'visualization/{{a}}/{clip}/{frame}_x.png', 'clips': {'000': clip}, 'finished': '',
              'device': '', 'versions': {}}
    path = tmp_path / 'test_clips.json'
    path.write_text(json.dumps(record))
    assert read_record(path).picture(tmp_path, '000', '000') == tmp_path / 'visualization/{a}/000/000_x.png'
    path.write_text(json.dumps(record | ({'clips': {change['clips']: clip}} if 'clips' in change else change)))
    with pytest.raises(DataError, match=rf'test_clips\.json: .*{why}'):
        read_record(path)


# --------------------------------------------------------------------------------------- the real command line
def test_the_command_refuses_in_one_line(options: Path, canary: Path) -> None:
    """Processes of their own, all at once: a tag, an override, and a checkpoint."""
    tagged, checkpoint = options.with_name('tagged.yml'), options.with_name('net.pth')
    tagged.write_text(f'{options.read_text()}train: !!python/object/apply:builtins.open [{canary}, w]\n')
    torch.save({'params': Payload(canary)}, checkpoint)
    calls = {
        f'error: {tagged}:10: the tag !!python/object/apply:builtins.open is refused': ['test', '-opt', str(tagged)],
        '--force_yml scale=[open(': ['test', '-opt', str(options), '--force_yml', f'scale=[open("{canary}", "w")]'],
        f'error: {checkpoint}: refused': ['infer', '-i', str(options.with_name('data') / 'LR4x' / '000'), '-o', 'out',
                                          '--weights', str(checkpoint)],
    }
    environment = {**os.environ, 'PYTHONPATH': str(Path(satvsr_plugin.__file__).parents[1]), 'OMP_NUM_THREADS': '1'}
    started = {message: subprocess.Popen([sys.executable, '-m', 'satvsr_plugin', *arguments], env=environment,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
               for message, arguments in calls.items()}
    for message, process in started.items():
        error = process.communicate()[1].strip()
        assert process.returncode == 2, error
        assert error.startswith('error: ') and message in error and len(error.splitlines()) == 1
    assert not list(Path().iterdir())
