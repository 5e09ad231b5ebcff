import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from safetensors.torch import save_file

from star.apis.inference.build import load_config
from star.apis.train.latent_cache import (
    LatentEncoder,
    load_encoder,
    preprocessor_config,
)
from star.models.autoencoders.temporal_vae import TemporalVAE
from star.models.data_preprocessor import VideoDataPreprocessor
from star.structures import VideoSample
from tests.test_models.fakes import (
    CountingTextEncoder,
    FoldingAutoencoder,
    random_clip,
    small_model,
)


def make_item(number=0, seed=None, scale=2):
    gt = random_clip(3, 4 * scale, 6 * scale, seed=number)
    name = f'clip{number}'
    sample = VideoSample(gt=gt, prompt='a cat', name=name, seed=seed)
    lq = random_clip(3, 4, 6, seed=number + 100)
    return {'inputs': lq, 'data_samples': sample}


def folding_encoder(scale=2):
    return LatentEncoder(
        VideoDataPreprocessor(scale=scale),
        FoldingAutoencoder(),
        CountingTextEncoder(),
    )


def test_latents_of_both_clips():
    item = make_item()
    sample = folding_encoder().encode(item)
    z0 = item['data_samples'].gt.double() / 127.5 - 1
    torch.testing.assert_close(sample.z0.transpose(0, 1).double(), z0)
    lq = item['inputs'] / 127.5 - 1
    lq = F.interpolate(lq, scale_factor=2, mode='bicubic').clamp(-1, 1)
    torch.testing.assert_close(sample.z_lq.transpose(0, 1), lq)
    assert torch.equal(
        folding_encoder().encode_text('a cat'),
        CountingTextEncoder()(['a cat'])[0],
    )


LOSSES = {'frequency': {'type': 'DynamicFrequencyLoss'}}


@pytest.mark.parametrize('losses', [{}, LOSSES])
def test_training_sees_no_difference(losses):
    """The same losses from cached latents as from the clips themselves."""
    model = small_model()
    if losses:
        model.objective = objective(losses)
    model.data_preprocessor = VideoDataPreprocessor(scale=2)
    model.autoencoder.decode = lambda z: torch.cat(
        list(model.autoencoder.decode_pieces(z)), dim=2
    )
    encoder = LatentEncoder(
        model.data_preprocessor, model.autoencoder, model.text_encoder
    )
    items = [make_item(number, seed=number) for number in (3, 4)]
    batch = {key: [item[key] for item in items] for key in items[0]}
    inputs = model.data_preprocessor(batch, training=True)['inputs']
    expected = model.loss(inputs, batch['data_samples'])
    samples = [encoder.encode(item) for item in items]
    for sample in samples:
        sample.text = encoder.encode_text(sample.prompt)
        if not losses:
            sample.gt = None
    cached = {'inputs': [None, None], 'data_samples': samples}
    cached = model.data_preprocessor(cached, training=True)
    assert cached['inputs'] is None
    found = model.loss(**cached)
    assert found.keys() == expected.keys()
    assert found['loss_velocity'] > 0
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-6, atol=0)


def objective(losses):
    from star.models.editors.star.objective import build_objective

    return build_objective(losses, 1000)


class NoisyAutoencoder(FoldingAutoencoder):
    """Adds the generator's noise, as a sampled posterior does."""

    def encode(self, x, generator=None, tile=0):
        (own,) = generator  # one for each clip
        return x + torch.randn(x.shape, generator=own)


def test_posterior_by_the_seed_of_the_item():
    def encode(item):
        encoder = folding_encoder()
        encoder.autoencoder = NoisyAutoencoder()
        return encoder.encode(item)

    torch.manual_seed(0)
    first, again = (encode(make_item(seed=5)) for _ in range(2))
    assert torch.equal(first.z0, again.z0)
    assert torch.equal(first.z_lq, again.z_lq)
    clean = folding_encoder().encode(make_item())
    noise, noise_lq = first.z0 - clean.z0, first.z_lq - clean.z_lq
    assert noise.std() > 0.8
    assert (noise * noise_lq).mean().abs() < 0.2  # not the same noise
    assert not torch.equal(encode(make_item(seed=6)).z0, first.z0)


def test_what_cannot_be_encoded():
    item = make_item()
    item['data_samples'].gt = None
    with pytest.raises(ValueError, match=r"'clip0' has no ground truth"):
        folding_encoder().encode(item)
    text = r"'clip0' is \(3, 8, 12\), its enlarged input \(3, 4, 6\)"
    with pytest.raises(ValueError, match=text):
        folding_encoder(scale=1).encode(make_item())


VAE = {
    'type': 'TemporalVAE',
    'latent_channels': 2,
    'block_out_channels': (32,),
    'layers_per_block': 1,
    'norm_groups': 2,
}


def settings(**options):
    model = {
        'autoencoder': dict(VAE),
        'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 3},
    }
    return Config({'model': model, **options})


@pytest.fixture
def vae():
    torch.manual_seed(1)
    return TemporalVAE(**{k: v for k, v in VAE.items() if k != 'type'})


@pytest.fixture
def files(tmp_path, vae):
    """A file of the whole model, and one of the autoencoder alone."""
    whole = {f'autoencoder.{k}': v for k, v in vae.state_dict().items()}
    save_file({**whole, 'backbone.x': torch.ones(1)}, tmp_path / 'all.st')
    (tmp_path / 'all.st').rename(tmp_path / 'all.safetensors')
    zeros = {k: 0 * v for k, v in vae.vae.state_dict().items()}
    save_file(zeros, tmp_path / 'vae.safetensors')
    return tmp_path / 'all.safetensors', tmp_path / 'vae.safetensors'


def weight(encoder):
    return encoder.autoencoder.vae.encoder.conv_in.weight


def test_weights_of_the_whole_model(files, vae):
    whole, _ = files
    wanted = vae.vae.encoder.conv_in.weight
    assert torch.equal(weight(load_encoder(settings(), whole)), wanted)
    config = settings(load_from=str(whole))
    encoder = load_encoder(config, device='cpu')
    assert torch.equal(weight(encoder), wanted)
    assert not encoder.autoencoder.training
    assert encoder.encode_text('a').tolist() == [[0, 0, 0]]


def test_weights_of_the_part(files, vae):
    whole, alone = files
    config = settings()
    config.model.autoencoder.pretrained = str(alone)
    assert weight(load_encoder(config)).abs().max() == 0
    # what is asked for goes first
    wanted = vae.vae.encoder.conv_in.weight
    assert torch.equal(weight(load_encoder(config, whole)), wanted)
    config = settings(weights={'vae': {'file': 'vae.safetensors'}})
    assert weight(load_encoder(config, alone.parent)).abs().max() == 0


def test_random_weights_are_the_same_each_time():
    first, second = (load_encoder(settings(), 'random') for _ in range(2))
    assert torch.equal(weight(first), weight(second))
    assert weight(first).std() > 0


def test_missing_weights(files):
    with pytest.raises(ValueError, match=r'no weights for the autoencoder'):
        load_encoder(settings())
    config = settings()
    config.model.autoencoder.latent_channels = 3
    with pytest.raises(ValueError, match=r'does not fit TemporalVAE'):
        load_encoder(config, files[0])
    with pytest.raises(ValueError, match=r"'none.pt' does not exist"):
        load_encoder(settings(), 'none.pt')


def test_parts_without_weights():
    encoder = load_encoder(load_config('tiny'), device='cpu')
    sample = encoder.encode(make_item(scale=4))
    assert sample.z0.shape == sample.z_lq.shape == (48, 3, 4, 6)
    assert encoder.encode_text('a').shape == (1, 32)


def test_default_preprocessor():
    config = settings()
    assert preprocessor_config(config) == {'type': 'VideoDataPreprocessor'}
    config.model.data_preprocessor = {'type': 'VideoDataPreprocessor', 'x': 1}
    assert preprocessor_config(config)['x'] == 1
