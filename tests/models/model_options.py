"""Options of a tiny training run, as the toolbox hands them to the model."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

NETWORK = dict(type='MSDTGP', num_feat=8, num_base_feat=8, num_extract_block=1, num_reconstruct_block=1, num_stage=1,
               deformable_groups=2, num_frame=3, scale=2, residual='bicubic', init='zero_offset')


def make_opt(folder: Path, is_train: bool = True, val: dict | None = None, **train: Any) -> dict[str, Any]:
    """Options for ``SatVSRModel``; ``train`` and ``val`` change single keys of these sections."""
    for name in ('models', 'training_states'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return deepcopy(dict(
        name='tiny', model_type='SatVSRModel', scale=2, num_gpu=0, dist=False, rank=0, world_size=1,
        is_train=is_train, network_g=NETWORK, logger=dict(print_freq=2),
        path=dict(models=str(folder / 'models'), training_states=str(folder / 'training_states'), log=str(folder),
                  visualization=str(folder / 'visualization')),
        train=dict(total_iter=10, optim_g=dict(type='Adam', lr=1e-3),
                   scheduler=dict(type='MultiStepLR', milestones=[8]), pixel_opt=dict(type='L1Loss')) | train,
        val=dict(metrics=dict(psnr=dict(type='satvsr_psnr', color='rgb'))) | (val or {})))
