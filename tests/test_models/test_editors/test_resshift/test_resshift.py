"""ResShift end to end: frames, tiles, noise, files, refusals."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from star.apis.inference.build import build_model, load_config, take_random
from star.models.autoencoders.ldm_names import rename_ldm
from star.models.editors import ResShift
from star.models.editors.diffusion_baseline import WindowJob
from star.models.editors.resshift.unet import ResShiftUNet
from star.models.editors.resshift.vq import find_nearest
from star.models.restoration.choose import choose_options
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from tests.test_models.fakes import random_clip as clip

UNET = {
    'image_size': 8,
    'model_channels': 32,
    'channel_mult': (1, 2),
    'num_res_blocks': (1, 1),
    'attention_resolutions': (8,),
    'swin': {'width': 32, 'heads': 2, 'window': 4},
    'lq_size': 8,
}


@pytest.fixture(scope='module')
def shared_model() -> ResShift:
    model = build_model(load_config('tiny_resshift')).eval()
    take_random(model)
    return model


@pytest.fixture
def model(shared_model: ResShift) -> ResShift:
    """The tiny model, whose attributes a test may set."""
    own = shared_model.__dict__.copy()
    yield shared_model
    shared_model.__dict__.clear()
    shared_model.__dict__.update(own)


def job(options: RestoreOptions, length: int = 1) -> WindowJob:
    noise = FrameNoise(options.seed)
    return WindowJob(options, noise, EventRelay(), 0, length)


@pytest.mark.parametrize(
    ('frames', 'height', 'width'),
    [(1, 7, 15), (5, 17, 8), (7, 1, 1), (23, 6, 5)],
)
def test_any_number_and_size(
    model: ResShift, frames: int, height: int, width: int
):
    out = model.restore(clip(frames, height, width))
    assert out.shape == (frames, 3, 4 * height, 4 * width)
    assert out.dtype == torch.uint8


def test_seeds_and_noise(model: ResShift):
    lq = clip(1, 8, 8).expand(3, -1, -1, -1)  # three equal frames
    out = model.restore(lq)
    together = replace(model.restore_options, window=2)
    assert torch.equal(model.restore(lq, together), out)
    other = replace(model.restore_options, seed=1)
    assert not torch.equal(model.restore(lq, other), out)
    assert not torch.equal(out[0], out[1])
    options = replace(model.restore_options, noise='shared')
    shared = model.restore(lq, options)
    assert torch.equal(shared[0], out[0])
    assert torch.equal(shared[0], shared[1])
    assert torch.equal(shared[0], shared[2])
    described = model.describe_options(options)
    assert (described['noise'], described['steps']) == ('shared', 2)


def nearest(lq: Tensor, _: object) -> Tensor:
    return F.interpolate(lq, scale_factor=4, mode='nearest')


@pytest.mark.parametrize('compat', ['none', 'official'])
@pytest.mark.parametrize(
    ('tile', 'overlap'), [(0, 128), (64, 16), ((96, 64), 0), (44, 12), (66, 9)]
)
def test_tiles_with_an_identity_return_their_input(
    model: ResShift, compat: str, tile: int, overlap: int
):
    model.sample = nearest
    options = replace(
        model.restore_options, tile=tile, tile_overlap=overlap, compat=compat
    )
    lq = torch.rand(2, 3, 37, 50) * 2 - 1
    out = model.restore_clip(lq, job(options, 2))
    torch.testing.assert_close(out, nearest(lq, None), atol=1e-6, rtol=0)


def draws_of(model: ResShift, options: RestoreOptions) -> list[Tensor]:
    """Record the noise of the tiles' second draw: at 0 and 12 of 28."""
    found = []

    def sample(lq: Tensor, draw) -> Tensor:
        found.append(draw(1))
        assert found[-1].shape == lq.shape
        return nearest(lq, None)

    model.sample = sample
    model.restore_clip(torch.zeros(1, 3, 16, 28), job(options))
    return found


def test_tiles_share_the_noise_of_the_frame(model: ResShift):
    options = replace(model.restore_options, tile=64, tile_overlap=16)
    left, right = draws_of(model, options)
    whole = FrameNoise(0).draw(1, 1, (3, 16, 28))
    assert torch.equal(torch.cat([left, right[..., 4:]], -1), whole)
    assert torch.equal(left[..., 12:], right[..., :4])


def test_tiles_have_noise_of_their_own_officially(model: ResShift):
    options = replace(
        model.restore_options, tile=64, tile_overlap=16, compat='official'
    )
    left, right = draws_of(model, options)
    assert torch.equal(left, FrameNoise(0).draw(1, 1, (3, 16, 16)))
    assert not torch.equal(left[..., 12:], right[..., :4])
    assert not torch.equal(left, right)


def test_overlaps_are_plain_means_officially(model: ResShift):
    values = iter([0.0, 1.0] * 2)
    model.sample = lambda lq, _: nearest(lq, _) * 0 + next(values)
    options = replace(model.restore_options, tile=64, tile_overlap=16)
    lq = torch.zeros(1, 3, 16, 28)
    faded = model.restore_clip(lq, job(options))[0, 0, 0]
    options = replace(options, compat='official')
    means = model.restore_clip(lq, job(options))[0, 0, 0]
    assert means.unique().tolist() == [0, 0.5, 1]
    assert (means == 0.5).sum() == 16
    assert (faded[48:64].diff() > 0).all()


def test_padding(model: ResShift):
    """Mirrored where that is possible; a short side repeats its last."""
    seen = []
    model.sample = lambda lq, _: seen.append(lq) or nearest(lq, _)
    for height, width in ((15, 9), (3, 16)):
        frame = torch.rand(1, 3, height, width)
        model.restore_clip(frame, job(model.restore_options))
        padding = (0, -width % 8, 0, -height % 8)
        mode = 'reflect' if height > 4 else 'replicate'
        assert torch.equal(seen.pop(), F.pad(frame, padding, mode))


def test_restores_a_picture_that_its_denoiser_knows(model: ResShift):
    """Scaling of the input, the steps, the picture at the UNet."""
    lq = torch.rand(1, 3, 8, 8) * 2 - 1
    seen = []

    class Toy(torch.nn.Linear):
        def forward(self, x: Tensor, low: Tensor, t: Tensor) -> Tensor:
            seen.append((x, low, t.tolist()))
            return torch.full_like(x, 0.25)

    class Coder(torch.nn.Module):
        def encode(self, x: Tensor) -> Tensor:
            return F.avg_pool2d(x, 4)

        def decode(self, z: Tensor) -> Tensor:
            return nearest(8 * z, None)

    model.__dict__['_modules'] = {'backbone': Toy(1, 1)}
    model.autoencoder = Coder()
    out = model.sample(lq, lambda number: torch.zeros(1, 3, 8, 8))
    assert (out == 1).all()  # clamped
    assert [t for _, _, t in seen] == [[1], [0]]
    assert all(torch.equal(low, lq) for _, low, _ in seen)
    wide = F.interpolate(lq, scale_factor=4, mode='bicubic')
    scaled = F.avg_pool2d(wide, 4) / (4 * 0.99**2 + 1) ** 0.5
    torch.testing.assert_close(seen[0][0], scaled)


def test_codebook_keeps_its_precision(model: ResShift):
    codebook = model.autoencoder.codebook.detach().clone()
    lq = clip(1, 8, 8)
    exact = model.restore(lq).float()
    states = {k: v.clone() for k, v in model.state_dict().items()}
    try:
        model.place(torch.device('cpu'), torch.bfloat16)
        assert torch.equal(model.autoencoder.codebook, codebook)
        assert model.backbone.out[2].weight.dtype == torch.bfloat16
        assert model.autoencoder.vq.quant_conv.weight.dtype == torch.bfloat16
        near = model.restore(lq).float()
    finally:
        model.place(torch.device('cpu'), torch.float32)
        model.load_state_dict(states)
    both = torch.stack([near.flatten(), exact.flatten()])
    assert both.corrcoef()[0, 1] > 0.5  # another vector here and there


def test_nearest_vector():
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, 3, 5, 7, generator=generator)
    codebook = torch.randn(50, 3, generator=generator)
    distances = (z.permute(0, 2, 3, 1)[..., None, :] - codebook).norm(dim=-1)
    for held in (1, 700, 1 << 20):
        assert torch.equal(
            find_nearest(z, codebook, held), distances.argmin(-1)
        )


def official_files(
    model: ResShift, folder: Path, wrap: str = '{}'
) -> list[Path]:
    """Write a model's weights as the authors do."""
    state = {
        wrap.format(k): v.clone()
        for k, v in model.backbone.state_dict().items()
    }
    block = wrap.format('input_blocks.1.1.blocks.1.')
    state[f'{block}attn.relative_position_index'] = torch.zeros(16, 16).long()
    state[f'{block}attn_mask'] = torch.zeros(4, 16, 16)
    ldm = {}
    for name, shape in ldm_names(model):
        own = model.autoencoder.vq.state_dict()[rename_ldm(name, 3)]
        ldm[name] = own.reshape(shape or own.shape).clone()
    unet, vq = folder / 'unet.pth', folder / 'vq.pth'
    torch.save(state, unet)
    torch.save({'state_dict': ldm}, vq)
    return [unet, vq]


def ldm_names(model: ResShift) -> list[tuple[str, tuple[int, ...]]]:
    """Write the names of the autoencoder's tensors the other way round."""
    back = [
        ('down_blocks.', 'down.'),
        ('resnets.', 'block.'),
        ('downsamplers.0', 'downsample'),
        ('upsamplers.0', 'upsample'),
        ('mid_block.attentions.0.group_norm', 'mid.attn_1.norm'),
        ('mid_block.attentions.0.to_out.0', 'mid.attn_1.proj_out'),
        ('mid_block.attentions.0.to_', 'mid.attn_1.'),
        ('mid_block.block.0', 'mid.block_1'),
        ('mid_block.block.1', 'mid.block_2'),
        ('conv_shortcut', 'nin_shortcut'),
        ('conv_norm_out', 'norm_out'),
    ]
    back += [(f'up_blocks.{i}.', f'up.{2 - i}.') for i in range(3)]
    found = []
    for name, tensor in model.autoencoder.vq.state_dict().items():
        matrix = 'attentions' in name and tensor.ndim == 2
        shape = (*tensor.shape, 1, 1) if matrix else ()
        for new, old in back:
            name = name.replace(new, old)
        found.append((name, shape))
    return found


def empty() -> ResShift:
    return build_model(load_config('tiny_resshift')).eval()


@pytest.mark.parametrize('wrap', ['{}', 'module.{}', 'module._orig_mod.{}'])
def test_official_files_load_key_for_key(
    shared_model: ResShift, tmp_path: Path, wrap: str
):
    other = empty()
    assert not other.loaded
    other.load_weights(*official_files(shared_model, tmp_path, wrap))
    assert other.loaded
    expected = shared_model.state_dict()
    assert other.state_dict().keys() == expected.keys()
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
    assert torch.equal(
        other.restore(clip(1, 8, 8)), shared_model.restore(clip(1, 8, 8))
    )


def test_wrong_files_are_refused_with_names(
    shared_model: ResShift, tmp_path: Path
):
    unet, vq = official_files(shared_model, tmp_path)
    other = empty()
    with pytest.raises(ValueError, match=r'out\.2\.bias') as error:
        state = torch.load(unet, weights_only=True)
        del state['out.2.bias']
        torch.save(state, tmp_path / 'short.pth')
        other.load_weights(tmp_path / 'short.pth', vq)
    assert 'short.pth does not fit ResShiftUNet: 1 missing' in str(error.value)
    with pytest.raises(ValueError, match=r'loss\.logvar'):
        ldm = torch.load(vq, weights_only=True)['state_dict']
        torch.save(ldm | {'loss.logvar': torch.zeros(1)}, tmp_path / 'more.pt')
        other.load_weights(unet, tmp_path / 'more.pt')
    with pytest.raises(ValueError, match=r'vq\.pth does not fit ResShiftUNet'):
        other.load_weights(vq, unet)
    with pytest.raises(ValueError, match='takes two files'):
        other.load_weights(unet)


def test_a_converted_file_holds_both(shared_model: ResShift, tmp_path: Path):
    path = tmp_path / 'all.safetensors'
    save_file(
        shared_model.state_dict(), path, metadata=shared_model.make_notes()
    )
    other = empty()
    assert other.files_beside(path) == ()
    other.load_weights(path)
    expected = shared_model.state_dict()
    for name, tensor in other.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


def test_published_settings():
    with torch.device('meta'):
        models = [
            build_model(load_config(f'resshift_{name}'))
            for name in ('v1', 'v2', 'v3')
        ]
    assert [len(model.etas) for model in models] == [15, 15, 4]
    first = [(4 * model.etas[0]) ** 0.5 for model in models]
    assert first == pytest.approx([0.04, 0.04, 0.2])
    for model in models:
        options = model.restore_options
        assert (options.tile, options.tile_overlap) == (2048, 256)
        assert model.recipe.size_multiple == 64
        assert model.weight_files[1] == 'autoencoder_vq_f4.pth'


def test_steps_belong_to_the_weights(model: ResShift):
    with pytest.raises(ValueError, match='`steps` means nothing to ResShift'):
        choose_options(model, {'steps': 10})


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'steps': 1}, '`steps` must be at least 2'),
        ({'min_noise': 0}, '`min_noise` must lie between'),
        ({'noise': 'none'}, "`noise` must be 'per_frame' or"),
        (
            {'restore_options': {'tile': 15, 'tile_overlap': 12}},
            '`tile` must be at least 16 output pixels',
        ),
        (
            {'autoencoder': {'block_out_channels': (32, 32)}},
            'must divide sides by 4, not 2',
        ),
        ({'backbone': {**UNET, 'lq_size': 16}}, 'must be its `image_size`'),
    ],
)
def test_refuses_settings(settings: dict, message: str):
    small = {
        'backbone': UNET,
        'autoencoder': {
            'block_out_channels': (32, 32, 32),
            'codebook_size': 8,
        },
    }
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        ResShift(**{**small, **settings})


def test_refuses_sizes_of_the_network():
    with torch.device('meta'):
        with pytest.raises(ValueError, match='`lq_size` must be'):
            ResShiftUNet(**{**UNET, 'lq_size': 32})
        with pytest.raises(ValueError, match='one number for each level'):
            ResShiftUNet(**{**UNET, 'num_res_blocks': (1,)})
