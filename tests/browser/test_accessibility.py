"""For those who see no pictures or have no mouse: axe-core finds nothing serious, and Tab comes to every control."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest

from .visit import NARROW, WIDE, Visit

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# Findings of what a tab shows: [impact, rule, where]. Colours of code are left out: axe does not see the filter that
# makes them darker or lighter. With a rule, that rule alone.
FINDINGS = """async (rule) => {
  const found = await axe.run({ exclude: [".cm-content"] },
    { resultTypes: ["violations"], ...(rule ? { runOnly: [rule] } : {}) });
  return found.violations.flatMap((rule) => rule.nodes.map((node) => [rule.impact, rule.id, String(node.target)]));
}"""
# What a mouse can press or change; of radio buttons, the chosen one of a group is the group's only stop.
CONTROLS = """() => {
  const shown = (e) => e.checkVisibility({ visibilityProperty: true }) && e.getClientRects().length;
  const parts = "a[href], button, input, select, textarea, [role=slider], [role=button], [role=application]";
  const found = [...document.querySelectorAll(parts)].filter(shown)
    .filter((e) => e.tabIndex >= 0 && !e.closest(".visually-hidden"))
    .filter((e) => !e.disabled && e.type !== "file" && (e.type !== "radio" || e.checked))
    .filter((e) => !e.matches("a:has(button)"));
  found.forEach((e, i) => (e.dataset.stop = i));
  return found.map((e) => `in #${e.closest("[id]")?.id}: ${e.outerHTML.slice(0, 160)}`);
}"""
# Remembers where the focus comes to: [number of the control, whether the place can be seen, what it is].
STOPS = """() => {
  window.stops = [];
  document.addEventListener("focusin", ({ target: here }) => {
    const marked = [here, here.closest("label"), here.querySelector("circle, rect"), here.querySelector("img"),
      here.closest(".cm-editor"), here.parentElement, here.closest(".wrap")].filter(Boolean);
    const seen = marked.some((e) => {
      const { outlineStyle, boxShadow, stroke } = getComputedStyle(e);
      return outlineStyle !== "none" || boxShadow !== "none" || (e !== here && stroke !== "none" && e.closest("svg"));
    });
    window.stops.push([here.dataset.stop ?? null, seen, here.outerHTML.slice(0, 140)]);
  });
}"""
AT_ONCE = 25  # presses of Tab between two looks at where the focus came to


def looked_at(visit):
    """Every tab in turn, its first pictures there and everything that folds laid open."""
    for tab in visit.page.get_by_role("tab").all():
        tab.click()
        visit.settle()
        folds = visit.page.locator("button.label-wrap:not(.open):visible")
        while folds.count():
            folds.first.click()
        visit.settle()
        yield tab.inner_text()


def still(visit) -> None:
    """Moves nothing any more, so that what is looked at is what stays."""
    visit.page.evaluate(AXE)
    visit.page.add_style_tag(content="* { transition: none !important; animation: none !important; }")


def serious(visit, rule: str | None = None) -> list:
    return [one for one in visit.page.evaluate(FINDINGS, rule) if one[0] in ("serious", "critical")]


def by_keyboard(visit) -> tuple[list[str], set[str]]:
    """The controls that Tab does not come to, and the places where one does not see that it is there."""
    names = visit.page.evaluate(CONTROLS)
    visit.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); window.stops = []; }")
    visit.page.locator("#theme-toggle").focus()
    wanted = {str(i) for i, name in enumerate(names) if "theme-toggle" not in name}
    reached, came = set(), 0
    for _ in range(0, 3 * len(names), AT_ONCE):
        for _ in range(AT_ONCE):
            visit.page.keyboard.press("Tab")
        stops = visit.page.evaluate("() => window.stops")
        reached = {stop for stop, _seen, _what in stops}
        if reached >= wanted or len(stops) == came:  # at all of them, or past the last one
            break
        came = len(stops)
    missed = [names[int(number)] for number in wanted - reached]
    return missed, {what for stop, seen, what in stops if stop is not None and not seen}


@pytest.fixture(scope="module")
def walked(browser, server):
    """What is found on one walk through all tabs: opening and unfolding them takes longer than looking."""
    visit = Visit(browser, server.address, WIDE)
    found: dict = {"axe": [], "missed": [], "unseen": set()}
    try:
        visit.press("directions-run")
        still(visit)
        visit.page.evaluate(STOPS)
        for tab in looked_at(visit):
            found["axe"] += [(tab, "light", *one) for one in serious(visit)]
            visit.page.evaluate("document.body.classList.add('dark')")
            visit.settle()
            # Of all rules, this one depends on the theme.
            found["axe"] += [(tab, "dark", *one) for one in serious(visit, "color-contrast")]
            visit.page.evaluate("document.body.classList.remove('dark')")
            missed, unseen = by_keyboard(visit)
            found["missed"] += [(tab, name) for name in missed]
            found["unseen"] |= unseen
        assert not visit.problems, visit.problems
    finally:
        visit.close()
    return found


def test_axe_finds_nothing_serious(walked):
    assert not walked["axe"], "\n".join(map(str, walked["axe"]))


def test_axe_finds_nothing_serious_on_a_telephone(window):
    visit = window(NARROW, new=True)
    visit.press("directions-run")
    still(visit)
    found = [(tab, *one) for tab in looked_at(visit) for one in serious(visit)]
    assert not found, "\n".join(map(str, found))


def test_tab_comes_to_every_control(walked):
    assert not walked["missed"], "\n".join(map(str, walked["missed"]))


def test_one_sees_where_tab_has_come(walked):
    assert not walked["unseen"], "\n".join(sorted(walked["unseen"]))


def test_the_line_of_a_comparison_follows_the_arrow_keys(wide):
    wide.page.get_by_role("tab", name="AttGAN").click()
    line = wide.at("ag-edit-whole").get_by_role("slider")
    line.wait_for()
    wide.settle()
    before = line.bounding_box()["x"]
    line.press("ArrowRight")
    wide.until(lambda: line.bounding_box()["x"] > before + 5, "the line does not move")
    wide.until(lambda: int(line.get_attribute("aria-valuenow")) > 50, "its place is not told")
    line.press("ArrowLeft")
    wide.until(lambda: abs(line.bounding_box()["x"] - before) < 5, "the line does not come back")
