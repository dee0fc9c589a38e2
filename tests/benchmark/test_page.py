"""The page as text: valid, self-contained, bounded, and the sounds that it carries."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyloudnorm
import pytest
import soundfile

import benchmark_reports
from powermuse.benchmark import listening, markup, page, players
from powermuse.benchmark.listening import Listening
from powermuse.benchmark.results import TRUTH, Example
from powermuse.types import BadInput
from sounds import RATE_HZ, chords, drums, song

MODEL = "muse <4 layers>"
DATA_URI = re.compile(r"data:[\w/]+;base64,[A-Za-z0-9+/=]+")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    made = benchmark_reports.with_sounds(folder, seconds=2.0)
    page.write_page(made, folder / "report.html")
    page.write_page(made, folder / "listen.html", listen=Listening())
    return folder


class Balance(HTMLParser):
    """Fails where an element is closed that is not open."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.ids, self.texts = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        self.ids += [value for key, value in attrs if key == "id"]
        if tag not in {"meta", "img", "input", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def parsed(path) -> Balance:
    found = Balance()
    found.feed(path.read_text())
    found.close()
    return found


@pytest.mark.parametrize("name", ["report.html", "listen.html"])
def test_the_page_is_balanced_html_with_unique_ids(folder, name):
    found = parsed(folder / name)
    assert found.open == []
    assert len(set(found.ids)) == len(found.ids)
    for tag, attributes in found.seen:
        if tag == "img":
            assert "alt" in attributes
        if tag in ("button", "audio") and "aria-label" in attributes:
            assert attributes["aria-label"]


@pytest.mark.parametrize("name", ["report.html", "listen.html"])
def test_the_page_names_nothing_outside_itself(folder, name):
    text = DATA_URI.sub("", (folder / name).read_text())
    assert "//" not in text
    assert not re.search(r"url\(|@import|\bimport\b|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    for _, attributes in parsed(folder / name).seen:
        for key in attributes.keys() & {"src", "href", "srcset", "action", "poster"}:
            assert attributes[key].startswith(("data:", "#")), attributes[key][:80]


def test_equal_reports_give_equal_bytes(folder, tmp_path):
    made = benchmark_reports.with_sounds(tmp_path, seconds=2.0)
    page.write_page(made, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == (folder / "report.html").read_bytes()


def test_the_size_is_told_and_bounded_by_the_number_of_examples(folder):
    made = benchmark_reports.with_sounds(folder, seconds=2.0)
    whole = page.write_page(made, folder / "two.html", examples=2)
    less = page.write_page(made, folder / "one.html", examples=1)
    none = page.write_page(made, folder / "none.html", examples=0)
    assert whole == (folder / "two.html").stat().st_size
    assert none < 150_000
    assert less - none == pytest.approx((whole - none) / 2, rel=0.1)
    told = re.search(r"Sounds and their pictures are ([\d.]+) MB", (folder / "two.html").read_text())
    assert float(told[1]) == pytest.approx((whole - none) / 1e6, abs=0.15)


def test_every_table_names_its_reader_and_every_name_is_escaped(folder):
    found = parsed(folder / "report.html")
    assert sum("chords read by template reader" in text for text in found.texts) == 3
    assert "<4 layers>" not in (folder / "report.html").read_text()
    assert sum(text == MODEL for text in found.texts) >= 3


def test_what_the_plan_says_cannot_end_its_script(folder):
    made = replace(benchmark_reports.with_sounds(folder, seconds=2.0), title="</script><b>")
    page.write_page(made, folder / "odd.html", listen=Listening())
    found = parsed(folder / "odd.html")
    assert [tag for tag, _ in found.seen].count("script") == 2
    assert found.open == []


def test_an_example_without_its_sounds_is_refused(folder):
    made = replace(benchmark_reports.report(), examples=(Example("case 1", "", {}),))
    with pytest.raises(BadInput, match="no sounds"):
        page.write_page(made, folder / "never.html")
    made = replace(made, examples=(Example("case 1", "", {"A": "gone.wav"}),))
    with pytest.raises(BadInput, match="no such file"):
        page.write_page(made, folder / "never.html")
    assert not (folder / "never.html").exists()


def test_elements_escape_text_and_attributes_and_keep_markup():
    inner = markup.element("b", "1 < 2")
    assert markup.element("p", inner, " & ", None, title='"', hidden=True, data_x=0, class_="c", lang=None) == (
        '<p title="&quot;" hidden data-x="0" class="c"><b>1 &lt; 2</b> &amp; </p>'
    )
    assert markup.element("circle", cx=1) == '<circle cx="1"/>'


@pytest.mark.parametrize("wav", [song(4.0)[0], drums(4.0)[0], np.sin(np.arange(96_000) * 0.26).astype(np.float32) / 2])
def test_loudness_is_the_recommendations(wav):
    """pyloudnorm reads the same: its filters are the same two, run in time."""
    assert players.loudness_lufs(wav) == pytest.approx(pyloudnorm.Meter(RATE_HZ).integrated_loudness(wav), abs=0.1)


def test_sounds_that_are_compared_are_equally_loud_and_none_clips():
    spiky = drums(4.0, level_db=-30.0)[0]
    spiky[1000] = 1.0
    levelled = players.equally_loud([song(4.0)[0], spiky, np.zeros(96_000, dtype=np.float32)])
    assert players.loudness_lufs(levelled[0]) == pytest.approx(players.loudness_lufs(levelled[1]), abs=0.05)
    assert max(np.abs(wav).max() for wav in levelled) <= 0.9801
    assert not levelled[2].any()
    assert players.loudness_lufs(players.equally_loud([song(4.0)[0]])[0]) == pytest.approx(-23.0, abs=0.05)


@pytest.mark.parametrize(("sound_format", "nearest"), [("mp3", 0.99), ("flac", 0.9999)])
def test_what_is_carried_is_the_sound(tmp_path, sound_format, nearest):
    wav = chords(4.0)[0]
    soundfile.write(tmp_path / "a.wav", wav, RATE_HZ)
    player = players.load([tmp_path / "a.wav"], sound_format)[0]
    content, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(player.sound.split(",")[1])))
    assert (rate_hz, len(content)) == (RATE_HZ, len(wav))
    assert np.corrcoef(content, wav)[0, 1] > nearest
    assert player.seconds == 4.0


def test_a_spectrogram_shows_a_tone_where_it_is():
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / RATE_HZ).astype(np.float32)
    picture = players.spectrogram_db(tone)
    assert picture.shape[0] == 80
    assert np.ptp(picture[:, 20:-20].argmax(axis=0)) == 0
    assert picture[:, 50].argmax() == pytest.approx(80 * 15 / 51.1, abs=1.5)  # 15 of the 51.1 mel up to 12 kHz


def test_the_plan_is_a_function_of_its_seed_and_every_screen_hides_truth_and_anchor():
    files = dict.fromkeys(("A", "B", *benchmark_reports.CENTRES), "x")
    made = benchmark_reports.report()
    examples = [Example(f"case {k}", "", files) for k in range(4)]
    plan = listening.plan(made, examples, Listening(seed=3))
    assert plan == listening.plan(made, examples, Listening(seed=3))
    assert plan != listening.plan(made, examples, Listening(seed=4))
    assert json.loads(json.dumps(plan)) == plan
    assert sorted(screen["case"] for screen in plan["ratings"]) == [f"case {k}" for k in range(4)]
    for screen in plan["ratings"]:
        assert {TRUTH, "plain mix", MODEL} <= set(screen["systems"])
        assert len(set(screen["systems"])) == 8
    assert len({screen["systems"].index(TRUTH) for screen in plan["ratings"]}) > 1
    assert len(plan["abx"]) == 8
    for trial in plan["abx"]:
        assert trial["one"] != trial["other"]
        assert trial["x"] in (trial["one"], trial["other"])


def test_x_is_either_as_often():
    files = dict.fromkeys(("A", "B", TRUTH, MODEL), "x")
    made = benchmark_reports.report()
    examples = [Example(f"case {k}", "", files) for k in range(20)]
    firsts = [
        trial["x"] == trial["one"]
        for seed in range(20)
        for trial in listening.plan(made, examples, Listening(seed=seed))["abx"]
    ]
    assert np.mean(firsts) == pytest.approx(0.5, abs=0.16)  # 160 trials: four standard errors
