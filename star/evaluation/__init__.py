"""Metrics: clips to numbers."""

from star.evaluation.metrics import LPIPS, PSNR, SSIM, EWarp, VideoMetric

__all__ = ['LPIPS', 'PSNR', 'SSIM', 'EWarp', 'VideoMetric']
