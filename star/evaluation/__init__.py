"""Metrics: clips to numbers."""

from star.evaluation.base import Measurement, VideoMetric
from star.evaluation.metrics import LPIPS, PSNR, SSIM, EWarp
from star.evaluation.no_reference import DOVER, ILNIQE, NIQE

__all__ = [
    'DOVER',
    'ILNIQE',
    'LPIPS',
    'NIQE',
    'PSNR',
    'SSIM',
    'EWarp',
    'Measurement',
    'VideoMetric',
]
