"""What clips are like, in numbers: power spectrum, noise, drift, and how much results flicker."""

from satvsr_plugin.data.measures.clip import ClipJob, ClipMeasures, measure_clip
from satvsr_plugin.data.measures.collection import Measures, SetMeasures, measure_sets
from satvsr_plugin.data.measures.flicker import Flicker, flicker
from satvsr_plugin.data.measures.motion import find_drift, resample
from satvsr_plugin.data.measures.noise import temporal_noise
from satvsr_plugin.data.measures.spectrum import Spectrum, radial_power, share_of_energy

__all__ = ['ClipJob', 'ClipMeasures', 'Flicker', 'Measures', 'SetMeasures', 'Spectrum', 'find_drift', 'flicker',
           'measure_clip', 'measure_sets', 'radial_power', 'resample', 'share_of_energy', 'temporal_noise']
