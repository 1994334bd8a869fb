"""Folders of GT clips into LR clips: what is written, and that bad input leaves nothing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation import downsample, upsample
from satvsr_plugin.data.image_io import read_image, write_image
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import DataError

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
    run_script('--input', gt, '--output', out, '--scale', scale, '--bicubic')
    names = ['harbour/000.png', 'harbour/001.png', 'ice/7.tif', 'town/a.b.png']
    assert sorted(files_in(out)) == [f'{kind}{scale}x/{name}' for kind in ('Bicubic', 'LR') for name in names]
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
        degrade_clips(ClipFolder(gt), out, 4, bicubic=True)
    assert files_in(out) == before

    degrade_clips(ClipFolder(gt), out, 4, overwrite=True)
    after = files_in(out)
    assert after['LR4x/other/000.png'] == before['LR4x/other/000.png']
    expected = downsample(read_image(gt / 'harbour' / '001.png'), 4)
    np.testing.assert_array_equal(read_image(out / 'LR4x' / 'harbour' / '001.png'), expected)


def test_sizes_that_do_not_fit_are_all_named_before_anything_is_written(gt: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='--crop') as error:
        degrade_clips(ClipFolder(gt), tmp_path / 'out', 3)
    for place in ('harbour/000.png: 24x16', 'ice/7.tif: 16x32', 'town/a.b.jpg: 16x16'):
        assert place in str(error.value)
    assert not (tmp_path / 'out').exists()


def test_crop_writes_the_cut_gt_too(gt: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    degrade_clips(ClipFolder(gt), out, 3, crop=True)
    source = read_image(gt / 'ice' / '7.tif')[:30, :15]
    np.testing.assert_array_equal(read_image(out / 'GT' / 'ice' / '7.tif'), source)
    np.testing.assert_array_equal(read_image(out / 'LR3x' / 'ice' / '7.tif'), downsample(source, 3))


def test_frames_smaller_than_the_scale_are_named(gt: Path, tmp_path: Path) -> None:
    write_image(gt / 'ship' / '3.png', random_image(5, 64, 3))
    with pytest.raises(DataError, match='1 problem\n.*ship/3.png: 64x5 pixels are too few'):
        degrade_clips(ClipFolder(gt), tmp_path / 'out', 8, crop=True)
    assert not (tmp_path / 'out').exists()


def test_a_damaged_frame_is_named_and_leaves_nothing(gt: Path, tmp_path: Path) -> None:
    path = gt / 'harbour' / '001.png'
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match='harbour/001.png'):
        degrade_clips(ClipFolder(gt), tmp_path / 'out', 4)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('output', ['GT', '.'])
def test_the_gt_itself_is_never_written_to(gt: Path, tmp_path: Path, output: str) -> None:
    before = files_in(gt)
    with pytest.raises(DataError, match='choose another output folder'):
        degrade_clips(ClipFolder(gt), tmp_path / output, 4, crop=True, overwrite=True)
    assert files_in(tmp_path) == {f'GT/{name}': content for name, content in before.items()}
