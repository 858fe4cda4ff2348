"""For those who see no pictures or have no mouse: axe-core finds nothing serious, and Tab comes to every control."""

from __future__ import annotations

from pathlib import Path

import axe_playwright_python
import pytest

from .visit import NARROW, WIDE

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# Findings of what a tab shows: [impact, rule, where]. Colours of code are left out: axe does not see the filter that
# makes them darker or lighter.
FINDINGS = """async () => {
  const found = await axe.run({ exclude: [".cm-content"] }, { resultTypes: ["violations"] });
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
# Where the focus is: [number of the control, whether the place can be seen].
STOP = """() => {
  const here = document.activeElement;
  const marked = [here, here.closest("label"), here.querySelector("circle, rect"), here.querySelector("img"),
    here.closest(".cm-editor"), here.parentElement, here.closest(".wrap")].filter(Boolean);
  const seen = marked.some((e) => {
    const { outlineStyle, boxShadow, stroke } = getComputedStyle(e);
    return outlineStyle !== "none" || boxShadow !== "none" || (e !== here && stroke !== "none" && e.closest("svg"));
  });
  return [here.dataset.stop ?? null, seen, here.outerHTML.slice(0, 140)];
}"""


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


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["1280", "390"])
def test_axe_finds_nothing_serious(window, size):
    visit = window(size, new=True)
    visit.press("directions-run")
    visit.page.evaluate(AXE)
    visit.page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    serious = []
    for tab in looked_at(visit):
        for theme in ("light", "dark"):
            visit.page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
            visit.settle()
            found = visit.page.evaluate(FINDINGS)
            serious += [(tab, theme, *one) for one in found if one[0] in ("serious", "critical")]
    assert not serious, "\n".join(map(str, serious))


def test_tab_comes_to_every_control(window):
    visit = window(WIDE, new=True)
    missed, unseen = [], set()
    for tab in looked_at(visit):
        names = visit.page.evaluate(CONTROLS)
        visit.page.evaluate("() => { document.activeElement.blur(); scrollTo(0, 0); }")
        visit.page.locator("#theme-toggle").focus()
        stops, outside = set(), 0
        for _ in range(3 * len(names)):
            visit.page.keyboard.press("Tab")
            stop, seen, what = visit.page.evaluate(STOP)
            if not seen and stop is not None:
                unseen.add(what)
            stops.add(stop)
            outside = outside + 1 if what.startswith("<body") else 0
            if outside == 3:  # past the last one; a list that closes loses the focus for a moment, too
                break
        missed += [(tab, name) for i, name in enumerate(names) if str(i) not in stops and "theme-toggle" not in name]
    assert not missed, "\n".join(map(str, missed))
    assert not unseen, "\n".join(sorted(unseen))


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
