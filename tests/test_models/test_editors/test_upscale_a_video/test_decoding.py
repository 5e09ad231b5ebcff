"""Chunks of frames."""

import torch

from star.models.editors.upscale_a_video.decoding import decode_chunks


def test_chunks_see_their_own_frames_only():
    z = torch.arange(7.0).view(1, 1, 7, 1, 1) / 8
    lq = 2 * z.expand(1, 3, 7, 1, 1)
    seen = []

    def decode(part, beside):
        seen.append((part.flatten().tolist(), beside[0, 0].flatten().tolist()))
        return 10 * part

    out = torch.cat(list(decode_chunks(decode, z, lq)), 2)
    assert [len(part) for part, _ in seen] == [3, 3, 1]
    assert all(b == [2 * x for x in a] for a, b in seen)
    assert torch.equal(out, (10 * z).clamp(-1, 1))
