"""Metrics, which turn clips into numbers."""

from star.evaluation.base import VideoMetric
from star.evaluation.metrics import DISTS, LPIPS, PSNR, SSIM, EWarp
from star.evaluation.no_reference import DOVER, ILNIQE, NIQE, FasterVQA
from star.evaluation.pyiqa_metrics import CLIPIQA, MUSIQ
from star.structures import Measurement

__all__ = [
    'CLIPIQA',
    'DISTS',
    'DOVER',
    'ILNIQE',
    'LPIPS',
    'MUSIQ',
    'NIQE',
    'PSNR',
    'SSIM',
    'EWarp',
    'FasterVQA',
    'Measurement',
    'VideoMetric',
]
