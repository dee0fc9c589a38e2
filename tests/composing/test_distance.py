"""One dial from close to the harmony clip to free of it."""

from itertools import pairwise

import pytest

from powermuse.composing import distance, factors
from powermuse.types import BadInput

NOTHING: factors.Chosen = dict.fromkeys(("rhythm", "harmony", "colour"), (None, None))


def test_every_setting_moves_one_way_along_the_dial():
    places = [distance.setting(place / 40) for place in range(41)]
    for one, next_ in pairwise(places):
        assert next_.harmony < one.harmony and next_.colour < one.colour and next_.hold_s >= one.hold_s
    assert places[0].colour >= 1.0 and places[0].hold_s == 0.0 and places[-1].hold_s > 0.0


@pytest.mark.parametrize("place", [-0.1, 1.01, float("nan")])
def test_beyond_its_ends_there_is_nothing(place):
    with pytest.raises(BadInput, match=r"--distance must be from 0 .* to 1"):
        distance.setting(place)


def test_it_sets_strengths_and_holds_and_leaves_the_rhythm_alone():
    told = factors.overrides("factors", NOTHING, None, 0.5)
    at = distance.setting(0.5)
    (guidance,) = [each for each in told if each.startswith("flow.guidance=")]
    rhythm, harmony, colour = (float(each) for each in guidance.removeprefix("flow.guidance=[").rstrip("]").split(","))
    own = factors.recipe.load(str(factors.weights.find_model("factors") / "recipe.yaml")).flow.guidance
    own = [*own, 0.0, 0.0, 0.0][:3]
    assert rhythm == own[0]
    assert harmony == pytest.approx((1 + own[1]) * at.harmony - 1)
    assert colour == pytest.approx((1 + own[2]) * at.colour - 1)
    assert f"agent.options.harmony_hold_s={at.hold_s}" in told


def test_a_strength_beside_it_is_refused():
    with pytest.raises(BadInput, match="leave out --colour-strength, or --distance"):
        factors.overrides("factors", {**NOTHING, "colour": (None, 2.0)}, None, 0.5)


def test_a_model_without_factors_has_no_dial():
    with pytest.raises(BadInput, match="only a model of factors"):
        factors.overrides("starter", NOTHING, None, 0.5)
