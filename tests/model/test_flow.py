"""The composer by flow matching: shapes, what its noise is, guidance, and that a small one learns."""

import dataclasses

import pytest
import torch
from torch import Tensor

from powermuse.losses import flow as losses
from powermuse.model.drafter import Drafter, Known, tokens
from powermuse.model.flow import FlowCascade, guidance_shares
from powermuse.model.score import NOTES, settled
from powermuse.recipe import FlowRecipe
from powermuse.types import BadInput, Brief, Noised, Proposal

D, T, DIMS = 8, 31, (3, 5, 24)
SMALL = FlowRecipe(width=16, heads=2, draft_layers=2, refine_layers=2, pool=3, steps=4)


def made(**changes: object) -> FlowCascade:
    torch.manual_seed(0)
    return FlowCascade(DIMS, D, dataclasses.replace(SMALL, **changes))  # type: ignore[arg-type]


def proposal(seed: int = 0, batch: int = 2, frames: int = T) -> Proposal:
    generator = torch.Generator().manual_seed(seed)
    *running, lasting = (torch.rand(batch, dim, frames, generator=generator) for dim in DIMS)
    return Proposal((*running, 5.0 + lasting[..., :1].expand(-1, -1, frames)), None, {}, {})


def unlike_its_start(model: FlowCascade) -> FlowCascade:
    """Weights that a trained model would not have, so that every path matters."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def drafted(drafter: Drafter, streams: tuple[Tensor, ...], kept_BC: Tensor | None) -> Known:
    """What is known when the plan is painted from its own score."""
    plan = drafter.plan(streams, kept_BC)
    return drafter(plan, settled(plan.notes_BQN.sigmoid(), drafter.recipe))


def test_tokens_are_frames_taken_together_and_latents_are_them_again():
    model, z_BDT = made(), torch.randn(2, D, T)
    found = model._tokens(z_BDT)
    assert found.shape == (2, 11, 3 * D)
    torch.testing.assert_close(model._latents(found, T), z_BDT)
    assert tokens(torch.arange(4.0)[None, None], 3)[0].tolist() == [[0, 1, 2], [3, 3, 3]]


@pytest.mark.parametrize("frames", [1, 3, T])
def test_latents_drafts_and_notes_have_their_shapes(frames):
    model = made().eval()
    composed = model(proposal(frames=frames))
    assert composed.blend_BDT.shape == composed.drafts[0].shape == (2, D, frames)
    assert composed.notes_BQN is not None and composed.notes_BQN.shape == (2, 2 * NOTES, -(-frames // 3))


def noised(music_BDT: Tensor, time_B: Tensor) -> Noised:
    return Noised(music_BDT, torch.randn_like(music_BDT), time_B)


@pytest.mark.parametrize(("begin", "centre"), [("noise", 0.0), ("draft", 1.0)])
def test_the_way_leads_from_noise_or_the_draft_to_music(begin, centre):
    model = made(begin=begin, noise=0.5)
    known = drafted(model.drafter, proposal(batch=4, frames=999).streams, None)
    given = noised(5.0 + 4.0 * torch.randn(4, D, 999), torch.zeros(4))
    start, end = (model._on_the_way(given._replace(time_B=torch.full((4,), t)), known) for t in (0.0, 1.0))
    torch.testing.assert_close(end, model._tokens(given.music_BDT))
    off = start - centre * known.draft_BNE
    assert float(off.detach().std()) == pytest.approx(0.5, rel=0.03)
    assert abs(float(off.detach().mean())) < 0.02


def test_a_composer_that_is_shown_noise_alone_knows_nothing_of_the_music():
    model = unlike_its_start(made())
    music, other = torch.randn(2, D, T), torch.randn(2, D, T)
    at_0 = noised(music, torch.zeros(2))
    shown = []
    for given in (at_0, at_0._replace(music_BDT=other)):
        torch.manual_seed(0)
        shown.append(model(proposal(), Brief(given)).blend_BDT)
    assert torch.equal(*shown)


def test_the_same_seed_composes_the_same_and_another_seed_something_else():
    model = unlike_its_start(made().eval())

    def composed(seed: int) -> Tensor:
        torch.manual_seed(seed)
        blend: Tensor = model(proposal()).blend_BDT
        return blend

    assert torch.equal(composed(1), composed(1))
    assert not torch.allclose(composed(1), composed(2))


def test_every_condition_matters_and_is_not_known_where_it_is_dropped():
    model = unlike_its_start(made())
    streams = proposal().streams
    for i in range(3):
        other = tuple(proposal(7).streams[k] if k == i else s for k, s in enumerate(streams))
        kept, dropped = torch.ones(2, 3), torch.ones(2, 3)
        dropped[:, i] = 0.0
        told, changed, without, changed_without = (
            drafted(model.drafter, given, known).draft_BNE for known in (kept, dropped) for given in (streams, other)
        )
        assert not torch.allclose(told, changed)
        assert torch.equal(without, changed_without)


def test_all_kept_is_the_same_as_nothing_said():
    model, streams = unlike_its_start(made()), proposal().streams
    kept, nothing_said = (drafted(model.drafter, streams, kept_BC) for kept_BC in (torch.ones(2, 3), None))
    torch.testing.assert_close(kept.draft_BNE, nothing_said.draft_BNE)


@pytest.mark.parametrize(("steps", "begin"), [(0, "draft"), (4, "draft"), (4, "noise")])
def test_guidance_of_0_is_none_and_more_leans_further(steps, begin):
    def composed(guidance: list[float]) -> Tensor:
        model = unlike_its_start(made(guidance=guidance, steps=steps, begin=begin).eval())
        torch.manual_seed(3)
        blend: Tensor = model(proposal()).blend_BDT
        return blend

    plain = composed([])
    assert torch.equal(plain, composed([0.0, 0.0, 0.0]))
    apart = [float((composed([0.0, strength]) - plain).detach().abs().mean()) for strength in (0.1, 0.4)]
    assert 0 < apart[0] < apart[1]


def told(*orchestrations: int) -> Brief:
    return Brief(orchestration_B=torch.tensor(orchestrations))


def test_an_orchestration_changes_the_draft_of_its_own_clip_and_0_and_none_leave_it_open():
    model, given = unlike_its_start(made(orchestrations=["blocks", "hocket"]).eval()), proposal()

    def draft(brief: Brief) -> Tensor:
        return model(given, brief).drafts[0]

    left_open = draft(Brief())
    assert torch.equal(left_open, draft(told(0, 0)))
    drafts = [left_open, draft(told(1, 1)), draft(told(2, 2))]
    for i, k in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(drafts[i], drafts[k])
    mixed = draft(told(2, 0))
    torch.testing.assert_close(mixed[0], drafts[2][0])
    torch.testing.assert_close(mixed[1], left_open[1])


@pytest.mark.parametrize(("steps", "begin"), [(0, "draft"), (4, "noise")])
def test_what_is_composed_without_a_condition_is_still_of_the_orchestration_that_is_wanted(steps, begin):
    """A guidance of -1 leans all the way to what would be composed without the rhythm."""
    model = unlike_its_start(made(orchestrations=["blocks"], guidance=[-1.0], steps=steps, begin=begin).eval())

    @torch.no_grad()
    def composed(rhythm_of: int, brief: Brief) -> Tensor:
        torch.manual_seed(0)
        given = Proposal((proposal(rhythm_of).streams[0], *proposal().streams[1:]), None, {}, {})
        blend: Tensor = model(given, brief).blend_BDT
        return blend

    torch.testing.assert_close(composed(0, told(1, 1)), composed(7, told(1, 1)), rtol=1e-3, atol=1e-3)
    assert float((composed(0, told(1, 1)) - composed(0, told(0, 0))).abs().mean()) > 0.1


@pytest.mark.parametrize(("steps", "begin"), [(0, "draft"), (4, "draft"), (4, "noise")])
def test_the_notes_that_are_told_lean_as_the_blend_does(steps, begin):
    def told_notes(model: FlowCascade, seed: int = 0) -> Tensor:
        given = Proposal((proposal(seed).streams[0], *proposal().streams[1:]), None, {}, {})
        notes_BQN: Tensor = model(given).notes_BQN
        return notes_BQN

    free = unlike_its_start(made(guidance=[-1.0], steps=steps, begin=begin))
    torch.testing.assert_close(told_notes(free.eval()), told_notes(free, 7), rtol=1e-4, atol=1e-4)
    plain, more = (unlike_its_start(made(guidance=g, steps=steps, begin=begin).eval()) for g in ([0.0], [1.0]))
    torch.testing.assert_close(told_notes(more) - told_notes(plain), told_notes(plain) - told_notes(free))


def test_notes_lean_to_those_of_the_chord_that_holds_and_in_training_they_do_not():
    chord_BPT = torch.full((2, 12, T), -1.0)
    chord_BPT[:, [0, 4, 7], :15] = 1.0  # C major, then D minor, in the second clip no chord to the end
    chord_BPT[:, [2, 5, 9], 15:] = 1.0
    chord_BPT[1, :, 24:] = 0.0
    given = proposal()._replace(chord_BPT=chord_BPT)
    plain, leant = (unlike_its_start(made(leaning=amount).eval()) for amount in (0.0, 1.5))
    own_BQN, moved_BQN = plain(given).notes_BQN, leant(given).notes_BQN
    by_BQN = (moved_BQN - own_BQN).round(decimals=3)
    middle_c, low_d = 60 - 21, 26 - 21
    for row, held in ((middle_c, (1.5, -1.5)), (low_d, (-1.5, 1.5))):
        for i in (row, NOTES + row):  # what sounds, and what is struck
            assert by_BQN[0, i].tolist() == [held[0]] * 5 + [held[1]] * 6
            assert by_BQN[1, i].tolist() == [held[0]] * 5 + [held[1]] * 3 + [0.0] * 3
    torch.testing.assert_close(plain(proposal()).notes_BQN, own_BQN)
    with pytest.raises(BadInput, match="tells no chords to lean to"):
        leant(proposal())
    drop = {"drop": 0.0, "drop_all": 0.0}
    learning = [unlike_its_start(made(leaning=x, **drop).train())(given).notes_BQN for x in (0.0, 1.5)]
    torch.testing.assert_close(*learning)


def test_what_is_painted_and_told_as_its_score_leans_too():
    chord_BPT = torch.full((2, 12, T), -1.0)
    chord_BPT[:, [0, 4, 7]] = 1.0
    given = proposal()._replace(chord_BPT=chord_BPT)
    plain, leant = (unlike_its_start(made(leaning=x, steps=0).eval())(given) for x in (0.0, 30.0))
    foreign = [i for i in range(NOTES) if (i + 21) % 12 not in (0, 4, 7)]
    sounds_BQN = settled(leant.notes_BQN.sigmoid(), SMALL).sounds_BQN
    assert sounds_BQN.any() and not sounds_BQN[:, foreign].any()
    assert settled(plain.notes_BQN.sigmoid(), SMALL).sounds_BQN[:, foreign].any()
    assert not torch.allclose(plain.blend_BDT, leant.blend_BDT)


@pytest.mark.parametrize(
    ("guidance", "wanted"),
    [
        ([], {(): 1.0}),
        ([0.0, 0.5, 0.0], {(): 1.5, (1,): -0.5}),
        ([-0.25], {(): 0.75, (0,): 0.25}),
        ([0.0, -1.0, -1.0], {(1, 2): 1.0}),
        ([0.0, -0.5, -0.8], {(): 0.1, (1,): 0.1, (2,): 0.4, (1, 2): 0.4}),
        ([0.4, 0.6], {(): 2.0, (0,): -0.4, (1,): -0.6}),
        ([1.0, -1.0], {(1,): 2.0, (0, 1): -1.0}),
    ],
)
def test_each_factor_is_weakened_by_a_throw_of_its_own_and_leant_on_alone(guidance, wanted):
    found = guidance_shares(guidance)
    assert sum(found.values()) == pytest.approx(1.0)
    assert {tuple(sorted(dropped)): share for dropped, share in found.items()} == pytest.approx(wanted)


@pytest.mark.parametrize(("steps", "begin"), [(0, "draft"), (4, "noise")])
def test_two_factors_of_no_strength_leave_nothing_of_either(steps, begin):
    model = unlike_its_start(made(guidance=[0.0, -1.0, -1.0], steps=steps, begin=begin).eval())
    model.drafter.palette = None  # whose levels are told of the last stream

    @torch.no_grad()
    def composed(seed: int) -> tuple[Tensor, Tensor]:
        torch.manual_seed(0)
        given = Proposal((proposal().streams[0], *proposal(seed).streams[1:]), None, {}, {})
        answer = model(given)
        return answer.blend_BDT, answer.notes_BQN

    for one, other in zip(composed(0), composed(7), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_in_training_an_orchestration_is_left_open_now_and_then():
    model = made(orchestrations=["blocks", "hocket"], drop=0.3)
    wanted_B = torch.ones(2000, dtype=torch.long)
    torch.manual_seed(0)
    found_B = model._left_open(wanted_B)
    assert found_B is not None and set(found_B.tolist()) == {0, 1}
    assert abs(int(found_B.sum()) - 1400) < 103  # five standard deviations
    assert model._left_open(None) is None
    assert torch.equal(model.eval()._left_open(wanted_B), wanted_B)


@pytest.mark.parametrize(("drop", "told_apart"), [(0.0, True), (1.0, False)])
def test_what_is_left_open_in_training_does_not_reach_the_draft(drop, told_apart):
    model = unlike_its_start(made(orchestrations=["blocks", "hocket"], drop=drop, drop_all=0.0))
    first, second = (model(proposal(), told(i, i)).drafts[0] for i in (1, 2))
    assert torch.equal(first, second) is not told_apart


def test_where_the_draft_is_alone_the_second_stage_is_frozen_and_not_run(monkeypatch):
    model = unlike_its_start(made(drop=0.0, drop_all=0.0))
    assert model.refiner is not None and model.refines
    refined = model.eval()(proposal()).blend_BDT
    model.draft_alone()

    def runs(*_: object) -> None:
        raise AssertionError("the second stage was run")

    monkeypatch.setattr(model.refiner, "forward", runs)
    for training in (True, False):
        for brief in (Brief(), Brief(noised(torch.randn(2, D, T), torch.rand(2)))):
            composed = model.train(training)(proposal(), brief)
            assert torch.equal(composed.blend_BDT, composed.drafts[0])
    assert not torch.allclose(composed.blend_BDT, refined)
    assert not any(p.requires_grad for p in model.refiner.parameters())
    assert all(p.requires_grad for p in model.drafter.parameters())


def test_without_a_second_stage_the_draft_is_the_blend():
    for model in (made(refine_layers=0), made(steps=0)):
        composed = model.eval()(proposal())
        assert torch.equal(composed.blend_BDT, composed.drafts[0])
    assert made(refine_layers=0).refiner is None


def test_one_step_of_a_flow_that_knows_the_answer_arrives_whatever_the_steps():
    """Euler steps towards the same clean tokens end at them."""
    for steps in (1, 4, 9):
        model = made(steps=steps).eval()
        assert model.refiner is not None
        torch.nn.init.zeros_(model.refiner.painter.outward.weight)  # so that it answers the draft, whatever the noise
        torch.testing.assert_close(model(proposal()).blend_BDT, model(proposal()).drafts[0], rtol=1e-4, atol=1e-4)


def test_a_small_one_learns_two_pieces_and_composes_them_from_noise():
    torch.manual_seed(1)
    model, given = made(), proposal()
    truth_BDT = 5.0 + 4.0 * torch.randn(2, D, T)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    for _ in range(400):
        shown = noised(truth_BDT, torch.rand(2))
        composed = model(given, Brief(shown))
        loss = losses.draft_error(composed.drafts[0], truth_BDT)
        loss = loss + losses.velocity_error(composed.blend_BDT, truth_BDT, shown)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = (model.eval()(given).blend_BDT - truth_BDT).std() / 4.0
    assert error < 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"heads": 3},
        {"pool": 0},
        {"guidance": [1.0] * 4},
        {"spread": 0.0},
        {"orchestrations": ["blocks", "blocks"]},
        {"orchestrations": [""]},
        {"strikes": 2.0},
        {"holds": 1.0},
    ],
    ids=str,
)
def test_sizes_that_make_no_composer_are_refused(changes):
    with pytest.raises(BadInput, match="flow"):
        made(**changes)


def test_a_palette_is_painted_with_in_its_own_units_and_only_where_it_is_known():
    """Streams: rhythm, three levels of each channel and whether they are known, colour of two levels."""
    torch.manual_seed(0)
    model = FlowCascade((3, 3 * D + 1, 2 * D), D, SMALL, palette=1)
    levels_BRT, colour_BR = 9.0 * torch.rand(2, 3 * D, T), 9.0 * torch.rand(2, 2 * D)
    known_B1T = torch.tensor([1.0, 0.0])[:, None, None].expand(-1, 1, T)
    colour_BRT = colour_BR[..., None].expand(-1, -1, T)
    streams = (torch.rand(2, 3, T), torch.cat([levels_BRT, known_B1T], dim=1), colour_BRT)
    known = model.drafter.plan(streams, None).told_BPDN
    found = known[:, :5]
    assert known.shape == (2, 5 + 3 * SMALL.pool, D, 11)
    unit = (levels_BRT.unflatten(1, (3, D)) - SMALL.centre) / SMALL.spread
    torch.testing.assert_close(found[0, 2:, :, 4], unit[0, :, :, 13])  # the middle frame of the token
    assert not found[1, 2:].any(), "it is not known"
    torch.testing.assert_close(found[:, :2, :, 0], (colour_BR.view(2, 2, D) - SMALL.centre) / SMALL.spread)
    dropped = model.drafter.plan(streams, torch.tensor([[1.0, 0.0, 1.0]] * 2)).told_BPDN[:, :5]
    assert not dropped[:, 2:].any() and torch.equal(dropped[:, :2], found[:, :2])


def test_the_first_stream_is_told_to_the_painter_frame_by_frame_and_only_where_it_is_known():
    model, streams = made(), proposal().streams
    levels = DIMS[-1] // D
    found = model.drafter.plan(streams, torch.tensor([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])).told_BPDN
    assert not found[1, levels:].any(), "it is not known"
    strokes = found[0, levels:].unflatten(0, (DIMS[0], SMALL.pool))
    for frame in (0, 4, 20, 29):
        torch.testing.assert_close(
            strokes[:, frame % 3, :, frame // 3], streams[0][0, :, frame, None].expand(-1, D), msg=str(frame)
        )


def roll(*struck: int) -> Tensor:
    """[1, 88, T] with notes that sound on to the end."""
    found = torch.zeros(1, NOTES, T)
    for row in struck:
        found[0, row, 9:] = 1.0
        found[0, row, 9] = 2.0
    return found


def test_the_notes_of_the_truth_are_painted_where_they_are_known_else_its_own():
    model, given = unlike_its_start(made(drop=0.0, drop_all=0.0)), proposal()
    unknown = torch.full((1, NOTES, T), -1.0)

    def draft(*rolls: Tensor) -> Tensor:
        return model(given, Brief(notes_BQT=torch.cat(rolls) if rolls else None)).drafts[0]

    own, right, other = draft(), draft(roll(30), unknown), draft(roll(33), unknown)
    torch.testing.assert_close(own[1], right[1])
    assert not torch.allclose(own[0], right[0]) and not torch.allclose(right[0], other[0])
    torch.testing.assert_close(draft(unknown, unknown), own)


def test_where_the_score_is_alone_nothing_is_painted(monkeypatch):
    model = unlike_its_start(made())
    model.score_alone()

    def runs(*_: object) -> None:
        raise AssertionError("it was painted")

    monkeypatch.setattr(model.drafter.painter, "forward", runs)
    for training in (False, True):
        composed = model.train(training)(proposal(), Brief(notes_BQT=roll(30).expand(2, -1, -1)))
        assert composed.blend_BDT.shape == (2, D, T) and composed.notes_BQN is not None
    losses.notes_error(composed.notes_BQN, roll(30)[..., :11].expand(2, -1, -1)).backward()
    untaught = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert untaught == []
