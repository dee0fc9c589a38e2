"""Where the losses listen, and that a stretch sounds as it does within the whole."""

import pytest
import torch

from powermuse import registry, stretches
from powermuse.codecs.mdct import MdctCodec
from powermuse.stretches import Stretches


@pytest.mark.parametrize(
    ("crop", "frames", "count", "context"), [(1200, 15, 5, 3), (192, 90, 1, 3), (48, 48, 1, 3), (60, 12, 5, 3)]
)
def test_stretches_lie_each_in_its_part_of_the_crop_with_what_comes_before_them(crop, frames, count, context):
    begins = []
    for k in range(300):
        where = stretches.choose(f"key/{k}", crop, frames, count, context)
        assert (len(where.starts), where.frames) == (count, frames)
        part = crop // count
        for i, start in enumerate(where.starts):
            assert i * part + where.context <= start <= (i + 1) * part - frames
        begins.append(where.starts[-1] - (count - 1) * part)
    # Every place that there is gets its turn.
    assert (min(begins), max(begins)) == (where.context, part - frames)
    assert where.context == min(context, part - frames)


def test_the_key_decides_and_nothing_else():
    first = stretches.choose("a", 1200, 15, 5, 3)
    assert first == stretches.choose("a", 1200, 15, 5, 3) != stretches.choose("b", 1200, 15, 5, 3)


def test_the_stretches_of_a_clip_follow_one_another():
    z = torch.randn(2, 320, 40, generator=torch.Generator().manual_seed(0))
    codec = MdctCodec()
    heard, whole = stretches.decode(codec, z, Stretches((4, 21), 6, 2)), codec.decode(z)
    assert heard.shape == (4, 1, 6 * 320)
    for i, (clip, start) in enumerate([(0, 4), (0, 21), (1, 4), (1, 21)]):
        # The last half hop overlaps with frames that the stretch does not have.
        torch.testing.assert_close(heard[i, 0, :-320], whole[clip, 0, start * 320 : (start + 5) * 320])


def test_after_its_context_an_encodec_stretch_sounds_more_as_it_does_within_the_whole():
    pytest.importorskip("transformers", reason="the extra hub is not installed")
    codec = registry.build("codecs", "encodec", {"source": "random", "num_filters": 4}).eval()
    z = 5.7 * torch.randn(1, 128, 40, generator=torch.Generator().manual_seed(0))
    whole = codec.decode(z)[..., 25 * 320 : 32 * 320]
    off = [
        float((stretches.decode(codec, z, Stretches((25,), 7, context)) - whole).square().mean().sqrt())
        for context in (0, codec.context_frames)
    ]
    # The codec asks for less than it remembers (8 frames bring it below 1 %): both clips of a comparison lack the same.
    assert off[1] < 0.6 * off[0]
