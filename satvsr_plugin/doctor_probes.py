"""Small programs that try one thing of the environment; each runs in a process of its own.

A binary that does not fit the torch beside it may end the process that loads it. So ``satvsr_plugin.doctor`` and
``scripts/install_mmcv.py`` run this file by its path, which does not import the package:

    python satvsr_plugin/doctor_probes.py torch              prints what torch can do here, as JSON
    python satvsr_plugin/doctor_probes.py dcn mmcv cuda      modulated deformable convolution of a library on a device
    python satvsr_plugin/doctor_probes.py dcn triton cuda    our own, on kernels that triton compiles for the device
    python satvsr_plugin/doctor_probes.py toolbox            BasicSR with this plugin registered
    python satvsr_plugin/doctor_probes.py build torch        how torch or mmcv was built, for people

Exit code 0: it works. Otherwise the last line on stderr says why not.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def probe_torch() -> None:
    """Print version, CUDA version, GPUs and the autocast types of each device."""
    import torch

    gpus = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        gpu = torch.cuda.get_device_properties(index)
        gpus.append({'name': gpu.name, 'memory_gib': round(gpu.total_memory / 2**30, 1),
                     'capability': f'{gpu.major}.{gpu.minor}'})
    devices = ['cpu', 'cuda'] if gpus else ['cpu']
    print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, 'gpus': gpus,
                      'cuda_error': None if gpus else _cuda_error(),
                      'amp': {device: _amp_types(device) for device in devices}}))


def _cuda_error() -> str:
    """Why torch sees no GPU."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:  # no driver or no GPU; a torch that was built without CUDA
        return str(error).splitlines()[0]
    return 'no GPU'


def _amp_types(device: str) -> list[str]:
    """Those of bf16 and fp16 in which a convolution runs under autocast, forward and backward."""
    import torch

    works = []
    for name, dtype in (('bf16', torch.bfloat16), ('fp16', torch.float16)):
        conv = torch.nn.Conv2d(4, 4, 3).to(device)
        try:
            with torch.autocast(device, dtype):
                conv(torch.ones(1, 4, 8, 8, device=device)).sum().backward()
        except (RuntimeError, NotImplementedError):
            continue
        native = device == 'cpu' or dtype is torch.float16 or torch.cuda.is_bf16_supported(including_emulation=False)
        works.append(name if native else f'{name} (emulated)')
    return works


def probe_dcn(library: str, device: str) -> None:
    """Compare the library's operator, with zero offsets and a mask of ones, with a plain convolution.

    Raises:
        Exception: whatever the library raises; RuntimeError when the values are wrong.
    """
    import torch

    torch.backends.cudnn.allow_tf32 = False  # the plain convolution is the reference
    x = torch.rand(1, 4, 8, 8, device=device)
    weight = torch.rand(4, 4, 3, 3, device=device)
    offset = torch.zeros(1, 18, 8, 8, device=device)
    mask = torch.ones(1, 9, 8, 8, device=device)
    if library == 'mmcv':
        from mmcv.ops import modulated_deform_conv2d

        result = modulated_deform_conv2d(x, offset, mask, weight, None, 1, 1)
    elif library == 'triton':
        from satvsr_plugin.ops.triton_deform_conv import triton_deform_conv2d

        result = triton_deform_conv2d(x, offset, mask, weight, weight.new_zeros(4), 1, 1)
    else:
        from torchvision.ops import deform_conv2d

        result = deform_conv2d(x, offset, weight, padding=1, mask=mask)
    if not torch.allclose(result, torch.nn.functional.conv2d(x, weight, padding=1), atol=1e-3):
        raise RuntimeError(f'the operator of {library} gives wrong values on {device}')


def probe_toolbox() -> None:
    """Import BasicSR's train and test runners with the plugin's work-rounds; print the fast paths of each device.

    Raises:
        Exception: whatever stopped the plugin from registering itself, or BasicSR's own import error.
    """
    import satvsr_plugin

    if satvsr_plugin.registration_error is not None:
        raise satvsr_plugin.registration_error
    import basicsr.test
    import basicsr.train  # noqa: F401
    import torch

    from satvsr_plugin.acceleration.paths import choose_fast_paths, fused_problem

    for device in ('cpu', 'cuda') if torch.cuda.is_available() else ('cpu',):
        print(f'fast paths, {device}: {choose_fast_paths("auto", torch.device(device))}')
    if fused_problem():
        print(f'fast paths, cpu, not fused: {fused_problem()}')


def probe_build(library: str) -> None:
    """Print how torch was built and how it works in parallel, or how mmcv's operators were compiled."""
    import torch

    if library == 'mmcv':
        from mmcv.ops import get_compiler_version, get_compiling_cuda_version

        print(f'compiled by {get_compiler_version()}, CUDA {get_compiling_cuda_version()}')
        return
    print(f'CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}')
    flags = 'Build settings'  # a line of thousands of characters
    print('\n'.join(line.strip() for line in torch.__config__.show().strip().splitlines() if flags not in line))
    print(torch.__config__.parallel_info().strip())


if __name__ == '__main__':
    # Run by its path, Python would find our modules (data, options, ...) before those of others.
    sys.path[0:1] = []
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    PROBES: dict[str, Any] = {'torch': probe_torch, 'dcn': probe_dcn, 'toolbox': probe_toolbox,
                              'build': probe_build}
    PROBES[sys.argv[1]](*sys.argv[2:])
