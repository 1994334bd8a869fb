"""The ``basicsr`` command: what reaches the toolbox, exit codes, and that wrong input leaves nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import pytest
from sound_options import write_sound_options
from torch.utils.data import DataLoader, Dataset

import satvsr_plugin
from satvsr_plugin import cli
from satvsr_plugin.errors import DataError, TrainingError

OPTIONS = """
name: bicubic
model_type: SatVSRModel
scale: 4
num_gpu: 0
datasets: {test: {name: clips, type: Jilin189TestDataset, dataroot: DATA, num_frame: 3}}
network_g: {type: Bicubic, scale: 4}
path: {pretrain_network_g: ~}
val: {save_img: false, pbar: false, metrics: {psnr: {type: satvsr_psnr}}}
"""


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound option file for testing on one clip of three frames; the current folder is empty."""
    return write_sound_options(tmp_path, monkeypatch, OPTIONS)


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The toolbox's test pipeline, replaced; holds what it was called with."""
    calls: list[Any] = []
    monkeypatch.setattr(import_module('basicsr.test'), 'test_pipeline', lambda root: calls.append((root, sys.argv)))
    return calls


def run(*arguments: object) -> int:
    """Run the command in this process; returns its exit code."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return end.value.code


def test_the_toolbox_gets_its_flags_and_the_current_folder(options: Path, pipeline: list[Any]) -> None:
    code = run('test', '-opt', options, '--debug', '--force_yml', 'name=other', 'val:pbar=false', '--local-rank', 1,
               '--force_yml', 'manual_seed=3')
    expected = ['basicsr test', '-opt', str(options), '--debug', '--force_yml', 'name=other', 'val:pbar=false',
                'manual_seed=3']
    assert code == 0
    assert pipeline == [(os.getcwd(), expected)]


def test_train_runs_the_training_pipeline(options: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(import_module('basicsr.train'), 'train_pipeline', lambda root: pytest.fail('not checked'))
    assert run('train', '-opt', options) == 2
    assert f'{options}: datasets.train: is missing' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, message', [
    ((), 'required: COMMAND'),
    (('fit',), "invalid choice: 'fit'"),
    (('train',), 'required: -opt'),
    (('train', '-opt', 'no.yml'), 'error: no.yml: cannot read the option file: No such file or directory'),
    (('test', '-opt', 'OPTIONS', '--launcher', 'mpi'), "invalid choice: 'mpi'"),
    (('test', '-opt', 'OPTIONS', '--force_yml', 'val:metrics:psnr:colour=y'), 'val.metrics.psnr.colour: unknown'),
    (('test', '-opt', 'OPTIONS', '--force_yml', 'nmae=x'), 'nmae: unknown option; did you mean name?'),
    (('test', '-opt', 'OPTIONS', '--force_yml', 'vla:pbar=x'), 'has no section vla; did you mean val?'),
    (('test', '-opt', 'OPTIONS', '--launcher', 'pytorch'), 'RANK is not set; start the command with: torchrun '),
    (('test', '-opt', 'OPTIONS', '--launcher', 'slurm'), 'SLURM_PROCID is not set; start the command with: srun '),
])
def test_wrong_input_ends_with_2(options: Path, pipeline: list[Any], capsys, arguments: tuple[str, ...],
                                 message: str) -> None:
    assert run(*(str(options) if argument == 'OPTIONS' else argument for argument in arguments)) == 2
    assert message in capsys.readouterr().err
    assert not pipeline and not list(Path().iterdir())


def test_torchrun_without_launcher(options: Path, pipeline: list[Any], monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv('TORCHELASTIC_RUN_ID', 'none')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert run('test', '-opt', options) == 2
    assert 'add --launcher pytorch' in capsys.readouterr().err
    assert not pipeline


def test_slurm_s_list_of_nodes_reaches_no_shell(options: Path, pipeline: list[Any], monkeypatch: pytest.MonkeyPatch,
                                                capsys) -> None:
    monkeypatch.setenv('SLURM_PROCID', '0')
    for nodes, code in (('node[01-04],gpu-7.lan', 0), ('a; touch b', 2), ('$(touch b)', 2)):
        monkeypatch.setenv('SLURM_NODELIST', nodes)
        assert run('test', '-opt', options, '--launcher', 'slurm') == code
    assert 'SLURM_NODELIST: is no list of nodes' in capsys.readouterr().err


def test_without_a_working_toolbox(options: Path, pipeline: list[Any], monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(satvsr_plugin, 'registration_error', ImportError('no module named torch'))
    assert run('test', '-opt', options) == 2
    assert capsys.readouterr().err == ('error: no module named torch; training and testing cannot work; '
                                       'run: basicsr doctor\n')
    assert not pipeline


def test_doctor_gives_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module('satvsr_plugin.doctor'), 'run', lambda: 1)
    assert run('doctor') == 1


def test_help_and_version(capsys) -> None:
    assert run('--help') == 0
    text = capsys.readouterr().out
    assert 'basicsr train -opt options/' in text and all(f'\n    {command} ' in text for command in cli.COMMANDS)
    assert run('train', '--help') == 0
    text = capsys.readouterr().out
    assert all(flag in text for flag in ('-opt FILE', '--force_yml', '--auto_resume', '--launcher', '--debug'))
    assert run('--version') == 0
    toolbox = metadata.version('basicsr')
    assert capsys.readouterr().out.startswith(f'satvsr-plugin {satvsr_plugin.__version__} (basicsr {toolbox}, torch ')


def write_plugin(folder: Path, code: str) -> None:
    """An installed package ``demo_plugin`` of the entry-point group, as pip would lay it down."""
    (folder / 'demo_plugin.py').write_text(code)
    info = folder / 'demo_plugin-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: demo-plugin\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('[basicsr.plugins]\ndemo = demo_plugin\n')


def test_installed_plugins_are_loaded(options: Path, pipeline: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    site = options.parent / 'site'
    site.mkdir()
    write_plugin(site, 'loaded = True\n')
    monkeypatch.syspath_prepend(site)
    monkeypatch.delitem(sys.modules, 'demo_plugin', raising=False)
    assert run('test', '-opt', options) == 0
    assert sys.modules.pop('demo_plugin').loaded


def test_a_plugin_that_does_not_import_is_named(options: Path, pipeline: list[Any], monkeypatch: pytest.MonkeyPatch,
                                                capsys) -> None:
    site = options.parent / 'site'
    site.mkdir()
    write_plugin(site, "raise RuntimeError('out of order')\n")
    monkeypatch.syspath_prepend(site)
    assert run('test', '-opt', options) == 2
    assert capsys.readouterr().err == ('error: the plugin demo (demo_plugin) cannot be imported: RuntimeError: out of '
                                       'order; mend it, or run: pip uninstall demo-plugin\n')
    assert not pipeline


class _Damaged(Dataset):
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> None:
        try:
            raise ValueError('low-level reason')
        except ValueError as error:
            raise DataError('clip 003, frame 017: not a readable image\nrestore the file') from error


def test_an_error_in_a_loader_process_is_one_message(options: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(import_module('basicsr.test'), 'test_pipeline',
                        lambda root: list(DataLoader(_Damaged(), num_workers=1)))
    assert run('test', '-opt', options) == 2
    assert capsys.readouterr().err == 'error: clip 003, frame 017: not a readable image\nrestore the file\n'


def test_a_failing_run_is_one_message(options: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def fail(root: str) -> None:
        raise TrainingError('the loss is not a number at iteration 7; lower the learning rate')

    monkeypatch.setattr(import_module('basicsr.test'), 'test_pipeline', fail)
    assert run('test', '-opt', options) == 2
    assert capsys.readouterr().err == 'error: the loss is not a number at iteration 7; lower the learning rate\n'


def test_a_folder_that_cannot_be_made_is_one_message(options: Path, capsys) -> None:
    Path('results').write_text('in the way')
    assert run('test', '-opt', options) == 2
    assert capsys.readouterr().err.endswith(f"error: {Path('results/bicubic').absolute()}: Not a directory\n")


def training_file(options: Path) -> Path:
    """The sound option file turned into one for training."""
    data = options.parent / 'data'
    path = options.with_name('train.yml')
    path.write_text(f"""
name: run
model_type: SatVSRModel
scale: 4
num_gpu: 0
datasets:
  train: {{name: clips, type: Jilin189Dataset, dataroot: {data}, num_frame: 3, gt_size: 16, batch_size_per_gpu: 1,
          num_worker_per_gpu: 0}}
network_g: {{type: MSDTGP, num_feat: 8, num_base_feat: 8, num_frame: 3, deformable_groups: 2}}
path: {{pretrain_network_g: ~}}
train:
  optim_g: {{type: Adam, lr: 1e-4}}
  scheduler: {{type: MultiStepLR, milestones: [1]}}
  total_iter: 1
  pixel_opt: {{type: L1Loss}}
logger: {{print_freq: 1, save_checkpoint_freq: 1, use_tb_logger: false}}
""")
    return path


def test_files_in_the_experiment_that_would_be_renamed(options: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    runs: list[str] = []
    monkeypatch.setattr(import_module('basicsr.train'), 'train_pipeline', runs.append)
    file, folder = training_file(options), Path('experiments/run')
    (folder / 'training_states').mkdir(parents=True)
    (folder / 'net.pth').write_bytes(b'')
    (folder / 'kept.yml').write_text(file.read_text())

    pretrain = ('--force_yml', f'path:pretrain_network_g={folder}/net.pth')
    for arguments, inside in ((('-opt', file, *pretrain), 'net.pth'), (('-opt', folder / 'kept.yml'), 'kept.yml'),
                              (('-opt', folder / 'kept.yml', '--auto_resume'), 'kept.yml')):
        assert run('train', *arguments) == 2
        assert f'error: {folder}/{inside}: lies in {folder}, which is renamed' in capsys.readouterr().err
    assert not runs

    assert run('train', '-opt', file, *pretrain, 'name=other') == 0
    assert run('train', '-opt', file, *pretrain, '--debug') == 0  # the toolbox calls it debug_run
    (folder / 'training_states/5.state').write_bytes(b'')  # an experiment that goes on is not renamed
    assert run('train', '-opt', folder / 'kept.yml', '--auto_resume') == 0
    assert len(runs) == 3


def test_as_a_module(options: Path) -> None:
    """``python -m satvsr_plugin`` in a process of its own: a sound file, then a malicious one."""
    victim = options.parent / 'touched'
    malicious = options.parent / 'malicious.yml'
    malicious.write_text(f'{options.read_text()}train: !!python/object/apply:os.system ["touch {victim}"]\n')
    root = Path(satvsr_plugin.__file__).parents[1]

    def call(file: Path) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, '-m', 'satvsr_plugin', 'test', '-opt', file], capture_output=True,
                              text=True, env={**os.environ, 'PYTHONPATH': str(root), 'OMP_NUM_THREADS': '1'})

    bad = call(malicious)
    assert bad.returncode == 2 and 'Traceback' not in bad.stderr
    assert f'error: {malicious}:10: the tag !!python/object/apply:os.system is refused' in bad.stderr
    assert not victim.exists() and not list(Path().iterdir())

    good = call(options)
    assert good.returncode == 0, good.stderr
    assert [path.name for path in Path().iterdir()] == ['results']
    rows = Path('results/bicubic/metrics_clips.csv').read_text().splitlines()
    assert rows[0] == 'iter,clip,frames,psnr' and rows[-1].startswith('bicubic,average,3,')
