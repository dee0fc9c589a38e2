"""Weights times terms: the total, what is skipped, what is asked for, and what the terms look at."""

import math

import pytest
import torch
from torch import Tensor

from powermuse.codecs.mdct import MdctCodec
from powermuse.objective import Objective, Term, loss_terms, observe
from powermuse.stretches import Stretches
from powermuse.types import BadInput, Clip, Composition, DecodedCrops, Outcome, Pair, Proposal

PENALTIES = ("mask.overlap",)


class At48(MdctCodec):
    sample_rate_hz = 48_000


def terms(codec: type[MdctCodec] = MdctCodec) -> dict[str, Term]:
    return loss_terms(codec, torch.zeros(codec.latent_dim))


def _clip(z_BDT: Tensor) -> Clip:
    batch, _, frames = z_BDT.shape
    return Clip(z_BDT, torch.zeros(batch, 8, frames), torch.zeros(batch, 24, frames), torch.zeros(batch, frames))


def _latents(value: float) -> Tensor:
    return torch.full((1, 4, 6), value)


def _outcome(blend: Tensor, truth: Tensor | None = None, decoded: DecodedCrops | None = None) -> Outcome:
    """Groove 1, harmony 2, an overlap of 0.25."""
    overlap = torch.tensor(0.25, requires_grad=True)
    pair = Pair(_clip(_latents(1.0)), _clip(_latents(2.0)), None if truth is None else _clip(truth))
    return Outcome(pair, Proposal((), None, {"mask.overlap": overlap}, {}), Composition(blend, (blend,), ()), decoded)


def _objective(**weights: float) -> Objective:
    return Objective({name.replace("__", "."): value for name, value in weights.items()}, PENALTIES, MdctCodec)


def test_the_total_is_the_sum_of_weights_times_terms():
    objective = _objective(latent__groove=0.3, latent__harmony=0.7, mask__overlap=4.0)
    total, terms = objective(_outcome(_latents(0.0)))
    assert {name: float(value.detach()) for name, value in terms.items()} == pytest.approx(
        {"latent.groove": 1.0, "latent.harmony": 2.0, "mask.overlap": 0.25}
    )
    assert float(total.detach()) == pytest.approx(0.3 * 1.0 + 0.7 * 2.0 + 4.0 * 0.25)


def test_the_weight_is_the_gradient_of_the_total_and_the_terms_carry_theirs():
    outcome = _outcome(_latents(0.5).requires_grad_())
    total, terms = _objective(latent__harmony=3.0, mask__overlap=4.0)(outcome)
    total.backward()
    assert float(outcome.proposal.penalties["mask.overlap"].grad) == 4.0
    torch.testing.assert_close(outcome.blend_BDT.grad, torch.full((1, 4, 6), -3.0 / 24))
    assert all(value.requires_grad for value in terms.values())


def test_an_unknown_name_is_refused_with_the_names_that_there_are():
    with pytest.raises(BadInput, match=r"'latent\.grove'.*latent\.groove.*mask\.overlap.*stft\.truth"):
        _objective(latent__grove=1.0)


def test_a_penalty_that_the_agent_does_not_have_is_refused():
    with pytest.raises(BadInput, match=r"mask\.overlap"):
        Objective({"mask.overlap": 1.0}, (), MdctCodec)


def test_an_unknown_name_is_refused_even_with_weight_0():
    with pytest.raises(BadInput, match="typo"):
        _objective(latent__groove=1.0, typo=0.0)


@pytest.mark.parametrize("weights", [{}, {"latent.groove": 0.0}], ids=["none", "all 0"])
def test_an_objective_with_nothing_to_learn_is_refused(weights):
    with pytest.raises(BadInput, match="nothing to learn"):
        Objective(weights, PENALTIES, MdctCodec)


def test_a_term_of_weight_0_is_not_computed():
    # Each of these would raise: there is neither truth nor sound.
    objective = _objective(latent__groove=1.0, latent__truth=0.0, stft__groove=0.0, mask__overlap=0.0)
    total, terms = objective(_outcome(_latents(0.0)))
    assert list(terms) == ["latent.groove"] and float(total) == 1.0


@pytest.mark.parametrize("kind", ["rms", "stft", "mel", "latent"])
def test_only_terms_on_waveforms_need_sound(kind):
    assert _objective(**{f"{kind}.groove": 1.0}).needs_sound is (kind != "latent")


@pytest.mark.parametrize("side", ["groove", "harmony", "truth"])
def test_only_terms_against_the_truth_need_truth(side):
    assert _objective(**{f"latent.{side}": 1.0}).needs_truth is (side == "truth")


def test_a_weight_of_0_needs_nothing():
    objective = _objective(mask__overlap=1.0, latent__truth=0.0, rms__groove=0.0)
    assert not objective.needs_sound and not objective.needs_truth


@pytest.mark.parametrize("term", ["latent.truth", "rms.truth", "stft.truth", "mel.truth"])
def test_a_term_against_a_truth_that_is_not_there_is_refused(term):
    sound = torch.zeros(1, 1, 4_096)
    with pytest.raises(BadInput, match="looks at the truth, which these pairs do not have"):
        _objective(**{term: 1.0})(_outcome(_latents(0.0), decoded=DecodedCrops(sound, sound, sound, None)))


@pytest.mark.parametrize("side", ["groove", "harmony", "truth"])
def test_each_term_looks_at_its_own_side(side):
    # The blend is equal to one side alone: its terms are 0 (up to the floor), the others' are not.
    sounds = {name: torch.randn(1, 1, 4_096) for name in ("groove", "harmony", "truth")}
    latents = {"groove": 1.0, "harmony": 2.0, "truth": 3.0}
    decoded = DecodedCrops(sounds[side], sounds["groove"], sounds["harmony"], sounds["truth"])
    outcome = _outcome(_latents(latents[side]), truth=_latents(3.0), decoded=decoded)
    sided = {n: t for n, t in terms().items() if n.split(".")[0] in ("latent", "rms", "stft", "mel")}
    for name, term in sided.items():
        assert (float(term(outcome)) < 1e-3) is name.endswith(f".{side}"), name


def test_the_mel_term_uses_the_sample_rate_of_the_codec():
    # A tone of 6 kHz at 24 kHz is one of 12 kHz, above the highest band, when the codec runs at 48.
    tone = torch.sin(2 * math.pi * 0.25 * torch.arange(9_600))[None, None] * torch.hann_window(9_600)
    decoded = DecodedCrops(tone, torch.zeros_like(tone), torch.zeros_like(tone), None)
    outcome = _outcome(_latents(0.0), decoded=decoded)
    heard, unheard = (float(terms(codec)["mel.groove"](outcome)) for codec in (MdctCodec, At48))
    assert heard > 0.1 and unheard < 0.01


@pytest.fixture
def heard(music):
    """Four sounds through the exact codec, and what is observed of frames 10 to 17 of their latents."""
    codec = MdctCodec()
    sounds = torch.stack([music(0.4, seed=seed) for seed in range(4)])
    blend, *sources = (codec.encode(sound[None]) for sound in sounds)
    blend.requires_grad_()
    pair = Pair(*(_clip(z.requires_grad_()) for z in sources))
    outcome = observe(pair, Proposal((), None, {}, {}), Composition(blend, (blend,), ()), codec, Stretches((10,), 7, 0))
    return sounds, outcome


def test_the_same_stretch_of_all_four_is_decoded(heard):
    sounds, outcome = heard
    assert outcome.decoded.blend_BCN.shape == (1, 1, 7 * 320)
    for sound, decoded in zip(sounds, outcome.decoded[:4], strict=True):
        # Half a hop at each border is the neighbours' business; in between it is the sound itself.
        torch.testing.assert_close(decoded[0, 0, 160:-160], sound[0, 3_360:5_280], rtol=0, atol=1e-5)


def test_only_the_blend_carries_gradient_and_only_within_the_stretch(heard):
    _, outcome = heard
    assert [decoded.requires_grad for decoded in outcome.decoded[:4]] == [True, False, False, False]
    outcome.decoded.blend_BCN.square().sum().backward()
    felt = outcome.blend_BDT.grad.abs().amax(dim=(0, 1)) > 0
    assert felt.nonzero().flatten().tolist() == [10, 11, 12, 13, 14, 15, 16]


def test_without_a_truth_none_is_decoded_and_without_a_codec_nothing():
    z = torch.randn(1, 320, 6)
    pair, proposal, composition = Pair(_clip(z), _clip(z)), Proposal((), None, {}, {}), Composition(z, (z,), ())
    assert observe(pair, proposal, composition, MdctCodec(), Stretches((1,), 3, 0)).decoded.truth_BCN is None
    assert observe(pair, proposal, composition, None, Stretches((1,), 3, 0)).decoded is None


def test_novelty_is_measured_without_the_mean_of_the_training_set():
    # Groove and blend share nothing but the mean: without it they are at right angles.
    mean = torch.full((320,), 5.0)
    a, b = torch.zeros(1, 320, 3), torch.zeros(1, 320, 3)
    a[:, 0], b[:, 1] = 1.0, 1.0
    pair = Pair(_clip(a + 5.0), _clip(a + 5.0))
    outcome = Outcome(pair, Proposal((), None, {}, {}), Composition(b + 5.0, (), ()))
    assert float(loss_terms(MdctCodec, torch.zeros(320))["novelty"](outcome)) > 0.99
    assert float(loss_terms(MdctCodec, mean)["novelty"](outcome)) < 1e-3


def test_envelopes_are_read_off_latents_only_where_the_codec_allows_it():
    class Opaque(MdctCodec):
        latents_carry_level = False

    weights = {"modulation.groove": 1.0}
    plain, opaque = Objective(weights, (), MdctCodec), Objective(weights, (), Opaque)
    assert (plain.needs_sound, plain.least_frames(1)) == (False, (600, 1))
    assert (opaque.needs_sound, opaque.least_frames(1)) == (True, (600, 600))
    # Fifteen parts of 64 ms, each 4.8 frames, in five stretches: three parts, 15 frames, of each.
    assert (plain.least_frames(5), opaque.least_frames(5)) == ((600, 5), (600, 75))


def test_the_gan_term_is_ln_2_where_the_discriminator_cannot_tell():
    objective = Objective({"gan": 2.0}, (), MdctCodec)
    assert objective.needs_adversary
    outcome = Outcome(
        Pair(_clip(_latents(0.0)), _clip(_latents(0.0))),
        Proposal((), None, {}, {}),
        Composition(_latents(0.0), (), ()),
        None,
        torch.zeros(3),
    )
    assert float(objective(outcome)[0]) == pytest.approx(2.0 * math.log(2.0))
