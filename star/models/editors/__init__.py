"""Methods that restore: one folder each."""

from star.models.editors.base import Baseline
from star.models.editors.dbvsr.dbvsr import DBVSR
from star.models.editors.dove.dove import DOVE
from star.models.editors.interpolation.interpolation import Bicubic, Lanczos
from star.models.editors.mgld_vsr.mgld_vsr import MGLDVSR
from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.real_basicvsr.real_basicvsr import RealBasicVSR
from star.models.editors.real_esrgan.real_esrgan import (
    RealESRGAN,
    RealESRGANCompact,
)
from star.models.editors.real_viformer.real_viformer import RealViformer
from star.models.editors.recipe import Recipe
from star.models.editors.resshift.resshift import ResShift
from star.models.editors.saved_results.saved_results import SavedResults
from star.models.editors.seedvr2.seedvr2 import SeedVR2
from star.models.editors.stablesr.stablesr import StableSR
from star.models.editors.star.decoder_distillation import DecoderDistillation
from star.models.editors.star.star_model import STARModel
from star.models.editors.star_onestep.distillation import Distillation
from star.models.editors.swiftvr.swiftvr import SwiftVR
from star.models.editors.upscale_a_video.upscale_a_video import UpscaleAVideo

__all__ = [
    'DBVSR',
    'DOVE',
    'MGLDVSR',
    'Baseline',
    'Bicubic',
    'DecoderDistillation',
    'Distillation',
    'Lanczos',
    'NetworkBaseline',
    'RealBasicVSR',
    'RealESRGAN',
    'RealESRGANCompact',
    'RealViformer',
    'Recipe',
    'ResShift',
    'STARModel',
    'SavedResults',
    'SeedVR2',
    'StableSR',
    'SwiftVR',
    'UpscaleAVideo',
]
