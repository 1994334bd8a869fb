"""What a result was computed on: processor or GPU, versions of packages."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path


def processor_name() -> str:
    """The processor's name, as well as the system tells it."""
    info = Path('/proc/cpuinfo')
    names = [line.partition(':')[2].strip() for line in info.read_text().splitlines() if line.startswith('model name')
             ] if info.exists() else []
    return names[0] if names else platform.processor() or platform.machine()


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Version of each package, ``missing`` where it is not installed."""
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = 'missing'
    return versions
