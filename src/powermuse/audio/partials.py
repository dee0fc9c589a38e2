"""Where the partials of notes lie in a spectrum, and with which phases they go on: what turns a coarse spectrum whose
notes are known into sound.

A mel band tells how loud a register is, not which of its bins: below A4 two notes a semitone apart share one. Who knows
the notes knows the bins, and how far each partial turns from frame to frame (as in sinusoidal modelling: McAulay &
Quatieri, IEEE TASSP 1986).
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from powermuse.audio.clock import SAMPLE_RATE_HZ

NOTES = 88
"""Of a piano, from A0; in equal temperament from A4 = 440 Hz."""
_LOWEST_HZ = 27.5
_HARMONICS = 40
_LOBE = 2.0
"""Half the width of the main lobe of a Hann window, in bins."""
_FADE_S, _HELD = 0.6, 0.15
"""A note fades so fast after its stroke, to this share of its amplitude while it is held."""
_BETWEEN = 0.05
"""What lies between the partials, as a share of the mean power of the bins around."""
_AROUND_BINS = 25
_LEAST = 1e-6


def validate(roll_BQT: Tensor) -> None:
    """Raises ValueError unless a roll is [B, 88, T]."""
    if roll_BQT.ndim != 3 or roll_BQT.shape[1] != NOTES:
        raise ValueError(f"a roll [B, {NOTES}, T] is wanted, not {list(roll_BQT.shape)}")


def power(roll_BQT: Tensor, n_fft: int, hop: int) -> Tensor:
    """Relative power [B, F, T] > 0, F = n_fft / 2 + 1, of notes (1 where one sounds in a frame, 2 where it is struck):
    a guess without a level, the k-th partial 1 / k as strong as the first; all bins alike where nothing sounds."""
    validate(roll_BQT)
    sounding_BFT = _lobes(n_fft).to(roll_BQT).T @ _amplitudes(roll_BQT, hop).square()
    across_BTF = sounding_BFT.transpose(1, 2)
    around_BTF = F.avg_pool1d(across_BTF, _AROUND_BINS, 1, _AROUND_BINS // 2, count_include_pad=False)
    most_B11 = sounding_BFT.amax(dim=(1, 2), keepdim=True).clamp_min(_LEAST)
    return sounding_BFT + _BETWEEN * around_BTF.transpose(1, 2) + _LEAST * most_B11


def phases(roll_BQT: Tensor, n_fft: int, hop: int, seed: int = 0) -> Tensor:
    """Unit phasors [B, F, T] of an STFT of `audio.spectra`: each bin turns with the partial that is the loudest in it,
    all bins of a partial together; where there is none, at random, by `seed`, the same for every clip."""
    validate(roll_BQT)
    random = torch.Generator().manual_seed(seed)
    bins, frames = n_fft // 2 + 1, roll_BQT.shape[-1]
    noise_FT = 2.0 * torch.pi * torch.rand(bins, frames, generator=random)
    begun_P = 2.0 * torch.pi * torch.rand(NOTES * _HARMONICS, generator=random)
    angles = [_angles(a_QT, noise_FT, begun_P, n_fft, hop) for a_QT in _amplitudes(roll_BQT, hop).cpu()]
    angle_BFT = torch.stack(angles)
    return torch.polar(torch.ones_like(angle_BFT), angle_BFT).to(roll_BQT.device)


def _angles(amplitude_QT: Tensor, noise_FT: Tensor, begun_P: Tensor, n_fft: int, hop: int) -> Tensor:
    """[F, T] in radians, of one clip."""
    note_P, bin_P, nearness_P, place_P = _reached(n_fft)
    heard_P = amplitude_QT.amax(dim=1)[note_P] > 0.0
    angle_FT, loudest_FT = noise_FT.clone(), torch.zeros_like(noise_FT)
    # Partials one after another would be many small steps: of each bin the first that reaches it, then the second ...
    for chosen_P in _in_turns(bin_P[heard_P]):
        note, at, near, place = (x[heard_P][chosen_P] for x in (note_P, bin_P, nearness_P, place_P))
        loud_FT = near[:, None] * amplitude_QT[note]
        turning_FT = _turning(place, amplitude_QT.shape[1], hop) + begun_P[place][:, None]
        # Bins beside each other turn by half a turn: the frame begins half a window before its middle.
        turned_FT = turning_FT - torch.pi * at[:, None]
        louder_FT = loud_FT > loudest_FT[at]
        angle_FT[at] = torch.where(louder_FT, turned_FT, angle_FT[at])
        loudest_FT[at] = torch.where(louder_FT, loud_FT, loudest_FT[at])
    return angle_FT


def _turning(place_P: Tensor, frames: int, hop: int) -> Tensor:
    """[P, T]: how far partials have turned at each frame, modulo a turn."""
    cycles_P = _frequencies()[place_P].double() * hop / SAMPLE_RATE_HZ
    return (2.0 * torch.pi * ((cycles_P[:, None] * torch.arange(frames)) % 1.0)).float()


def _in_turns(bin_P: Tensor) -> list[Tensor]:
    """Places of sorted bins, in parts in which no bin comes twice."""
    if not len(bin_P):
        return []
    first_P = torch.ones_like(bin_P, dtype=torch.bool)
    first_P[1:] = bin_P.diff() != 0
    place_P = torch.arange(len(bin_P))
    turn_P = place_P - torch.where(first_P, place_P, 0).cummax(dim=0).values
    return [(turn_P == turn).nonzero()[:, 0] for turn in range(int(turn_P.max()) + 1)]


def _amplitudes(roll_BQT: Tensor, hop: int) -> Tensor:
    """[B, 88, T]: 1 where a note is struck, fading while it sounds; of one that was never struck what is held."""
    frame_T = torch.arange(roll_BQT.shape[-1], device=roll_BQT.device)
    last_BQT = torch.where(roll_BQT > 1.0, frame_T, -1).cummax(dim=-1).values
    age_s_BQT = (frame_T - last_BQT) * (hop / SAMPLE_RATE_HZ)
    faded_BQT = torch.where(last_BQT >= 0, torch.exp(-age_s_BQT / _FADE_S), 0.0)
    return torch.where(roll_BQT > 0.0, _HELD + (1.0 - _HELD) * faded_BQT, 0.0)


def _frequencies() -> Tensor:
    """[88 * harmonics] in Hz, the partials of one note after another."""
    note_hz_Q = _LOWEST_HZ * 2.0 ** (torch.arange(NOTES) / 12.0)
    return (note_hz_Q[:, None] * torch.arange(1, _HARMONICS + 1)).flatten()


@lru_cache(maxsize=4)
def _lobes(n_fft: int) -> Tensor:
    """[88, F]: power of each note's partials, as a Hann window shows them."""
    with torch.inference_mode(False):  # kept for every later caller
        bin_F = torch.arange(n_fft // 2 + 1)
        found_QF = torch.zeros(NOTES, len(bin_F))
        for k in range(_HARMONICS):
            hz_Q = _frequencies()[k::_HARMONICS]
            lobe_QF = _hann(bin_F - hz_Q[:, None] * n_fft / SAMPLE_RATE_HZ).square()
            found_QF += torch.where(hz_Q[:, None] < SAMPLE_RATE_HZ / 2, lobe_QF / (k + 1), 0.0)
        return found_QF


def _hann(away: Tensor) -> Tensor:
    """The main lobe of a Hann window's transform so many bins away from its middle, 0 beyond it."""
    # Where one factor is 0 the other has a pole, one bin away: there the lobe is at a half.
    at_half = (away.abs() - 1.0).abs() < 1e-3
    lobe = torch.sinc(away) / torch.where(at_half, 1.0, 1.0 - away.square())
    return torch.where(at_half, 0.5, torch.where(away.abs() < _LOBE, lobe, 0.0))


@lru_cache(maxsize=4)
def _reached(n_fft: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every bin that a partial reaches, sorted by bin: the note, the bin, how loud it is there beside the note's own
    strength, and the number of the partial in `_frequencies`."""
    with torch.inference_mode(False):
        centre_P = _frequencies() * n_fft / SAMPLE_RATE_HZ
        near = torch.arange(-2, 3)
        bin_PN = centre_P.round().long()[:, None] + near
        strength_P = 1.0 / (1.0 + torch.arange(_HARMONICS).float().repeat(NOTES))
        nearness_PN = strength_P[:, None] * _hann(bin_PN - centre_P[:, None])
        place_PN = torch.arange(len(centre_P))[:, None].expand_as(bin_PN)
        inside_PN = (nearness_PN > 0.0) & (bin_PN >= 0) & (bin_PN <= n_fft // 2) & (centre_P[:, None] < n_fft / 2)
        order = bin_PN[inside_PN].argsort(stable=True)
        found = (place_PN // _HARMONICS, bin_PN, nearness_PN, place_PN)
        note_P, bin_P, nearness_P, place_P = (x[inside_PN][order] for x in found)
        return note_P, bin_P, nearness_P, place_P
