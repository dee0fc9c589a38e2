"""The level of the blend against that of its sources."""

from powermuse.training.doctor.record import NotChecked, Record
from powermuse.training.doctor.verdicts import Ill, Rule, setting

RATIO = (0.9, 1.1)
"""The prototype's goal for blend RMS over sqrt((rms_g^2 + rms_h^2) / 2)."""
AT_BOUND = 0.01
"""Share of the bound within which the batch's mean counts as stuck there."""
SILENT_RMS = 1e-6
"""The prototype's authors: an output RMS under 1e-6 is an explosion ahead, or behind."""


def ratio(record: Record) -> Ill | str:
    """A blend louder or softer than its sources."""
    if record.recipe.agent.name == "fixed" and record.option("kind") != "groove":
        raise NotChecked("fixed masks make the streams softer on purpose; composing brings the level back")
    now = record.now("level.ratio")
    low, high = RATIO
    found = f"level {now:.3g} of what the sources have"
    if low <= now <= high:
        return f"{found}, between {low:g} and {high:g}"
    return Ill(f"{found}, not between {low:g} and {high:g}", "let the cascade bring the level back", _levelling(record))


def stuck(record: Record) -> Ill | str:
    """A scale factor that its bounds hold back."""
    cascade = record.recipe.cascade
    if not cascade.rms_scaling or cascade.scale_low == cascade.scale_high:
        raise NotChecked("the cascade scales nothing")
    scales = {name: record.now(name) for name in sorted({*record.train, *record.val}) if name.startswith("scale.")}
    if not scales:
        raise NotChecked("the log has no scale.0")
    low, high = cascade.scale_low, cascade.scale_high
    at_low = [name for name, scale in scales.items() if scale <= low * (1 + AT_BOUND)]
    at_high = [name for name, scale in scales.items() if scale >= high * (1 - AT_BOUND)]
    if not at_low and not at_high:
        return f"scale factors between their bounds {low:g} and {high:g}"
    settings = []
    if cascade.residual_weights:
        settings.append("cascade.residual_weights=[]")
    if at_low:
        settings.append(setting("cascade.scale_low", min(0.7, low / 2)))
    if at_high:
        settings.append(setting("cascade.scale_high", max(1.5, min(high * 1.5, 3.0))))
    named = ", ".join(f"{name} is {scales[name]:.3g}" for name in at_low + at_high)
    return Ill(
        f"{named}, at the bound (from {low:g} to {high:g}): the level is held back",
        "full residuals, or wider bounds",
        tuple(settings),
    )


def silent(record: Record) -> Ill | str:
    """A blend of nothing."""
    rms = record.now("blend.rms")
    if rms >= SILENT_RMS:
        return f"RMS of the blend's latents {rms:.3g}, at least {SILENT_RMS:g}"
    return Ill(
        f"RMS of the blend's latents {rms:.3g}, under {SILENT_RMS:g}",
        "nothing comes out: full residuals and a level that is kept",
        _levelling(record),
    )


def _levelling(record: Record) -> tuple[str, ...]:
    """Settings that bring the level back; where all are as they should be, learning went wrong."""
    cascade = record.recipe.cascade
    settings = [] if cascade.rms_scaling else ["cascade.rms_scaling=true"]
    if any(weight < 1.0 for weight in cascade.residual_weights):
        settings.append("cascade.residual_weights=[]")
    if cascade.scale_low > 0.7 or cascade.scale_high < 1.5:
        settings += ["cascade.scale_low=0.7", "cascade.scale_high=1.5"]
    return tuple(settings) or (setting("training.learning_rate", record.recipe.training.learning_rate / 3),)


RULES = (Rule("level", ratio), Rule("scale factor at its bound", stuck), Rule("silent blend", silent))
