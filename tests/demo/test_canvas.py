"""What comes from a canvas, or from a script that pretends to be one, and what goes to it."""

import base64
import io
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from demo import canvas, theme
from weights.errors import UserError

POINT = {"handle": [20, 32.25], "target": [28, 30]}


def value(**changes) -> dict:
    return {"size": [64, 48], "points": [POINT], "layers": {}, **changes}


def layer(size=(4, 2), runs=(3, 2, 3)) -> dict:
    return {"mask": {"size": list(size), "runs": list(runs)}}


def test_an_untouched_canvas():
    for nothing in (None, ""):
        assert canvas.read(nothing) == canvas.Drawing()


def test_points():
    drawing = canvas.read(value(points=[POINT, {"handle": [-0.5, 47.5], "target": None}]))
    assert drawing.size == (64, 48) and drawing.layers == {}
    assert drawing.points == (canvas.Pair((20.0, 32.25), (28.0, 30.0)), canvas.Pair((-0.5, 47.5), None))
    assert canvas.read({"size": [64, 48]}).points == ()


def test_a_painted_area():
    drawing = canvas.read(value(layers=layer()))
    assert drawing.layers["mask"].cells.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0]]
    area = drawing.layers["mask"].area((2, 1))
    assert area.size == (2, 1) and np.asarray(area).tolist() == [[64, 64]], "each pixel is covered by a quarter"
    assert canvas.read(value(layers=layer(runs=[8]))).layers["mask"].area((2, 1)) is None


@pytest.mark.parametrize("seed", range(6))
def test_runs_there_and_back(seed):
    """Python writes areas as the script in the page reads them; all is found again, whatever the edges are."""
    cells = (np.random.default_rng(seed).random((5, 7)) < [0, 1, 0.5, 0.5, 0.1, 0.9][seed]).astype(np.uint8)
    written = json.loads(json.dumps(canvas.drawn((64, 48), layers={"mask": canvas.Layer(cells)})))
    assert np.array_equal(canvas.read(written).layers["mask"].cells, cells)
    assert all(run > 0 for run in written["layers"]["mask"]["runs"][1:])


def test_several_colours():
    brush = canvas.Tool("colour", "paint", "Colour", "M0 0", palette=((255, 0, 0, 255), (0, 0, 255, 255)))
    given = value(layers={"colour": {"size": [3, 2], "runs": [2, 0, 3, 2, 1, 1]}})
    assert canvas.read(given, [canvas.POINTS, brush]).layers["colour"].cells.tolist() == [[0, 0, 2], [2, 2, 1]]
    for runs in ([2, 0, 3], [2, 0, 3, 3, 1, 1]):
        with pytest.raises(UserError, match="pairs"):
            canvas.read(value(layers={"colour": {"size": [3, 2], "runs": runs}}), [canvas.POINTS, brush])


BRUSHES = (canvas.COLOUR, canvas.SKETCH, canvas.WARP)
PATCH = {"source": [20, 30.5], "target": [40, 30.5], "size": 12}


def brushes(**changes) -> dict:
    return {"size": [64, 48], **changes}


def colour(palette=((255, 0, 0), (0, 0, 255)), runs=(2, 0, 3, 2, 1, 1)) -> dict:
    return {"colour": {"size": [3, 2], "runs": list(runs), "palette": [list(c) for c in palette]}}


def test_free_colours():
    layer = canvas.read(brushes(layers=colour()), BRUSHES).layers["colour"]
    assert layer.cells.tolist() == [[0, 0, 2], [2, 2, 1]] and layer.palette == ((255, 0, 0), (0, 0, 255))
    picture = layer.colours((3, 2))
    assert picture.mode == "RGBA" and picture.getpixel((2, 1)) == (255, 0, 0, 255)
    assert picture.getpixel((0, 0))[3] == 0 and picture.getpixel((0, 1)) == (0, 0, 255, 255)
    half = layer.colours((1, 2)).getpixel((0, 0))
    assert half[3] == 85 and half[:3] == (0, 0, 255), "an edge has the colour of the paint, not of what lies beside it"
    assert canvas.read(brushes(layers=colour((), (6, 0))), BRUSHES).layers["colour"].colours((3, 2)) is None


def test_colours_there_and_back():
    painted = Image.new("RGBA", (40, 30))
    painted.paste((10, 200, 30, 255), (5, 5, 20, 20))
    painted.paste((200, 10, 30, 255), (20, 10, 40, 30))
    layer = canvas.Layer.of(painted)
    written = json.loads(json.dumps(canvas.drawn((64, 48), layers={"colour": layer}, patches=[])))
    again = canvas.read(written, BRUSHES).layers["colour"]
    assert np.array_equal(np.asarray(again.colours((40, 30))), np.asarray(painted))
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 4), dtype=np.uint8)
    many = canvas.Layer.of(Image.fromarray(noise, "RGBA"))
    assert 1 < len(many.palette) <= canvas.MAX_COLOURS and np.array_equal(many.cells > 0, noise[..., 3] >= 128)
    assert (
        canvas.read(canvas.drawn((64, 48), layers={"colour": many}), BRUSHES).layers["colour"].palette == many.palette
    )
    assert not canvas.Layer.of(Image.new("RGBA", (4, 4))).cells.any()


def test_patches():
    drawing = canvas.read(brushes(patches=[PATCH]), BRUSHES)
    assert drawing.patches == (canvas.Patch((20.0, 30.5), (40.0, 30.5), 12.0),)
    assert canvas.read(canvas.drawn((64, 48), patches=drawing.patches), BRUSHES) == drawing
    assert "patches" not in canvas.drawn((64, 48)), "what has no such tool says nothing of it"


WRONG_BRUSHES = {
    "patches without the tool": (brushes(patches=[PATCH]), (canvas.POINTS, canvas.MASK)),
    "points without the tool": (brushes(points=[POINT]), BRUSHES),
    "patches that are a table": (brushes(patches=PATCH), BRUSHES),
    "too many patches": (brushes(patches=[PATCH] * 17), BRUSHES),
    "a patch without a size": (brushes(patches=[{"source": [1, 2], "target": [3, 4]}]), BRUSHES),
    "a patch larger than the picture": (brushes(patches=[{**PATCH, "size": 49}]), BRUSHES),
    "a patch of nothing": (brushes(patches=[{**PATCH, "size": 0}]), BRUSHES),
    "a patch from outside": (brushes(patches=[{**PATCH, "source": [-1, 3]}]), BRUSHES),
    "a patch to nowhere": (brushes(patches=[{**PATCH, "target": [float("nan"), 3]}]), BRUSHES),
    "a patch with more": (brushes(patches=[{**PATCH, "angle": 3}]), BRUSHES),
    "65 colours": (brushes(layers=colour([(i, 0, 0) for i in range(65)])), BRUSHES),
    "a colour of four": (brushes(layers=colour([(1, 2, 3, 4)], (6, 1))), BRUSHES),
    "a colour that is none": (brushes(layers=colour([(1, 2, 256)], (6, 1))), BRUSHES),
    "half a colour": (brushes(layers=colour([(1, 2, 0.5)], (6, 1))), BRUSHES),
    "a colour beyond the palette": (brushes(layers=colour([(1, 2, 3)])), BRUSHES),
    "no pairs": (brushes(layers=colour(runs=(3, 0, 3))), BRUSHES),
    "a palette for a sketch": (brushes(layers={"sketch": colour()["colour"]}), BRUSHES),
}


@pytest.mark.parametrize("what", WRONG_BRUSHES)
def test_what_no_brush_can_have_made(what):
    given, tools = WRONG_BRUSHES[what]
    with pytest.raises(UserError) as refused:
        canvas.read(given, tools)
    assert str(refused.value).endswith(".") and not re.search(r"[.?!]\s+[A-Z]", str(refused.value))


NAN = float("nan")
WRONG = {
    "a list": [[1, 2]],
    "a text": "points",
    "a number": 7,
    "an unknown key": value(colour=1),
    "no size": {"points": [POINT]},
    "a size of three": value(size=[64, 64, 3]),
    "no pixels": value(size=[0, 64]),
    "halves of pixels": value(size=[64.5, 64]),
    "a size that is huge": value(size=[10**9, 10**9]),
    "a size that is text": value(size="64x64"),
    "points that are a table": value(points={"handle": [1, 2]}),
    "a million points": value(points=[POINT] * 10**6),
    "one point too many": value(points=[POINT] * (canvas.MAX_POINTS + 1)),
    "a point that is a list": value(points=[[1, 2, 3, 4]]),
    "a point without a handle": value(points=[{"target": [1, 2]}]),
    "a point of one number": value(points=[{"handle": [1], "target": [1, 2]}]),
    "not a number": value(points=[{"handle": [NAN, 2], "target": None}]),
    "infinity": value(points=[{"handle": [1, 2], "target": [math.inf, 2]}]),
    "no number at all": value(points=[{"handle": [None, 2], "target": None}]),
    "left of the picture": value(points=[{"handle": [-0.6, 2], "target": None}]),
    "below the picture": value(points=[{"handle": [1, 2], "target": [1, 47.6]}]),
    "a point with more": value(points=[{**POINT, "size": 3}]),
    "layers that are a list": value(layers=[1]),
    "an unknown layer": value(layers={"sketch": {"size": [1, 1], "runs": [1]}}),
    "a layer that is a picture": value(layers={"mask": "data:image/png;base64,AAAA"}),
    "a layer without runs": value(layers={"mask": {"size": [4, 2]}}),
    "no runs": value(layers=layer(runs=[])),
    "a layer that is huge": value(layers=layer(size=(10**5, 10**5), runs=[10**10])),
    "runs too short": value(layers=layer(runs=[3, 2])),
    "runs too long": value(layers=layer(runs=[3, 2, 4])),
    "runs that go back": value(layers=layer(runs=[9, -1])),
    "runs that are floats": value(layers=layer(runs=[3.0, 5.0])),
    "runs that are truths": value(layers=layer(runs=[True] * 8)),
    "runs that are text": value(layers=layer(runs="44")),
    "a million runs": value(layers=layer(size=(1000, 1000), runs=[1] * 10**6)),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_nobody_can_have_drawn(what):
    with pytest.raises(UserError) as refused:
        canvas.read(WRONG[what])
    sentence = str(refused.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 200
    assert not re.search(r"[.?!]\s+[A-Z]", sentence), f"more than one sentence: {sentence}"


def test_frames():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))
    shown = canvas.frame(image, "noise", [((1.5, 2), (3, 4))], running=True)
    assert json.loads(json.dumps(shown)) == shown, "it has to go through JSON"
    assert shown["size"] == [64, 48] and shown["alt"] == "noise" and shown["running"] is True
    assert shown["points"] == [{"handle": [1.5, 2], "target": [3, 4]}]
    head, data = shown["picture"].split(",")
    assert head == "data:image/png;base64"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.asarray(image))
    large = canvas.frame(image.resize((1024, 768)))["picture"]
    assert large.startswith("data:image/jpeg") and len(large) < 600_000
    assert canvas.frame(None)["picture"] is None


def test_the_component_takes_frames_without_touching_what_is_drawn():
    """Gradio makes the component again from its arguments for every update; what it would not take, it refuses here."""
    import gradio as gr

    with gr.Blocks():
        made = canvas.board(elem_id="board")
    again = type(made)(**{**made.constructor_args, "frame": canvas.frame(None), "value": value()})
    assert again.elem_id == "board" and again.props["config"] == made.props["config"]
    update = gr.blocks.postprocess_update_dict(made, {"frame": {"picture": None}})
    assert update["props"] == {"frame": {"picture": None}} and "value" not in update


def test_scripts_read_what_to_send():
    import gradio as gr

    with gr.Blocks() as page:
        made = canvas.board()
        made.input(lambda drawn: len(canvas.read(drawn).points), made, gr.Number(), api_name="count")
    info = page.get_api_info()["named_endpoints"]["/count"]["parameters"][0]
    assert info["type"]["type"] == "object" and "handle" in info["type"]["description"]
    assert canvas.read(info["example_input"]).points
    with gr.Blocks() as page:
        made = canvas.board(BRUSHES)
        made.input(lambda drawn: len(canvas.read(drawn, BRUSHES).patches), made, gr.Number(), api_name="count")
    info = page.get_api_info()["named_endpoints"]["/count"]["parameters"][0]
    assert "palette" in info["type"]["description"] and "handle" not in info["type"]["description"]
    assert canvas.read(info["example_input"], BRUSHES).patches


def test_the_page_brings_the_script_and_its_style():
    head = theme.launch_options()["head"]
    assert head.count("window.ganbookCanvas = {") == 1 and ".gc-view {" in head
    order = [head.index(f"ganbookCanvas.{name} = ") for name in ("Patches", "listen", "attach")]
    assert order == sorted(order), "each file finds what it needs"
    assert not any(place in head for place in ("STYLES", "CANVAS", "FONTS"))


def test_the_template_survives_gradio():
    """Gradio runs the template through Handlebars and a template literal: nothing in it may mean anything there."""
    import gradio as gr

    with gr.Blocks():
        template = canvas.board().html_template + canvas.board(BRUSHES).html_template
    assert "{" not in template and "`" not in template and "$" not in template and "\\" not in template
