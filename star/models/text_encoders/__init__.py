"""Text encoders: prompts to embeddings."""

from star.models.text_encoders.open_clip import (
    ConstantTextEncoder,
    OpenCLIPTextEncoder,
)
from star.models.text_encoders.stored import StoredTextEncoder
from star.models.text_encoders.t5 import T5TextEncoder

__all__ = [
    'ConstantTextEncoder',
    'OpenCLIPTextEncoder',
    'StoredTextEncoder',
    'T5TextEncoder',
]
