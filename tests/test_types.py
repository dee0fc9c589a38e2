"""Clips keep their fields together; errors say what to do."""

import pytest
import torch

from powermuse.types import BadInput, Clip, Composition, MissingExtra, Outcome, Pair, Proposal


@pytest.fixture
def clip():
    """Every field counts its frames, so that a crop shows in its values."""
    frame = torch.arange(10.0)
    return Clip(frame.expand(2, 4, 10), frame.expand(2, 8, 10), frame.expand(2, 24, 10), frame.expand(2, 10))


@pytest.mark.parametrize("beats", [False, True])
def test_a_crop_takes_the_same_frames_of_every_field(clip, beats):
    if beats:
        clip = clip._replace(beats_BT=torch.arange(10.0).expand(2, 10))
    crop = clip.crop(3, 4)
    assert len([field for field in crop if field is not None]) == 4 + beats
    for field in crop:
        assert field is None or torch.equal(field, torch.tensor([3.0, 4.0, 5.0, 6.0]).expand_as(field))


def test_a_change_reaches_every_field_and_leaves_unknown_beats_unknown(clip):
    doubled = clip.map(lambda x: 2 * x)
    assert doubled.beats_BT is None
    assert all(torch.equal(new, 2 * old) for new, old in zip(doubled[:4], clip[:4], strict=True))


def test_the_blend_of_an_outcome_is_what_the_cascade_composed(clip):
    blend = torch.randn(2, 4, 10)
    outcome = Outcome(Pair(clip, clip), Proposal((), None, {}, {}), Composition(blend, (blend,), ()))
    assert outcome.blend_BDT is blend and outcome.decoded is None


def test_a_missing_extra_says_what_needs_it_and_which_command_installs_it():
    error = MissingExtra("the encodec codec", "hub")
    assert str(error) == "the encodec codec needs an optional dependency: pip install 'powermuse[hub]'"
    assert isinstance(error, ImportError)


def test_bad_input_is_a_value_error():
    with pytest.raises(ValueError, match="what was found"):
        raise BadInput("what was found")
