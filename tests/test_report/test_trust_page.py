"""The page of trust: warnings first, and the frames that it speaks of."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from star.apis.inference.trust_facts import (
    TrustFacts,
    describe_clip,
    summarise,
)
from star.report import trust_page as page
from star.report.trust_page import read_frame, write_trust_page
from star.video.io import VideoReader
from tests.test_apis.clips import write_clip
from tests.test_apis.test_inference.test_trust_facts import row
from tests.test_report.test_page import Reader

NASTY = '<b>&"x'


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('clips')
    src = write_clip(folder / 'in.mkv', 8, (32, 24))
    return src, write_clip(folder / 'out.mkv', 8, (64, 48))


def make_record(clips: tuple[Path, Path], **changes: Any) -> dict[str, Any]:
    src, dst = clips
    rows = [row(i) for i in range(8)]
    rows[5]['psnr'] = 25.0
    with VideoReader(src) as reader:
        for each, frame in zip(rows, reader, strict=True):
            each['time'] = float(frame.time)
    facts = TrustFacts(
        describe_clip(src, 8, (32, 24), NASTY),
        describe_clip(dst, 8, (64, 48)),
        {'method': 'Enlarger', 'options': {'scale': 2, 'seed': 7}},
        notes=[NASTY],
    )
    return {**summarise(rows, replace(facts, **changes))}


def read(path: Path) -> tuple[str, Reader]:
    text, reader = path.read_text('utf-8'), Reader()
    reader.feed(text)
    assert reader.open == []
    return text, reader


def pictures(reader: Reader) -> list[Image.Image]:
    urls = [attrs['src'] or '' for tag, attrs in reader.found if tag == 'img']
    return [
        Image.open(io.BytesIO(base64.b64decode(url.partition(',')[2])))
        for url in urls
    ]


def test_the_page_shows_warnings_facts_and_the_worst_frames(
    tmp_path: Path, clips: tuple[Path, Path]
) -> None:
    record = make_record(clips)
    path = tmp_path / 'out.mkv.star.html'
    write_trust_page(path, record, *clips)
    text, reader = read(path)
    assert NASTY not in text and '&lt;b&gt;&amp;' in text
    assert text.index('differs strongly') < text.index('<table')
    for side in ('input', 'output'):
        assert record[side]['sha256'] in text
    assert 'options: seed' in text and '>7<' in text
    assert 'Frame 5, 25.0 dB, at 0.40 s' in text
    assert text.count('<svg viewBox="0 0 360 170"') == 3
    before, after = pictures(reader)[:2]
    assert before.size == after.size == (64, 48)
    with VideoReader(clips[1]) as frames:
        expected = list(frames)[5].image
    np.testing.assert_allclose(np.asarray(after), expected, atol=6)
    np.testing.assert_allclose(np.asarray(before)[30:], 100, atol=6)


def test_without_warnings_or_files(
    tmp_path: Path, clips: tuple[Path, Path]
) -> None:
    record = make_record(clips) | {'warnings': []}
    path = tmp_path / 'page.html'
    write_trust_page(path, record, tmp_path / 'gone.mkv', clips[1])
    text, reader = read(path)
    assert 'Nothing in this restoration calls for a warning' in text
    assert 'cannot be read any more' in text and pictures(reader) == []


def test_the_worst_seams_are_shown(
    tmp_path: Path, clips: tuple[Path, Path]
) -> None:
    seams = {
        'time': {'score': 2.5, 'frame': 3},
        'space': {'score': 1.5, 'axis': 'row', 'position': 24, 'frame': 2},
    }
    record = make_record(clips) | {'seams': seams}
    write_trust_page(tmp_path / 'page.html', record, *clips)
    text, reader = read(tmp_path / 'page.html')
    assert 'Between frames 2 and 3, score 2.50' in text
    assert 'At row 24 of frame 2, score 1.50' in text
    before, after, change, part = pictures(reader)[-4:]
    np.testing.assert_allclose(np.asarray(before)[30:], 40, atol=6)
    np.testing.assert_allclose(np.asarray(after)[30:], 60, atol=6)
    np.testing.assert_allclose(np.asarray(change)[30:], 8 * 20, atol=8)
    assert part.size == (192, 192)


@pytest.mark.parametrize('far', [0, 300])
def test_a_frame_is_read_by_its_index_or_time(
    clips: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, far: int
) -> None:
    monkeypatch.setattr(page, '_FAR', far)
    with VideoReader(clips[0]) as reader:
        frames = list(reader)
    for i in (0, 3, 7):
        image = read_frame(clips[0], i, float(frames[i].time))
        np.testing.assert_array_equal(np.asarray(image), frames[i].image)
    assert read_frame(clips[0], 8, 99.0) is None
    assert read_frame(clips[0].parent / 'none', 0, None) is None


def test_curves_of_long_films_keep_their_extremes(
    tmp_path: Path, clips: tuple[Path, Path]
) -> None:
    record = make_record(clips)
    record['frames'] = {name: [40.0] * 5000 for name in record['frames']}
    record['frames']['psnr'][3333] = 7.0
    record['summary'] = {**record['summary'], 'worst_frames': []}
    write_trust_page(tmp_path / 'page.html', record, *clips)
    text, _ = read(tmp_path / 'page.html')
    lines = re.findall(r'<polyline class="l0" points="([^"]*)"/>', text)
    assert len(lines[0].split()) == -(-5000 // 9)
    assert 'result 7.00 to 40.00' in text
