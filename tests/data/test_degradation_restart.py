"""Runs that are killed at any moment: the next one goes on, and in the end there are the same bytes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from satvsr_plugin.data.clips import ClipFolder
from satvsr_plugin.data.degradation_options import Degradation
from satvsr_plugin.data.image_io import write_image
from satvsr_plugin.data.lr_writer import degrade_clips
from satvsr_plugin.errors import DataError

SCRIPT = Path(__file__).resolve().parents[2] / 'scripts' / 'degrade_clips.py'
FORK = multiprocessing.get_context('fork')
BLIND = Degradation(4, blur=(1.0, 2.0), noise=(1.0, 2.0), seed=1)


def make_gt(root: Path, clips: int, frames: int, size: int, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    for clip in range(clips):
        for frame in range(frames):
            write_image(root / f'{clip:03d}' / f'{frame:03d}.png', rng.integers(0, 256, (size, size, 3), np.uint8))
    return root


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def visible(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith('.degrading')}


def degrade_until(step: int, gt: Path, output: Path, overwrite: bool, sent: signal.Signals) -> None:
    """Degrade clips and get a signal at the step-th rename, by which every file and folder appears; 0 for never."""
    rename = os.replace

    def counted(*places: object) -> None:
        nonlocal step
        step -= 1
        if step == 0:
            os.kill(os.getpid(), sent)
        rename(*places)

    os.replace = counted
    degrade_clips(ClipFolder(gt), output, BLIND, bicubic=True, overwrite=overwrite)


def run_until(step: int, gt: Path, output: Path, overwrite: bool = False) -> int | None:
    process = FORK.Process(target=degrade_until, args=(step, gt, output, overwrite, signal.SIGKILL))
    process.start()
    process.join()
    return process.exitcode


def test_killed_at_any_step_once(tmp_path: Path) -> None:
    gt = make_gt(tmp_path / 'GT', clips=2, frames=2, size=16)
    degrade_clips(ClipFolder(gt), tmp_path / 'whole', BLIND, bicubic=True)
    whole = files_in(tmp_path / 'whole')
    for step in itertools.count(1):
        out = tmp_path / f'out{step}'
        if run_until(step, gt, out) == 0:
            break
        found = visible(files_in(out))
        assert found.items() <= whole.items()
        for folder in ('LR4x', 'Bicubic4x'):  # whole or not there
            assert (out / folder).exists() == (sum(name.startswith(folder) for name in found) == 4)
        unfinished = out / '.degrading' / 'LR4x' / '000'
        if unfinished.is_dir() and not (out / '.degrading' / 'done').exists():
            (unfinished / '.000.png.partial-1').write_bytes(b'half of a fr')
        assert run_until(0, gt, out) == 0
        assert files_in(out) == whole
    assert step == 1 + 8 + 2 + 1 + 1  # the plan, two pictures of four frames, two folders, the record; then none


def test_killed_again_and_again(tmp_path: Path) -> None:
    gt = make_gt(tmp_path / 'GT', clips=2, frames=4, size=16)
    degrade_clips(ClipFolder(gt), tmp_path / 'whole', BLIND, bicubic=True)
    kills = 0
    while run_until(3, gt, tmp_path / 'out') != 0:  # every run gets one frame further
        kills += 1
        assert kills < 12
    assert kills >= 8
    assert files_in(tmp_path / 'out') == files_in(tmp_path / 'whole')


def test_killed_at_any_step_of_overwriting(tmp_path: Path) -> None:
    """Moving into clips that are there goes frame by frame: each is the old or the new one, never anything else."""
    gt = make_gt(tmp_path / 'GT', clips=2, frames=2, size=16)
    old = make_gt(tmp_path / 'old', clips=2, frames=3, size=16, seed=1)
    degrade_clips(ClipFolder(old), tmp_path / 'before', Degradation(4))
    before = files_in(tmp_path / 'before')
    shutil.copytree(tmp_path / 'before', tmp_path / 'whole')
    degrade_clips(ClipFolder(gt), tmp_path / 'whole', BLIND, bicubic=True, overwrite=True)
    whole = files_in(tmp_path / 'whole')
    for step in itertools.count(1):
        out = tmp_path / f'out{step}'
        shutil.copytree(tmp_path / 'before', out)
        if run_until(step, gt, out, overwrite=True) == 0:
            break
        found = visible(files_in(out))
        assert set(before) <= set(found) <= set(whole)
        assert all(content in (before.get(name), whole[name]) for name, content in found.items())
        assert run_until(0, gt, out, overwrite=True) == 0
        assert files_in(out) == whole
    assert step == 1 + 8 + 4 + 1 + 1 + 1  # as above, but frames instead of LR4x


KILLED = """
import os, runpy, signal, sys, time
from tqdm import tqdm

script, frames, wait = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
update = tqdm.update

def counted(self, n=1):
    global frames
    frames -= 1
    if frames == 0:
        time.sleep(wait)  # the workers go on meanwhile
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, n)

tqdm.update = counted
sys.argv[:4] = [script]
runpy.run_path(script, run_name='__main__')
"""


def test_killed_while_working_in_several_processes(tmp_path: Path) -> None:
    """The script, killed at random moments; its workers end in the middle of whatever they do."""
    gt = make_gt(tmp_path / 'GT', clips=3, frames=40, size=96)
    degrade_clips(ClipFolder(gt), tmp_path / 'whole', BLIND)
    whole = files_in(tmp_path / 'whole')
    out, moments, finished = tmp_path / 'out', random.Random(3), 0
    arguments = ['--input', str(gt), '--output', str(out), '--processes', '2', '--blur', '1', '2', '--noise', '1', '2',
                 '--seed', '1']
    for _ in range(6):
        frames, wait = moments.randint(1, 8), moments.random() * 0.01
        killed = subprocess.run([sys.executable, '-c', KILLED, str(SCRIPT), str(frames), str(wait), *arguments],
                                capture_output=True, text=True, timeout=60)  # its output ends with the last worker
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert visible(files_in(out)) == {}
        assert (f'{finished} of 120 frames were finished by an earlier run' in killed.stderr) == (finished > 0)
        finished = sum(1 for _ in (out / '.degrading').rglob('[!.]*.png'))
    assert 6 <= finished < 120
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=True)
    assert f'120 frames ({finished} of them by an earlier run)' in done.stdout
    assert files_in(out) == whole


def test_no_second_run_in_the_same_folder(tmp_path: Path) -> None:
    gt = ClipFolder(make_gt(tmp_path / 'GT', clips=1, frames=3, size=16))
    out = tmp_path / 'out'
    process = FORK.Process(target=degrade_until, args=(4, gt.root, out, False, signal.SIGSTOP))
    process.start()
    assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
    before = files_in(out)
    try:
        for options in (BLIND, Degradation(2)):
            with pytest.raises(DataError, match='another process is at work there'):
                degrade_clips(gt, out, options, bicubic=True)
        assert files_in(out) == before
    finally:
        os.kill(process.pid, signal.SIGCONT)
    process.join()
    degrade_clips(gt, tmp_path / 'whole', BLIND, bicubic=True)
    assert process.exitcode == 0 and files_in(out) == files_in(tmp_path / 'whole')


@pytest.mark.parametrize('change', ['settings', 'frame'])
def test_another_plan_starts_anew(tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]) -> None:
    gt = make_gt(tmp_path / 'GT', clips=1, frames=3, size=16)
    out, options = tmp_path / 'out', BLIND
    assert run_until(5, gt, out) == -signal.SIGKILL
    if change == 'settings':
        options = Degradation(4, blur=(1.0, 2.0), noise=(1.0, 2.0), seed=2)
    else:
        write_image(gt / '000' / '000.png', np.zeros((16, 16, 3), np.uint8))
    summary = degrade_clips(ClipFolder(gt), out, options, bicubic=True)
    assert summary.taken_up == 0 and 'earlier run' not in capsys.readouterr().err
    degrade_clips(ClipFolder(gt), tmp_path / 'whole', options, bicubic=True)
    assert files_in(out) == files_in(tmp_path / 'whole')


def test_frames_that_appear_meanwhile_are_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gt = ClipFolder(make_gt(tmp_path / 'GT', clips=1, frames=2, size=16))
    out = tmp_path / 'out'
    theirs = out / 'LR4x' / '000' / '001.png'
    make = degrade_clips.__globals__['_make_frames']

    def make_and_meet(*arguments: object) -> list[str]:
        write_image(theirs, np.zeros((4, 4, 3), np.uint8))
        return make(*arguments)

    monkeypatch.setitem(degrade_clips.__globals__, '_make_frames', make_and_meet)
    with pytest.raises(DataError, match=re.escape('out/LR4x: 1 of the frames are there already (000/001.png)')):
        degrade_clips(gt, out, BLIND)
    assert list(visible(files_in(out))) == ['LR4x/000/001.png']
    monkeypatch.undo()
    assert degrade_clips(gt, out, BLIND, overwrite=True).taken_up == 2
    degrade_clips(gt, tmp_path / 'whole', BLIND)
    assert files_in(out) == files_in(tmp_path / 'whole')
