"""One pure function for each metric, on clips (T, C, H, W) uint8 RGB."""

from star.evaluation.functional.dover import dover
from star.evaluation.functional.ewarp import ewarp
from star.evaluation.functional.ilniqe import ilniqe
from star.evaluation.functional.lpips import lpips
from star.evaluation.functional.niqe import niqe
from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim

__all__ = ['dover', 'ewarp', 'ilniqe', 'lpips', 'niqe', 'psnr', 'ssim']
