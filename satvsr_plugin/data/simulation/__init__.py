"""Paired clips in the layout of Jilin-189, simulated from stills or from scenes that are drawn procedurally."""

from __future__ import annotations

from satvsr_plugin.data.simulation.clip import simulate_clip
from satvsr_plugin.data.simulation.dataset import simulate_dataset
from satvsr_plugin.data.simulation.options import SimulationOptions

__all__ = ['SimulationOptions', 'simulate_clip', 'simulate_dataset']
