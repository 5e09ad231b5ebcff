"""Tests of reading and writing together."""

import resource

from star.video import io
from tests.test_video.clips import ramp, write_clip


def test_the_names_of_the_contract():
    for name in ('VideoError', 'VideoInfo', 'VideoReader', 'VideoWriter'):
        assert name in io.__all__ and hasattr(io, name)
    assert issubclass(io.VideoError, ValueError)


def test_memory_does_not_grow_with_the_video(tmp_path):
    image = ramp(1)[0].repeat(8, 0).repeat(8, 1)  # 0.6 MB a frame
    path = write_clip(tmp_path / 'a.mp4', [image] * 180)

    def rewrite(num_frames, name):
        with io.VideoReader(path, num_frames) as reader:
            info = reader.info
            with io.VideoWriter(
                tmp_path / name, info.width, info.height, info
            ) as writer:
                for frame in reader:
                    writer.write(frame.image, frame.time, frame.duration)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before, after = rewrite(60, 'b.mp4'), rewrite(180, 'c.mp4')
    assert after - before < 50  # MiB; the frames themselves take 68
