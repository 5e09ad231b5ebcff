"""Imports what `star.utils.postponed` postponed, when it is imported."""

from star.utils.postponed import import_training_parts

import_training_parts()
