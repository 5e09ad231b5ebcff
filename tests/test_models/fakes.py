"""Parts of a STARModel with known results, and small models of them."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import nn

from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.editors.star.star_model import STARModel
from star.models.restoration.limits import Limits
from tests.test_models.networks import randomize

SMALL_SIZES = {
    'dim': 32,
    'dim_mult': (1,),
    'num_res_blocks': 1,
    'head_dim': 8,
    'num_heads': 2,
    'context_dim': 12,
    'norm_groups': 8,
}


class Listener:
    """Keeps the events of a restoration."""

    def __init__(self):
        self.told, self.notes = [], []

    def progress(self, stage, done, total):
        self.told.append((stage, done, total))

    def note(self, text):
        self.notes.append(text)


class FoldingAutoencoder(nn.Module):
    """Folds pixels into channels: no loss at all. Remembers what it decodes.

    Args:
        downsample: pixels of a latent's side.
        piece: frames per piece of `decode_pieces`.
    """

    temporal_downsample = 1

    def __init__(self, downsample=1, piece=3):
        super().__init__()
        self.downsample = downsample
        self.latent_channels = 3 * downsample**2
        self.piece = piece
        self.decoded = []
        self.unused = nn.Linear(1, 1)

    def encode(self, x, generator=None, tile=0):
        frames = rearrange(x, 'n c t h w -> (n t) c h w')
        z = F.pixel_unshuffle(frames, self.downsample)
        return rearrange(z, '(n t) c h w -> n c t h w', n=len(x))

    def decode(self, z, tile=0):
        return torch.cat(list(self.decode_pieces(z, tile)), dim=2)

    def decode_pieces(self, z, tile=0):
        self.decoded.append(z)
        for part in z.split(self.piece, dim=2):
            frames = rearrange(part, 'n c t h w -> (n t) c h w')
            x = F.pixel_shuffle(frames, self.downsample)
            yield rearrange(x, '(n t) c h w -> n c t h w', n=len(z))


class GroupingAutoencoder(FoldingAutoencoder):
    """Folds `temporal_downsample` frames into the channels of one latent.

    The first latent stands for one frame, repeated. Insists on clips whose
    latents are whole, as CogVideoX's does.
    """

    temporal_downsample = 4

    def __init__(self, downsample=1, piece=2):
        super().__init__(downsample, piece)
        self.latent_channels *= self.temporal_downsample
        self.encoded = []

    def encode(self, x, generator=None, tile=0):
        ratio = self.temporal_downsample
        assert x.shape[2] % ratio == 1, x.shape
        self.encoded.append(x)
        x = torch.cat([x[:, :, :1]] * (ratio - 1) + [x], dim=2)
        z = super().encode(x)
        return rearrange(z, 'n c (t r) h w -> n (r c) t h w', r=ratio)

    def decode_pieces(self, z, tile=0):
        self.decoded.append(z)
        ratio, first = self.temporal_downsample, True
        for part in z.split(self.piece, dim=2):
            frames = rearrange(part, 'n (r c) t h w -> (n t r) c h w', r=ratio)
            x = F.pixel_shuffle(frames, self.downsample)
            x = rearrange(x, '(n t) c h w -> n c t h w', n=len(z))
            yield x[:, :, ratio - 1 :] if first else x
            first = False


class CountingTextEncoder(nn.Module):
    """Gives every prompt other numbers; notes what it was asked."""

    def __init__(self, dim=12, limit=1000):
        super().__init__()
        self.dim = dim
        self.limit = limit
        self.asked = []
        self.unused = nn.Linear(1, 1)

    def forward(self, prompts):
        self.asked.append(list(prompts))
        rows = []
        for prompt in prompts:
            seed = sum(i * ord(c) for i, c in enumerate(prompt, 1))
            generator = torch.Generator().manual_seed(seed)
            rows.append(torch.randn(4, self.dim, generator=generator))
        return torch.stack(rows)

    def count_overflow(self, prompt):
        return max(0, len(prompt) - self.limit)


class PassingControlNet(nn.Module):
    """Hands the low-quality latents on as the control."""

    def project_text(self, text):
        return text

    def forward(self, z_t, t, text, z_lq):
        return z_lq


class OracleBackbone(nn.Module):
    """Gives the velocity for which x0 is the low-quality latent itself.

    Insists on a size of 4 k + 2 by 4 k, nearly as the real network does.
    """

    size_multiple, size_remainder = (4, 4), (2, 0)
    limits = Limits()

    def __init__(self):
        super().__init__()
        self.schedule = I2VGenSchedule()
        self.unused = nn.Linear(1, 1)
        self.lengths = []

    def project_text(self, text):
        return text

    def forward(self, z_t, t, text, control):
        assert z_t.shape[-2] % 4 == 2 and z_t.shape[-1] % 4 == 0
        self.lengths.append(z_t.shape[2])
        alpha, sigma = self.schedule.at(t[0].item())
        return (alpha * z_t - control) / sigma


class PixelBackbone(OracleBackbone):
    """Gives each value a velocity of its own: no neighbour matters."""

    def forward(self, z_t, t, text, control):
        super().forward(z_t, t, text, control)
        t = t.reshape(-1, 1, 1, 1, 1) / 1000
        return torch.tanh(2 * z_t - 3 * control) + t


def fake_model(
    backbone=OracleBackbone,
    downsample=1,
    autoencoder=FoldingAutoencoder,
    **options,
):
    """STARModel of fakes; restores at scale 1 without colour fix."""
    return STARModel(
        autoencoder={'type': autoencoder, 'downsample': downsample},
        text_encoder={'type': CountingTextEncoder},
        backbone={'type': backbone},
        controlnet={'type': PassingControlNet},
        schedule={'type': 'I2VGenSchedule'},
        restore_options={
            'scale': 1,
            'mode': 'normal',
            'steps': 2,
            'color_fix': 'none',
            'guidance_scale': 1,
            **options,
        },
    ).eval()


def small_model(random=True, training=None, **options):
    """STARModel with small real networks, on unfolded pixels.

    Args:
        random: random weights instead of the initial ones.
        training: arguments of STARModel such as `losses` and `frozen`.
        options: of restoration.
    """
    network = {'in_dim': 3, 'sizes': SMALL_SIZES, 'dropout': 0.0}
    model = STARModel(
        autoencoder={'type': FoldingAutoencoder},
        text_encoder={'type': CountingTextEncoder},
        backbone={'type': 'I2VGenUNet', 'out_dim': 3, **network},
        controlnet={'type': 'UNetControlNet', **network},
        schedule={'type': 'I2VGenSchedule'},
        restore_options={
            'prompt': 'a',
            'prompt_suffix': 'good',
            'negative_prompt': 'bad',
            'scale': 2,
            'mode': 'normal',
            'steps': 2,
            'color_fix': 'none',
            **options,
        },
        **(training or {}),
    )
    if random:
        for seed, part in enumerate((model.backbone, model.controlnet)):
            randomize(part, seed)
    return model.eval()


def random_clip(frames=5, height=6, width=7, seed=0):
    """Noise, (T, 3, h, w) uint8."""
    generator = torch.Generator().manual_seed(seed)
    shape = (frames, 3, height, width)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def restore(model, lq, **options):
    """Restore with other options than the model's own."""
    return model.restore(lq, replace(model.restore_options, **options))


def latent(model, lq, **options):
    """The restored latent, before decoding rounds it."""
    model.autoencoder.decoded.clear()
    restore(model, lq, **options)
    return torch.cat(model.autoencoder.decoded, dim=2)
