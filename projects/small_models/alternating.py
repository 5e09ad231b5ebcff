"""Training data of several kinds, one after another."""

from torch.utils.data import Dataset

from star.registry import DATASETS


@DATASETS.register_module()
class Alternating(Dataset):
    """Takes items from several data sets in turn, so that each counts alike.

    Draw k is draw k // n of data set k % n, for n data sets: however many
    clips each has, none is drowned by the others. A data set that is named
    twice counts twice, with two seeds, lest it give the same twice.

    Args:
        datasets: configs of data sets that are addressed by draw numbers
            (`Draws`).

    Raises:
        ValueError: `datasets` is empty.
    """

    metainfo = None

    def __init__(self, datasets: list[dict]) -> None:
        if not datasets:
            raise ValueError('`datasets` must not be empty, got []')
        self.datasets = [DATASETS.build(config) for config in datasets]

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)

    def __getitem__(self, draw: int) -> dict:
        turn, which = divmod(draw, len(self.datasets))
        return self.datasets[which][turn]
