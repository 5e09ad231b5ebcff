"""Restore training clips with a teacher, once: `star prepare teacher`."""

import argparse

from star.apis.inference.build import load_config
from star.apis.inference.load import Source
from star.apis.train.changes import apply_changes
from star.apis.train.option_text import read_changes
from star.apis.train.teacher import (
    RANDOM_SAMPLERS,
    describe_teacher,
    load_teacher,
    teacher_config,
)
from star.cli.common import say
from star.cli.prepare.cache_latents import report_cache
from star.cli.prepare.latent_items import (
    CacheWork,
    build_dataset,
    check_sizes,
    describe,
)
from star.datasets.fingerprints import hash_weights, plain


def run(args: argparse.Namespace) -> int:
    """Fill the cache and return the exit code."""
    return report_cache(args, prepare)


def prepare(args: argparse.Namespace) -> CacheWork:
    """Load data and teacher, and describe the cache.

    Args:
        args: options of the command.

    Raises:
        ValueError: the config has no data, weights are missing, or clips do
            not fit.
    """
    settings = teacher_config(load_config(args.config))
    apply_changes(settings, read_changes(args.cfg_options))
    dataset = build_dataset(settings)
    check_sizes(settings, dataset)
    source = Source(None, args.weights, averaged=args.ema)
    encoder = load_teacher(settings, source, args.points, args.device)
    if encoder.options.sampler in RANDOM_SAMPLERS:
        say(
            f'note: {encoder.options.sampler} adds noise at every step, so a '
            "clip's result does not follow from where it starts; a student "
            'learns an average: ddim and heun add none'
        )
    made_by = describe_teacher(settings, encoder)
    made_by['weights'] = {
        name: hash_weights(part) for name, part in encoder.networks.items()
    }
    index = describe(
        args, settings, dataset, encoder, {'teacher': plain(made_by)}
    )
    return CacheWork(index, dataset, encoder)
