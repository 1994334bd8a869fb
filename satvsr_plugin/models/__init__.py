"""The video model; importing this package registers it in the toolbox's ``MODEL_REGISTRY``."""

from satvsr_plugin.models.satvsr_model import SatVSRModel

__all__ = ['SatVSRModel']
