"""The page in a real browser: from disk, without a request, by mouse and by keyboard."""

import json
import shutil

import pytest

import benchmark_reports
from powermuse.benchmark import page
from powermuse.benchmark.listening import Listening
from powermuse.benchmark.results import TRUTH

CHROMIUM = shutil.which("chromium")
sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install 'powermuse[dev]'")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium")
FAINT_TEXTS = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const seen = (color) => color.length < 4 || color[3] > 0;
  const ground = (node) => {
    const color = rgb(getComputedStyle(node).backgroundColor);
    return seen(color) || !node.parentElement ? color : ground(node.parentElement);
  };
  const contrast = (node) => {
    const pair = [rgb(getComputedStyle(node).color), ground(node)].map(luminance);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  };
  const written = (node) => [...node.childNodes].some((part) => part.nodeType === 3 && part.textContent.trim());
  return [...document.querySelectorAll('main *, header *, footer')]
    .filter((node) => node.checkVisibility() && written(node) && contrast(node) < 4.5)
    .map((node) => node.className + ' ' + node.textContent.slice(0, 30));
}"""
FLAGS = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    made = benchmark_reports.with_sounds(folder)
    page.write_page(made, folder / "report.html")
    page.write_page(made, folder / "flac.html", examples=1, sound_format="flac")
    page.write_page(made, folder / "listen.html", listen=Listening(abx_trials=3, most_rated=3))
    return folder


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tab(browser):
    """A tab that fails the test for any error and any request but the page itself."""
    context = browser.new_context(accept_downloads=True)
    tab = context.new_page()
    faults = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    tab.on("request", lambda request: faults.append(request.url) if _outside(request.url) else None)
    yield tab
    context.close()
    assert faults == []


def _outside(url: str) -> bool:
    return not (url.startswith(("data:", "blob:")) or (url.startswith("file:") and url.endswith(".html")))


def opened(tab, folder, name="report.html"):
    tab.goto(f"file://{folder / name}")
    return tab


def rows(tab, group="all"):
    return tab.locator(f"#results section[data-group='{group}'] tbody th b").all_inner_texts()


def playing(tab) -> list[str]:
    return tab.evaluate("[...document.querySelectorAll('audio')].filter(a => !a.paused).map(a => a.dataset.name)")


def position(tab) -> float:
    return tab.evaluate(
        "Math.max(...[...document.querySelectorAll('audio')].filter(a => !a.paused).map(a => a.currentTime))"
    )


def wait_for_position(tab, seconds: float) -> None:
    tab.wait_for_function(
        "s => [...document.querySelectorAll('audio')].some(a => !a.paused && a.currentTime > s)", arg=seconds
    )


def test_a_heading_sorts_best_first_then_worst_first(tab, folder):
    opened(tab, folder)
    assert rows(tab) == [system.name for system in benchmark_reports.SYSTEMS]
    means = benchmark_reports.report().means["all"]
    best_first = sorted(means, key=lambda name: -means[name]["chords"].mean)
    heading = tab.locator("#results section[data-group='all'] th", has_text="chords")
    heading.get_by_role("button").click()
    assert rows(tab) == best_first
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.get_by_role("button").click()
    assert rows(tab) == best_first[::-1]
    assert heading.get_attribute("aria-sort") == "descending"


def test_what_should_be_as_the_truths_is_sorted_by_its_distance_to_it(tab, folder):
    opened(tab, folder)
    means = benchmark_reports.report().means["all"]
    tab.locator("#results section[data-group='all'] th", has_text="onsets of B").get_by_role("button").click()
    truth = means[TRUTH]["onsets of B"].mean
    assert rows(tab) == sorted(means, key=lambda name: abs(means[name]["onsets of B"].mean - truth))


def test_the_group_switch_shows_one_group_everywhere(tab, folder):
    opened(tab, folder)
    shown = "[...document.querySelectorAll('section.group')].filter(s => !s.hidden).map(s => s.dataset.group)"
    assert tab.evaluate(shown) == ["all"] * 3
    tab.get_by_text("other tempo", exact=True).first.click()
    assert tab.evaluate(shown) == ["other tempo"] * 3, "results, differences and gates"
    mean = benchmark_reports.report().means["other tempo"]["noise"]["mel distance"].mean
    assert f"{mean:.1f}" in tab.locator("#results section:visible tr", has_text="noise").inner_text()
    tab.keyboard.press("ArrowLeft")  # radio buttons move by the arrow keys
    assert tab.evaluate(shown) == ["same tempo"] * 3


@pytest.mark.parametrize("name", ["report.html", "flac.html"])
def test_a_click_plays_and_the_position_follows(tab, folder, name):
    opened(tab, folder, name)
    tab.get_by_role("button", name="Play truth").first.click()
    wait_for_position(tab, 0.3)
    assert playing(tab) == [TRUTH]
    assert float(tab.locator(".position").first.input_value()) > 0.1
    assert tab.locator(".player.playing").count() == 1
    tab.get_by_role("button", name="Play truth").first.click()
    assert playing(tab) == []


def test_a_key_switches_the_sound_and_keeps_the_position(tab, folder):
    opened(tab, folder)
    tab.keyboard.press("1")
    wait_for_position(tab, 0.8)
    assert playing(tab) == ["A"]
    before = position(tab)
    tab.keyboard.press("3")
    tab.wait_for_function("[...document.querySelectorAll('audio')].some(a => !a.paused && a.currentTime > 0.5)")
    assert playing(tab) == [TRUTH]
    assert before - 0.1 <= position(tab) <= before + 0.8
    tab.keyboard.press(" ")
    assert playing(tab) == []
    tab.keyboard.press(" ")
    wait_for_position(tab, before)
    assert playing(tab) == [TRUTH]


def test_keys_act_on_the_row_in_use_and_the_slider_moves_the_sound(tab, folder):
    opened(tab, folder)
    second = tab.locator(".example").nth(1)
    second.get_by_role("button", name="Play B", exact=True).click()
    tab.keyboard.press("5")
    assert "active" in second.get_attribute("class")
    assert second.locator(".player.playing").get_attribute("data-key") == "5"
    second.locator(".position").fill("3")
    wait_for_position(tab, 2.9)


def test_every_control_is_reached_by_the_keyboard_and_has_a_name(tab, folder):
    opened(tab, folder)
    unnamed = tab.evaluate(
        "[...document.querySelectorAll('button, input, [tabindex=\"0\"]')].filter(e => !(e.ariaLabel || e.labels?.[0]"
        "?.innerText || e.textContent.trim())).length"
    )
    assert unnamed == 0
    for _ in range(7):  # the links to the parts of the page, then the first of its controls
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.name") == "group"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["report.html", "listen.html"])
def test_nothing_but_tables_is_wider_than_the_window(tab, folder, width, name):
    tab.set_viewport_size({"width": width, "height": 800})
    opened(tab, folder, name)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(tab, folder, scheme):
    """At least 4.5 to 1 (WCAG 2, AA)."""
    tab.emulate_media(color_scheme=scheme)
    opened(tab, folder)
    faint = tab.evaluate(FAINT_TEXTS)
    assert faint == []


def test_without_a_script_everything_is_still_there(browser, folder):
    context = browser.new_context(java_script_enabled=False)
    tab = opened(context.new_page(), folder)
    assert tab.locator("#results section.group:visible").count() == 3
    assert tab.locator("audio:visible").count() == tab.locator("audio").count() == 18
    context.close()


def test_the_listening_test_is_blind_runs_through_and_saves_what_was_answered(tab, folder):
    opened(tab, folder, "listen.html")
    plan = json.loads(tab.locator("#plan").text_content())
    tab.get_by_role("button", name="Begin").click()
    names = list(benchmark_reports.CENTRES)
    for k, trial in enumerate(plan["abx"]):
        assert not any(name in tab.inner_text("body") for name in names)
        assert tab.get_by_role("button", name="X is 1").is_disabled()
        tab.get_by_role("button", name="X", exact=True).click()
        assert playing(tab) == [trial["x"]]
        right = "1" if trial["x"] == trial["one"] else "2"
        tab.get_by_role("button", name=f"X is {right if k else 3 - int(right)}").click()  # the first one wrong
        assert playing(tab) == []
    for screen in plan["ratings"]:
        assert not any(name in tab.inner_text("body") for name in names)
        for place, name in enumerate(screen["systems"]):
            assert tab.get_by_role("button", name="Next").is_disabled()
            tab.get_by_role("button", name=f"Sound {place + 1}").click()
            assert playing(tab) == [name]
            tab.get_by_label(f"Rating of sound {place + 1}").fill(str(90 if name == TRUTH else 20 + place))
        tab.get_by_role("button", name="Next").click()
    assert f"You named X {len(plan['abx']) - 1} of {len(plan['abx'])} times" in tab.inner_text("#listening")
    assert f"{TRUTH} (hidden reference)\t90" in tab.inner_text("#listening")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save the answers").click()
    saved = json.loads(download.value.path().read_text())
    assert saved["complete"]
    assert saved["seed"] == plan["seed"]
    assert [one["correct"] for one in saved["abx"]] == [False, True, True]
    assert [{"case": s["case"], "systems": list(s["scores"])} for s in saved["ratings"]] == plan["ratings"]
    assert all(one["scores"][TRUTH] == 90 for one in saved["ratings"])
    assert tab.locator("#results").is_visible()


def test_a_listening_test_goes_on_after_the_page_is_opened_again(tab, folder):
    opened(tab, folder, "listen.html")
    tab.get_by_role("button", name="Begin").click()
    tab.get_by_role("button", name="X", exact=True).click()
    tab.get_by_role("button", name="X is 1").click()
    tab.reload()
    assert "2 of 3" in tab.inner_text("#listening h2")


def test_the_test_can_be_skipped(tab, folder):
    opened(tab, folder, "listen.html")
    assert not tab.locator("#results").is_visible()
    tab.get_by_role("button", name="Skip").click()
    assert tab.locator("#results").is_visible()
    assert not tab.locator("#listening").is_visible()
