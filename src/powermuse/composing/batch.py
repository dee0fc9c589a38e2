"""Many pairs in one go: every groove with every harmony, or some of them; what is there already is not made again."""

import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from powermuse import disk, recipe
from powermuse.audio import files
from powermuse.composing import notes, report, verdict
from powermuse.composing.alignment import Aligner, Wish
from powermuse.composing.composer import Composer, Length, OnProgress, report_paths
from powermuse.composing.formats import Form
from powermuse.data import walk
from powermuse.types import BadInput

RANKING = "ranking.tsv"
_LONGEST_NAME = 200
"""Bytes; most disks take 255, with what else stands in the names of files beside it."""
_COLUMNS = ("rank", "blend", "groove", "harmony", "score", "rhythm", "chords", "copied")


class Pair(NamedTuple):
    """Two sound files, and where their blend goes."""

    groove: Path
    harmony: Path
    out: Path


class Made(NamedTuple):
    """A pair with its report, or with what was wrong with it."""

    pair: Pair
    told: dict[str, Any]
    trouble: str = ""
    was_there: bool = False

    @property
    def score(self) -> float:
        """What it is ranked by (`composing.verdict`); -1 where nothing can be said."""
        rank = self.told.get("taken", {}).get("rank")
        return -1.0 if rank is None else float(rank)


class Request(NamedTuple):
    """All that decides a blend, but its sources and the model."""

    seed: int
    length: Length
    midi: bool
    form: Form
    alignment: Wish = Wish()


def pairs(groove: str, harmony: str, out: str, count: int | None, seed: int) -> list[Pair]:
    """Every sound of one file or folder with every sound of the other, or `count` of these pairs, drawn by `seed`; each
    with a name of its own. Raises BadInput where there is no sound, or no such number of pairs."""
    grooves, harmonies = _sounds(groove, out), _sounds(harmony, out)
    total = len(grooves) * len(harmonies)
    if count is not None and not 1 <= count <= total:
        raise BadInput(f"--pairs must be from 1 to {total} (grooves times harmonies), not {count}")
    chosen = range(total) if count is None else sorted(random.Random(seed).sample(range(total), count))
    names = [_names(grooves), _names(harmonies)]
    found = []
    for number in chosen:
        g, h = divmod(number, len(harmonies))
        found.append(Pair(grooves[g], harmonies[h], Path(out) / _blend_name(names[0][g], names[1][h])))
    return found


def compose(
    composer: Composer,
    todo: list[Pair],
    wanted: Request,
    asked: dict[str, Any] | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Iterator[Made]:
    """The blends of some pairs, one after another, each written with its report and its picture before the next is
    begun. One that is there, of the same sounds by the same model and settings, is left as it is; a pair that cannot be
    composed is told and the next one follows. What was `asked` for stands in each report."""
    listen, align = _Listener(composer), Aligner(wanted.alignment, composer.codec.sample_rate_hz)
    for pair in todo:
        try:
            groove, harmony = listen(pair.groove), listen(pair.harmony)
            request = _digest(composer, wanted, groove.sha256, harmony.sha256)
            if (told := report.read(pair.out)).get("request") == request and _is_whole(pair.out, wanted.midi):
                yield Made(pair, told, was_there=True)
                continue
            report.check_free(str(pair.out), midi=wanted.midi)
            groove, harmony, alignment = align(groove, harmony)
            blend = composer.compose(groove, harmony, wanted.length, on_progress, alignment)
            told = report.write(blend, str(pair.out), midi=wanted.midi, request=request, form=wanted.form, asked=asked)
            yield Made(pair, told)
        except BadInput as error:
            yield Made(pair, {}, str(error))


def _is_whole(out: Path, midi: bool) -> bool:
    """Whether all is there that goes with a blend, but its report."""
    _, picture = report_paths(out)
    return all(path.exists() for path in (out, picture, *([notes.midi_path(str(out))] if midi else [])))


def ranked(made: list[Made]) -> list[Made]:
    """Those that were composed, the best first; equals by name."""
    return sorted((m for m in made if not m.trouble), key=lambda m: (-m.score, m.pair.out.name))


def not_aligned(made: list[Made]) -> list[Made]:
    """Those that were to be put on the bars of one clip, and are not: why stands in their reports."""
    return [one for one in made if one.told.get("alignment", {}).get("bars", {}) is None]


def write_ranking(folder: str, made: list[Made]) -> Path:
    """A table of what was composed, the best first, tabs between; with what the folder holds of other pairs, as the
    table that is there has it."""
    path = Path(folder) / RANKING
    now = {one.pair.out.name for one in made}
    before = [row for row in _rows(path) if row[0] not in now and (Path(folder) / row[0]).is_file()]
    rows = sorted([*map(_row, ranked(made)), *before], key=lambda row: (-float(row[3] or -1.0), row[0]))
    lines = ["\t".join(_COLUMNS), *("\t".join([str(at), *row]) for at, row in enumerate(rows, start=1))]
    disk.write_text(path, "\n".join(lines) + "\n")
    return path


def _row(one: Made) -> list[str]:
    """What the table says of a blend, but its place."""
    taken = one.told.get("taken", {})
    names = verdict.ranked_by(taken.get("from", verdict.USUAL))
    figures = [taken.get("rank"), *(taken.get("blend", {}).get(name) for name in names)]
    told = ["" if value is None else f"{value:.3f}" for value in figures]
    return [one.pair.out.name, files.told(one.pair.groove), files.told(one.pair.harmony), *told]


def _rows(path: Path) -> list[list[str]]:
    """Those of a table that is there; none of what is no such table."""
    try:
        _, *lines = path.read_text().splitlines()
        rows = [line.split("\t")[1:] for line in lines]
        return [row for row in rows if len(row) == len(_COLUMNS) - 1 and math.isfinite(float(row[3] or 0.0))]
    except (OSError, ValueError):
        return []


class _Listener:
    """Reads sounds, and keeps the two that were asked for last: a groove comes with one harmony after another."""

    def __init__(self, composer: Composer) -> None:
        self.composer = composer
        self.kept: dict[Path, Any] = {}

    def __call__(self, path: Path) -> Any:
        heard = self.kept.pop(path, None) or self.composer.listen(path)
        while len(self.kept) >= 2:
            self.kept.pop(next(iter(self.kept)))
        self.kept[path] = heard
        return heard


def _sounds(place: str, out: str) -> list[Path]:
    """A file, or all sounds of a folder and below it; but for the folder of the blends, which would be composed again.
    Raises BadInput where that one is the folder itself."""
    if not Path(place).exists():
        raise BadInput(f"{place}: no such file")
    if not Path(place).is_dir():
        return [Path(place)]
    blends = Path(out).resolve()
    if Path(place).resolve() == blends:
        raise BadInput(f"{out}: the sounds are taken from there; name another folder with -o")
    if blends in Path(place).resolve().parents:
        raise BadInput(f"{place}: lies in {out}, where the blends go; name another folder with -o")
    found = [path for path, _ in walk.sound_files((place,)) if blends not in path.resolve().parents]
    if not found:
        raise BadInput(f"{place}: no sound files found but blends in {out}")
    return found


def _blend_name(groove: str, harmony: str) -> str:
    """`GROOVE+HARMONY.wav`; with a digest of both where others could come to the same, or it would be too long."""
    name = f"{groove}+{harmony}"
    if name.count("+") == 1 and len(name.encode()) <= _LONGEST_NAME:
        return f"{name}.wav"
    digest = hashlib.blake2b(f"{groove}/{harmony}".encode(), digest_size=4).hexdigest()
    return f"{name.encode()[:_LONGEST_NAME].decode(errors='ignore')}-{digest}.wav"


def _names(paths: list[Path]) -> list[str]:
    """A name for each: the file's; with its folders where another has that one, with all of its path where that is not
    enough. A file that is added renames none but its namesakes, so that no other blend is composed again."""
    paths = [Path(files.told(path)) for path in paths]
    tries: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: "-".join([*path.parts[-3:-1], path.stem]),
        lambda path: "-".join(part.strip("/") for part in path.parts).lstrip("-"),
    ]
    names: dict[Path, str] = {}
    for name in tries:
        count = Counter(map(name, paths))
        names |= {path: name(path) for path in paths if path not in names and count[name(path)] == 1}
    found = [names.get(path, "") for path in paths]
    if all(found) and len(set(found)) == len(found):
        return found
    return [f"{i:05d}-{path.stem}" for i, path in enumerate(paths)]


def _digest(composer: Composer, wanted: Request, *sources: str) -> str:
    """Of everything that decides a blend."""
    told = [*sources, composer.model.sha256, recipe.dump(composer.model.recipe), *map(str, wanted)]
    return hashlib.blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()
