"""The report as one HTML file that opens from disk: no server, no network, everything inside."""

import json
from importlib import resources
from pathlib import Path
from string import Template

from powermuse import disk
from powermuse.benchmark import differences, listening, players, sections
from powermuse.benchmark.listening import Listening
from powermuse.benchmark.markup import Markup, element, join
from powermuse.benchmark.players import Player, SoundFormat
from powermuse.benchmark.results import Example, Report
from powermuse.types import BadInput


def write_page(
    report: Report,
    path: str | Path,
    *,
    examples: int = 4,
    sound_format: SoundFormat = "mp3",
    listen: Listening | None = None,
) -> int:
    """Writes the page beside the sounds that the report's examples name; its size in bytes.

    Players are made of the first `examples` cases; a sound of 16 s takes about 0.25 MB with its picture (flac: 0.6).
    With `listen` the page begins with a blind test, and shows names and results when that is done.
    """
    path = Path(path)
    shown = report.examples[:examples]
    rows = [_players(one, path.parent, sound_format) for one in shown]
    content = _page(report, shown, rows, listen).encode()
    disk.write_bytes(path, content)
    return len(content)


def _players(one: Example, folder: Path, sound_format: SoundFormat) -> dict[str, Player]:
    if not one.sounds:
        raise BadInput(f"example {one.case}: has no sounds")
    return dict(
        zip(one.sounds, players.load([folder / file for file in one.sounds.values()], sound_format), strict=True)
    )


def _page(report: Report, shown: tuple[Example, ...], rows: list[dict[str, Player]], listen: Listening | None) -> str:
    heard = sum(len(p.sound) + len(p.picture) for row in rows for p in row.values())
    test = None if listen is None or not shown else listening.plan(report, shown, listen)
    return Template(_asset("page.html")).substitute(
        title=join(report.title),
        style=_asset("page.css"),
        script=_asset("page.js") + (_asset("listening.js") if test else ""),
        body_class="blind" if test else "",
        listening=_listening_section(test is not None),
        switch=sections.group_switch(report),
        tables=sections.result_tables(report),
        differences=differences.sections(report),
        gates=sections.gate_table(report),
        leakage=sections.leakage_cards(report.leakage),
        examples=join(*(sections.example(one, k, row) for k, (one, row) in enumerate(zip(shown, rows, strict=True)))),
        glossary=sections.glossary(report),
        provenance=sections.provenance(report),
        size=f"Sounds and their pictures are {heard / 1e6:.1f} MB of this page.",
        plan=_json(test),
    )


def _listening_section(wanted: bool) -> Markup:
    return element("section", id="listening", aria_live="polite") if wanted else Markup("")


def _json(value: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")
