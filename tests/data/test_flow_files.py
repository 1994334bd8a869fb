"""Precomputed flow: in samples turned with the patch, checked before training, made by the script's writer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_clips import MakePairs, eval_set, gt_frame, train_set

from satvsr_plugin.data import flow_writer
from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.flow_writer import write_flows
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.errors import DataError, OptionError
from satvsr_plugin.ops.optical_flow import dis_flow

PROJECT = Path(__file__).resolve().parents[2]
HEIGHT, WIDTH, LENGTH, STEP = 12, 16, 9, 15


def save_flows(root: Path, clip: str, length: int, num_frame: int = 5) -> np.ndarray:
    """Write random flow for a clip; returns it, (length, num_frame - 1, 2, h, w)."""
    flows = np.random.default_rng(length).normal(size=(length, num_frame - 1, 2, HEIGHT, WIDTH)).astype(np.float32)
    (root / clip).mkdir(parents=True)
    for frame, flow in enumerate(flows):
        np.save(root / clip / f'{frame:03d}.npy', flow)
    return flows


@pytest.fixture
def mapped(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A clip whose pixels say where and when they are (x, y, frame, in steps of 15), and the flow of its frames."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    for frame in range(LENGTH):
        lr = (np.stack([x, y, np.full_like(x, frame)], 2) * STEP).astype(np.uint8)
        for side, image in (('LR4x', lr), ('GT', gt_frame(lr))):
            write_image(tmp_path / side / '000' / f'{frame:03d}.png', image)
    return tmp_path, save_flows(tmp_path / 'flow', '000', LENGTH)


def test_flow_is_that_of_the_turned_patch(mapped: tuple[Path, np.ndarray]) -> None:
    root, flows = mapped
    data = train_set(root, flow_root=str(root / 'flow'), use_rot=True, random_reverse=True)
    torch.manual_seed(0)
    states = set()
    for _ in range(60):
        sample = data[4]
        assert sample['flows'].dtype == torch.float32 and sample['flows'].is_contiguous()
        x, y, frames = (sample['lq'].double() * 255 / STEP).round().int().numpy().transpose(1, 0, 2, 3)
        x, y, frames = x[2], y[2], frames[:, 0, 0]  # of the centre frame; x and y are the same in all
        # Where the patch's axes point in the frame, as columns; its inverse turns motion in the frame into the patch's.
        axes = np.array([[x[0, 1] - x[0, 0], x[1, 0] - x[0, 0]], [y[0, 1] - y[0, 0], y[1, 0] - y[0, 0]]])
        neighbours = [{2: 0, 3: 1, 5: 2, 6: 3}[frame] for frame in frames if frame != 4]
        in_frame = flows[4][neighbours][:, :, y, x]  # (4, 2, 8, 8)
        expected = np.einsum('ab,nbhw->nahw', np.linalg.inv(axes), in_frame)
        np.testing.assert_allclose(sample['flows'].numpy(), expected, atol=1e-6)
        states.add((*axes.flat, neighbours[0]))
    assert len(states) == 16  # eight orientations in both directions of time


def test_test_items_have_the_flow_of_whole_frames(mapped: tuple[Path, np.ndarray]) -> None:
    root, flows = mapped
    half = root / 'half' / '000'
    half.mkdir(parents=True)
    for frame, flow in enumerate(flows):
        np.save(half / f'{frame:03d}.npy', flow.astype(np.float16))
    for folder, expected in (('flow', flows), ('half', flows.astype(np.float16).astype(np.float32))):
        data = eval_set(root, flow_root=str(root / folder))
        assert all(np.array_equal(item['flows'], expected[index]) for index, item in enumerate(data))
    assert 'flows' not in eval_set(root)[0] and 'flows' not in train_set(root)[0]


def test_what_is_wrong_with_the_files_is_listed_at_once(make_pairs: MakePairs) -> None:
    root = make_pairs((5, 5, 5))
    folder = root / 'flow'
    with pytest.raises(DataError, match='flow: there is no such folder; make it with scripts/estimate_flow.py'):
        train_set(root, flow_root=str(folder))
    save_flows(folder, '000', 5)
    save_flows(folder, '001', 5)
    (folder / '000' / '001.npy').unlink()
    np.save(folder / '000' / '002.npy', np.zeros((6, 2, HEIGHT, WIDTH), np.float32))
    np.save(folder / '000' / '003.npy', np.zeros((4, 2, HEIGHT, WIDTH)))
    (folder / '001' / '000.npy').write_bytes((folder / '001' / '001.npy').read_bytes()[:900])
    (folder / '001' / '002.npy').write_bytes(b'not an array')
    (folder / '001' / '003.npy').write_bytes(b'')
    np.savez(folder / '001' / '004.npy', np.zeros(3))
    (folder / '001' / '004.npy.npz').replace(folder / '001' / '004.npy')
    for make in (train_set, eval_set):
        with pytest.raises(DataError) as caught:
            make(root, flow_root=str(folder))
        heading, *lines = str(caught.value).splitlines()
        assert 'estimate_flow.py' in heading and '--num_frame 5' in heading and heading.endswith('8 problems')
        for line, phrase in zip(lines, (
                '000/001.npy: missing', '000/002.npy: holds (6, 2, 12, 16) float32, but (4, 2, 12, 16)',
                '000/003.npy: holds (4, 2, 12, 16) float64', '001/000.npy: not a readable',
                '001/002.npy: not a readable', '001/003.npy: not a readable', '001/004.npy: holds an archive',
                'clip 002: no folder of this name'), strict=True):
            assert line.startswith(f'  - {phrase}')


def test_only_the_flow_of_chosen_frames_is_needed(make_pairs: MakePairs) -> None:
    root = make_pairs((5, 5))
    save_flows(root / 'flow', '001', 5)
    assert len(eval_set(root, flow_root=str(root / 'flow'), clips=['001'])) == 5


def test_values_that_are_no_numbers_name_their_file(mapped: tuple[Path, np.ndarray]) -> None:
    root, flows = mapped
    flows[3, 1, 0, 5, 5] = np.nan
    np.save(root / 'flow' / '000' / '003.npy', flows[3])
    data = eval_set(root, flow_root=str(root / 'flow'))
    with pytest.raises(DataError, match=r'000/003\.npy: holds values that are not finite'):
        data[3]


@pytest.mark.parametrize(('options', 'phrase'), [
    ({'interval_list': [1, 2]}, r'interval_list: \[1\], not \[1, 2\]'),
    ({'padding': 'reflection'}, 'padding: center, not reflection')])
def test_windows_other_than_those_of_the_files_are_refused(mapped: tuple[Path, np.ndarray], options, phrase) -> None:
    root, _ = mapped
    with pytest.raises(OptionError, match=phrase):
        train_set(root, flow_root=str(root / 'flow'), **options)


# --- making the files


def test_written_flow_is_that_of_the_network(make_pairs: MakePairs) -> None:
    root = make_pairs((6, 5))
    summary = write_flows(ClipFolder(root / 'LR4x'), root / 'flow', 'dis', num_frame=5, processes=2)
    assert (summary.clips, summary.frames, summary.taken_up) == (2, 11, 0)
    data = eval_set(root, flow_root=str(root / 'flow'))
    for item in data:
        lq, centre = item['lq'][None], item['lq'][None, 2]
        expected = dis_flow(centre, lq[:, [0, 1, 3, 4]])[0]
        assert torch.equal(item['flows'], expected.half().float())
        missing = [neighbour for neighbour, frame in enumerate((0, 1, 3, 4)) if torch.equal(lq[0, frame], centre[0])]
        assert not item['flows'][missing].any()
    assert not data[0]['flows'][:2].any() and data[0]['flows'][2:].any()  # what is before the clip does not move


def test_interrupted_run_goes_on_and_ends_in_the_same_bytes(make_pairs: MakePairs, monkeypatch) -> None:
    root = make_pairs((6, 4))
    lq, estimate, calls = ClipFolder(root / 'LR4x'), flow_writer.opencv_flow, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return estimate(*arguments)

    write_flows(lq, root / 'whole', 'farneback', num_frame=3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(flow_writer, 'opencv_flow', interrupted)
        write_flows(lq, root / 'flow', 'farneback', num_frame=3)
    assert not (root / 'flow').exists()
    assert write_flows(lq, root / 'flow', 'farneback', num_frame=3).taken_up == 4
    files = sorted(path.relative_to(root / 'whole') for path in (root / 'whole').rglob('*.npy'))
    assert len(files) == 10
    assert all((root / 'flow' / path).read_bytes() == (root / 'whole' / path).read_bytes() for path in files)
    assert {path.name for path in root.iterdir()} == {'GT', 'LR4x', 'whole', 'flow'}


def test_wrong_input_is_named_and_leaves_nothing(make_pairs: MakePairs) -> None:
    root = make_pairs((4,))
    lq = ClipFolder(root / 'LR4x')
    with pytest.raises(OptionError, match='num_frame: 4'):
        write_flows(lq, root / 'flow', 'dis', num_frame=4)
    with pytest.raises(OptionError, match='method: tvl1 is none of dis, farneback'):
        write_flows(lq, root / 'flow', 'tvl1', num_frame=3)
    with pytest.raises(DataError, match='in the folder of the LR clips'):
        write_flows(lq, root / 'LR4x' / 'flow', 'dis', num_frame=3)
    with pytest.raises(DataError, match='GT: is there already'):
        write_flows(lq, root / 'GT', 'dis', num_frame=3)
    (root / 'LR4x' / '000' / '002.png').write_bytes(b'damaged')
    with pytest.raises(DataError, match='(?s)LR4x: 1 problem\n.*000/002.png: not a readable image'):
        write_flows(lq, root / 'flow', 'dis', num_frame=3)
    assert {path.name for path in root.iterdir()} == {'GT', 'LR4x'}


def test_script_makes_what_the_data_set_takes_without_loading_torch(make_pairs: MakePairs) -> None:
    root = make_pairs((4,))
    arguments = ['--input', str(root / 'LR4x'), '--output', str(root / 'flow'), '--num_frame', '3']
    code = ('import runpy, sys; '
            f'runpy.run_path({str(PROJECT / "scripts" / "estimate_flow.py")!r})["main"]({arguments}); '
            'assert "torch" not in sys.modules')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'{root / "flow"}: flow of 1 clips, 4 frames in ')
    assert len(train_set(root, flow_root=str(root / 'flow'), num_frame=3)) == 4
