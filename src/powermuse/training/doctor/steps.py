"""What goes wrong with the steps themselves: numbers, gradients, the course of the loss, targets."""

import itertools
import math
import statistics

from powermuse import targets
from powermuse.training.doctor.record import NotChecked, Record, finite, quarters
from powermuse.training.doctor.verdicts import Ill, Rule, raised, setting

EXPLODING_NORM = 10.0
"""The prototype's authors wanted the norm of the gradient under 10. Measured: 0.02 to 0.73 in eight
runs of separation, tiny and the prototype's mask penalties."""
HEAVY_WEIGHT = 50.0
"""More than twice the heaviest weight of the prototype (20): it makes gradients large by itself."""
GROWTH = 1.5
"""From one quarter of a run to the next, three times over. Measured: the steepest of eight runs grew by 1.46, 1.43
and 1.38, to a norm of 0.62."""
GROWN_NORM = 1.0
"""A norm that grows is no explosion below a tenth of EXPLODING_NORM."""
VANISHED_NORM = 1e-4
"""AdamW stops following gradients below its epsilon of 1e-8 a weight: a norm of 1e-5 over a million weights. Ten times
that. Measured: 0.013 is the smallest of the same eight runs."""
MOST_SCALE = 1.3
"""The prototype's authors: over 1.3 an explosion is ahead."""
SCALE_MARGIN = 1.1
"""Over what the bare residual of stage 0 needs (level.residual_scale): two streams that share nothing need 1.41, which
is arithmetic and no illness. Measured: stages ask for 0.91 to 0.99 of it."""
PLATEAU = 0.01
"""Share of the loss that the last quarter of a run gains on the third. Measured on separation, 16,000 pairs, three
seeds: 0.9 to 1.0 % from the first quarter to the second, after that -0.5 to 0.4 %."""
SLOW_RATE, USUAL_RATE = 1e-5, 1e-3
"""A learning rate below a tenth of the large recipes' (1e-4); that of the small ones."""
OVERFITTED = 0.05
"""Rise of the validation loss over its best. Measured: the same three runs end 0.3 to 1.1 % above their best."""
TARGET_SPENT = 0.99


def not_finite(record: Record) -> Ill | str:
    """Values of the log that are no numbers, and one that ended the run before it was logged."""
    bad = {
        f"{split}/{name}": curve.seen[next(i for i, v in enumerate(curve.values) if not math.isfinite(v))]
        for split, curves in (("train", record.train), ("val", record.val))
        for name, curve in curves.items()
        if len(finite(curve.values)) < len(curve.values)
    }
    found = [f"not a number: {', '.join(f'{name} at pair {seen}' for name, seen in bad.items())}"] if bad else []
    if record.failed is not None:
        found.append(f"it ended the run: {record.failed.told}")
    if not found:
        return "every value of the log is a finite number"
    return Ill("; ".join(found), "learn more slowly", (_slower(record),))


def exploding(record: Record) -> Ill | str:
    """The norm of the gradient, before it is clipped."""
    norms = finite(record.train["grad_norm"].values) if "grad_norm" in record.train else []
    if not norms:
        raise NotChecked("the log has no grad_norm")
    now = statistics.median(norms[-max(1, len(norms) // 4) :])
    remedy = [_slower(record)]
    if record.recipe.training.clip_norm > EXPLODING_NORM:
        remedy.append(setting("training.clip_norm", EXPLODING_NORM))
    advice = "learn more slowly, with clipped steps, full residuals, at most two stages and no heavy weights"
    remedy += _sound_cascade(record)
    heavy = {term: weight for term, weight in record.recipe.weights.items() if weight >= HEAVY_WEIGHT}
    remedy += [setting(f"weights.{term}", weight / 100) for term, weight in heavy.items()]
    if now > EXPLODING_NORM:
        return Ill(f"gradient norm {now:.3g}, over {EXPLODING_NORM:g}", advice, tuple(remedy))
    parts = quarters(norms, "grad_norm") if len(norms) >= 8 else []
    if parts and parts[-1] > GROWN_NORM and all(b > GROWTH * a for a, b in itertools.pairwise(parts)):
        course = ", ".join(f"{part:.3g}" for part in parts)
        return Ill(f"gradient norm grows by over {GROWTH:g} each quarter of the run: {course}", advice, tuple(remedy))
    return f"gradient norm {now:.3g}, at most {EXPLODING_NORM:g}"


def scale_factor(record: Record) -> Ill | str:
    """How much each stage has to be amplified to reach the level of its streams."""
    scales = {name: record.now(name) for name in sorted({*record.train, *record.val}) if name.startswith("scale.")}
    if not scales:
        raise NotChecked("the log has no scale.0")
    most = dict.fromkeys(scales, MOST_SCALE)
    if "level.residual_scale" in record.val:
        most["scale.0"] = max(MOST_SCALE, SCALE_MARGIN * record.now("level.residual_scale"))
    over = [f"{name} is {scale:.3g}, over {most[name]:.3g}" for name, scale in scales.items() if scale > most[name]]
    if not over:
        return ", ".join(f"{name} {scale:.3g}, at most {most[name]:.3g}" for name, scale in scales.items())
    return Ill(
        f"{'; '.join(over)}: an explosion is ahead",
        "give each stage its full residual, bound the factor, two stages at most",
        tuple(_sound_cascade(record)) or (_slower(record),),
    )


def _slower(record: Record) -> str:
    """A third of the learning rate, and no more than the usual."""
    return setting("training.learning_rate", min(record.recipe.training.learning_rate / 3, USUAL_RATE))


def _sound_cascade(record: Record) -> list[str]:
    """Settings that lead from a form of the cascade that explodes to one that does not."""
    cascade, settings = record.recipe.cascade, []
    if cascade.stages > 2:
        settings.append("cascade.stages=2")
    if any(weight < 1.0 for weight in cascade.residual_weights) or (settings and cascade.residual_weights):
        settings.append("cascade.residual_weights=[]")
    if cascade.scale_high > 1.5 or cascade.scale_low < 0.5:
        settings += ["cascade.scale_low=0.7", "cascade.scale_high=1.5"]
    return settings


def vanishing(record: Record) -> Ill | str:
    """A gradient too small to move a weight."""
    now = record.quarters("grad_norm")[-1]
    if now >= VANISHED_NORM:
        return f"gradient norm {now:.3g}, at least {VANISHED_NORM:g}"
    settings = [raised(record, f"latent.{side}", 0.3) for side in ("groove", "harmony")]
    if record.option("sharpness", 0.0) > 8.0:
        settings.insert(0, "agent.options.sharpness=8")
    return Ill(
        f"gradient norm {now:.3g}, under {VANISHED_NORM:g}",
        "nothing is learned any more: soften what is saturated, and weight a term that still has a slope",
        tuple(settings),
    )


def plateau(record: Record) -> Ill | str:
    """A training loss that no longer falls."""
    loss = record.loss("train")
    first, _, third, last = quarters(loss.values, "loss")
    gained = (third - last) / max(abs(third), 1e-12)
    if gained > PLATEAU:
        return f"the loss fell by {gained:.1%} from the third quarter of the run to the last"
    rate = record.recipe.training.learning_rate
    found = f"the loss went from {third:.4g} in the third quarter of the run to {last:.4g} in the last: {-gained:+.1%}"
    found += f", a fall of over {PLATEAU:.0%} is wanted"
    fell = (first - last) / max(abs(first), 1e-12) > PLATEAU
    found += f", after {first:.4g} in the first" if fell else f"; it never fell ({first:.4g} in the first)"
    if rate < SLOW_RATE or (not fell and rate < USUAL_RATE):
        return Ill(
            found,
            "learn faster, and see what else is wrong",
            (setting("training.learning_rate", min(max(3 * rate, 1e-4), USUAL_RATE)),),
        )
    return Ill(
        found,
        "it is done, if you like what you hear; else learn more slowly from here",
        (setting("training.learning_rate", rate / 3),),
    )


def overfitting(record: Record) -> Ill | str:
    """A validation loss that rises while the training loss falls."""
    val, train = record.loss("val"), record.loss("train")
    if len(val.values) < 4 or len(train.values) < 8:
        raise NotChecked(f"the log has {len(val.values)} validations, 4 are wanted (training.validate_every)")
    best = min(range(len(val.values)), key=lambda i: val.values[i])
    rise = (val.values[-1] - val.values[best]) / max(abs(val.values[best]), 1e-12)
    before = [v for s, v in zip(*train, strict=True) if s <= val.seen[best]][-4:]
    falls = bool(before) and statistics.median(train.values[-4:]) < statistics.median(before)
    if rise <= OVERFITTED or not falls:
        return f"the validation loss ends {rise:.1%} above its best, at most {OVERFITTED:.0%} while training falls"
    patches = bool(record.recipe.weights.get("gan")) and record.recipe.adversary.hears != "clips"
    kept = "the model of the run is the newest one" if patches else "the model of the run is the best one: stop"
    pairs, dropout = f"training.pairs={val.seen[best]}", max(0.2, record.recipe.cascade.dropout)
    flows = record.recipe.composer == "flow"
    return Ill(
        f"the validation loss is {rise:.1%} above its best (at pair {val.seen[best]}), over {OVERFITTED:.0%}, "
        "while the training loss falls",
        f"{kept}; for more, prepare more songs" + ("" if flows else ", or use more dropout"),
        (pairs,) if flows else (pairs, setting("cascade.dropout", dropout)),
    )


def missed_targets(record: Record) -> Ill | str:
    """Targets whose multiplier stands at its bound while they are violated."""
    bounds = [bound for name, text in record.recipe.targets.items() for bound in targets.parse(name, text)]
    if not bounds:
        raise NotChecked("the recipe has no targets")
    most = record.recipe.target.most
    missed: list[str] = []
    held: list[str] = []
    for bound in bounds:
        price = record.now(f"target.{bound.name}.{'most' if bound.sign > 0 else 'least'}")
        value = record.now(bound.name)
        line = f"{bound.label}: it is {value:.3g}, multiplier {price:.3g} of at most {most:g}"
        spent = price >= TARGET_SPENT * most and bound.sign * (value - bound.limit) > 0
        (missed if spent else held).append(line)
    if not missed:
        return "; ".join(held)
    return Ill(
        "; ".join(missed),
        "it cannot be met at this price: relax it, or let it cost more",
        (setting("target.most", 10 * most),),
    )


RULES = (
    Rule("numbers that are not finite", not_finite),
    Rule("exploding gradients", exploding),
    Rule("scale factor", scale_factor),
    Rule("vanishing gradients", vanishing),
    Rule("plateau", plateau),
    Rule("overfitting", overfitting),
    Rule("missed targets", missed_targets),
)
