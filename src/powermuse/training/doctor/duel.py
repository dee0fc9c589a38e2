"""The discriminator against the model."""

import math

from powermuse.training.doctor.record import NotChecked, Record
from powermuse.training.doctor.verdicts import Ill, Rule, setting

WON = 0.9
"""Mean of how often it is right of real and of fake: the prototype's authors call over 90 % won."""
ASLEEP_LOSS = (0.68, 0.72)
"""ln 2 = 0.693 is what guessing costs, and an untrained discriminator (measured 0.69 to 0.70)."""
ASLEEP_RIGHT = 0.8
"""Of few logits that are all near zero three of four may have the right sign; more than that was learned."""
AWAKE_LOSS = 0.6
"""A quarter of the run under this shows that it could tell them apart once. Measured: 0.57 where it is even."""
CONFUSED_LOSS = 1.0
"""More than guessing costs: it is sure, and wrong. Measured: 1.7 and more where it learned ten times too fast."""
MOST_EVERY = 16


def winning(record: Record) -> Ill | str:
    """A discriminator that is nearly always right gives the model nothing to follow."""
    right, _ = _stands(record)
    if right <= WON:
        return f"the discriminator is right {right:.0%} of the time, at most {WON:.0%}"
    adversary = record.recipe.adversary
    return Ill(
        f"the discriminator is right {right:.0%} of the time, over {WON:.0%}: it has won",
        "let it learn more slowly and less often",
        (
            setting("adversary.rate_share", adversary.rate_share / 4),
            setting("adversary.every", min(2 * adversary.every, max(MOST_EVERY, adversary.every))),
        ),
    )


def asleep(record: Record) -> Ill | str:
    """A discriminator that guesses has nothing to teach."""
    right, loss = _stands(record)
    found = f"right {right:.0%} of the time at a loss of {loss:.3f} (guessing costs {math.log(2):.3f})"
    low, high = ASLEEP_LOSS
    if not low < loss < high or right >= ASLEEP_RIGHT:
        return f"{found}; not between {low:g} and {high:g}, or at least {ASLEEP_RIGHT:.0%}"
    adversary = record.recipe.adversary
    settings = [setting("adversary.rate_share", max(0.5, 2 * adversary.rate_share))]
    if adversary.every > 1:
        settings.append("adversary.every=1")
    best = min(record.quarters("adversary.loss"))
    if best <= AWAKE_LOSS:
        found += f", after {best:.3f} in its best quarter: the blends pass for real"
    return Ill(
        f"the discriminator is {found}; between {low:g} and {high:g}: it sleeps",
        "let it learn faster, at each step",
        tuple(settings),
    )


def confused(record: Record) -> Ill | str:
    """A discriminator that is sure and wrong learns too fast."""
    _, loss = _stands(record)
    if loss <= CONFUSED_LOSS:
        return f"the discriminator's loss is {loss:.3f}, at most {CONFUSED_LOSS:g}"
    return Ill(
        f"the discriminator's loss is {loss:.3g}, over {CONFUSED_LOSS:g}: worse than guessing",
        "let it learn more slowly",
        (setting("adversary.rate_share", record.recipe.adversary.rate_share / 4),),
    )


def _stands(record: Record) -> tuple[float, float]:
    """How often it is right, and its loss, in the last quarter of the run."""
    if record.weight("gan") == 0.0:
        raise NotChecked("this run has no discriminator (weights.gan is 0)")
    names = ("adversary.right_of_real", "adversary.right_of_fake", "adversary.loss")
    real, fake, loss = (record.quarters(name)[-1] for name in names)
    return 0.5 * (real + fake), loss


RULES = (
    Rule("discriminator winning", winning),
    Rule("discriminator asleep", asleep),
    Rule("discriminator confused", confused),
)
