"""Options of `star demo`."""

from pathlib import Path

from star.cli.common import Parser


def demo(parser: Parser) -> None:
    """Restore a small clip and compare it with bicubic.

    Writes the restored video and a picture: a frame from the middle of the
    clip, enlarged by bicubic interpolation and restored, side by side.
    """
    add = parser.add_argument
    add('--input', type=Path, help='default: the clip in data/samples')
    add('--output', type=Path, default='demo_output', help='folder')
    add('--config', help='default: the model that ships with the package')
    add('--weights', help='as for star restore')
