import time

import torch

from star.models.editors import Baseline, Recipe
from star.models.restoration.cost import restore_sample
from star.structures import VideoSample


class Sleeper(Baseline):
    def enlarge(self, frames, size):
        time.sleep(0.05)
        return torch.full((len(frames), 3, *size), 7, dtype=torch.uint8)


def test_a_sample_gets_its_clip_and_what_it_took():
    model, sample = Sleeper(Recipe(2)), VideoSample()
    lq = torch.zeros(3, 3, 4, 6, dtype=torch.uint8)
    restore_sample(model, lq, model.restore_options, sample)
    assert sample.pred.shape == (3, 3, 8, 12)
    assert sample.pred.unique().tolist() == [7]
    assert 0.15 <= sample.seconds < 5
    assert sample.peak_memory is None or sample.peak_memory > 50 << 20


def test_baselines_measure_what_they_restore():
    model, samples = Sleeper(Recipe(2)), [VideoSample(), VideoSample()]
    clips = [torch.zeros(n, 3, 4, 6, dtype=torch.uint8) for n in (1, 3)]
    model.predict(clips, samples)
    assert samples[0].seconds >= 0.05 and samples[1].seconds >= 0.15
