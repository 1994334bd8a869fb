"""``basicsr doctor``: is everything here that training needs, and if not, which command mends it?

Imports nothing but the standard library, and tries the rest in processes of their own (``doctor_probes.py``), so it
can speak where torch, torchvision, mmcv or BasicSR are missing or broken.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
PROBES = Path(__file__).with_name('doctor_probes.py')
PROBE_SECONDS = 300
WEIGHTS = Path(__file__).parent / 'weights' / 'shipped' / 'MSDTGP_small_x4.safetensors'

# The set that is tested, as scripts/setup_env.sh installs it; None: any version within setup.py's bounds.
TESTED: dict[str, str | None] = {
    'torch': '2.13.0', 'torchvision': '0.28.0', 'basicsr': '1.4.2', 'mmcv': '2.2.0', 'numpy': None,
    'opencv-python': None, 'lmdb': None, 'pyyaml': None, 'pydantic': None, 'matplotlib': None, 'pillow': None,
    'safetensors': None, 'satvsr-plugin': None,
}

# Packages that only some files need: what for, and the extra of setup.py that brings them.
OPTIONAL = {'av': ('video files', 'video'), 'rasterio': ('GeoTIFF', 'geo')}


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        topic: what was looked at.
        text: what was found.
        level: 'ok', 'warning' (works, but not as well as it could) or 'error' (training cannot work).
        mend: the command that mends it, or what to do where no command does.
    """

    topic: str
    text: str
    level: str = 'ok'
    mend: str | None = None


@dataclass(frozen=True)
class ProbeResult:
    """What a probe printed when it worked, or the last line of its error."""

    works: bool
    output: str


Probe = Callable[..., ProbeResult]


def run_probe(*arguments: str) -> ProbeResult:
    """Run one of ``doctor_probes.py`` in a process of its own."""
    try:
        result = subprocess.run([sys.executable, str(PROBES), *arguments], capture_output=True, text=True,
                                errors='replace', timeout=PROBE_SECONDS)
    except subprocess.TimeoutExpired:
        return ProbeResult(False, f'no answer in {PROBE_SECONDS} seconds')
    if result.returncode == 0:
        return ProbeResult(True, result.stdout)
    silent = f'its process ended with code {result.returncode}'
    return ProbeResult(False, (result.stderr.strip().splitlines() or [silent])[-1])


def run(probe: Probe = run_probe) -> int:
    """Print the report.

    Args:
        probe: called with a probe's name and arguments; replaced in tests.

    Returns:
        1 when training cannot work, else 0.
    """
    findings = examine(probe)
    print('\n'.join(lines_of(findings)))
    print()
    if any(finding.level == 'error' for finding in findings):
        print('Training cannot work here. Mend what is listed above from the top down, and run this again.')
        return 1
    print('Training works here.')
    return 0


def lines_of(findings: list[Finding]) -> list[str]:
    """The findings as lines to print, each problem with its mend in a line of its own."""
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f'{finding.level:8} {finding.topic:{width}}  {finding.text}')
        if finding.mend:
            lines.append(f'{"":8} {"":{width}}  to mend it: {finding.mend}')
    return lines


def examine(probe: Probe = run_probe) -> list[Finding]:
    """Look at everything, in the order in which things have to be mended."""
    findings = [_examine_python(), *_examine_versions(), *_examine_optional(), _examine_weights()]
    torch = probe('torch')
    if not torch.works:
        return [*findings, Finding('torch works', torch.output, 'error', mend_of('torch'))]
    facts = json.loads(torch.output)
    findings += _examine_devices(facts)
    devices = ['cpu', 'cuda'] if facts['gpus'] else ['cpu']
    pairs = [(library, device) for library in ('mmcv', 'torchvision') for device in devices]
    if facts['gpus'] and importlib.util.find_spec('triton'):
        pairs.append(('triton', 'cuda'))
    with ThreadPoolExecutor(max_workers=2) as pool:  # each loads torch: more at a time would only fill memory
        toolbox = pool.submit(probe, 'toolbox')
        dcn = dict(zip(pairs, pool.map(lambda pair: probe('dcn', *pair), pairs), strict=True))
    findings += [_examine_operator(*pair, result, facts) for pair, result in dcn.items()]
    if ('triton', 'cuda') not in dcn:
        lacks = 'triton is not installed' if facts['gpus'] else 'it needs a CUDA GPU'
        findings.append(Finding('triton DCN', f'not for this machine: {lacks}; only dcn: triton asks for it'))
    findings.append(_choose_operator(devices[-1], dcn))
    return [*findings, *_examine_toolbox(toolbox.result())]


def mend_of(package: str) -> str:
    """The command that installs the package as it is tested, or everything that is missing."""
    if Path(sys.prefix) == PROJECT / '.venv' and (PROJECT / 'scripts' / 'setup_env.sh').exists():
        return f'bash {shlex.quote(str(PROJECT / "scripts" / "setup_env.sh"))} --force'
    python = shlex.quote(sys.executable)
    if package == 'torch':
        return (f'{python} -m pip install --force-reinstall torch=={TESTED["torch"]} '
                f'torchvision=={TESTED["torchvision"]}')
    if package == 'basicsr':
        return (f'{python} -m pip install --force-reinstall --no-deps --no-build-isolation '
                f'basicsr=={TESTED["basicsr"]}')
    if package == 'mmcv':
        installer = PROJECT / 'scripts' / 'install_mmcv.py'
        return f'{python} {shlex.quote(str(installer)) if installer.exists() else "scripts/install_mmcv.py"}'
    folder = shlex.quote(str(PROJECT)) if (PROJECT / 'setup.py').exists() else '.'
    return f'{python} -m pip install --no-build-isolation -e {folder}'


def _examine_python() -> Finding:
    version = platform.python_version()
    if (3, 10) <= sys.version_info < (3, 13):
        return Finding('python', f'{version} ({sys.executable})')
    return Finding('python', f'{version}: BasicSR 1.4.2 and mmcv 2.2.0 install on 3.10, 3.11 and 3.12 only', 'error',
                   'PYTHON=/path/to/python3.12 bash scripts/setup_env.sh, after removing .venv')


def _examine_versions() -> list[Finding]:
    """The installed packages. One that is missing is an error only if what needs it fails when it is tried."""
    findings = []
    for name, tested in TESTED.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(name, 'not installed', 'warning', mend_of(name)))
            continue
        other = tested is not None and version.split('+')[0] != tested
        findings.append(Finding(name, f'{version} (tested with {tested})' if other else version))
    return findings


def _examine_optional() -> list[Finding]:
    """Packages that are missed only when a file of their kind is read."""
    findings = []
    for name, (files, extra) in OPTIONAL.items():
        try:
            findings.append(Finding(name, f'{importlib.metadata.version(name)}, reads {files}'))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(name, f'not installed; only needed to read {files}', 'ok',
                                    f'pip install "satvsr-plugin[{extra}]"'))
    return findings


def _examine_weights() -> Finding:
    """The weights that come along, for ``basicsr infer`` without --weights; reads only the header of the file."""
    mend = (f'git -C {shlex.quote(str(PROJECT))} checkout -- {shlex.quote(str(WEIGHTS))}'
            if (PROJECT / '.git').exists() else
            f'{shlex.quote(sys.executable)} -m pip install --force-reinstall --no-deps satvsr-plugin')
    try:
        size = WEIGHTS.stat().st_size
        with WEIGHTS.open('rb') as file:
            length = int.from_bytes(file.read(8), 'little')
            header = json.loads(file.read(min(length, size)))
        network = json.loads(header['__metadata__']['network'])
        what = f'{network["type"]} x{network["scale"]}'
        end = max(tensor['data_offsets'][1] for name, tensor in header.items() if name != '__metadata__')
    except FileNotFoundError:
        return Finding('weights', f'{WEIGHTS.name} is missing; "basicsr infer" needs --weights', 'warning', mend)
    except (OSError, ValueError, KeyError, TypeError):
        return Finding('weights', f'{WEIGHTS.name} is damaged', 'warning', mend)
    if size != 8 + length + end:
        return Finding('weights', f'{WEIGHTS.name} is damaged: it has {size:,} bytes', 'warning', mend)
    return Finding('weights', f'{WEIGHTS.name} ({size / 1e6:.1f} MB, {what})')


def _examine_devices(facts: dict[str, Any]) -> list[Finding]:
    """GPUs, and the number types that automatic mixed precision can use."""
    findings = [Finding(f'GPU {index}', f'{gpu["name"]}, {gpu["memory_gib"]} GiB, compute capability '
                                        f'{gpu["capability"]}') for index, gpu in enumerate(facts['gpus'])]
    if not facts['gpus'] and shutil.which('nvidia-smi'):
        mend = ('install or update the NVIDIA driver until nvidia-smi lists the GPU' if facts['cuda']
                else mend_of('torch'))
        findings.append(Finding('GPU', f'torch cannot use the GPU: {facts["cuda_error"]}', 'warning', mend))
    elif not facts['gpus']:
        findings.append(Finding('GPU', 'none; networks run on the CPU'))
    return findings + [Finding(f'amp, {device}', ' and '.join(types) if types else 'none: use amp: none')
                       for device, types in facts['amp'].items()]


def _examine_operator(library: str, device: str, result: ProbeResult, facts: dict[str, Any]) -> Finding:
    """Whether the library's modulated deformable convolution is compiled for the device, and right."""
    topic = f'{library} DCN, {device}'
    if library == 'triton':
        if result.works:
            return Finding(topic, 'compiles, gives right values; used where an option file says dcn: triton')
        return Finding(topic, f'does not work: {result.output}', 'warning',
                       'install a C compiler and the header files of Python, or leave dcn: auto as it is')
    if result.works:
        return Finding(topic, 'compiled, gives right values')
    mend = mend_of('mmcv') if library == 'mmcv' else mend_of('torch')
    if library == 'mmcv' and device == 'cuda':
        mend = f'install the CUDA {facts["cuda"]} toolkit if "nvcc --version" does not show it, then: {mend}'
    return Finding(topic, f'does not work: {result.output}', 'warning', mend)


def _choose_operator(device: str, dcn: dict[tuple[str, str], ProbeResult]) -> Finding:
    """What a network with ``dcn: auto`` will use on this machine."""
    if dcn['mmcv', device].works:
        return Finding('DCN in use', f'mmcv on {device}')
    if dcn['torchvision', device].works:
        return Finding('DCN in use', f'torchvision on {device}, since mmcv does not work there', 'warning')
    return Finding('DCN in use', f'none on {device}', 'error', mend_of('torch'))


def _examine_toolbox(result: ProbeResult) -> list[Finding]:
    """Whether BasicSR works, and if so which fast paths networks take in inference by themselves."""
    if result.works:
        paths = [line.partition(': ')[::2] for line in result.output.splitlines() if line.startswith('fast paths, ')]
        return [Finding('BasicSR', 'imports; networks, data sets, metrics and model are registered'),
                *(Finding(topic, found) for topic, found in paths)]
    missing = result.output.startswith('ModuleNotFoundError')  # of BasicSR, of a package it needs, of one we need
    return [Finding('BasicSR', f'does not import: {result.output}', 'error',
                    mend_of('satvsr-plugin' if missing else 'basicsr'))]
