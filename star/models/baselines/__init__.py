"""Methods to compare with: they restore and are not trained here."""

from star.models.baselines.base import Baseline
from star.models.baselines.bicubic import Bicubic, Lanczos
from star.models.baselines.dbvsr import DBVSR
from star.models.baselines.network_baseline import NetworkBaseline
from star.models.baselines.realbasicvsr import RealBasicVSR
from star.models.baselines.realesrgan import RealESRGAN, RealESRGANCompact
from star.models.baselines.realviformer import RealViformer
from star.models.baselines.recipe import Recipe
from star.models.baselines.saved_results import SavedResults

__all__ = [
    'DBVSR',
    'Baseline',
    'Bicubic',
    'Lanczos',
    'NetworkBaseline',
    'RealBasicVSR',
    'RealESRGAN',
    'RealESRGANCompact',
    'RealViformer',
    'Recipe',
    'SavedResults',
]
