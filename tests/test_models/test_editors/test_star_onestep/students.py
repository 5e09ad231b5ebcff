"""Students, teachers and items of a distillation, with known results."""

import torch

from star.models.editors.star_onestep.teacher import teach
from star.models.restoration.options import build_options
from star.structures import VideoSample
from tests.test_models.fakes import Listener, random_clip

STUDENT = {
    'mode': 'normal',
    'sampler': 'ddim',
    'steps': 1,
    'guidance_scale': 1,
    'scale': 1,
    'color_fix': 'none',
}
TEACHER = {**STUDENT, 'steps': 4}
LATENT = {'type': 'Distillation', 'latent': {'type': 'LatentLoss'}}


def make_sample(model, number=0, points=2, **options):
    """An item as a cache gives it: 3 frames of 6 x 8, a teacher's path."""
    gt, lq = (random_clip(3, 6, 8, seed=10 * number + i) for i in (0, 1))
    z0, z_lq = (encode(model, clip) for clip in (gt, lq))
    seed = 1000 + number
    wanted = build_options({**TEACHER, **options, 'seed': seed})
    path = teach(model.parts, wanted, z_lq, points, Listener())
    path.no_text = model.text_encoder([''])[0]
    return VideoSample(
        gt=gt,
        name=f'clip{number}',
        seed=number,
        z0=z0,
        z_lq=z_lq,
        text=model.text_encoder(['a cat'])[0],
        teacher=path,
    )


def encode(model, clip):
    x = clip.float() / 127.5 - 1
    return model.autoencoder.encode(x.transpose(0, 1)[None])[0]


def student_options(**changes):
    return build_options({**STUDENT, **changes})


def compute(model, samples):
    """Compute the losses of a batch, without a gradient."""
    with torch.no_grad():
        return model.loss(None, samples)
