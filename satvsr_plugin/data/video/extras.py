"""Optional packages: loaded when a file needs them, with a clear message when they are absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from satvsr_plugin.errors import DataError

EXTRAS = {'av': 'video', 'rasterio': 'geo'}  # package -> the extra of setup.py that installs it


def load_extra(package: str, subject: str) -> ModuleType:
    """Import an optional package.

    Args:
        package: ``av`` or ``rasterio``.
        subject: what needs it, the start of the message: ``video.mp4: video files``.

    Raises:
        DataError: it is not installed, or cannot be loaded.
    """
    remedy = f'pip install "satvsr-plugin[{EXTRAS[package]}]" (or: pip install {package})'
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise DataError(f'{subject} need the package {package}, which is not installed: {remedy}') from error
    except ImportError as error:  # a shared library that is missing or too old
        raise DataError(f'{subject} need the package {package}, which cannot be loaded ({error}): {remedy}') from error
