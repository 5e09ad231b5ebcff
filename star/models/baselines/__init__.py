"""Methods to compare with: they restore and are not trained here."""

from star.models.baselines.base import Baseline
from star.models.baselines.bicubic import Bicubic
from star.models.baselines.realesrgan import RealESRGANCompact
from star.models.baselines.saved_results import SavedResults

__all__ = ['Baseline', 'Bicubic', 'RealESRGANCompact', 'SavedResults']
