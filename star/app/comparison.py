"""Write input and result of a job side by side, as one video.

    python -m star.app.comparison SRC DST OUT

Two players would drift apart; one video cannot.
"""

import sys
from itertools import islice
from pathlib import Path

from star.apis.inference.preview import side_by_side
from star.app.pictures import MOST
from star.video.info import VideoInfo
from star.video.io import VideoReader, VideoWriter


def main(words: list[str]) -> None:
    """Read the paths and write the video; an error is one line."""
    src, dst, out = map(Path, words)
    try:
        compare(src, dst, out)
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def compare(src: Path, dst: Path, out: Path, most: int = MOST) -> int:
    """Write the first frames of input and result beside one another.

    Args:
        src: the input.
        dst: the result.
        out: the video, H.264 without sound.
        most: number of frames.

    Returns:
        The number of frames.

    Raises:
        VideoError: one of them cannot be read.
    """
    with VideoReader(src) as left, VideoReader(dst) as right:
        pairs = islice(zip(left.frames(), right.frames(), strict=False), most)
        first = next(pairs)
        image = side_by_side(first[0].image, first[1].image, 0.0)
        height, width = image.shape[:2]
        rate = float(1 / right.info.frame_duration)
        info = VideoInfo.of_clip(out.parent, width, height, rate)
        with VideoWriter(
            out, width, height, info, 'libx264', pix_fmt='yuv420p'
        ) as writer:
            start = first[1].time
            writer.write(image, first[1].time - start, first[1].duration)
            for lq, pred in pairs:
                second = float(pred.time - start)
                image = side_by_side(lq.image, pred.image, second)
                writer.write(image, pred.time - start, pred.duration)
            return writer.num_frames


if __name__ == '__main__':
    main(sys.argv[1:])
