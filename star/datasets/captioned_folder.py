"""Training clips in a folder, with a caption beside each."""

from pathlib import Path

from torch.utils.data import Dataset

from star.datasets.indexed_video import (
    IndexedVideo,
    clip_indices,
    frames_covered,
)
from star.datasets.pairing import (
    check_frames,
    check_paired,
    list_clips,
    name_some,
    read_caption,
)
from star.datasets.sampling import RandomItems
from star.datasets.transforms import compose
from star.registry import DATASETS
from star.utils.checks import check_share
from star.video.info import VideoInfo


@DATASETS.register_module()
class CaptionedFolder(Dataset):
    """Reads random clips of videos that have a caption in a text file.

    `gt/` holds videos or folders of frames, `text/` a file NAME.txt for each
    of them, and `lq/`, which may be missing, their low-quality counterparts;
    they are paired by name. All files are opened once, at construction.
    `RandomItems` chooses the video and the clip of an item.

    Args:
        data_root: folder that holds `gt/` and `text/`.
        num_frames: frames of one item.
        pipeline: transforms applied to `dict(gt, lq, prompt, name, dataset,
            fps, rng)`, clips (T, H, W, C) uint8, `lq` only if the folder
            exists; otherwise the pipeline needs a degradation.
        interval: step from one frame of an item to the next.
        scale: factor between `gt` and `lq`; 1 if `lq` is enlarged already.
        drop_caption: probability of an empty prompt.
        seed: of the items.

    Raises:
        ValueError: an argument is out of range, a folder is missing or
            empty, videos are not paired, a video cannot be opened or is too
            short, or an `lq` does not fit its `gt`.
    """

    metainfo = None

    def __init__(
        self,
        data_root: str,
        num_frames: int,
        pipeline: list[dict],
        interval: int = 1,
        scale: int = 4,
        drop_caption: float = 0.0,
        seed: int = 0,
    ) -> None:
        check_share('drop_caption', drop_caption)
        self.num_frames, self.interval = num_frames, interval
        self.scale, self.drop_caption = scale, drop_caption
        self.root = Path(data_root)
        self.gt, self.lq, self.captions = read_folders(self.root)
        self.names = list(self.gt)
        self._check_lengths()
        self.pipeline = compose(pipeline)
        self.items = RandomItems(len(self.names), seed)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> dict:
        rng = self.items.rng(number)
        name = self.names[self.items.clip(number)]
        position, drops = rng.random(), rng.random() < self.drop_caption
        video = IndexedVideo(self.gt[name])
        indices = clip_indices(
            video.num_frames, self.num_frames, self.interval, position
        )
        fps = video.info.fps
        results = {
            'gt': video.read(indices),
            'prompt': '' if drops else self.captions[name],
            'name': f'{name}@{indices[0]}',
            'dataset': self.root.name,
            'fps': None if fps is None else float(fps) / self.interval,
            'rng': rng,
        }
        if self.lq:
            results['lq'] = IndexedVideo(self.lq[name]).read(indices)
        return self.pipeline(results)

    def _check_lengths(self) -> None:
        needed = frames_covered(self.num_frames, self.interval)
        short = set()
        for name in self.names:
            video = IndexedVideo(self.gt[name])
            if video.num_frames < needed:
                short.add(f'{name} ({video.num_frames})')
            if self.lq:
                self._check_lq(name, video)
        if short:
            raise ValueError(
                f'{self.root}: `num_frames` {self.num_frames} at `interval` '
                f'{self.interval} need {needed} frames, but too short are '
                f'{name_some(short)}; remove them or lower `num_frames`'
            )

    def _check_lq(self, name: str, video: IndexedVideo) -> None:
        lq = IndexedVideo(self.lq[name])
        if lq.num_frames != video.num_frames:
            raise ValueError(
                f'{self.root}: {name} has {video.num_frames} frames in gt/ '
                f'but {lq.num_frames} in lq/'
            )
        width, height = lq.info.width, lq.info.height
        wanted = video.info.width, video.info.height
        if (width * self.scale, height * self.scale) != wanted:
            raise ValueError(
                f'{self.root}: {name} is {_size(video.info)} in gt/ and '
                f'{_size(lq.info)} in lq/; `scale` must be the factor between '
                f'them, 1 where lq/ is enlarged already, got {self.scale}'
            )


def read_folders(
    root: Path,
) -> tuple[dict[str, Path], dict[str, Path], dict[str, str]]:
    """List the videos of a captioned folder and read the captions.

    Returns:
        Ground truth, low quality (empty without `lq/`) and captions, by name.

    Raises:
        ValueError: a folder is missing or empty, videos or their frames are
            not paired, or a frame is missing.
    """
    gt, text = list_clips(root / 'gt'), list_clips(root / 'text')
    others = [path.name for path in text.values() if path.suffix != '.txt']
    if others:
        raise ValueError(
            f'{root / "text"}: captions must be .txt files, but there is '
            f'{name_some(others)}'
        )
    lq = list_clips(root / 'lq') if (root / 'lq').exists() else {}
    folders = {'gt': gt, 'text': text, **({'lq': lq} if lq else {})}
    check_paired(root, folders, 'gt')
    check_frames(folders)
    captions = {name: read_caption(path) for name, path in text.items()}
    return gt, lq, captions


def _size(info: VideoInfo) -> str:
    return f'{info.width}x{info.height}'
