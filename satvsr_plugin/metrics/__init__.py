"""PSNR and SSIM by the published protocol; importing this package registers them in the toolbox."""

from satvsr_plugin.metrics.psnr_ssim import satvsr_psnr, satvsr_ssim

__all__ = ['satvsr_psnr', 'satvsr_ssim']
