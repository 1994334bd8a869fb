"""Clips, data sets, degradation and simulation; importing this package registers the data sets in the toolbox."""

from satvsr_plugin.data.jilin189_dataset import Jilin189Dataset, Jilin189TestDataset

__all__ = ['Jilin189Dataset', 'Jilin189TestDataset']
