"""The published settings of a method: sizes, windows, licence, source."""

from dataclasses import dataclass

from star.utils.checks import check_choice, check_least

BLENDS = ('fade', 'trim')
PADDINGS = ('reflect', 'replicate')


@dataclass(frozen=True)
class Recipe:
    """Settings with which the authors of a method published it.

    Args:
        scale: output size over input size.
        window: frames that are restored at a time.
        overlap: frames that neighbouring windows share; 0 for methods of one
            frame, or with a memory.
        blend: how windows are joined: 'fade' goes linearly from the earlier
            window's frames to the later one's; 'trim' changes in the middle,
            which is exact for a method that looks at most `overlap // 2`
            frames aside.
        size_multiple: height and width are padded to multiples of it.
        min_size: height and width are padded to at least this.
        pad: 'reflect' or 'replicate' at the bottom and on the right; too
            short a side is always replicated.
        licence: of code and weights, as the authors state it.
        source: paper and repository.

    Raises:
        ValueError: a value is out of range.
    """

    scale: float = 4
    window: int = 1
    overlap: int = 0
    blend: str = 'fade'
    size_multiple: int = 1
    min_size: int = 1
    pad: str = 'reflect'
    licence: str = ''
    source: str = ''

    def __post_init__(self) -> None:
        for name in ('window', 'size_multiple', 'min_size'):
            check_least(name, getattr(self, name), 1)
        if not 0 <= self.overlap < self.window:
            raise ValueError(
                '`overlap` must be at least 0 and less than `window` '
                f'({self.window}), got {self.overlap}'
            )
        check_choice('blend', self.blend, BLENDS)
        check_choice('pad', self.pad, PADDINGS)
