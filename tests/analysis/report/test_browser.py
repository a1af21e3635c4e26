"""The page in a real browser: opened, clicked, typed into, looked at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.report import write
from tests.analysis.report import fixture
from tests.analysis.report.chromium import chromium, console, missing
from tests.analysis.report.driving import chosen, click, count, draw_all, js, press, text, until
from tests.analysis.report.test_page import HOSTILE, hostile_run

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing())]


@pytest.fixture(scope="module")
def page(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write([run_folder], tmp_path_factory.mktemp("browser") / "report.html")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def driver(shared: Any, page: Path) -> Any:
    """A freshly loaded page, its samples unpacked."""
    return opened(shared, page)


def opened(driver: Any, page: Path) -> Any:
    driver.get("about:blank")
    console(driver)
    driver.get(page.as_uri())
    until(lambda: "prompts" in text(driver, "#count"))
    return driver


def test_everything_is_drawn_without_a_word_on_the_console(driver: Any) -> None:
    draw_all(driver)
    charts = count(driver, "[data-chart]")
    assert charts > 10 and count(driver, ".main-svg") >= charts
    assert count(driver, ".many, .reliability") == count(driver, ":is(.many, .reliability):has(.legend .traces)")
    assert js(driver, "performance.getEntriesByType('resource').every((one) => one.name.startsWith('blob:'))")
    assert console(driver) == []


def test_a_chart_shows_its_numbers(driver: Any) -> None:
    figure = "[data-chart='0'] "
    click(driver, figure + ".numbers summary")
    until(lambda: count(driver, figure + "tbody tr") == 6)
    assert "0.68\t0.66\t0.7\t500" in text(driver, figure + "tbody")


def test_the_plan_answers_to_pointer_and_keyboard(driver: Any) -> None:
    node = ".node[aria-label^='train policy → π₂']"
    click(driver, node)
    until(lambda: "train policy · iteration 2 · E-step" in text(driver, "#stage"))
    assert "select pairs" in text(driver, "#stage")
    assert js(driver, "document.querySelector('.graph').classList.contains('traced')")
    press(driver, "\ue007")  # Enter: the same node again, let go
    until(lambda: js(driver, "document.getElementById('stage').hidden"))
    click(driver, "[data-graph='1']")
    assert js(driver, "document.querySelectorAll('.graph')[1].hidden") is False


def test_search_narrows_marks_and_clears(driver: Any) -> None:
    assert text(driver, "#count") == "32 of 32 prompts"
    press(driver, "/")
    assert js(driver, "document.activeElement.id") == "query"
    press(driver, "p2 eval-00003")
    until(lambda: text(driver, "#count") == "1 of 32 prompts")
    assert chosen(driver) == "tell color of fox 3"
    assert "p2" in js(driver, "[...document.querySelectorAll('#detail mark')].map((one) => one.textContent)")
    press(driver, "\ue00c")  # Escape
    until(lambda: text(driver, "#count") == "32 of 32 prompts")


def test_nothing_found_is_said(driver: Any) -> None:
    press(driver, "/")
    press(driver, "no such words")
    until(lambda: text(driver, "#count") == "0 of 32 prompts")
    assert "No prompt passes" in text(driver, "#detail")
    press(driver, "\ue00c")
    press(driver, "j", "k")
    assert chosen(driver)


FILTERS = [
    ("section", "Chat Hard", 8), ("iteration", "2", 24), ("step", "E-step", 16), ("kind", "pairs", 24),
    ("kind", "compared", 16), ("kind", "better", 8), ("kind", "worse", 0), ("order", "long", 32),
]  # fmt: skip
CHOOSE = """
const one = document.getElementById(arguments[0]);
one.value = arguments[1];
one.dispatchEvent(new Event("change"));
"""


def test_filters_count_and_combine(driver: Any) -> None:
    for control, value, left in FILTERS:
        driver.execute_script(CHOOSE, f"by-{control}", value)
        assert text(driver, "#count") == f"{left} of 32 prompts", (control, value)
        press(driver, "\ue00c")  # Escape clears every filter
        assert text(driver, "#count") == "32 of 32 prompts"
    driver.execute_script(CHOOSE, "by-kind", "compared")
    driver.execute_script(CHOOSE, "by-section", "Chat Hard")
    assert text(driver, "#count") == "4 of 32 prompts"


def test_keys_move_through_prompts_and_policies(driver: Any) -> None:
    first = chosen(driver)
    press(driver, "j", "j")
    assert chosen(driver) != first and js(driver, "document.activeElement.id") == "list"
    press(driver, "k", "k")
    assert chosen(driver) == first
    press(driver, "\ue010")  # End
    assert js(driver, "document.querySelector('.item[aria-selected=true]').getAttribute('aria-posinset')") == "32"
    press(driver, "\ue011")  # Home
    assert text(driver, "#detail .columns").startswith("Old policy π₁")
    press(driver, "\ue012")  # left: the earlier comparison
    assert text(driver, "#detail .columns").startswith("Old policy π₀")


def test_old_and_new_stand_side_by_side_with_their_pairs_marked(driver: Any) -> None:
    columns = js(driver, "[...document.querySelectorAll('#detail .columns > section')].map((one) => one.innerText)")
    assert len(columns) == 2
    old, new = columns
    assert old.startswith("Old policy π₁") and new.startswith("New policy π₂")
    assert new.count("p2 answer") == 5 and old.count("p1 answer") == 5
    assert "✓ chosen · pm" in new and "✗ rejected · pm" in new and "✓ chosen · contrast" in new
    assert "✗ rejected · contrast" in old and "cut off at the length limit" in new
    boxes = "[...document.querySelectorAll('#detail .columns > section')].map((one) => one.getBoundingClientRect().top)"
    assert len(set(js(driver, boxes))) == 1


def test_the_theme_turns_and_charts_turn_with_it(driver: Any) -> None:
    driver.execute_script("document.querySelector('[data-chart]').scrollIntoView()")
    label = "[data-chart='0'] .xtitle"
    until(lambda: count(driver, label))
    looks = "[document.body, document.querySelector(arguments[0])].map((one) => getComputedStyle(one))"
    looks += ".map((style) => style.backgroundColor + style.fill)"
    light = js(driver, looks, label)
    click(driver, "#theme")
    until(lambda: all(a != b for a, b in zip(light, js(driver, looks, label), strict=True)))
    click(driver, "#theme")
    until(lambda: js(driver, looks, label) == light)


CONTRASTS = """(() => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parse(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return parse(getComputedStyle(document.documentElement).backgroundColor);
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *:not(script):not(option):not(svg *)")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !element.offsetParent) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) poor.push([element.className, element.textContent.slice(0, 30), ratio]);
  }
  return poor;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_every_word_has_contrast(page: Path, tmp_path: Path, dark: bool) -> None:
    with chromium(tmp_path / "profile", dark=dark) as driver:
        opened(driver, page)
        assert js(driver, "Report.dark()") is dark
        assert js(driver, CONTRASTS) == []


def test_a_phone_reads_without_scrolling_sideways(page: Path, tmp_path: Path) -> None:
    with chromium(tmp_path / "profile", width=390, height=844) as driver:
        opened(driver, page)
        draw_all(driver)
        assert js(driver, "document.documentElement.scrollWidth") <= 390
        click(driver, "#item-2")
        top = "document.getElementById('detail').getBoundingClientRect().top"
        until(lambda: 0 <= js(driver, top) < 120)
        assert "Back to the list" in text(driver, "#detail")
        assert console(driver) == []


def test_hostile_responses_do_nothing(shared: Any, tmp_path: Path) -> None:
    driver = opened(shared, write([hostile_run(tmp_path)], tmp_path / "report.html"))
    assert HOSTILE in text(driver, "#detail")
    assert HOSTILE in js(driver, "document.querySelector('#detail .answer .text').textContent")
    press(driver, "/")
    press(driver, "<img onerror")
    until(lambda: count(driver, "#detail mark"))
    draw_all(driver)
    for index in range(count(driver, ".graph:not([hidden]) .node")):
        driver.execute_script("document.querySelectorAll('.graph:not([hidden]) .node')[arguments[0]]"
                              ".dispatchEvent(new MouseEvent('click'))", index)  # fmt: skip
    assert js(driver, "window.hacked") is None and count(driver, "img") == 0
    assert console(driver) == []


def test_a_script_that_slipped_in_would_not_run(driver: Any) -> None:
    driver.execute_script("document.body.insertAdjacentHTML('beforeend', arguments[0])", HOSTILE)
    time.sleep(0.2)
    assert js(driver, "window.hacked") is None
    assert any("Content Security Policy" in line for line in console(driver))


def test_a_sweep_changes_runs(shared: Any, sweep_folder: Path, tmp_path: Path) -> None:
    driver = opened(shared, write([sweep_folder], tmp_path / "report.html"))
    before = text(driver, "#detail")
    assert "contrast" in before
    driver.execute_script(CHOOSE, "run", "2")
    until(lambda: "contrast" not in text(driver, "#detail"))
    assert js(driver, "[...document.querySelectorAll('#training [data-run]')].map((one) => one.hidden)") == [
        True, True, False, True,
    ]  # fmt: skip
    assert "Run: rm_data=pm seed=0" in text(driver, "#training [data-run='2']")
    click(driver, "#own")
    until(lambda: count(driver, ".node.aside"))
    assert count(driver, ".node:not(.aside)") and not count(driver, ".node[aria-label*='4/4 runs'].aside")
    click(driver, "#own")
    until(lambda: not count(driver, ".node.aside"))
    draw_all(driver)
    assert console(driver) == []


def test_ten_thousand_responses(shared: Any, tmp_path: Path) -> None:
    folder = fixture.make_run(tmp_path, fixture.mutual_taught(250, words=40))
    driver = opened(shared, write([folder], tmp_path / "report.html"))
    assert text(driver, "#count") == "1,000 of 1,000 prompts"
    assert "10,000 responses to 1,000 prompts" in text(driver, "#samples .lead")
    assert count(driver, ".item") < 60
    driver.execute_script("const one = document.getElementById('list'); one.scrollTop = one.scrollHeight / 2")
    until(
        lambda: any(
            480 < int(n) < 520
            for n in js(driver, "[...document.querySelectorAll('.item')].map((one) => one.ariaPosInSet)")
        )
    )
    paint = js(driver, "performance.getEntriesByName('first-contentful-paint')[0].startTime")
    ready = js(driver, "performance.getEntriesByName('samples-ready')[0].startTime")
    print(f"10,000 responses: first view after {paint:.0f} ms, samples ready after {ready:.0f} ms")
