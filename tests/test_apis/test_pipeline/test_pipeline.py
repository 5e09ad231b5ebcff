"""The pipeline of diffusers against the model and `star restore`."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from star.apis import STARVideoPipeline, init_model
from star.cli.main import main
from star.video.io import VideoReader
from tests.test_apis.clips import write_clip
from tests.test_apis.test_pipeline.models import draw_clip


def seed(number):
    return torch.Generator().manual_seed(number)


@pytest.fixture(scope='module')
def compact():
    """A pipeline of the model that ships with the package."""
    model = init_model(device='cpu', dtype='float32')  # as folders load
    pipe = STARVideoPipeline.from_model(model)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope='module')
def expected(compact):
    return compact.model.restore(draw_clip())


def test_same_pixels_as_the_model(family):
    model = init_model(family.config, family.files, 'cpu')
    options = replace(
        model.restore_options, prompt='a <|endoftext|> dog', seed=3, steps=1
    )
    expected = model.restore(draw_clip(), options)
    assert expected.float().std() > 20
    pipe = STARVideoPipeline.from_pretrained(family.folder)
    arguments = dict(
        video=draw_clip(),
        prompt='a <|endoftext|> dog',
        generator=seed(3),
        num_inference_steps=1,
        output_type='uint8',
    )
    assert pipe(**arguments).frames[0].equal(expected)
    pipe.enable_model_cpu_offload(device='cpu')
    found = []
    arguments['callback_on_step_end'] = lambda *seen: found.append(seen)
    assert pipe(**arguments).frames[0].equal(expected)
    assert [step for _, step, _, _ in found] == list(range(len(found)))
    assert found[0][0] is pipe and found[0][3]['latents'].ndim == 5
    assert found[0][2] == model.schedule.list_timesteps('normal', 1, 1)[0]


def test_heeds_prompt_and_generator(cogvideox):
    pipe = STARVideoPipeline.from_pretrained(cogvideox.folder)
    found = [
        pipe(
            draw_clip(),
            prompt=prompt,
            generator=seed(number),
            num_inference_steps=1,
            output_type='uint8',
        ).frames
        for prompt, number in (('a dog', 0), ('a dog', 1), ('grass', 1))
    ]
    assert not found[0].equal(found[1]) and not found[1].equal(found[2])


@pytest.mark.slow
def test_weights_of_star_restore(family):
    """The folder alone is enough, for the command as well."""
    given = init_model(None, family.folder, 'cpu')
    model = init_model(family.config, family.files, 'cpu')
    options = replace(model.restore_options, prompt='a dog', steps=1)
    assert given.restore_options == model.restore_options
    ours, theirs = (m.restore(draw_clip(), options) for m in (given, model))
    assert ours.equal(theirs)


def test_saves_what_it_loads(compact, expected, tmp_path):
    compact.save_pretrained(tmp_path / 'a')
    again = STARVideoPipeline.from_pretrained(tmp_path / 'a')
    assert again(draw_clip(), output_type='uint8').frames[0].equal(expected)
    files = {p.suffix for p in (tmp_path / 'a').rglob('*') if p.is_file()}
    assert files == {'.json', '.safetensors'}
    with pytest.raises(ValueError, match='no pickles'):
        compact.save_pretrained(tmp_path / 'b', safe_serialization=False)


def test_same_frames_as_the_command(compact, tmp_path):
    source, target = write_clip(tmp_path / 'a.mkv'), tmp_path / 'b.mkv'
    words = ['restore', source, target, '--codec', 'ffv1', '--pix-fmt', 'bgr0']
    words += ['--device', 'cpu', '--dtype', 'float32']
    assert main([*map(str, words)]) == 0
    with VideoReader(target) as reader:
        frames = np.stack([frame.image for frame in reader])
    assert len(frames) == 5 and frames.std() > 20
    assert (np.stack(compact(source).frames[0]) == frames).all()


def test_takes_the_clips_that_users_have(compact, expected):
    clip = draw_clip()
    array = clip.permute(0, 2, 3, 1).numpy()
    images = [Image.fromarray(frame) for frame in array]
    forms = [
        [images],
        array[None],
        array / 255,
        list(array),
        clip[None],
        clip.float() / 255,
    ]
    for form in forms:
        got = compact(form, output_type='uint8').frames
        assert got.shape == (1, *expected.shape) and got[0].equal(expected)


def test_gives_what_users_expect(compact, expected):
    clip = draw_clip()
    (images,) = compact(clip).frames
    pixels = expected.permute(0, 2, 3, 1).numpy()
    assert (np.stack(images) == pixels).all()
    array = compact(clip, output_type='np').frames
    assert array.shape == (1, *pixels.shape) and array.dtype == np.float32
    assert (array[0] == pixels / np.float32(255)).all()
    (tensor,) = compact(clip, output_type='pt', return_dict=False)
    assert (tensor[0] * 255).round().equal(expected.float())


def test_keeps_16_bits(compact):
    clip = draw_clip().to(torch.int32) * 257
    got = compact(clip.to(torch.uint16), output_type='uint8').frames
    assert got.dtype == torch.uint16
    with pytest.raises(ValueError, match="'pil' needs a clip of 8 bits"):
        compact(clip.to(torch.uint16))


def test_moves_components_by_hooks(compact, expected):
    compact.enable_model_cpu_offload(device='cpu')
    assert hasattr(compact.unet, '_hf_hook')
    assert compact.model.backbone.computes_on == torch.device('cpu', 0)
    for _ in range(2):  # the hooks are renewed after each call
        got = compact(draw_clip(), output_type='uint8').frames[0]
        assert got.equal(expected) and len(compact._all_hooks) == 1
    compact.remove_all_hooks()
    assert not hasattr(compact.unet, '_hf_hook')
    assert compact.model.backbone.computes_on is None
    with pytest.raises(ValueError, match='enable_model_cpu_offload'):
        compact.enable_sequential_cpu_offload()


def test_dtype_is_that_of_the_networks(cogvideox):
    pipe = STARVideoPipeline.from_pretrained(cogvideox.folder, 'bfloat16')
    assert pipe.transformer.dtype == pipe.vae.dtype == torch.bfloat16
    assert pipe.text_encoder.dtype == torch.bfloat16  # as the config says
    pipe.to(torch.float32)
    assert pipe.transformer.dtype == pipe.vae.dtype == torch.float32
    assert pipe.text_encoder.dtype == torch.bfloat16
    with pytest.raises(ValueError, match=r'`dtype` must be one of .*int8'):
        STARVideoPipeline.from_pretrained(cogvideox.folder, torch.int8)


def test_tells_other_latents_apart(cogvideox):
    pipe = STARVideoPipeline.from_pretrained(cogvideox.folder)

    def change(pipe, step, timestep, found):
        return {'latents': found['latents'] + 1}

    with pytest.raises(ValueError, match='looked at, not changed'):
        pipe(draw_clip(), callback_on_step_end=change)


@pytest.mark.parametrize(
    ('arguments', 'reason'),
    [
        ({'video': 'absent.mp4'}, 'absent.mp4'),
        ({'video': __file__}, 'test_pipeline.py'),
        ({'video': 5}, '`video` must be a path, .* got int'),
        ({'video': []}, '`video` has no frames'),
        ({'video': ['a.png']}, 'got a str'),
        ({'video': draw_clip().expand(2, -1, -1, -1, -1)}, 'batch of 2'),
        ({'video': draw_clip().movedim(1, -1)}, 'channels second'),
        ({'video': draw_clip().float()}, r'must be in \[0, 1\]'),
        ({'video': draw_clip().long()}, 'got torch.int64'),
        ({'video': np.zeros((2, 8, 8))}, 'got an array'),
        ({'video': [Image.new('RGBA', (8, 8))]}, 'opaque'),
        ({'video': [np.zeros((8, 8, 3)), np.zeros((8, 4, 3))]}, 'one size'),
        ({'output_type': 'latent'}, '`output_type` must be one of'),
        ({'num_inference_steps': 0}, '`steps` must be >= 1'),
        ({'options': {'other': 1}}, '`other` means nothing'),
        ({'generator': [seed(0), seed(1)]}, '`generator` must be'),
    ],
)
def test_refuses_in_one_line(compact, arguments, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        compact(**{'video': draw_clip(), **arguments})
    assert '\n' not in str(caught.value)


def test_a_baseline_is_no_pipeline():
    with pytest.raises(ValueError, match='Bicubic has no autoencoder'):
        STARVideoPipeline.from_model(init_model('bicubic'))
