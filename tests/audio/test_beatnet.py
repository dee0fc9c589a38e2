"""What the net hears of clips, listened to at several speeds."""

import numpy as np
import pytest
import torch

import sounds
from powermuse.audio import beatnet, features


@pytest.mark.parametrize("tempo_bpm", [84.0, 120.0])
def test_beats_and_tempo_are_told_of_the_clip_as_it_is_at_whatever_speed_it_was_heard(tempo_bpm):
    heard = features.extract(torch.from_numpy(sounds.beat(12.0, tempo_bpm)).float())
    (pulse,) = beatnet.hear(heard)
    octaves = np.abs(np.log2(beatnet.tempi_bpm() / tempo_bpm))
    assert pulse.tempo_S[np.abs(octaves - octaves.round()) < 0.06].sum() > 0.9, "but for half and double tempo"
    beats = 60.0 / tempo_bpm * np.arange(3, 13)
    at = (beats * features.FRAME_RATE_HZ).round().astype(int)
    on_beat = np.max([pulse.beat_T[at + late] for late in (-1, 0, 1)], axis=0)
    assert np.median(on_beat) > 0.5 and np.median(pulse.beat_T) < 0.1
