"""Metrics, which turn clips into numbers."""

from star.evaluation.base import VideoMetric
from star.evaluation.metrics import LPIPS, PSNR, SSIM, EWarp
from star.evaluation.no_reference import DOVER, ILNIQE, NIQE
from star.structures import Measurement

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
