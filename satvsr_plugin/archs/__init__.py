"""The networks; importing this package registers them in the toolbox's ``ARCH_REGISTRY``."""

from satvsr_plugin.archs.bicubic_arch import Bicubic
from satvsr_plugin.archs.msdtgp_arch import MSDTGP

__all__ = ['Bicubic', 'MSDTGP']
