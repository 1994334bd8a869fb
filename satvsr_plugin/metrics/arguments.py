"""What a metric is called with, as far as it matters to whoever compares its values."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from basicsr.utils.registry import METRIC_REGISTRY


def full_arguments(metric: Mapping[str, Any]) -> dict[str, Any]:
    """``type`` and arguments of a metric of an option file, with the defaults of those that it leaves out."""
    parameters = inspect.signature(METRIC_REGISTRY.get(metric['type'])).parameters.values()
    return {one.name: one.default for one in parameters if one.default is not one.empty} | dict(metric)
