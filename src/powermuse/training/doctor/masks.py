"""Masks that do not answer to the music, and masks that give one clip too much."""

from powermuse.training.doctor.record import NotChecked, Record
from powermuse.training.doctor.sources import LEARNED_STEPS, separating
from powermuse.training.doctor.verdicts import Ill, Rule, raised, setting

CONSTANT = 0.1
"""Separation, -4 cov(m_g, m_h). Measured: untrained 0.00, the starter 0.02; masks that separate 0.71 and more."""
FIXED = 0.2
"""Content share. Measured: fixed splits 0.00 to 0.16, a random projection 0.40, masks that separate 0.90 and more."""
DEAF = 0.05
"""Swap response. Measured: masks of the clip alone .003, fixed splits .001, masks that separate .26 and more."""
OFF_BALANCE = 0.05
"""From 0.5. The goal is 0.02; measured: sound runs end within 0.02 on held-out songs, a drifting one at .32 / .68."""
MOST_BALANCE_WEIGHT = 20.0
"""The prototype's authors: 5, 10, at most 20."""


def constant(record: Record) -> Ill | str:
    """Masks that are the same everywhere, or for both clips. Complementarity does not show it (halves: 0.75)."""
    separation = _learned(record, "separation")
    if separation >= CONSTANT:
        return f"separation {separation:.2f}, at least {CONSTANT:g}"
    return Ill(
        f"separation {separation:.3f}, under {CONSTANT:g}: the masks are constant, or alike (complementarity "
        f"{record.now('complementarity'):.2f}; two constant halves have 0.75)",
        "ask the masks to follow onsets, in the form that cannot stay constant (recipe separation)",
        tuple(separating(record)) or (setting("agent.options.sharpness", 2 * record.option("sharpness", 8.0)),),
    )


def fixed_split(record: Record) -> Ill | str:
    """Channels that are given away for good, whatever the clips are."""
    separation, share = _learned(record, "separation"), record.now("content_share")
    if separation < CONSTANT:
        raise NotChecked("the masks are constant: there is no split")
    if share >= FIXED:
        return f"content share {share:.2f}, at least {FIXED:g}"
    settings = separating(record)
    if record.weight("mask.overlap") > 0.1:
        settings.append(setting("weights.mask.overlap", 0.1))
    if "content_share" in record.recipe.targets:
        settings.append(setting("target.most", 10 * record.recipe.target.most))
    return Ill(
        f"content share {share:.3f}, under {FIXED:g}, at separation {separation:.2f}: a fixed split of the channels",
        "push less for little overlap, more for masks that follow the music",
        tuple(settings) or (raised(record, "mask.channel_balance", 1.0),),
    )


def deaf(record: Record) -> Ill | str:
    """Masks that do not hear the partner."""
    separation, response = _learned(record, "separation"), record.now("swap_response")
    if separation < CONSTANT or record.now("content_share") < FIXED:
        raise NotChecked("the masks do not answer to any clip")
    if response >= DEAF:
        return f"swap response {response:.3f}, at least {DEAF:g}"
    return Ill(
        f"another partner moves the masks by {response:.4f}, under {DEAF:g}",
        "let both clips be asked for their onsets, with one mask and its complement",
        tuple(separating(record)) or (raised(record, "mask.onsets.harmony", 1.0),),
    )


def balance(record: Record) -> Ill | str:
    """A clip that gives more than its half."""
    means = {side: _learned(record, f"balance.{side}") for side in ("groove", "harmony")}
    found = ", ".join(f"{side} {mean:.2f}" for side, mean in means.items())
    if all(abs(mean - 0.5) <= OFF_BALANCE for mean in means.values()):
        return f"mask means: {found}; within {OFF_BALANCE:g} of 0.5"
    settings = (raised(record, "mask.balance", 5.0, MOST_BALANCE_WEIGHT),)
    if record.weight("mask.balance") >= MOST_BALANCE_WEIGHT:
        settings = ("targets={balance.groove: 0.5 +- 0.02, balance.harmony: 0.5 +- 0.02}",)
    return Ill(f"mask means: {found}; more than {OFF_BALANCE:g} from 0.5", "weigh balance", settings)


def _learned(record: Record, name: str) -> float:
    """A figure of masks that could learn, after they had time to."""
    if record.recipe.agent.name == "fixed":
        raise NotChecked("the masks of the fixed agent are what the recipe says")
    if record.recipe.agent.name != "masking" and name not in record.val and name not in record.train:
        raise NotChecked(f"the agent {record.recipe.agent.name} has no masks")
    record.after_steps(LEARNED_STEPS)
    return record.now(name)


RULES = (
    Rule("static masks: constant", constant),
    Rule("static masks: a fixed split", fixed_split),
    Rule("masks that ignore the partner", deaf),
    Rule("mask means", balance),
)
