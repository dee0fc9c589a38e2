"""The studio in a real browser, by a real server of its own: from two files to a blend that is heard, and back."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sounds

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'powermuse[dev]'")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium"),
    pytest.mark.timeout(300),
]
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required", "--mute-audio"]
WAITS_MS = 120_000


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    (folder / "broken.wav").write_bytes(b"no sound")
    return {
        "groove": sounds.write(folder / "my drums.wav", sounds.drums(5.0, 1)),
        "harmony": sounds.write(folder / "my chords.wav", sounds.chords(5.0, 2)),
        "beat": sounds.write(folder / "beat.wav", sounds.beat(10.2, 100.0)),
        "strummed": sounds.write(folder / "strummed.wav", sounds.strummed(8.0, 120.0)),
        "broken": folder / "broken.wav",
    }


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A studio that was started as one starts it."""
    command = [sys.executable, "-m", "powermuse.cli", "studio", "--port", "0", "--no-browser", "--folder", "kept"]
    where = tmp_path_factory.mktemp("studio")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=where, env={**os.environ}) as studio:
        assert studio.stdout is not None
        said = studio.stdout.readline()
        found = re.search(r"http://localhost:\d+/", said)
        assert found, said
        yield found[0]
        studio.send_signal(signal.SIGINT)
        studio.wait(timeout=60)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Any]:
    """The page, ready; the test fails for an error in it and for any request that leaves the machine."""
    context = browser.new_context(accept_downloads=True, locale="en-GB")
    context.set_default_timeout(WAITS_MS)  # beside other tests a machine may be slow
    tab = context.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on(
        "request", lambda r: None if r.url.startswith((address, f"blob:{address}", "data:")) else faults.append(r.url)
    )
    tab.goto(address)
    ready(tab)
    yield tab
    context.close()
    assert faults == []


def ready(tab: Any) -> None:
    tab.wait_for_selector("body[data-ready]")


def bring(tab: Any, side: str, path: Path) -> None:
    tab.set_input_files(f"#{side} input[type=file]", str(path))


def brought(tab: Any, files: dict[str, Path], model: str = "starter") -> None:
    """Both sounds on the page, and the model that composes in a moment."""
    for side in ("groove", "harmony"):
        bring(tab, side, files[side])
        tab.wait_for_function(
            "([side, name]) => document.querySelector(`#${side} .shelf`).selectedOptions[0]?.text === name "
            "&& document.querySelector(`#${side} .end`).value === '5.00'",
            arg=[side, files[side].name],
        )
    tab.select_option("[name=model]", model)


def came_to(tab: Any, state: str) -> None:
    """Waits until the work is in a state; where it does not come to it, says what the page tells."""
    try:
        tab.wait_for_selector(f"#state[data-state={state}]")
    except sync_api.TimeoutError:
        told = "['state', 'trouble'].map((id) => document.getElementById(id).outerHTML)"
        pytest.fail(f"not {state}: {tab.evaluate(told)}")


def composed(tab: Any) -> None:
    tab.click("#generate")
    came_to(tab, "done")
    tab.wait_for_selector("#result:not([hidden])")


def playing(tab: Any) -> list[str]:
    found: list[str] = tab.evaluate(
        "[...document.querySelectorAll('#hear audio')].filter(a => !a.paused).map(a => a.dataset.name)"
    )
    return found


def position(tab: Any, name: str) -> float:
    found: float = tab.evaluate(f"document.querySelector('#hear audio[data-name={name}]').currentTime")
    return found


def test_pressed_twice_before_the_answer_it_is_one_piece_of_work(tab, files):
    brought(tab, files)
    tab.evaluate(
        "() => { const form = document.querySelector('#settings'); form.requestSubmit(); form.requestSubmit(); }"
    )
    tab.wait_for_selector("#result:not([hidden])")
    assert tab.locator("#history li").count() == 1


def test_two_files_become_a_blend_that_is_heard_with_one_key_each_at_one_place(tab, files):
    brought(tab, files)
    composed(tab)
    assert tab.inner_text("#result-name").startswith("my drums.wav + my chords.wav")
    tab.locator("body").press("4")
    tab.wait_for_function("() => document.querySelector('#hear audio[data-name=blend]').currentTime > 0.3")
    assert playing(tab) == ["blend"]
    tab.fill("#position", "0.5")
    half_s = 0.5 * tab.evaluate("() => document.querySelector('#hear audio[data-name=blend]').duration")
    for key, name in (("1", "groove"), ("2", "harmony"), ("3", "mix")):
        before = position(tab, playing(tab)[0])
        tab.locator("body").press(key)
        tab.wait_for_function(f"() => document.querySelector('#hear audio[data-name={name}]').currentTime > 0.3")
        assert playing(tab) == [name] and position(tab, name) >= before - 0.1, "it goes on where it was"
        assert before > half_s - 0.05
        assert tab.get_attribute(f"[data-heard={name}]", "aria-pressed") == "true"
    tab.locator("body").press("Space")
    assert playing(tab) == []
    rows = tab.locator("#taken tbody tr").all_inner_texts()
    assert len(rows) == 4 and re.search(r"Copied from the clips\s+[\d.]+\s+0?\.?\d+", rows[3])
    assert "Nearest to a source" in tab.inner_text("#nearest")
    assert tab.evaluate("document.querySelector('#picture').naturalWidth") > 500


def test_its_files_can_be_taken_home(tab, files, tmp_path):
    brought(tab, files)
    composed(tab)
    with tab.expect_download() as download:
        tab.click("#downloads a >> text=wav")
    assert download.value.suggested_filename == "my drums.wav+my chords.wav.wav"
    download.value.save_as(tmp_path / "home.wav")
    assert (tmp_path / "home.wav").read_bytes().startswith(b"RIFF")


@pytest.mark.parametrize("width", [1280, 360])
def test_what_is_heard_late_does_not_move_what_is_about_to_be_pressed(tab, files, width):
    tab.set_viewport_size({"width": width, "height": 740})
    held: list[Any] = []
    tab.route("**/bars?*", lambda route: held.append(route))
    brought(tab, files)
    tab.wait_for_function("() => [...document.querySelectorAll('.wave')].every((each) => each.clientHeight >= 96)")
    before = tab.locator("#generate").bounding_box()
    assert held
    tab.unroute("**/bars?*")  # what is held goes on
    tab.wait_for_function("() => [...document.querySelectorAll('.bars')].every((each) => each.textContent !== '')")
    assert tab.locator("#generate").bounding_box() == before


def test_work_can_be_called_off_and_the_next_is_made(tab, files):
    brought(tab, files, "factors")
    tab.click("#generate")
    came_to(tab, "running")
    tab.wait_for_selector("#progress:not([hidden])")
    tab.locator("body").press("Escape")
    came_to(tab, "cancelled")
    assert tab.is_enabled("#generate") and not tab.is_visible("#cancel")
    assert tab.is_hidden("#result")
    tab.select_option("[name=model]", "starter")
    composed(tab)


def test_what_is_no_sound_is_told_where_one_looks_and_the_page_goes_on(tab, files):
    bring(tab, "groove", files["broken"])
    tab.wait_for_selector("#trouble:not([hidden])")
    assert "broken.wav" in tab.inner_text("#trouble") and "/" not in tab.inner_text("#trouble")
    brought(tab, files)
    composed(tab)
    assert tab.is_hidden("#trouble")


def test_a_sound_is_taken_off_the_shelf_and_what_was_made_of_it_stays(tab, files):
    brought(tab, files)
    composed(tab)
    shelf = "[...document.querySelectorAll('#harmony .shelf option')].map((each) => each.text)"
    count = len(tab.evaluate(shelf))
    tab.click("#harmony .away")
    tab.wait_for_function(f"() => {shelf}.length === {count - 1}")
    assert tab.evaluate("document.querySelector('#harmony .shelf').selectedOptions[0].text") == tab.evaluate(shelf)[0]
    assert tab.input_value("#groove .end") == "5.00"
    first = tab.locator("#history li").first
    first.get_by_text("Take these settings").click()
    tab.wait_for_selector("#trouble:not([hidden])")
    assert "my chords.wav is not on the shelf any more" in tab.inner_text("#trouble")
    for left in range(count - 2, -1, -1):
        tab.click("#groove .away")
        tab.wait_for_function(f"() => {shelf}.length === {left}")
    assert tab.is_disabled("#groove .away") and tab.input_value("#groove .end") == ""
    tab.click("#generate")
    assert "Bring two sounds first" in tab.inner_text("#trouble")
    brought(tab, files)
    assert tab.is_enabled("#harmony .away")


def test_a_sound_whose_turn_is_over_before_it_began_is_no_fault(tab, files):
    brought(tab, files)
    composed(tab)
    tab.evaluate("() => document.querySelectorAll('#hear [data-heard]').forEach((button) => button.click())")
    tab.wait_for_function("() => document.querySelector('#hear audio[data-name=blend]').currentTime > 0.1")
    assert playing(tab) == ["blend"]


def test_history_and_its_settings_are_there_after_a_reload(tab, files):
    brought(tab, files)
    tab.fill("[name=seed]", "17")
    tab.select_option("[name=lasts]", "harmony")
    tab.fill("#harmony .begin", "1")
    tab.press("#harmony .begin", "Tab")
    composed(tab)
    before = tab.locator("#history li").count()
    tab.reload()
    ready(tab)
    first = tab.locator("#history li").first
    assert tab.locator("#history li").count() == before and "17" in first.inner_text()
    first.get_by_text("Take these settings").click()
    tab.wait_for_function("() => document.querySelector('[name=seed]').value === '17'")
    assert tab.input_value("#harmony .begin") == "1.00" and tab.input_value("[name=model]") == "starter"
    assert tab.input_value("[name=lasts]") == "harmony"
    first.get_by_text("Open").click()
    tab.wait_for_selector("#result:not([hidden])")
    first.get_by_text("Delete").click()
    tab.wait_for_function(f"() => document.querySelectorAll('#history li').length === {before - 1}")
    assert tab.is_hidden("#result")


def test_settings_of_a_model_that_is_here_no_more_are_taken_but_for_it(tab, files):
    brought(tab, files)
    tab.fill("[name=seed]", "23")
    composed(tab)
    tab.route("**/api/about", lambda route: route.fulfill(json=without_starter(route.fetch().json())))
    tab.reload()
    ready(tab)
    tab.locator("#history li").first.get_by_text("Take these settings").click()
    tab.wait_for_function("() => document.querySelector('[name=seed]').value === '23'")
    assert "no model called starter" in tab.inner_text("#trouble") and tab.input_value("[name=model]") == "factors"


def without_starter(about: dict[str, Any]) -> dict[str, Any]:
    return {**about, "models": [model for model in about["models"] if model["name"] != "starter"]}


def test_the_dial_sets_what_it_says_and_is_found_again(tab, files):
    brought(tab, files, "factors")
    tab.check("[name=dial]")
    assert tab.is_disabled("[name=strength_harmony]") and tab.is_enabled("[name=strength_rhythm]")
    tab.fill("[name=distance]", "0.85")
    assert tab.inner_text("#distance-told") == "0.85"
    composed(tab)
    tab.reload()
    ready(tab)
    assert tab.is_enabled("[name=strength_harmony]")
    tab.locator("#history li").first.get_by_text("Take these settings").click()
    tab.wait_for_function("() => document.querySelector('#distance-told').textContent === '0.85'")
    tab.select_option("[name=model]", "starter")
    assert tab.is_disabled("[name=dial]") and tab.is_disabled("[name=distance]")


def test_work_goes_on_when_the_page_is_left_and_is_found_again(tab, files):
    brought(tab, files, "factors")
    tab.click("#generate")
    came_to(tab, "running")
    tab.reload()
    ready(tab)
    came_to(tab, "done")
    tab.wait_for_selector("#result:not([hidden])")


def test_the_whole_page_can_be_used_with_keys_alone(tab, files):
    brought(tab, files, "factors")
    tab.focus("#language")
    reached = set()
    for _ in range(40):
        tab.keyboard.press("Tab")
        reached.add(tab.evaluate("(at => at.name || at.id || at.className)(document.activeElement)"))
    assert reached >= {"play", "shelf", "begin", "end", "model", "seed", "lasts", "from_rhythm", "strength_colour"}
    assert "generate" in reached
    tab.select_option("[name=model]", "starter")
    tab.evaluate("document.activeElement.blur()")
    tab.locator("body").press("g")
    came_to(tab, "done")


def test_bars_are_seen_taken_and_made_common(tab, files):
    for side, name in (("groove", "beat"), ("harmony", "strummed")):
        bring(tab, side, files[name])
        tab.wait_for_function(
            "([side, tempo]) => Math.abs(document.querySelector(`#${side} .bars`).dataset.tempo - tempo) < 1",
            arg=[side, {"beat": 100, "strummed": 120}[name]],
        )
    assert "BPM" in tab.inner_text("#groove .bars")
    tab.click("#groove .whole")
    tab.wait_for_function("() => Math.abs(document.querySelector('#groove .end').value - 9.6) < 0.06")
    tab.select_option("[name=model]", "starter")
    tab.select_option("[name=align]", "bpm")
    tab.fill("[name=bpm]", "110")
    tab.select_option("[name=transpose]", "2")
    composed(tab)
    assert re.search(r"beats at 110\.0 BPM.*moved by 2 semitones", tab.inner_text("#aligned"))
    assert tab.evaluate("[...document.querySelectorAll('#hear audio')].map((each) => each.loop)") == [True] * 4
    tab.reload()
    ready(tab)
    tab.locator("#history li").first.get_by_text("Take these settings").click()
    tab.wait_for_function("() => document.querySelector('[name=align]').value === 'bpm'")
    assert tab.input_value("[name=bpm]") == "110" and tab.input_value("[name=transpose]") == "2"


@pytest.mark.parametrize(
    ("language", "direction", "word"), [("de", "ltr", "Komponieren"), ("ar", "rtl", "ألِّف"), ("en", "ltr", "Compose")]
)
def test_it_speaks_the_language_that_is_chosen_also_after_a_reload(tab, language, direction, word):
    tab.select_option("#language", language)
    tab.wait_for_function("word => document.querySelector('#generate').textContent === word", arg=word)
    tab.reload()
    ready(tab)
    assert tab.inner_text("#generate") == word
    assert tab.evaluate("[document.documentElement.lang, document.documentElement.dir]") == [language, direction]


@pytest.mark.parametrize("language", ["en", "ar"])
def test_on_a_phone_nothing_lies_beside_the_page(tab, files, language):
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.select_option("#language", language)
    brought(tab, files)
    composed(tab)
    assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for at in ("#generate", "[data-heard=blend]", "#groove .play"):
        box = tab.locator(at).bounding_box()
        assert box["height"] >= 38 and box["x"] >= 0 and box["x"] + box["width"] <= 360, at


def test_one_sound_is_heard_at_a_time(tab, files):
    brought(tab, files)
    composed(tab)
    button = "() => document.querySelector('#{} .play').textContent"
    tab.click("#groove .play")
    tab.wait_for_function(button.format("groove") + " === 'Stop'")
    tab.click("#harmony .play")
    tab.wait_for_function(button.format("groove") + " === 'Listen'")
    tab.locator("body").press("4")
    tab.wait_for_function(button.format("harmony") + " === 'Listen'")
    assert playing(tab) == ["blend"]
    tab.click("#groove .play")
    tab.wait_for_function("() => [...document.querySelectorAll('#hear audio')].every((each) => each.paused)")
    assert tab.get_attribute("[data-heard=blend]", "aria-pressed") == "false"


def test_keys_are_found_by_their_place_on_other_keyboards(tab, files):
    brought(tab, files)
    press = "keys => document.body.dispatchEvent(new KeyboardEvent('keydown', { ...keys, bubbles: true }))"
    tab.evaluate(press, {"key": "ل", "code": "KeyG"})
    came_to(tab, "done")
    tab.wait_for_selector("#result:not([hidden])")
    tab.evaluate(press, {"key": "&", "code": "Digit1"})
    tab.wait_for_function("() => !document.querySelector('#hear audio[data-name=groove]').paused")


def test_a_sound_that_cannot_be_shown_holds_nothing_else_up(tab, files, address):
    brought(tab, files)
    composed(tab)
    tab.route("**/sounds/*/audio", lambda route: route.fulfill(status=400, json={"trouble": "gone"}))
    tab.reload()
    ready(tab)
    assert tab.locator("#history li").count() > 0
    tab.wait_for_selector("#trouble:not([hidden])")
    assert "cannot be read any more" in tab.inner_text("#trouble") and "api" not in tab.inner_text("#trouble")


def test_settings_are_taken_at_once_however_long_a_wave_takes(tab, files):
    brought(tab, files)
    tab.fill("[name=seed]", "23")
    composed(tab)
    tab.fill("[name=seed]", "1")
    tab.route("**/sounds/*/audio", lambda route: None)  # never
    tab.locator("#history li").first.get_by_text("Take these settings").click()
    tab.wait_for_function("() => document.querySelector('[name=seed]').value === '23'")


def test_work_goes_on_while_no_answer_comes(tab, files):
    brought(tab, files, "factors")
    tab.click("#generate")
    came_to(tab, "running")
    tab.route("**/api/jobs/*", lambda route: route.abort())
    tab.wait_for_function("() => document.querySelector('#state').textContent.startsWith('The studio does not answer')")
    assert tab.is_visible("#cancel") and tab.get_attribute("#generate", "aria-disabled") == "true"
    tab.unroute("**/api/jobs/*")
    came_to(tab, "done")
    tab.wait_for_selector("#result:not([hidden])")


def test_the_first_sound_of_an_empty_shelf_is_taken_on_both_sides(tab, files):
    count = len(tab.query_selector_all("#groove .shelf option"))
    for left in range(count - 1, -1, -1):
        tab.click("#groove .away")
        tab.wait_for_function(f"() => document.querySelectorAll('#groove .shelf option').length === {left}")
    bring(tab, "groove", files["groove"])
    tab.wait_for_function("() => document.querySelector('#harmony .end').value === '5.00'")
    tab.select_option("[name=model]", "starter")
    composed(tab)


def test_a_part_that_is_typed_lies_inside_the_sound(tab, files):
    brought(tab, files)
    for box, typed, wanted in (("begin", "-3", "0.00"), ("end", "700", "5.00"), ("begin", "4.9", "4.50")):
        tab.fill(f"#groove .{box}", typed)
        tab.press(f"#groove .{box}", "Tab")
        assert tab.input_value(f"#groove .{box}") == wanted
    tab.fill("#groove .end", "2")
    tab.press("#groove .end", "Tab")
    assert (tab.input_value("#groove .begin"), tab.input_value("#groove .end")) == ("0.00", "2.00")
    assert tab.is_hidden("#trouble")


def test_keys_stay_where_they_were(tab, files):
    """Whoever works with the keyboard is not thrown back to the beginning of the page."""
    brought(tab, files)
    composed(tab)
    tab.focus("#generate")
    tab.keyboard.press("Enter")
    came_to(tab, "done")
    focused = "(at => at.id || at.closest('li') && 'entry')(document.activeElement)"
    assert tab.evaluate(focused) == "generate"
    count = tab.locator("#history li").count()
    tab.locator("#history li").first.get_by_text("Delete").press("Enter")
    tab.wait_for_function(f"() => document.querySelectorAll('#history li').length === {count - 1}")
    assert tab.evaluate(focused) == "entry"


def test_a_key_is_named_as_the_language_names_it(tab, files):
    answer = {
        "tempo_bpm": 100.0,
        "beats_per_bar": 4,
        "downbeat_s": 0.0,
        "key": "B minor",
        "key_chance": 0.9,
        "sure": True,
    }
    tab.route("**/bars?*", lambda route: route.fulfill(json=answer))
    tab.select_option("#language", "de")
    brought(tab, files)
    tab.wait_for_function("() => document.querySelector('#groove .bars').textContent.includes('h-Moll')")
    tab.select_option("#language", "ar")
    tab.wait_for_function("() => document.querySelector('#groove .bars').textContent.includes('سي صغير')")
    assert "\u2068+2\u2069" in tab.inner_text("[name=transpose]"), "its sign stands before it"
