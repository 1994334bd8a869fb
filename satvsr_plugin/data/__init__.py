"""Clips, data sets, degradation and simulation.

The data sets are loaded when they are asked for: whoever only prepares files needs neither torch nor the toolbox,
which take seconds and half a gigabyte to load.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    'Jilin189Dataset': 'jilin189_dataset',
    'Jilin189RecurrentDataset': 'jilin189_dataset',
    'Jilin189TestDataset': 'jilin189_dataset',
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f'module {__name__} has no attribute {name}')
    return getattr(importlib.import_module(f'{__name__}.{_MODULES[name]}'), name)
