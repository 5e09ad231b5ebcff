"""The choices of options are those that the library knows."""

from dataclasses import fields

from star.apis import FileOptions
from star.apis.inference.devices import DTYPES
from star.apis.inference.savings import QUANTIZATIONS
from star.apis.train.training import LAUNCHERS
from star.cli.convert import baseline, star_cogvideox
from star.cli.main import make_parser
from star.cli.options import choices
from star.datasets import latent_shards, published_sets
from star.datasets.transforms.degradation_presets import PRESETS
from star.diffusion.samplers import SAMPLERS
from star.models.layers.attention import ATTENTIONS
from star.models.layers.offloading import OFFLOADS
from star.models.restoration import options
from star.user_study.transcoding import CRF
from star.video.color_fix import COLOR_FIXES


def test_choices_mirror_the_library():
    for ours, theirs in (
        (choices.DTYPES, DTYPES),
        (choices.SAMPLERS, SAMPLERS),
        (choices.COLOR_FIXES, COLOR_FIXES),
        (choices.LAUNCHERS, LAUNCHERS),
        (choices.OFFLOADS, OFFLOADS),
        (choices.QUANTIZATIONS, QUANTIZATIONS),
        (choices.ATTENTIONS, ATTENTIONS),
        (choices.CACHE_DTYPES, latent_shards.DTYPES),
        (choices.CONVERTED_DTYPES, star_cogvideox.DTYPES),
        (choices.BASELINE_DTYPES, baseline.DTYPES),
        (choices.PRESETS, PRESETS),
    ):
        assert ours == tuple(theirs)
    assert choices.STUDY_CRF == CRF


def test_choices_mirror_the_restore_options():
    known = options._CHOICES
    assert known == {
        'mode': choices.MODES,
        'sampler': choices.SAMPLERS,
        'blend': choices.BLENDS,
        'color_fix': choices.COLOR_FIXES,
        'upsample': choices.UPSAMPLINGS,
        'noise': choices.NOISES,
        'compat': choices.COMPATS,
    }


def test_every_option_of_a_restoration_can_be_given():
    args = vars(make_parser('restore').parse(['a.mp4', 'b.mp4']))
    known = {f.name for f in fields(options.RestoreOptions)}
    assert known - {'memory'} < args.keys()  # `--memory` is of the process
    given = [f for f in fields(FileOptions) if f.name != 'memory']
    assert {f.name for f in given} < args.keys()
    for each in given:
        if args[each.name] is not None:
            assert args[each.name] == each.default


def test_choices_mirror_the_published_sets():
    assert {
        key: (each.name, each.num_clips, each.num_frames)
        for key, each in published_sets.PUBLISHED.items()
    } == choices.PUBLISHED_SETS
    real = [k for k, v in published_sets.PUBLISHED.items() if v.real]
    assert real == list(choices.REAL_SETS)
    made = [k for k, v in published_sets.PUBLISHED.items() if not v.real]
    copied = [k for k in made if published_sets.PUBLISHED[k].lq_layouts]
    assert copied == list(choices.COPIED_SETS)


def test_sizes_of_the_papers_openvid_sets():
    assert choices.OPENVID_SETS == {
        'openvid30': ('OpenVid30', 30, 100, None),
        'openvid10': ('OpenVid10', 10, 25, (480, 720)),
    }
