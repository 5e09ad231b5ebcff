"""How a method was published to be used: sizes, windows, where it is from."""

from dataclasses import dataclass

BLENDS = ('fade', 'trim')
PADDINGS = ('reflect', 'replicate')


@dataclass(frozen=True)
class Recipe:
    """What a baseline declares of itself.

    Args:
        scale: output size over input size.
        window: frames that are restored at a time.
        overlap: frames that neighbouring windows share; 0 for methods that
            look at one frame, or remember what they saw.
        blend: how shared frames become one: 'fade' goes linearly from the
            earlier window's to the later one's; 'trim' changes in the middle,
            exact where a method looks at most `overlap // 2` frames aside.
        size_multiple: height and width are padded to multiples of it.
        min_size: height and width are padded to at least this.
        pad: 'reflect' or 'replicate' at the bottom and on the right; a side
            that is too short to be reflected is replicated.
        licence: of code and weights, as its authors state it.
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
            if getattr(self, name) < 1:
                raise ValueError(
                    f'`{name}` must be at least 1, got {getattr(self, name)}'
                )
        if not 0 <= self.overlap < self.window:
            raise ValueError(
                '`overlap` must be at least 0 and less than `window` '
                f'({self.window}), got {self.overlap}'
            )
        for name, choices in (('blend', BLENDS), ('pad', PADDINGS)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f'`{name}` must be one of {", ".join(choices)}, got '
                    f'{getattr(self, name)!r}'
                )
