"""STAR for users of diffusers: a pipeline, its folders, LoRA."""

from star import registry  # noqa: F401  what diffusers needs is mended first
