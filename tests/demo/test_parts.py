"""The page in parts: together they are the whole, and each comes when its tab is opened."""

from __future__ import annotations

import json

import gradio as gr
import httpx
import pytest

from demo.parts import Arrival, Opener, split
from demo.session import Visitor


def ids(components) -> list[int]:
    return [one["id"] for one in components]


def listens(events) -> set[tuple]:
    """What triggers which event: by a component, or by an event before."""
    found = {(event["id"], *target) for event in events for target in event["targets"]}
    return found | {(event["id"], "after", event["trigger_after"]) for event in events if event["trigger_after"]}


@pytest.fixture(scope="module")
def whole(page) -> dict:
    return page.get_config_file()


@pytest.fixture(scope="module")
def http(page):
    with httpx.Client(base_url=page.local_url, timeout=60) as client:
        yield client


def openers(page) -> dict[int, int]:
    """The tabs by the numbers of the events that bring their parts."""
    return {number: fn.fn.tab._id for number, fn in page.fns.items() if isinstance(fn.fn, Opener)}


def test_every_component_is_in_one_part(page, whole):
    given = ids(page.parts.first["components"])
    for tab, part in page.parts.later.items():
        within = ids(part["components"])
        assert within[0] == tab and tab in given, "the tab itself is there from the start"
        given += within[1:]
    assert len(given) == len(set(given)) and set(given) == set(ids(whole["components"]))
    assert len(page.parts.later) == 6
    assert len(page.parts.first["components"]) < 40
    assert whole["page"][""]["components"] == ids(page.parts.first["components"])


def test_every_event_comes_with_what_triggers_it(page, whole):
    first = page.parts.first
    parts = [first, *page.parts.later.values()]
    assert listens(whole["dependencies"]) <= set().union(*(listens(part["dependencies"]) for part in parts))
    there = set(ids(first["components"]))
    for part in parts:
        numbers = set(ids(part["dependencies"]))
        mine = there | set(ids(part["components"]))
        for event in part["dependencies"]:
            assert event["trigger_after"] is None or event["trigger_after"] in numbers, "it would never be triggered"
            by = {number for number, kind in event["targets"] if number is not None and kind != "load"}
            assert not by or mine & by, "it listens to nothing here"


def test_what_a_part_reads_and_changes_is_there(page):
    """What a browser does not have it sends as nothing, and an answer for it is lost.

    Pictures are sent to other tabs, and what is kept of a visit reads all of them; both know that. The list of
    networks of a tab that comes later is made when it comes.
    """
    there = set(ids(page.parts.first["components"]))
    networks = {block._id for block in page.blocks.values() if str(block.elem_id).endswith("-network")}
    for part in page.parts.later.values():
        mine = there | set(ids(part["components"]))
        for event in part["dependencies"]:
            name = getattr(page.fns[event["id"]].fn, "__name__", "")
            if event["backend_fn"] and name != "take_sent":
                assert set(event["inputs"]) <= mine, name
                assert set(event["outputs"]) <= mine | networks, name


def test_a_picture_that_is_sent_waits_until_its_tab_is_there(page, whole):
    events = {event["id"]: event for event in whole["dependencies"]}
    taken = [event for event in events.values() if getattr(page.fns[event["id"]].fn, "__name__", "") == "take_sent"]
    assert len(taken) >= 8
    for event in taken:
        assert "ganbookParts.there" in events[event["trigger_after"]]["js"]


def test_what_a_tab_does_when_it_comes_waits_until_it_is_laid_out(page):
    arrivals = {fn.fn.tab._id: number for number, fn in page.fns.items() if isinstance(fn.fn, Arrival)}
    for tab, part in page.parts.later.items():
        elem_ids = {one["props"].get("elem_id") for one in part["components"]}
        for event in part["dependencies"]:
            if any(kind == "load" for _number, kind in event["targets"]):
                listed = json.loads(event["js"].split("after(")[1].split("]")[0] + "]")
                assert len(listed) > 5 and set(listed) <= elem_ids
            elif [tab, "select"] in [list(target) for target in event["targets"]] and event["backend_fn"]:
                assert event["trigger_after"] == arrivals[tab]
        last = part["dependencies"][-1]
        assert last["trigger_after"] == arrivals[tab] and "ganbookParts.begun" in last["js"]


def test_all_that_can_be_called_is_known_from_the_start(page, whole):
    public = {event["id"] for event in whole["dependencies"] if event["api_visibility"] == "public"}
    assert len(public) > 30 and public <= set(ids(page.parts.first["dependencies"]))


def test_components_know_whether_they_take_something(page, whole):
    """Gradio's page would find out from all events, and has those of a part alone."""
    assert all(isinstance(one["props"]["interactive"], bool) for one in whole["components"])
    by_name = {one["props"].get("elem_id"): one["props"]["interactive"] for one in whole["components"]}
    assert by_name["sg2-sample-seeds"] and by_name["ag-edit-upload"] and not by_name["ag-edit-made"]


def test_a_part_is_what_opening_a_tab_answers(page, http):
    assert len(openers(page)) == 6
    for number, tab in openers(page).items():
        asked = {"fn_index": number, "session_hash": "parts-test", "trigger_id": None, "data": []}
        answer = http.post("/gradio_api/run/predict", json=asked)
        assert answer.headers["content-encoding"] == "br" and len(answer.content) > 10_000
        part = answer.json()["render_config"]
        assert part["layout"]["id"] == tab and ids(part["components"]) == ids(page.parts.later[tab]["components"])
        plain = http.post("/gradio_api/run/predict", json=asked, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers and plain.json() == answer.json()


def test_a_page_without_tabs_is_one_part():
    with gr.Blocks() as plain:
        gr.Button("Go").click(str, None, gr.Textbox())
    config = plain.get_config_file()
    found = split(config, plain.fns)
    assert not found.later and ids(found.first["components"]) == ids(config["components"])
    assert found.first["dependencies"] == config["dependencies"] and found.first["layout"] == config["layout"]


def test_no_part_has_an_address_in_it(page):
    """They are the same for everybody, under whatever address the page is asked for."""
    text = json.dumps(page.parts.later, default=str)
    assert "http://" not in text.replace("http://www.w3.org", "") and '"url"' not in text


def test_a_network_that_was_chosen_for_a_tab_comes_with_it(page):
    arrivals = {fn.fn.tab.id: fn.fn for fn in page.fns.values() if isinstance(fn.fn, Arrival)}
    visitor = Visitor(wanted={"draggan": "stylegan2/cats"})
    values = [update.get("value") for update in arrivals["draggan"](visitor, {}).values()]
    assert "stylegan2/cats" in values and not visitor.wanted and visitor.opened == {"draggan"}
    values = [update.get("value") for update in arrivals["draggan"](visitor, {}).values()]
    assert "stylegan2/cats" not in values


def test_seeds_come_back_with_their_tab(page):
    arrivals = {fn.fn.tab.id: fn.fn for fn in page.fns.values() if isinstance(fn.fn, Arrival)}
    found = {"seeds": {"sg2-sample-seeds": "31-33", "dg-drag-seed": 7}}
    given = {part.elem_id: update for part, update in arrivals["stylegan2"](Visitor(), found).items()}
    assert given["sg2-sample-seeds"]["value"] == "31-33" and "dg-drag-seed" not in given
    given = {part.elem_id: update for part, update in arrivals["draggan"](Visitor(), found).items()}
    assert given["dg-drag-seed"]["value"] == 7
    assert "value" not in {p.elem_id: u for p, u in arrivals["draggan"](Visitor(), "x").items()}["dg-drag-seed"]
