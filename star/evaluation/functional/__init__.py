"""One pure function a metric, of clips (T, C, H, W) uint8 RGB."""

from star.evaluation.functional.ewarp import ewarp
from star.evaluation.functional.lpips import load_lpips, lpips
from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim

__all__ = ['ewarp', 'load_lpips', 'lpips', 'psnr', 'ssim']
