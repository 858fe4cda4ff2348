"""What a visitor sees of a result's life: it is waited for, stopped, refused, or no longer what the controls say."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

OTHER = "Made with other settings"


def badge(visit, cell: str):
    return visit.at(f"{cell}-status").locator(".nb-badge")


def test_a_result_is_marked_while_its_settings_are_others(window):
    visit = window(new=True)
    assert not badge(visit, "sample").count()
    visit.write("sample-psi", 0.2)
    expect(badge(visit, "sample")).to_have_text(OTHER)
    expect(visit.at("sample-gallery")).to_have_css("opacity", "0.45")
    visit.write("sample-psi", 0.7)
    expect(badge(visit, "sample")).to_have_count(0)
    visit.choose("network", re.compile("^\\W*Cats"))
    expect(badge(visit, "sample")).to_have_text(OTHER)
    visit.press("sample-run")
    expect(badge(visit, "sample")).to_have_count(0)
    assert "Cats" in visit.ran("sample")


def test_what_is_sent_on_is_what_is_seen(window):
    visit = window(new=True)
    visit.write("sample-seeds", "5")
    visit.press("sample-run")
    visit.shows("sample-gallery", 1)
    visit.choose("network", re.compile("^\\W*Cats"))
    visit.write("sample-psi", -0.5)
    with visit.event("sample-send-draggan"):
        visit.at("sample-send-draggan").click()
    assert "Faces" in visit.value("dg-network")
    assert (visit.value("dg-drag-seed"), visit.value("dg-drag-psi")) == ("5", "0.7")


def test_two_results_of_a_cell_are_marked_each_by_itself(wide):
    wide.write("truncation-seed", 4)
    wide.press("truncation-run")
    wide.press("truncation-picture-run")
    expect(badge(wide, "truncation")).to_have_count(0)
    wide.write("truncation-psi", 0.5)  # the picture follows; the strip has a psi of its own
    expect(badge(wide, "truncation")).to_have_count(0)
    wide.write("truncation-seed", 5)
    expect(badge(wide, "truncation")).to_have_text(f"The seed at several ψ: {OTHER[0].lower()}{OTHER[1:]}")
    expect(wide.at("truncation-strip")).to_have_css("opacity", "0.45")
    expect(wide.at("truncation-picture")).to_have_css("opacity", "1")


def test_a_loaded_recipe_is_up_to_date(wide, tmp_path):
    wide.write("noise-seed", 6)
    wide.write("noise-count", 4)
    wide.press("noise-run")
    recipe = wide.download("noise-recipe", tmp_path)
    wide.write("noise-seed", 7)
    expect(badge(wide, "noise")).to_have_text(OTHER)
    wide.upload("noise-recipe-load", recipe)
    assert wide.value("noise-seed") == "6"
    expect(badge(wide, "noise")).to_have_count(0)
    wide.write("noise-count", 3)
    expect(badge(wide, "noise")).to_have_text(OTHER)


def test_what_fails_leaves_a_marked_result(wide):
    wide.write("mixing-rows", "1")
    wide.press("mixing-run")
    before = wide.addresses("mixing-grid")
    wide.write("mixing-rows", "one")
    wide.press("mixing-run")
    wide.complaint()
    assert "one" in wide.news("mixing")
    assert wide.addresses("mixing-grid") == before
    expect(badge(wide, "mixing")).to_have_text(OTHER)
    wide.write("mixing-rows", "1")
    expect(badge(wide, "mixing")).to_have_count(0)


def test_what_was_stopped_has_no_files_of_the_last_result(wide):
    wide.write("interpolation-frames", 4)
    wide.press("interpolation-run")
    expect(wide.at("interpolation-download")).to_be_visible()
    wide.write("interpolation-frames", 600)
    with wide.event("interpolation-stop"):
        wide.at("interpolation-run").click()
        expect(wide.at("interpolation-news")).to_contain_text("Frame ")
        wide.at("interpolation-stop").click()
    expect(wide.at("interpolation-news")).to_have_text("Stopped.")
    expect(wide.at("interpolation-download")).to_be_hidden()
    assert not wide.status("interpolation")
    wide.write("interpolation-frames", 4)


@pytest.mark.parametrize("cell", ["sample", "noise"])
def test_it_says_that_it_waits(window, cell):
    """The server's word is given for it: whose turn it is depends on other visitors."""
    visit = window(new=True)
    line = visit.page.locator(f"#sg2-{cell} .nb-waiting")
    answer = {"known": True, "busy": True, "waiting": True}
    visit.page.route("**/ganbook/visit/*", lambda route: route.fulfill(json=answer))
    held = []
    visit.page.route("**/queue/join*", lambda route: held.append(route))
    visit.at(f"{cell}-run").click()
    expect(line).to_have_text("Waiting for its turn …")
    visit.page.unroute("**/queue/join*")
    held[0].continue_()
    visit.settle()
    expect(line).to_have_count(0)
    visit.ran(cell)
