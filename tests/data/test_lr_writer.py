"""Folders of GT clips into LR clips: what is written, and that bad input leaves nothing."""

from __future__ import annotations

import importlib.util
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample, upsample
from satvsr_plugin.data.degradation_frame import degrade
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import DataError, OptionError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'degrade_clips.py'


def random_image(*shape: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture
def gt(tmp_path: Path) -> Path:
    """An RGB clip, a 16-bit grey one of another size and one of JPEG frames."""
    root = tmp_path / 'GT'
    write_image(root / 'harbour' / '000.png', random_image(16, 24, 3))
    write_image(root / 'harbour' / '001.png', random_image(16, 24, 3)[::-1])
    write_image(root / 'ice' / '7.tif', random_image(32, 16, 1, dtype=np.uint16))
    write_image(root / 'town' / 'a.b.jpg', random_image(16, 16, 3))
    return root


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The script sets it for its own process, which is this one here."""
    monkeypatch.setenv('OMP_NUM_THREADS', '1')


def run_script(*arguments: object) -> None:
    spec = importlib.util.spec_from_file_location('degrade_clips_script', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main([str(argument) for argument in arguments])


@pytest.mark.parametrize('scale', [2, 4, 8])
def test_script_writes_lr_and_bicubic_of_every_frame(
    gt: Path, tmp_path: Path, scale: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / 'out'
    run_script('--input', gt, '--output', out, '--scale', scale, '--bicubic', '--processes', 2)
    names = ['harbour/000.png', 'harbour/001.png', 'ice/7.tif', 'town/a.b.png']
    pictures = [f'{kind}{scale}x/{name}' for kind in ('Bicubic', 'LR') for name in names]
    assert sorted(files_in(out)) == [*pictures, 'degradation.json']
    for name in names:
        source = read_image(gt / name.replace('a.b.png', 'a.b.jpg'))
        lr = read_image(out / f'LR{scale}x' / name)
        assert lr.dtype == source.dtype
        np.testing.assert_array_equal(lr, downsample(source, scale))
        np.testing.assert_array_equal(read_image(out / f'Bicubic{scale}x' / name), upsample(lr, scale))
    assert f'LR{scale}x, Bicubic{scale}x of 3 clips, 4 frames' in capsys.readouterr().out


def test_frames_that_are_there_are_kept_unless_overwrite(gt: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    write_image(out / 'LR4x' / 'harbour' / '001.png', random_image(4, 6, 3))
    write_image(out / 'LR4x' / 'other' / '000.png', random_image(4, 4, 3))
    before = files_in(out)
    with pytest.raises(DataError, match=r'out/LR4x: 1 of the frames .* already \(harbour/001.png\).*--overwrite'):
        degrade_clips(ClipFolder(gt), out, Degradation(4), bicubic=True)
    assert files_in(out) == before

    degrade_clips(ClipFolder(gt), out, Degradation(4), overwrite=True)
    after = files_in(out)
    assert after['LR4x/other/000.png'] == before['LR4x/other/000.png']
    expected = downsample(read_image(gt / 'harbour' / '001.png'), 4)
    np.testing.assert_array_equal(read_image(out / 'LR4x' / 'harbour' / '001.png'), expected)


def test_sizes_that_do_not_fit_are_all_named_before_anything_is_written(gt: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='--crop') as error:
        degrade_clips(ClipFolder(gt), tmp_path / 'out', Degradation(3))
    for place in ('harbour/000.png: 24x16', 'ice/7.tif: 16x32', 'town/a.b.jpg: 16x16'):
        assert place in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_crop_writes_the_cut_gt_too(gt: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    degrade_clips(ClipFolder(gt), out, Degradation(3), crop=True)
    source = read_image(gt / 'ice' / '7.tif')[:30, :15]
    np.testing.assert_array_equal(read_image(out / 'GT' / 'ice' / '7.tif'), source)
    np.testing.assert_array_equal(read_image(out / 'LR3x' / 'ice' / '7.tif'), downsample(source, 3))


def test_frames_smaller_than_the_scale_are_named(gt: Path, tmp_path: Path) -> None:
    write_image(gt / 'ship' / '3.png', random_image(5, 64, 3))
    with pytest.raises(DataError, match='1 problem\n.*ship/3.png: 64x5 pixels are too few'):
        degrade_clips(ClipFolder(gt), tmp_path / 'out', Degradation(8), crop=True)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('processes', [1, 2])
def test_damaged_frames_are_all_named_and_leave_nothing(gt: Path, tmp_path: Path, processes: int) -> None:
    for frame in (5, 6, 7):
        write_image(gt / 'night' / f'{frame}.png', random_image(16, 16, 3))
    for name in ('harbour/001.png', 'night/5.png', 'night/7.png'):  # 5 is the first of its clip
        (gt / name).write_bytes((gt / name).read_bytes()[:60])
    write_image(gt / 'ice' / '8.tif', random_image(32, 20, 1, dtype=np.uint16))
    with pytest.raises(DataError, match='GT: 4 problems\n') as error:
        degrade_clips(ClipFolder(gt), tmp_path / 'out', Degradation(4), processes=processes)
    for place in ('harbour/001.png: not a readable image', 'night/5.png: not a readable image',
                  'night/7.png: not a readable image', 'ice/8.tif: is 20x32'):
        assert place in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_damage_leaves_other_clips_of_the_output_alone(gt: Path, tmp_path: Path) -> None:
    write_image(tmp_path / 'out' / 'LR4x' / 'other' / '000.png', random_image(4, 4, 3))
    before = files_in(tmp_path / 'out')
    (gt / 'town' / 'a.b.jpg').write_bytes(b'')
    with pytest.raises(DataError, match='town/a.b.jpg'):
        degrade_clips(ClipFolder(gt), tmp_path / 'out', Degradation(4))
    assert files_in(tmp_path / 'out') == before


def test_blind_frames_do_not_depend_on_processes_or_on_other_clips(gt: Path, tmp_path: Path) -> None:
    blind = Degradation(4, 'bd', blur=(1.2, 2.0), noise=(1.0, 3.0), seed=5)
    degrade_clips(ClipFolder(gt), tmp_path / 'one', blind)
    degrade_clips(ClipFolder(gt), tmp_path / 'two', blind, processes=2)
    assert files_in(tmp_path / 'two') == files_in(tmp_path / 'one')
    source = read_image(gt / 'harbour' / '001.png')
    made = read_image(tmp_path / 'one' / 'LR4x' / 'harbour' / '001.png')
    np.testing.assert_array_equal(made, degrade(source, blind, 'harbour', '001.png'))

    (gt / 'harbour' / '001.png').rename(tmp_path / '001.png')
    (gt / 'alone').mkdir()
    (gt / 'harbour').rename(gt / 'alone' / 'harbour')
    degrade_clips(ClipFolder(gt / 'alone'), tmp_path / 'three', blind)
    place = Path('LR4x') / 'harbour' / '000.png'
    assert (tmp_path / 'three' / place).read_bytes() == (tmp_path / 'one' / place).read_bytes()


def test_script_passes_every_setting_on(gt: Path, tmp_path: Path) -> None:
    (gt / 'ice' / '7.tif').unlink()  # 16 bit
    (gt / 'ice').rmdir()
    run_script('--input', gt, '--output', tmp_path / 'out', '--scale', 2, '--kind', 'bd', '--blur', 0.8, 1.2,
               '--anisotropic', '--noise', 2, '--jpeg', 60, 80, '--seed', 3, '--processes', 1)
    expected = Degradation(2, 'bd', (0.8, 1.2), True, (2.0, 2.0), (60, 80), 3)
    made = read_image(tmp_path / 'out' / 'LR2x' / 'harbour' / '000.png')
    np.testing.assert_array_equal(made, degrade(read_image(gt / 'harbour' / '000.png'), expected, 'harbour', '000.png'))


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--blur', 1, 2, 3), '--blur takes one value or two, not 3'),
    (('--noise', 3, 1), 'noise is 3 to 1'),
    (('--jpeg', 0), 'jpeg is 0 to 0'),
])
def test_script_refuses_wrong_values(gt: Path, tmp_path: Path, arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        run_script('--input', gt, '--output', tmp_path / 'out', *arguments)
    assert not (tmp_path / 'out').exists()


def test_frames_that_jpeg_cannot_hold_are_named_before_anything_is_written(gt: Path, tmp_path: Path) -> None:
    write_image(gt / 'bands' / '0.png', random_image(8, 8, 4))
    with pytest.raises(DataError, match='2 problems') as error:
        degrade_clips(ClipFolder(gt), tmp_path / 'out', Degradation(4, jpeg=(70, 70)))
    assert 'bands/0.png: is 8x8, 4 channels, 8 bit, but JPEG' in str(error.value)
    assert 'ice/7.tif: is 16x32, 1 channel, 16 bit, but JPEG' in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_an_output_that_cannot_be_written_says_so(gt: Path, tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match='file/out: cannot write there: Not a directory'):
        degrade_clips(ClipFolder(gt), tmp_path / 'file' / 'out', Degradation(4))
    (tmp_path / 'LR4x').write_text('')
    with pytest.raises(DataError, match='LR4x: is not a folder'):
        degrade_clips(ClipFolder(gt), tmp_path, Degradation(4))


@pytest.mark.parametrize('processes', [1, 2])
def test_a_full_disk_stops_at_once_and_the_next_run_goes_on(gt: Path, tmp_path: Path, processes: int) -> None:
    write_image(gt / 'wide' / '000.png', random_image(16, 4000, 3))
    command = [sys.executable, str(SCRIPT), '--input', str(gt), '--output', str(tmp_path / 'out'),
               '--processes', str(processes)]
    # a limit on the size of a file fails in the same place and in the same way as a full disk
    done = subprocess.run(command, capture_output=True, text=True,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000)))
    assert done.returncode == 2
    assert re.search(r'error: .*wide/000.png: cannot write: File too large. Mend this and run the same', done.stderr)
    assert 'Traceback' not in done.stderr
    assert os.listdir(tmp_path / 'out') == ['.degrading']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and '4 of 5 frames were finished by an earlier run' in done.stderr
    assert '5 frames (4 of them by an earlier run) in' in done.stdout
    expected = downsample(read_image(gt / 'wide' / '000.png'), 4)
    np.testing.assert_array_equal(read_image(tmp_path / 'out' / 'LR4x' / 'wide' / '000.png'), expected)


@pytest.mark.parametrize('output', ['GT', '.'])
def test_the_gt_itself_is_never_written_to(gt: Path, tmp_path: Path, output: str) -> None:
    before = files_in(gt)
    with pytest.raises(DataError, match='choose another output folder'):
        degrade_clips(ClipFolder(gt), tmp_path / output, Degradation(4), crop=True, overwrite=True)
    assert files_in(tmp_path) == {f'GT/{name}': content for name, content in before.items()}
