"""Test sets and metrics of published protocols, instead of a config's."""

from mmengine.config import Config

from star.utils.paths import config_root

_KEYS = ('test_dataloader', 'test_cfg', 'test_evaluator')


def use_protocol(config: Config, name: str) -> None:
    """Replace a config's test sets and metrics.

    Args:
        config: changed in place.
        name: of a file in `configs/_base_/protocols`.

    Raises:
        ValueError: there is no such file.
    """
    folder = config_root() / '_base_' / 'protocols'
    path = folder / f'{name}.py'
    if not path.is_file():
        known = ', '.join(sorted(each.stem for each in folder.glob('*.py')))
        raise ValueError(f'there is no protocol {name!r}, only {known}')
    protocol = Config.fromfile(path)
    for key in _KEYS:
        config[key] = protocol[key]
    config.pop('further_test_sets', None)
