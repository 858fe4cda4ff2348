"""A link holds a recipe: whoever opens it sees the same pictures, made anew, and nothing else of who sent it."""

from __future__ import annotations

from playwright.sync_api import expect

from .visit import WIDE


def test_a_link_brings_the_same_pictures_to_another_visitor(wide, window):
    wide.write("truncation-seed", 11)
    wide.write("truncation-psi", 0.5)
    wide.press("truncation-run")
    pictures = wide.pictures("truncation-strip")
    address = wide.link("truncation-link")
    assert "gradio" not in address.split("#")[0], "no address of a file of this visitor's"

    other = window(WIDE, new=True, options=address.split("/", 3)[3])
    other.until(lambda: other.value("truncation-seed") == "11", "the link's seed does not come")
    other.settle()
    assert [p.tobytes() for p in other.pictures("truncation-strip")] == [p.tobytes() for p in pictures]
    assert "#" not in other.page.url, "a reload does not make it again"


def test_a_broken_link_says_so(window):
    for rest in ("constructor.abc", "sg2-sample.abc"):
        visit = window(WIDE, new=True, options=f"#recipe={rest}")
        expect(visit.page.locator("#visit-link")).to_contain_text("no recipe")
        assert visit.value("sample-seeds") == "20-35"
