"""The page in parts: a browser is sent the first tab, and what another tab holds when that is opened.

All of it is built at the start, so that endpoints, recipes and what tabs send each other are there from the first
moment. Only what a browser is told of it waits: Gradio's page makes every component and every event that it is told of
before anything can be seen. A part comes as ``gr.render`` sends what it has made; here it is the same for everybody.

A browser that has got a part lays it out, and says so with the part's ``Arrival``. What a tab does when it is opened
follows that: ``tab.select``, ``page.load`` with outputs in the tab, and ``page.greets``, which waits for the seeds too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import gradio as gr

QUIET = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
SENT = "ganbook.part"  # in the ASGI scope of a request that is answered with a part: the tab's number
# What only scripts are told of a component; they ask for the whole configuration.
OF_SCRIPTS = ("api_info", "api_info_as_input", "api_info_as_output", "example_inputs")


class Opener:
    """The function of the event that brings a tab's part."""

    def __init__(self, tab: gr.Tab):
        self.tab, self.__name__ = tab, f"open_{tab.id}"

    def __call__(self) -> None:
        pass


class Arrival:
    """The function of the event that comes first when a tab's part is laid out."""

    def __init__(self, tab: gr.Tab, function: Callable):
        self.tab, self.function, self.__name__ = tab, function, f"arrive_{tab.id}"

    def __call__(self, visitor, found):
        return self.function(visitor, found)


@dataclass
class Parts:
    """``first``: the configuration of the page as it is opened; ``later``: what comes with a tab, by its number."""

    first: dict = field(default_factory=dict)
    later: dict[int, dict] = field(default_factory=dict)


def wire(tabs: gr.Tabs) -> None:
    """Makes every tab but the first bring its part when it is selected."""
    for tab in tabs.children[1:]:
        # The server has to know the page before it is asked for more.
        tab.select(Opener(tab), None, None, js="() => ganbookVisit.arrived", **QUIET)


# -- what a browser is told ------------------------------------------------------------------------------------------


def split(config: dict, fns: dict) -> Parts:
    """The whole configuration in parts; it is left as it is, but for the components' ``interactive``.

    ``fns``: the page's functions by the events' numbers.
    """
    openers = {number: fn.fn.tab._id for number, fn in fns.items() if isinstance(fn.fn, Opener)}
    arrivals = {fn.fn.tab._id: number for number, fn in fns.items() if isinstance(fn.fn, Arrival)}
    components = {one["id"]: one for one in config["components"]}
    _say_which_are_interactive(components.values(), config["dependencies"])
    tabs = {node["id"]: node for node in _nodes(config["layout"]) if node["id"] in openers.values()}
    inside = {node["id"]: tab for tab in tabs for child in tabs[tab]["children"] for node in _nodes(child)}
    part_of = {**inside, **{tab: tab for tab in tabs}}
    seen = {tab: list(_seen(node, components)) for tab, node in tabs.items()}
    first: list[dict] = []
    later: dict[int, list[dict]] = {tab: [] for tab in tabs}
    for family in _families(config["dependencies"]):
        root = family[0]
        if (tab := openers.get(root["id"])) is not None:
            first += family
            later[tab].append({**root, "backend_fn": False, "js": None})  # it is there now
            continue
        places = _places(root, part_of, {number: tab for tab, number in arrivals.items()})
        if not places or None in places:
            first += family
        for tab in places - {None}:
            mine = [target for target in root["targets"] if len(places) == 1 or part_of.get(target[0]) == tab]
            later[tab] += [_when_it_comes({**root, "targets": mine}, tab, seen[tab], arrivals), *family[1:]]
    for events in later.values():  # what can be called is known from the start: the description of the API tells of it
        first += [
            {**event, "targets": [], "trigger_after": None} for event in events if event["api_visibility"] == "public"
        ]
    told = {number: _told(one) for number, one in components.items()}
    return Parts(
        {
            **config,
            "components": [told[number] for number in told if number not in inside],
            "dependencies": first,
            "layout": _pruned(config["layout"], set(later)),
        },
        {
            tab: {
                "layout": node,
                "components": [told[one["id"]] for one in _nodes(node)],
                "dependencies": later[tab],
                "render_id": tab,
            }
            for tab, node in tabs.items()
        },
    )


def _nodes(node: dict) -> Iterator[dict]:
    yield node
    for child in node.get("children", ()):
        yield from _nodes(child)


def _seen(node: dict, components: dict) -> Iterator[str]:
    """The ``elem_id`` of everything in a part that is in the document when it is laid out."""
    props = components[node["id"]]["props"]
    if props.get("visible") is False:
        return
    if props.get("elem_id"):
        yield props["elem_id"]
    for child in node.get("children", ()):
        yield from _seen(child, components)


def _told(component: dict) -> dict:
    return {key: value for key, value in component.items() if key not in OF_SCRIPTS}


def _pruned(node: dict, empty: set[int]) -> dict:
    if "children" not in node:
        return node
    children = [] if node["id"] in empty else [_pruned(child, empty) for child in node["children"]]
    return {**node, "children": children}


def _families(events: list[dict]) -> list[list[dict]]:
    """Each event that something triggers, with those that come after it, and after those."""
    after: dict[int, list[dict]] = {}
    for event in events:
        if event["trigger_after"] is not None:
            after.setdefault(event["trigger_after"], []).append(event)

    def family(event: dict) -> list[dict]:
        return [event, *(one for child in after.get(event["id"], ()) for one in family(child))]

    return [family(event) for event in events if event["trigger_after"] is None]


def _places(event: dict, part_of: dict[int, int], arrives: dict[int, int]) -> set[int | None]:
    """The parts that trigger an event; what comes with the page belongs where all that it changes is."""
    if event["id"] in arrives:
        return {arrives[event["id"]]}
    if any(kind == "load" for _number, kind in event["targets"]):
        changed = {part_of.get(number) for number in event["outputs"]}
        return changed if len(changed) == 1 else {None}
    return {part_of.get(number) for number, _kind in event["targets"]}


def _when_it_comes(event: dict, tab: int, seen: list[str], arrivals: dict[int, int]) -> dict:
    """What a tab does when it is selected follows its arrival: that it was selected has brought the part."""
    if any(kind == "load" for _number, kind in event["targets"]):
        js = f"(...values) => ganbookParts.after({json.dumps(seen)}, {event['js'] or 'null'}, values)"
        return {**event, "js": js}
    if any((number, kind) == (tab, "select") for number, kind in event["targets"]):
        return {**event, "trigger_after": arrivals[tab]}
    return event


def _say_which_are_interactive(components, events: list[dict]) -> None:
    """Gradio's page finds it out from the events that it knows, and does not know all of them now."""
    inputs = {number for event in events for number in event["inputs"]}
    outputs = {number for event in events for number in event["outputs"]}
    for one in components:
        if one["props"].get("interactive") is None:
            value, number = one["props"].get("value"), one["id"]
            empty = value is None or value in ("", 0, False) or value == []
            one["props"]["interactive"] = number in inputs or (number not in outputs and empty)
