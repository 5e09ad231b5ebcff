"""Preview, report and mark of `star restore`."""

import hashlib
import io
import json
import os
from pathlib import Path

import av
import pytest

from star.cli.main import make_parser
from tests.test_apis.clips import write_clip
from tests.test_cli.conftest import Star


class Keyboard(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ('stdin', 'words', 'goes'),
    [
        (Keyboard('y\n'), (), True),
        (Keyboard('\n'), (), False),
        (Keyboard(''), (), False),
        (io.StringIO('y\n'), (), False),
        (io.StringIO(''), ('--yes',), True),
    ],
)
def test_a_preview_comes_before_the_whole(
    tmp_path: Path,
    star: Star,
    monkeypatch: pytest.MonkeyPatch,
    stdin: io.StringIO,
    words: tuple[str, ...],
    goes: bool,
) -> None:
    src, dst = write_clip(tmp_path / 'in.mkv', 10), tmp_path / 'out.mp4'
    monkeypatch.setattr('sys.stdin', stdin)
    result = star(
        *('restore', src, dst, '--config', 'bicubic'),
        *('--preview', '2x0.1s', *words),
    )
    assert result.code == 0, result.err
    made = tmp_path / 'out.mp4.preview.mp4'
    assert f'{made}; the whole will take about 0:00:0' in result.err
    with av.open(made) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (256, 96)
        assert stream.frames == 2  # of about 14 a second
    assert dst.exists() == goes
    asked = 'go on? [y/N]' in result.err
    assert asked == stdin.isatty()
    assert ('--yes goes on' in result.err) == (not asked and not words)


def test_what_is_complete_has_no_preview(
    tmp_path: Path, star: Star, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'in').mkdir()
    (tmp_path / 'in' / 'a.mkv').write_text('no video')
    src = write_clip(tmp_path / 'in' / 'b.mkv', 10)
    out = tmp_path / 'out'
    words = ('--config', 'bicubic', '--json')
    assert star('restore', src, f'{out}/', *words).code == 0
    monkeypatch.setattr('sys.stdin', io.StringIO(''))
    more = ('--preview', '2x0.1s')
    result = star('restore', tmp_path / 'in', out, *words, *more)
    assert result.code == 1
    bad, done = json.loads(result.out)
    assert 'a.mkv' in bad['error']
    assert done == {
        'src': str(src),
        'dst': str(out / 'b.mkv'),
        'skipped': True,
    }
    assert not list(out.glob('*.preview.mp4'))


def test_the_record_and_its_page_lie_beside_the_result(
    tmp_path: Path, star: Star
) -> None:
    src = write_clip(tmp_path / os.fsdecode(b'in\xff.mkv'), 10)  # no UTF-8
    dst = tmp_path / 'out.mp4'
    words = ('restore', src, dst, '--config', 'bicubic', '--report')
    result = star(*words)
    assert result.code == 0, result.err
    record = json.loads((tmp_path / 'out.mp4.star.json').read_text())
    for side, path in (('input', src), ('output', dst)):
        data = path.read_bytes()
        assert record[side]['sha256'] == hashlib.sha256(data).hexdigest()
        assert record[side]['bytes'] == len(data)
        assert (record[side]['name'], record[side]['frames']) == (
            path.name,
            10,
        )
    assert (record['input']['size'], record['output']['size']) == (
        [32, 24],
        [128, 96],
    )
    assert record['method']['options']['scale'] == 4
    assert record['method']['versions']['star']
    assert len(record['frames']['psnr']) == 10
    assert record['summary']['psnr'] > 40
    page = (tmp_path / 'out.mp4.star.html').read_text()
    assert record['output']['sha256'] in page and page.count('<img') == 4


@pytest.mark.parametrize('words', [(), ('--no-mark',)])
def test_the_mark_can_be_left_out(
    tmp_path: Path, star: Star, words: tuple[str, ...]
) -> None:
    src, dst = write_clip(tmp_path / 'in.mkv', 2), tmp_path / 'out.mp4'
    result = star('restore', src, dst, '--config', 'bicubic', *words)
    assert result.code == 0, result.err
    with av.open(dst) as container:
        marked = 'Restored by star' in ' '.join(container.metadata.values())
    assert marked == (not words)


@pytest.mark.parametrize(
    ('text', 'value'),
    [('3x2s', (3, 2)), ('5x1', (5, 1)), ('2X1.5s', (2, 1.5))],
)
def test_places_are_read(text: str, value: tuple) -> None:
    args = make_parser('restore').parse(['a', 'b', '--preview', text])
    assert args.preview == value
    assert (args.yes, args.report, args.mark) == (False, False, True)


@pytest.mark.parametrize('text', ['3', 'x2s', '0x2s', '3x0s', '3x', '2x2x2'])
def test_wrong_places_are_refused(star: Star, text: str) -> None:
    result = star('restore', 'a', 'b', '--preview', text)
    assert f'as in 3x2s, got {text!r}' in result.error
