"""Presets of the degradation: ranges and probabilities."""

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True)
class Stage:
    """One round of blur, resize, noise and JPEG.

    Attributes:
        blur: probability of a blur.
        sigma: its standard deviations, pixels.
        enlarge: probability of enlarging.
        shrink: probability of shrinking; otherwise the size stays.
        scale: smallest and largest factor.
        gaussian: standard deviation of Gaussian noise, in 1/255.
        poisson: factor of Poisson noise.
        jpeg: JPEG quality.
        scale_step: largest change of the factor per frame of a walk.
    """

    blur: float = 1.0
    sigma: Range = (0.2, 3.0)
    enlarge: float = 0.2
    shrink: float = 0.7
    scale: Range = (0.15, 1.5)
    gaussian: Range = (1.0, 30.0)
    poisson: Range = (0.05, 3.0)
    jpeg: Range = (30.0, 95.0)
    scale_step: float = 0.015


_SECOND = Stage(
    blur=0.8,
    sigma=(0.2, 1.5),
    enlarge=0.3,
    shrink=0.4,
    scale=(0.3, 1.2),
    gaussian=(1.0, 25.0),
    poisson=(0.05, 2.5),
    scale_step=0.03,
)


@dataclass(frozen=True)
class Preset:
    """All parameters of a degradation.

    Attributes:
        stages: one or two rounds; `ending` places the JPEG of the last one.
        codecs: encoders to choose from after each round; empty for no video
            compression.
        bits_per_pixel: average rate of an encoder.
        ending: 'image' for JPEG and (resize, sinc) in either order, then the
            encoder; 'video' for JPEG, then the encoder and (resize, sinc) in
            either order.
        relative: whether the last round resizes relative to the current size
            instead of the final one.
        sinc: probability of the final low-pass filter.
        engine: 'diff' or 'libjpeg'.
        temporal: default of how the levels vary in time.
    """

    stages: tuple[Stage, ...] = (Stage(), _SECOND)
    codecs: tuple[str, ...] = ()
    bits_per_pixel: Range = (0.15, 1.5)
    ending: str = 'image'
    relative: bool = False
    sinc: float = 0.8
    engine: str = 'diff'
    temporal: str = 'constant'


_CODECS = ('libx264', 'h264', 'mpeg4')

# RealBasicVSR's bit rates of 10^4 to 10^5 for each frame of 256 x 256 are 0.15
# to 1.5 bits per pixel; a rate per pixel has the same effect at any size.
PRESETS = {
    'star': Preset(codecs=_CODECS),
    'realesrgan': Preset(),
    'realbasicvsr': Preset(
        codecs=_CODECS,
        ending='video',
        relative=True,
        engine='libjpeg',
        temporal='walk',
    ),
    # STAR publishes no light degradation: one round of about half strength
    'light': Preset(
        stages=(
            Stage(
                blur=0.8,
                sigma=(0.2, 1.5),
                enlarge=0.3,
                shrink=0.4,
                scale=(0.6, 1.2),
                gaussian=(1.0, 12.0),
                poisson=(0.05, 1.0),
                jpeg=(60.0, 95.0),
                scale_step=0.03,
            ),
        ),
        codecs=_CODECS,
        bits_per_pixel=(0.3, 1.5),
    ),
}
