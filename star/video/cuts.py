"""Hard cuts of a clip: found while its frames are read, or listed in a file.

PySceneDetect proposes frames; a closer look at those few decides.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from os import PathLike

import cv2
import numpy as np
from scenedetect import AdaptiveDetector, FrameTimecode

from star.video.cut_files import load_cuts
from star.video.info import Frame

LOOK_BACK = 5  # frames before one that say whether it begins a scene
LOOK_AHEAD = 3  # frames after it; what returns within them was a flash

# pixels, of the frames that are compared; the small ones leave out noise and
# grain that hide a cut
_WIDTHS = 160, 12
_LEAST_SCORE = 2.0  # of PySceneDetect, [0, 255]
_LEAST_DIFFERENCE = 2.0  # mean of pixels, [0, 255]
_SPIKE = 1.4  # times the changes around a cut that the cut must be
_SAME_SCENE = 0.3  # correlation from which two frames show one scene
_AROUND = 2  # frames on either side that a change is compared with
_RATE = 25.0  # any: PySceneDetect counts frames here


def split_scenes(
    frames: Iterable[Frame],
    cuts: str | PathLike = 'auto',
    start: int = 0,
    note: Callable[[str], None] | None = None,
) -> Iterator[tuple[Frame, bool]]:
    """Pair frames with True where a scene begins; the first is True.

    A frame is yielded once `LOOK_AHEAD` more were read. To go on in the
    middle of a clip, begin `LOOK_BACK` frames earlier and drop those: the
    others get the values that they have in the whole clip.

    Args:
        frames: of one clip, in order.
        cuts: 'auto' finds hard cuts; 'none' makes one scene; any other is a
            file for `load_cuts`.
        start: number of the first frame within the clip.
        note: called with a sentence on cuts of a file that are not used.

    Raises:
        VideoError: the file of cuts cannot be read.
    """
    if cuts == 'auto':
        return _find(frames)
    if cuts == 'none':
        return ((frame, i == 0) for i, frame in enumerate(frames))
    return load_cuts(cuts).split(frames, start, note)


def _find(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    finder = CutFinder()
    waiting: deque[Frame] = deque()
    for frame in frames:
        waiting.append(frame)
        for is_cut in finder.add(frame.image):
            yield waiting.popleft(), is_cut
    for is_cut in finder.finish():
        yield waiting.popleft(), is_cut


class CutFinder:
    """Finds the frames of one clip that begin a scene.

    PySceneDetect's AdaptiveDetector, at two sizes, proposes frames that
    differ from the one before by more than the frames around them. One of
    them is a cut if this also holds for its pixels, as it does not in fades
    and dissolves, and if no frame shortly before shows what a frame shortly
    after shows: moved, brighter or darker, or after a flash.
    """

    def __init__(self) -> None:
        self._detectors = [
            AdaptiveDetector(
                adaptive_threshold=_SPIKE,
                min_scene_len=0,
                min_content_val=_LEAST_SCORE,
                window_width=_AROUND,
            )
            for _ in _WIDTHS
        ]
        self._views: dict[int, list[np.ndarray]] = {}  # of the last frames
        self._proposed: set[int] = set()
        self._read = self._decided = self._fed = 0

    def add(self, image: np.ndarray) -> list[bool]:
        """Take the next frame.

        Args:
            image: (H, W, 3) uint8 or uint16 RGB.

        Returns:
            Whether the next undecided frames begin a scene; one value for
            each call but the first `LOOK_AHEAD`.
        """
        large = cv2.cvtColor(_shrink(image, _WIDTHS[0]), cv2.COLOR_RGB2BGR)
        small = _shrink(large, _WIDTHS[1])
        self._views[self._read] = [large, small]
        # the ends are repeated, so that frames near them are proposed, too
        for _ in range(1 if self._read else 1 + _AROUND):
            self._feed(self._read)
        self._read += 1
        if self._read <= LOOK_AHEAD:
            return []
        return [self._decide()]

    def finish(self) -> list[bool]:
        """Return the values of the frames that are still undecided."""
        if not self._read:
            return []
        for _ in range(_AROUND):
            self._feed(self._read - 1)
        return [self._decide() for _ in range(self._decided, self._read)]

    def _feed(self, i: int) -> None:
        now = FrameTimecode(self._fed, _RATE)
        for detector, view in zip(
            self._detectors, self._views[i], strict=True
        ):
            found = detector.process_frame(now, view)
            self._proposed.update(t.frame_num - _AROUND for t in found)
        self._fed += 1

    def _decide(self) -> bool:
        i = self._decided
        is_cut = i == 0 or (i in self._proposed and self._confirm(i))
        self._decided += 1
        self._proposed.discard(i)
        self._views.pop(i - LOOK_BACK, None)
        return is_cut

    def _confirm(self, i: int) -> bool:
        """Look closer at a proposed frame."""
        if not any(self._is_spike(i, size) for size in range(len(_WIDTHS))):
            return False
        before = range(max(0, i - LOOK_AHEAD - 1), i)
        after = range(i, min(self._read, i + LOOK_AHEAD + 1))
        pairs = sorted(product(before, after), key=lambda p: p[1] - p[0])
        return all(
            match_scenes(self._views[a][0], self._views[b][0]) < _SAME_SCENE
            for a, b in pairs
        )

    def _is_spike(self, i: int, size: int) -> bool:
        """Compare a frame's change with those of the frames around it.

        With the second largest: one may be a flash or another cut, and on
        either side every other frame may be a repetition.
        """
        near = range(i - _AROUND, i + _AROUND + 1)
        around = self._changes([n for n in near if n != i], size)
        usual = sorted(around)[-2:][0] if around else 0.0
        least = max(_SPIKE * usual, _LEAST_DIFFERENCE)
        return self._changes([i], size)[0] > least

    def _changes(self, numbers: Iterable[int], size: int) -> list[float]:
        """List how much frames differ from the ones before, if there are."""
        views = self._views
        return [
            float(cv2.absdiff(views[i - 1][size], views[i][size]).mean())
            for i in numbers
            if i - 1 in views and i in views
        ]


def match_scenes(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate two frames after aligning them.

    Args:
        a: (h, w, 3) uint8, small.
        b: of the shape of `a`.

    Returns:
        About 1 for one scene, even if it moved or became brighter, and about
        0 for two. The lower of two correlations: of the frames as a whole,
        and of the structure that they show.
    """
    size = (128, 96)
    x, y = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (a, b))
    pairs = [(x, z) for z in (_align(y, x), y)]
    whole = max(_correlate(*pair) for pair in pairs)
    return min(whole, max(_correlate_locally(*pair) for pair in pairs))


def _align(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move the pixels of an image to where another has them."""
    gray, wanted = (
        cv2.cvtColor(x, cv2.COLOR_BGR2GRAY) for x in (image, target)
    )
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    # it depends on the number of threads
    flow.setUseSpatialPropagation(False)
    start = np.zeros((*gray.shape, 2), np.float32)
    motion = flow.calc(wanted, gray, start)
    rows, columns = np.mgrid[: gray.shape[0], : gray.shape[1]]
    return cv2.remap(
        image,
        (columns + motion[..., 0]).astype(np.float32),
        (rows + motion[..., 1]).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _correlate(a: np.ndarray, b: np.ndarray) -> float:
    """Correlate all pixels of two images."""
    x, y = (z - z.mean((0, 1)) for z in (a.astype(float), b.astype(float)))
    power = ((x * x).sum() + 1) * ((y * y).sum() + 1)
    return float((x * y).sum() / np.sqrt(power))


def _correlate_locally(a: np.ndarray, b: np.ndarray) -> float:
    """Average local correlations, weighted with the structure there is."""
    x, y = a.astype(np.float32), b.astype(np.float32)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x = np.maximum(_blur(x * x) - mean_x**2, 0).sum(-1)
    var_y = np.maximum(_blur(y * y) - mean_y**2, 0).sum(-1)
    covariance = (_blur(x * y) - mean_x * mean_y).sum(-1)
    local = covariance / np.sqrt((var_x + 1) * (var_y + 1))
    weight = np.minimum(np.sqrt(var_x * var_y), 100) + 1e-3
    return float((local * weight).sum() / weight.sum())


def _blur(x: np.ndarray) -> np.ndarray:
    return cv2.blur(x, (15, 15))


def _shrink(image: np.ndarray, width: int) -> np.ndarray:
    """Return a frame of at most some width, (h, w, 3) uint8."""
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    if width < image.shape[1]:
        image = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_AREA
        )
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    return image
