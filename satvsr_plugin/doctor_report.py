"""``basicsr doctor --report``: all that a bug report needs, as one block of Markdown to paste.

Like the doctor itself it needs the standard library only, so that it can speak where torch or mmcv are broken. It
leaves out the names of users and of the machine, and puts ``~`` for the home folder.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from satvsr_plugin.doctor import Probe, examine, lines_of, run_probe
from satvsr_plugin.git_state import git_state, plugin_state
from satvsr_plugin.machine import machine_facts, memory_bytes, memory_limit

SECONDS = 30
# Environment variables that change how things run or are built.
SHOWN = ('OMP_NUM_THREADS', 'MKL_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'KMP_AFFINITY', 'OMP_PROC_BIND',
         'CUDA_VISIBLE_DEVICES', 'CUDA_LAUNCH_BLOCKING', 'CUDA_HOME', 'CUDA_PATH', 'NVIDIA_TF32_OVERRIDE',
         'CUBLAS_WORKSPACE_CONFIG', 'PYTORCH_ALLOC_CONF', 'PYTORCH_CUDA_ALLOC_CONF', 'TORCH_CUDA_ARCH_LIST',
         'TORCHDYNAMO_DISABLE', 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'NCCL_DEBUG',
         'NCCL_P2P_DISABLE', 'NCCL_IB_DISABLE', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'SLURM_PROCID', 'SLURM_NTASKS',
         'CXX', 'CC', 'CPPFLAGS', 'MAX_JOBS', 'FORCE_CUDA', 'MMCV_WITH_OPS', 'LD_PRELOAD', 'LD_LIBRARY_PATH',
         'PYTHONPATH', 'PYTHONUTF8', 'LANG', 'LC_ALL', 'TMPDIR', 'SATVSR_REGISTER', 'SATVSR_SHARED')
# Addresses may hold passwords.
TOLD_ONLY = ('UV_FIND_LINKS', 'UV_INDEX_URL', 'UV_DEFAULT_INDEX', 'PIP_FIND_LINKS', 'PIP_INDEX_URL',
             'PIP_EXTRA_INDEX_URL', 'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy')


def run(probe: Probe = run_probe) -> int:
    """Print the report.

    Args:
        probe: called with a probe's name and arguments; replaced in tests.

    Returns:
        1 when training cannot work, else 0, as :func:`satvsr_plugin.doctor.run`.
    """
    findings = examine(probe)
    facts = machine_facts()
    with ThreadPoolExecutor(max_workers=2) as pool:  # each loads torch
        builds = dict(zip(('torch', 'mmcv'), pool.map(lambda library: probe('build', library), ('torch', 'mmcv')),
                          strict=True))
    sections = {
        'doctor': lines_of(findings),
        'machine': list(_machine_lines(facts)),
        'packages': [f'{name} {version}' for name, version in facts['versions'].items()],
        'programs': list(_program_lines()),
        'git': [f'plugin: {_git_line(plugin_state())}', f'current folder: {_git_line(git_state(Path.cwd()))}'],
        'environment': list(_environment_lines()),
        **{f'build of {library}': build.output.strip().splitlines() for library, build in builds.items()},
    }
    text = '\n\n'.join('\n'.join([f'[{title}]', *lines]) for title, lines in sections.items())
    print(f'```text\n{without_names(text).replace("```", "...")}\n```')
    return int(any(finding.level == 'error' for finding in findings))


def without_names(text: str) -> str:
    """Put ``~`` for the home folder, ``USER`` for the user's name in paths and ``HOST`` for the machine's."""
    for home in sorted({str(Path.home()), os.path.realpath(Path.home())}, key=len, reverse=True):
        if len(Path(home).parts) > 1:  # not "/", which some containers have for a home
            text = re.sub(rf'(?<![\w.~-]){re.escape(home)}(?![\w.-])', '~', text)
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a number without a name
        user = ''
    if user not in ('', 'root'):
        text = re.sub(rf'(?<=/){re.escape(user)}(?![\w.-])|(?<![\w.-]){re.escape(user)}(?=@)', 'USER', text)
    hosts = {platform.node(), platform.node().partition('.')[0]} - {'', 'localhost'}
    for host in sorted(hosts, key=len, reverse=True):  # the one with its domain first
        text = re.sub(rf'(?<![\w.-]){re.escape(host)}(?![\w-])', 'HOST', text)
    return text


def _machine_lines(facts: dict[str, Any]) -> Iterator[str]:
    yield f'{facts["python"]} on {facts["system"]}'
    yield f'{facts["processor"]}, {facts["cores"][0]} of {facts["cores"][1]} cores'
    available, limit = memory_bytes('MemAvailable'), memory_limit()
    yield (f'memory: {facts["memory_gib"]} GiB, {_gib(available)} available'
           f'{f", limited to {_gib(limit)} by the container" if limit else ""}')
    for name, folder in (('disk of the current folder', Path.cwd()), ('shared memory (/dev/shm)', Path('/dev/shm'))):
        try:
            usage = shutil.disk_usage(folder)
            yield f'{name}: {_gib(usage.total)}, {_gib(usage.free)} free'
        except OSError as error:
            yield f'{name}: {error.strerror}'


def _gib(size: int | None) -> str:
    return 'unknown' if size is None else f'{size / 2**30:.2f} GiB'


def _program_lines() -> Iterator[str]:
    """GPUs as their driver sees them, and compilers."""
    query = '--query-gpu=name,memory.total,memory.used,driver_version'
    yield from _printed('nvidia-smi', query, '--format=csv,noheader') or ['nvidia-smi: not found, or without GPUs']
    for program in ('c++', 'nvcc', 'ninja', 'git'):
        lines = _printed(program, '--version')
        shown = lines[-2:-1] if program == 'nvcc' else lines[:1]  # its release stands in the last line but one
        yield f'{program}: {shown[0] if shown else "not found"}'


def _printed(program: str, *arguments: str) -> list[str]:
    """The lines that a program prints; none where it is missing, fails or takes too long."""
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, errors='replace',
                              timeout=SECONDS, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.strip().splitlines() if done.returncode == 0 else []


def _git_line(state: dict[str, Any] | None) -> str:
    if state is None:
        return 'no repository'
    return f'{state["commit"]}, {({True: "changed", False: "unchanged", None: "changed or not"})[state["changed"]]}'


def _environment_lines() -> Iterator[str]:
    yield from (f'{name}={os.environ[name]}' for name in SHOWN if name in os.environ)
    yield from (f'{name} is set' for name in TOLD_ONLY if name in os.environ)
