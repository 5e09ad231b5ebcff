"""Every part of the package keeps its contract, and a broken one is found."""

from collections.abc import Iterator
from functools import partial

import pytest
import torch
from mmengine.config import Config
from torch import Tensor, nn

from star.apis.inference.build import build_model, fill_random, load_config
from star.evaluation import PSNR, SSIM, VideoMetric
from star.models import (
    Bicubic,
    PatchDCT,
    autoencoders,
    backbones,
    controlnets,
)
from star.models.restoration.limits import Limits
from star.registry import MODELS
from star.testing import (
    check_autoencoder,
    check_backbone,
    check_metric,
    check_restorer,
)
from star.utils.paths import config_path

TINY = ('star_tiny', 'tiny_compact', 'tiny_cogvideox')
every_model = pytest.mark.parametrize('name', TINY)


def model_config(name: str) -> Config:
    return Config.fromfile(config_path(f'_base_/models/{name}.py')).model


def build(config: dict) -> nn.Module:
    """Build a part; random numbers hide less than zeros do."""
    torch.manual_seed(0)
    part = MODELS.build(config)
    fill_random(part)
    return part


@every_model
def test_backbones(name: str):
    config = model_config(name)
    backbone = build(config.backbone)
    channels = build(config.autoencoder).latent_channels
    check_backbone(backbone, build(config.controlnet), channels, 32)


@every_model
def test_autoencoders(name: str):
    check_autoencoder(build(model_config(name).autoencoder))


VAE = dict(type='TemporalVAE', block_out_channels=(32, 32), layers_per_block=1)


def test_temporal_vae():
    check_autoencoder(build(VAE))


SMALL_DECODER = dict(
    type='SmallDecoderVAE',
    autoencoder=VAE,
    decoder=dict(type='SmallDecoder', widths=(8,), blocks=(1,)),
)


def test_small_decoder():
    check_autoencoder(build(SMALL_DECODER))


# parts of another part or of a diffusion baseline, called as that needs it
OF_ONE_METHOD = {
    *('SmallDecoder', 'SpadeVideoUNet', 'StructureEncoder', 'UAVUNet'),
    *('UAVVAE', 'VideoCFWAutoencoder'),
}


def test_no_part_is_left_out():
    configs = [model_config(name) for name in TINY]
    kinds = {c.backbone.type for c in configs}
    assert kinds == {*backbones.__all__} - OF_ONE_METHOD
    assert {c.controlnet.type for c in configs} == {*controlnets.__all__}
    kinds = {c.autoencoder.type for c in configs}
    kinds |= {each['type'] for each in (VAE, SMALL_DECODER)}
    assert kinds == {*autoencoders.__all__} - OF_ONE_METHOD


@every_model
def test_restorers(name: str):
    check_restorer(build(model_config(name)), num_frames=3, size=(9, 11))


@pytest.mark.parametrize('metric', [PSNR(), PSNR(channel='y'), SSIM()])
def test_metrics(metric: VideoMetric):
    check_metric(metric)


@pytest.mark.parametrize('name', ['bicubic', 'lanczos'])
def test_methods_without_weights(name: str):
    check_restorer(build_model(load_config(name)))


class Denoiser(nn.Module):
    """Keeps the contract as it is; each test breaks one rule."""

    limits = Limits()
    size_multiple, size_remainder = (2, 2), (0, 0)

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(4, 4, 1)

    def project_text(self, text: Tensor) -> Tensor:
        return text

    def forward(
        self, z_t: Tensor, t: Tensor, text: Tensor, control: Tensor
    ) -> Tensor:
        if z_t.shape[-1] % 2:
            raise ValueError(f'width must be even, got {z_t.shape[-1]}')
        return (
            self.conv(z_t) + control + text.mean((1, 2)).view(-1, 1, 1, 1, 1)
        )


class Control(nn.Module):
    def project_text(self, text: Tensor) -> Tensor:
        return text

    def forward(
        self, z_t: Tensor, t: Tensor, text: Tensor, z_lq: Tensor
    ) -> Tensor:
        return z_lq


def accept_any_size(
    self: Denoiser, z_t: Tensor, t: Tensor, text: Tensor, control: Tensor
) -> Tensor:
    return self.conv(z_t) + control


def broken(base: type, name: str, value: object) -> nn.Module:
    return type('Broken', (base,), {name: value})()


def change_output(base: type, change: object) -> nn.Module:
    """Change what a part's `forward` returns."""

    def forward(self: nn.Module, *inputs: Tensor) -> Tensor:
        return change(base.forward(self, *inputs))

    return broken(base, 'forward', forward)


def test_a_good_backbone_passes():
    check_backbone(Denoiser(), Control())


@pytest.mark.parametrize(
    ('backbone', 'rule'),
    [
        (lambda: broken(Denoiser, 'limits', None), 'limits'),
        (lambda: broken(Denoiser, 'size_multiple', 2.0), 'size_multiple'),
        (lambda: broken(Denoiser, 'size_multiple', (4, 1, 1)), 'two whole'),
        (lambda: change_output(Denoiser, lambda v: v[:, :3]), 'shape'),
        (lambda: change_output(Denoiser, Tensor.double), 'dtype'),
        (lambda: change_output(Denoiser, lambda v: v / 0), 'finite'),
        (
            lambda: change_output(Denoiser, lambda v: v + torch.rand(())),
            'same inputs',
        ),
        (
            lambda: change_output(Denoiser, lambda v: v - v.mean()),
            'do not mix',
        ),
        (
            lambda: broken(Denoiser, 'project_text', lambda self, x: x + 1),
            'project_text',
        ),
        (
            lambda: change_output(Denoiser, lambda v: v.detach() + 0),
            'gradient',
        ),
        (lambda: broken(Denoiser, 'forward', accept_any_size), 'a size off'),
    ],
)
def test_a_broken_backbone_is_found(backbone, rule: str):
    with pytest.raises(AssertionError, match=rule):
        check_backbone(backbone(), Control())


class BrokenDCT(PatchDCT):
    """Loses the last frame of its pieces."""

    def decode_pieces(self, z: Tensor, tile: int = 0) -> Iterator[Tensor]:
        yield self.decode(z[:, :, :-1] if z.shape[2] > 1 else z * 2)


class NoisyDCT(PatchDCT):
    """Ignores the generator."""

    def encode(self, x: Tensor, generator=None, tile: int = 0) -> Tensor:
        z = super().encode(x, generator, tile)
        return z + torch.rand_like(z)


class DetachedDCT(PatchDCT):
    """Stops the gradient."""

    def decode(self, z: Tensor, tile: int = 0) -> Tensor:
        return super().decode(z.detach(), tile).requires_grad_()


@pytest.mark.parametrize(
    ('kind', 'rule'),
    [
        (BrokenDCT, 'pieces'),
        (NoisyDCT, 'generator'),
        (DetachedDCT, 'gradient'),
    ],
)
def test_a_broken_autoencoder_is_found(kind: type[PatchDCT], rule: str):
    with pytest.raises(AssertionError, match=rule):
        check_autoencoder(kind(patch_size=4))


def restorer_with(name: str, value: object) -> Bicubic:
    return type('Broken', (Bicubic,), {name: value})()


def wrong_size(self: Bicubic, frames: Tensor, size: tuple) -> Tensor:
    return Bicubic.enlarge(self, frames, (size[0], size[1] - 1))


def random_result(self: Bicubic, frames: Tensor, size: tuple) -> Tensor:
    shape = (len(frames), 3, *size)
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def overwrite(self: Bicubic, frames: Tensor, size: tuple) -> Tensor:
    frames.zero_()
    return Bicubic.enlarge(self, frames, size)


def round_off(self: Bicubic, frames: Tensor, size: tuple) -> Tensor:
    if frames.dtype == torch.uint16:
        frames = (frames.int() // 8192 * 8192).to(torch.uint16)
    return Bicubic.enlarge(self, frames, size)


def keep_quiet(self: Bicubic, frames, options=None, events=None):
    return Bicubic.restore_stream(self, frames, options)


def accept_all(self: Bicubic, lq: Tensor, options=None, events=None) -> Tensor:
    lq = lq.to(torch.uint8).reshape(-1, *lq.shape[-3:])
    return Bicubic.restore(self, lq, options, events)


@pytest.mark.parametrize(
    ('change', 'rule'),
    [
        (partial(restorer_with, 'enlarge', wrong_size), 'a result is'),
        (partial(restorer_with, 'enlarge', random_result), 'same result'),
        (
            partial(restorer_with, 'restore_stream', keep_quiet),
            'progress ends',
        ),
        (partial(restorer_with, 'restore', accept_all), 'clip of floats'),
        (partial(restorer_with, 'enlarge', round_off), '8 and 16 bits agree'),
        (
            partial(restorer_with, 'options_used', frozenset({'scal'})),
            'unknown names',
        ),
    ],
)
def test_a_broken_restorer_is_found(change, rule: str):
    with pytest.raises(AssertionError, match=rule):
        check_restorer(change())


class Backwards(PSNR):
    higher_is_better = False


class Random(PSNR):
    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        return torch.rand(len(pred))


@pytest.mark.parametrize(
    ('metric', 'rule'),
    [
        (Backwards(), 'higher_is_better'),
        (Random(), 'same score'),
    ],
)
def test_a_broken_metric_is_found(metric: VideoMetric, rule: str):
    with pytest.raises(AssertionError, match=rule):
        check_metric(metric)
