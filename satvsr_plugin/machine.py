"""What a result was computed on: processor, memory, system, versions of packages. Needs the standard library only."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What results depend on; the rest of setup.py's list reads files or draws.
PACKAGES = ('satvsr-plugin', 'basicsr', 'torch', 'torchvision', 'mmcv', 'numpy', 'opencv-python', 'lmdb', 'pyyaml',
            'pydantic', 'safetensors', 'pillow', 'av', 'rasterio')


def machine_facts() -> dict[str, Any]:
    """Facts that a record of a run and a bug report both give, as JSON can hold them.

    Returns:
        ``python``, ``system``, ``processor``, ``cores`` (that this process may use, of all), ``memory_gib`` and
        ``versions`` of packages.
    """
    usable = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    memory = memory_bytes()
    return {
        'python': f'{platform.python_implementation()} {platform.python_version()}',
        'system': platform.platform(),
        'processor': processor_name(),
        'cores': [usable, os.cpu_count()],
        'memory_gib': memory and round(memory / 2**30, 1),
        'versions': package_versions(PACKAGES),
    }


def processor_name() -> str:
    """The processor's name, as well as the system tells it."""
    info = Path('/proc/cpuinfo')
    names = [line.partition(':')[2].strip() for line in info.read_text().splitlines() if line.startswith('model name')
             ] if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def memory_bytes(field: str = 'MemTotal') -> int | None:
    """A field of ``/proc/meminfo`` in bytes; None where the system does not tell."""
    try:
        found = re.search(rf'^{field}:\s*(\d+) kB', Path('/proc/meminfo').read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) * 1024 if found else None


def memory_limit() -> int | None:
    """Bytes that the container (cgroup) allows, which may be fewer than the machine has; None for no limit."""
    for name in ('memory.max', 'memory/memory.limit_in_bytes'):  # of cgroups version 2 and 1
        try:
            text = Path('/sys/fs/cgroup', name).read_text().strip()
        except OSError:
            continue
        limit = int(text) if text.isdecimal() else None
        return limit if limit and limit < (memory_bytes() or limit) else None
    return None


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each package, ``missing`` where it is not installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = 'missing'
    return versions
