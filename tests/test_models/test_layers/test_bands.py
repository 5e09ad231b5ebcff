import pytest
import torch
from torch import nn

from star.models.layers.areas import Area, Surroundings, cut_strips, whole
from star.models.layers.bands import (
    BandLayer,
    BandStage,
    BandStream,
    ClipStrip,
    reach_of,
    rows_of_band,
)
from star.models.layers.same_conv import same_conv
from star.utils.scratch import ScratchFile

SIZE = (13, 17)


def mix(before, x, after):
    return before + 2 * x + 3 * after


def make_stages(counts=(2, 1, 3), dim=4):
    """Make a row whose numbers are small integers, exact in any order."""
    torch.manual_seed(5)
    stages = []
    for index, count in enumerate(counts):
        layers = []
        for _ in range(count):
            conv = nn.Conv2d(dim, dim, 3, padding=1)
            nn.init.zeros_(conv.weight)
            where = torch.randint(0, conv.weight.numel(), (9,))
            conv.weight.data.view(-1)[where] = 1.0
            conv.bias.data = torch.randint(0, 2, (dim,)).float()
            layers.append(BandLayer(conv, nn.ReLU()))
        last = index == len(counts) - 1
        stages.append(BandStage(layers, None if last else mix))
    return stages


def run_whole(stages, clip):
    """Run layer by layer on whole frames, (T, C, H, W)."""
    for stage in stages:
        for layer in stage.layers:
            clip = layer(clip)
        if stage.mix:
            before = torch.cat([clip[:1], clip[:-1]])
            after = torch.cat([clip[1:], clip[-1:]])
            clip = mix(before, clip, after)
    return clip


def run_cut(stages, clip, wanted, columns, band, chunk, first=0, file=None):
    """Run by bands; columns that are not computed stay NaN."""
    out = torch.full_like(clip, float('nan'))
    asked = []

    def source(frame, area):
        asked.append((frame, area.rows.start))
        return area.cut(clip[frame, None])

    def sink(frame, area, x):
        area.cut(out[frame, None]).copy_(x)

    strip = ClipStrip(SIZE, columns, first, band)
    stream = BandStream(stages, source, sink, strip, wanted, file)
    done = []
    reach, _ = reach_of(stages)
    last = min(len(clip), wanted.stop + reach)
    for stop in range(first + chunk, last + chunk, chunk):
        stop = min(stop, last)
        done += stream.advance(stop, ended=stop == len(clip))
        if file is not None:
            stream.rest()
    assert done == list(wanted)
    assert len(asked) == len(set(asked)), 'a row was asked for twice'
    return out


@torch.no_grad()
@pytest.mark.parametrize('band', [1, 2, 5, 13, 40])
@pytest.mark.parametrize('chunk', [1, 2, 7])
def test_equals_whole_frames(band, chunk):
    stages = make_stages()
    clip = torch.randint(0, 3, (7, 4, *SIZE)).float()
    cut = run_cut(stages, clip, range(7), range(17), band, chunk)
    torch.testing.assert_close(cut, run_whole(stages, clip), atol=0, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('chunk', [1, 3])
def test_frames_that_wait_in_a_file(chunk, dtype):
    """Strips share the file, and none is held by memory between chunks."""
    stages = make_stages()
    for stage in stages:
        for layer in stage.layers:
            layer.conv.to(dtype)
    clip = torch.randint(0, 3, (7, 4, *SIZE)).to(dtype)
    file = ScratchFile()
    strips = [range(6), range(6, 17)]
    parts = [
        run_cut(stages, clip, range(7), strip, 5, chunk, file=file)
        for strip in strips
    ]
    for strip, part in zip(strips, parts, strict=True):
        memory = run_cut(stages, clip, range(7), strip, 5, chunk)
        where = slice(strip.start, strip.stop)
        assert torch.equal(part[..., where], memory[..., where])
    column = 2 * SIZE[0] * 4 * dtype.itemsize  # of two frames, at each mix
    assert file.reserve(0) == column * (10 + 9 + 17 + 17)


@torch.no_grad()
@pytest.mark.parametrize('columns', [range(4), range(5, 9), range(11, 17)])
@pytest.mark.parametrize('wanted', [range(2), range(3, 5), range(6, 9)])
def test_a_part_equals_the_same_part_of_the_whole(columns, wanted):
    stages = make_stages()
    clip = torch.randint(0, 3, (9, 4, *SIZE)).float()
    first = max(0, wanted.start - 2)
    cut = run_cut(stages, clip, wanted, columns, 4, 2, first)
    part = (
        slice(wanted.start, wanted.stop),
        slice(None),
        slice(None),
        slice(columns.start, columns.stop),
    )
    assert torch.equal(cut[part], run_whole(stages, clip)[part])


def test_reach():
    assert reach_of(make_stages((2, 1, 3))) == (2, 6)


@torch.no_grad()
def test_one_frame_of_one_pixel():
    stages = make_stages((1, 2))
    clip = torch.ones(1, 4, 1, 1)
    out = torch.zeros_like(clip)
    strip = ClipStrip((1, 1), range(1), 0, 4)
    stream = BandStream(
        stages,
        lambda frame, area: clip,
        lambda frame, area, x: out.copy_(x),
        strip,
        range(1),
    )
    assert list(stream.advance(1, ended=True)) == [0]
    assert torch.equal(out, run_whole(stages, clip))


def test_bands_fit_the_cache_and_fill_a_gpu():
    cpu, gpu = torch.device('cpu'), torch.device('cuda')
    assert rows_of_band(640, cpu) == 32
    assert rows_of_band(640, cpu, frames=60) == 8
    assert rows_of_band(7680, cpu) == 4
    assert rows_of_band(640, gpu) > 1000


@torch.no_grad()
@pytest.mark.parametrize('mode', ['zeros', 'replicate'])
@pytest.mark.parametrize('top', [0, 1, 2, 6, 11])
def test_surroundings_give_what_the_whole_frame_gives(mode, top):
    torch.manual_seed(0)
    convs = [
        nn.Conv2d(3, 3, 3, padding=1, padding_mode=mode) for _ in range(2)
    ]
    x = torch.randn(1, 3, *SIZE)
    frame = x
    for conv in convs:
        frame = whole(SIZE).convolve(conv, frame)
    torch.testing.assert_close(frame, convs[1](convs[0](x)))
    area = Area(range(top, min(13, top + 3)), range(1, 15))
    place = Surroundings(area, SIZE, 2)
    part = place.wide.cut(x)
    lost = place.lose(place.lose(part))
    for conv in convs:
        part = place.convolve(conv, part)
    torch.testing.assert_close(place.crop(part), area.cut(frame))
    assert torch.equal(place.crop(lost), area.cut(x))


def test_strips():
    assert cut_strips(10) == [range(10)]
    strips = cut_strips(10, 4)
    assert [len(strip) for strip in strips] == [3, 4, 3]
    assert [n for strip in strips for n in strip] == list(range(10))


@torch.inference_mode()
def test_a_pixel_is_the_same_in_small_and_large_areas():
    torch.manual_seed(0)
    weight = torch.randn(64, 64, 3, 3).to(memory_format=torch.channels_last)
    x = torch.randn(1, 64, 40, 90).to(memory_format=torch.channels_last)
    large = same_conv(x, weight, None)
    for rows, columns in ((3, 5), (4, 60), (12, 30)):
        small = same_conv(x[..., 2 : 2 + rows, 7 : 7 + columns], weight, None)
        assert torch.equal(small, large[..., 2:rows, 7 : 5 + columns]), (
            rows,
            columns,
        )
