"""The networks; importing this package registers them in the toolbox's ``ARCH_REGISTRY``."""

from satvsr_plugin.archs.bicubic_arch import Bicubic
from satvsr_plugin.archs.linear_filter_arch import LinearFilter
from satvsr_plugin.archs.msdtgp_arch import MSDTGP
from satvsr_plugin.archs.rbpn_arch import RBPN
from satvsr_plugin.archs.sofvsr_arch import SOFVSR
from satvsr_plugin.archs.tdan_arch import TDAN

__all__ = ['MSDTGP', 'RBPN', 'SOFVSR', 'TDAN', 'Bicubic', 'LinearFilter']
