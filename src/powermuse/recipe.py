"""The complete, typed description of a run: nested frozen dataclasses, YAML in and out, dotted overrides."""

import copy
import dataclasses
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from powermuse.typed import first_line, typed
from powermuse.types import BadInput

_OPEN_KEYS = ("weights", "targets", "options")  # dictionaries whose keys may hold dots or are checked elsewhere


@dataclass(frozen=True)
class Choice:
    """A codec or an agent by its name, with its options (checked against its `Config` when the run is built)."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CascadeRecipe:
    """The composing transformer."""

    stages: int = 2
    """Stage 0 sees the streams; each further stage sees the draft before it as well. 1 is the single stage."""
    layers: int = 6
    """Transformer layers of each stage."""
    heads: int = 8
    ffn_multiple: float = 4.0
    """Width of the feed-forward block over the width of the stage."""
    dropout: float = 0.1
    """On positions, attention output and feed-forward; 0 keeps everything deterministic."""
    attention_dropout: float = 0.0
    """Above 0 it keeps attention off its fast path on a CPU."""
    input_noise: float = 0.1
    """Noise on the groove, and from stage 1 on the harmony, in standard deviations; training only."""
    rms_scaling: bool = True
    """Bring each stage's RMS towards that of its streams."""
    scale_low: float = 0.7
    scale_high: float = 1.5
    """Bounds of the RMS scale factor."""
    residual_weights: list[float] = field(default_factory=list)
    """Weight of the residual of each stage; empty means 1 everywhere. The old third stage had 0.1, and exploded."""
    see_all_drafts: bool = False
    """Each stage sees every draft before it instead of the last: the old third stage is 512 wide."""


@dataclass(frozen=True)
class FlowRecipe:
    """The composer that hears codes alone: a draft, refined by flow matching."""

    width: int = 288
    heads: int = 8
    draft_layers: int = 4
    paint_channels: int = 32
    paint_layers: int = 2
    """Of the convolutions over channels and time that paint the draft; the refinement has as many channels."""
    refine_layers: int = 3
    """Of the refinement's; 0 leaves the second stage out."""
    ffn_multiple: float = 3.0
    pool: int = 3
    """Latent frames that are one token: 3 are 40 ms."""
    steps: int = 12
    """From noise to music in generation; 0: the draft is the blend."""
    begin: Literal["noise", "draft"] = "draft"
    noise: float = 0.5
    """Where the flow begins: at noise alone, or around the draft; of which standard deviation, in units of `spread`."""
    drop: float = 0.1
    """Chance that a condition of a training pair is dropped."""
    drop_all: float = 0.05
    orchestrations: list[str] = field(default_factory=list)
    """Names of the ways to orchestrate that it is to tell apart, as the origin of rendered triplets has them."""
    orchestration: str = ""
    """The one that generation takes; empty: by the seed, each in its turn."""
    guidance: list[float] = field(default_factory=list)
    """How far generation leans away from what it would do without each factor: rhythm, harmony, colour."""
    leaning: float = 0.0
    """By how much generation raises the log odds of the notes of the chord that holds, and lowers those of others."""
    strikes: float = 0.3
    holds: float = 0.35
    """Chances from which its score strikes a note (with that of the token beside), and lets it sound on."""
    window_frames: int = 2400
    """Latent frames that are composed at once in generation; longer pieces in windows that overlap by half."""
    centre: float = 5.0
    spread: float = 4.0
    """Mean and standard deviation of the latents: the units in which it computes."""


@dataclass(frozen=True)
class DataRecipe:
    """What the training pairs are made of."""

    pairing: Literal["continuation", "shuffled", "unity", "triplets"] = "shuffled"
    """The next window of the song, a clip of another song, the groove itself (truth = groove), or rendered triplets."""
    triplets: int = 0
    """How many rendered triplets to train on; 0 for all that there are when the run begins."""
    first: int = 0
    """Number of the first of them; those before it need not be there. Validation begins at 0."""
    unity: float = 0.0
    """Share of the pairs of triplets in which one clip, truth or harmony, is groove, harmony and truth at once."""
    singles: str = ""
    singles_share: float = 0.5
    """A prepared data set of recordings, which such a share of those single clips is taken from; empty for none."""
    notes: bool = False
    """Pairs of triplets carry the notes of their truth."""
    equaliser_db: float = 0.0
    """Standard deviation of random equalisers that harmony and truth of a training pair share (mel latents alone)."""
    crop_frames: int = 1200
    """Frames of each training pair, cut at random; of a cascade also the window of generation."""
    decode_frames: int = 90
    decode_stretches: int = 1
    """Frames that waveform losses decode of each clip; in so many pieces of equal length, from random places."""


@dataclass(frozen=True)
class TrainingRecipe:
    """How long and how fast."""

    begin_from: str = ""
    """A shipped model's name, or a run's or a model's folder, whose weights a new run starts from; else from new."""
    pairs: int = 100_000
    """Training pairs to consume in all: the run ends there."""
    batch: int = 8
    """Pairs of a step in all: processes share them."""
    accumulate: int = 1
    """Parts that a process takes its share of a batch in, one after another, to save memory."""
    learning_rate: float = 1e-4
    warmup: int = 0
    """Pairs over which the rate rises from 0, in a straight line."""
    cooldown: int = 0
    """Pairs before the end over which it falls, in a straight line, to `final_share` of itself."""
    final_share: float = 0.05
    betas: list[float] = field(default_factory=lambda: [0.9, 0.999])  # decay of AdamW's two moments
    weight_decay: float = 0.01
    clip_norm: float = 10.0
    """Bound of the gradient norm."""
    shard: bool = False
    """Every process keeps a share of weights, gradients and optimiser state: for models too large for one device."""
    ema: float = 0.0
    """Decay of a moving average of the weights, which is then what is validated and saved as the model; 0 for none."""
    compile: bool = False
    """Compile the cascade (torch.compile): minutes at the start, for faster steps on a GPU."""
    seed: int = 42
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch."""
    log_every: int = 160
    """Pairs between two lines of the log."""
    validate_every: int = 4000
    """Pairs between two validations."""
    validation_pairs: int = 64
    """Pairs of each validation, always the same ones."""
    save_every: int = 4000
    """Pairs between two checkpoints."""
    keep_checkpoints: int = 2
    monitor: int = 0
    """Pairs between two readings of the health monitor; 0 for none."""


@dataclass(frozen=True)
class AdversaryRecipe:
    """The latent discriminator; it is there where the weight `gan` is above 0."""

    hears: Literal["clips", "patches", "playing"] = "clips"  # or parts of the picture of latents, as sound or as played
    every: int = 1
    """Steps between its updates."""
    rate_share: float = 0.5
    """Its learning rate over the model's."""
    clip_norm: float = 1.0


@dataclass(frozen=True)
class TargetRecipe:
    """How the multipliers of `targets` adapt."""

    method: Literal["multipliers", "pi", "geco"] = "multipliers"
    """The damped method of multipliers; a proportional-integral controller; or GECO's multiplicative updates."""
    rate: float = 0.5
    """What a step adds to a multiplier for each unit of violation (geco: to its logarithm)."""
    damping: float = 10.0
    """multipliers: weight of the squared violation. pi: what the violation itself adds to the multiplier."""
    most: float = 100.0
    """Bound of the multipliers."""


@dataclass(frozen=True)
class NoiseRecipe:
    """Noise curriculum: both clips become (1 - a) x + a std(x) noise; a grows by `rate` each `step`, to `ceiling`."""

    rate: float = 0.0
    """What each step of the curriculum adds; 0 is no curriculum."""
    ceiling: float = 1.0
    start: int = 0
    """Pairs seen before it begins."""
    step: int = 4000
    """Pairs of one step of it (an epoch, in the prototype)."""

    def amount(self, seen: int) -> float:
        """The noise a at `seen`, in [0, ceiling]."""
        if self.rate == 0.0 or seen < self.start:
            return 0.0
        return min(self.ceiling, self.rate * ((seen - self.start) // self.step + 1))


@dataclass(frozen=True)
class TrackingRecipe:
    """Where scalars go besides `log.jsonl`, and what is kept to be heard. Changes no number of a run."""

    mlflow: bool = True
    """To MLflow as well, where it is installed, with the machine's load, and what there is to hear."""
    uri: str = ""
    """MLflow store; empty means MLFLOW_TRACKING_URI, or else a database beside the run."""
    experiment: str = "powermuse"
    tensorboard: bool = False
    """To TensorBoard as well (extra `tensorboard`): event files in RUN/tensorboard."""
    listen: int = 3
    """Each validation composes the first validation pair (up to 8 s) into RUN/listen, as sound and picture; so many of
    the newest stay, beside the first and the best. 0 for none; none either where the codec would have to be fetched."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run computes."""

    name: str
    codec: Choice = Choice("mel")
    agent: Choice = Choice("masking")
    composer: Literal["cascade", "flow"] = "cascade"
    """What composes from the agent's streams: the transformer that refines a residual, or the flow from codes."""
    cascade: CascadeRecipe = CascadeRecipe()
    flow: FlowRecipe = FlowRecipe()
    data: DataRecipe = DataRecipe()
    training: TrainingRecipe = TrainingRecipe()
    adversary: AdversaryRecipe = AdversaryRecipe()
    noise: NoiseRecipe = NoiseRecipe()
    target: TargetRecipe = TargetRecipe()
    tracking: TrackingRecipe = TrackingRecipe()
    weights: dict[str, float] = field(default_factory=dict)
    """Weight of each loss term by the name that the log shows; a term that is not named has weight 0."""
    targets: dict[str, str] = field(default_factory=dict)
    """Bounds on logged quantities, as `complementarity: ">= 0.9"` or `balance.groove: "0.5 +- 0.02"`."""


def shipped() -> list[str]:
    """Names of the recipes in the package."""
    folder = resources.files("powermuse") / "recipes"
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))


def load(name_or_file: str, overrides: list[str] | None = None) -> Recipe:
    """A shipped recipe by name or a YAML file, with `key=value` overrides such as `training.batch=4`.

    Raises BadInput for an unknown recipe, key or type.
    """
    path = Path(name_or_file)
    if name_or_file in shipped():
        text = (resources.files("powermuse") / "recipes" / f"{name_or_file}.yaml").read_text()
    elif path.suffix in (".yaml", ".yml") and path.is_file():
        text = _text(path)
    else:
        raise BadInput(f"no recipe is called {name_or_file!r}; shipped: {', '.join(shipped())}; or name a .yaml file")
    return parse(text, f"recipe {name_or_file}", overrides)


def parse(text: str, where: str, overrides: list[str] | None = None) -> Recipe:
    """A recipe from YAML text; `where` names it in errors."""
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInput(f"{where}: not valid YAML ({first_line(error)})") from None
    if not isinstance(content, dict):
        raise BadInput(f"{where}: a mapping is wanted, such as 'name: mine'")
    for override in overrides or []:
        _apply(content, override)
    as_written = copy.deepcopy(content)
    run = typed(Recipe, content, where)
    # jsonargparse reads strings inside options a second time ("no" -> False): they are typed by their own Config later.
    given = {kind: as_written.get(kind, {}).get("options", {}) for kind in ("codec", "agent")}
    return dataclasses.replace(
        run,
        codec=dataclasses.replace(run.codec, options=given["codec"]),
        agent=dataclasses.replace(run.agent, options=given["agent"]),
    )


def dump(recipe: Recipe) -> str:
    """The whole recipe as YAML; `parse` gives it back."""
    return yaml.safe_dump(dataclasses.asdict(recipe), sort_keys=False)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"recipe {path}: is not UTF-8 text ({error.reason})") from None


def _apply(content: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        raise BadInput(f"override {override!r}: key=value is wanted, such as training.batch=4")
    place = content
    parts = key.split(".")
    while len(parts) > 1:
        step = parts.pop(0)
        place = place.setdefault(step, {})
        if not isinstance(place, dict):
            raise BadInput(f"override {override!r}: {step} is not a group of settings")
        if step in _OPEN_KEYS:
            break
    try:
        place[".".join(parts)] = yaml.safe_load(value)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # 2024-13-45 is no date
        raise BadInput(f"override {override!r}: not a YAML value ({first_line(error)})") from None
