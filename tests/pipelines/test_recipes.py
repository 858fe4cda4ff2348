import json

import numpy as np
import pytest
from PIL import Image

from pipelines import attgan, draggan, features, igan, images, out_of_domain, recipes, registry, stylegan2
from pipelines.recipes import Recipe
from weights.attributes import ATTRS
from weights.errors import UserError

FACE = attgan.encode_image(Image.fromarray(np.random.RandomState(0).randint(0, 256, (32, 32, 3), np.uint8)))
PAINTED = np.zeros((32, 32, 4), np.uint8)
PAINTED[8:16, 8:24] = (200, 40, 40, 255)
PAINTED = igan.encode_colour(Image.fromarray(PAINTED), 32)
LINE = images.encode_mask(np.eye(32, dtype=np.uint8), 32)
PATCH = {"source": [8.5, 9.5], "target": [20.5, 12.5], "size": 8}
HAS = {name: name in ("Brown_Hair", "No_Beard", "Young") for name in ATTRS}
CALLS = {
    "stylegan2.sample": {"seeds": [1, 2], "truncation_psi": 0.6, "noise_mode": "none", "psi_levels": {"coarse": 0.2}},
    "stylegan2.truncation": {"seed": 3, "psis": [0, 1]},
    "stylegan2.mix": {"row_seeds": [1], "col_seeds": [2, 3], "layers": "middle"},
    "stylegan2.interpolate": {"seeds": [1, 2], "frames": 4, "space": "z", "loop": False},
    "stylegan2.noise": {"seed": 2, "count": 3},
    "stylegan2.move": {"seed": 1, "amounts": {"1": 2.0}, "layers": "coarse"},
    "stylegan2.move_strip": {"seed": 1, "direction": "2", "amounts": [-1, 1]},
    "features.look": {"x": 12.0, "y": 20.5, "seed": 3},
    "attgan.edit": {"image": FACE, "attributes": {"Eyeglasses": 1.0, "Young": -0.5}, "has": HAS},
    "attgan.flips": {"image": FACE, "intensity": 1.5, "has": HAS},
    "attgan.slide": {"image": FACE, "attribute": "Young", "frames": 3, "attributes": {"Bald": 1}, "has": HAS},
    "igan.project": {"image": FACE, "steps": 3, "seed": 2, "show_every": 1},
    "igan.brush": {
        "colour": PAINTED,
        "z0": 4,
        "fixed": [{"sketch": LINE, "warp": [PATCH], "z0": 3}],
        "starts": 4,
        "steps": 2,
        "realism": 0.1,
    },
    "igan.interpolate": {"z0": 1, "z1": 2, "frames": 3},
    "igan.transfer": {"image": FACE, "z0": 1, "z1": 2, "frames": 3},
    "igan.morph": {"image0": FACE, "image1": FACE, "z0": 1, "z1": 2, "frames": 3},
    "igan.slice": {"seed": 2, "x": 0.5, "reach": 1.0, "rows": 3},
    "out_of_domain.edit": {"image": FACE, "direction": "Direction 1", "strength": 2.0, "steps": 2},
    "out_of_domain.slide": {"image": FACE, "direction": "Direction 2", "high": 2.0, "frames": 3, "steps": 2},
    "out_of_domain.compare": {"image": FACE, "edits": [["Direction 1", -2.0]], "steps": 2},
    "draggan.replay": {
        "seed": 2,
        "drags": [
            {"handles": [[20, 30]], "targets": [[40, 30]], "steps": 2},
            {"handles": [[40.5, 12]], "targets": [[30, 12]], "steps": 2, "lr": 0.05},
        ],
    },
}
ITERATORS = ("stylegan2.interpolate", "draggan.replay", "attgan.slide")
ITERATORS += ("out_of_domain.slide", "out_of_domain.compare")
ITERATORS += ("igan.project", "igan.brush", "igan.interpolate", "igan.transfer", "igan.morph")


@pytest.fixture
def net_of(net, request):
    """The network that a function of a recipe takes."""
    own = {"attgan": "attgan", "igan": "dcgan"}
    found = lambda technique: request.getfixturevalue(own[technique]) if technique in own else net  # noqa: E731
    return lambda function: found(function.split(".")[0])


def flat(result):
    if isinstance(result, dict):
        result = list(result.values())
    if hasattr(result, "images"):
        result = [list(row) if isinstance(row, tuple) else row for row in result.images]
    if hasattr(result, "colours"):
        return np.concatenate([np.asarray(im).ravel() for im in (result.image, result.colours, result.likeness)])
    if hasattr(result, "fused"):
        result = [result.edited, result.mask.convert("RGB"), result.result]
    if not isinstance(result, list):
        result = [result]
    if isinstance(result[0], list):
        result = [im for row in result for im in row]
    if hasattr(result[0], "candidates"):
        result = [image for step in result for image in (step.candidates[0].image, step.average)]
    elif hasattr(result[0], "found"):
        result = [row.image for row in result[-1].found]
    elif hasattr(result[0], "image"):
        result = [step.image for step in result]
    return np.stack([np.asarray(im) for im in result])


WITHOUT_NETWORK = {
    "history.compare": {"seed": 2},
    "stylegan2.parameter_count": {"resolution": 32, "w_dim": 64},
    "igan.ring": {"steps": 3, "seed": 1, "show_every": 1, "size": 64},
}


def test_every_function_of_a_recipe_is_tried_here():
    there = registry.everything()
    assert set(CALLS) | set(WITHOUT_NETWORK) == set(there)
    assert set(WITHOUT_NETWORK) == {name for name, entry in there.items() if not entry.takes_network}


@pytest.mark.parametrize("function", WITHOUT_NETWORK)
def test_recipes_without_a_network(function, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # the code saves what it makes
    recipe = recipes.make(function, **WITHOUT_NETWORK[function])
    back = Recipe.from_json(recipe.to_json())
    scope = {}
    exec(compile(back.code(), "cell", "exec"), scope)
    a, b = back.run(), scope["result"]
    if function == "history.compare":
        a, b = ({k: flat(v).tolist() for k, v in h.samples.items()} for h in (a, b))
        with pytest.raises(UserError, match="other networks"):
            Recipe(function, "history", "ab" * 32, {"seed": 2}).run()
    if function == "igan.ring":
        a, b = (flat(steps).tolist() for steps in (a, b))
    assert a == b


@pytest.mark.parametrize("function", CALLS)
def test_a_recipe_survives_its_json_and_makes_the_same_pixels(net_of, function):
    net = net_of(function)
    recipe = recipes.make(function, net, **CALLS[function])
    back = Recipe.from_json(recipe.to_json())
    assert back == recipe
    module, name = function.split(".")
    modules = {"stylegan2": stylegan2, "draggan": draggan, "features": features, "attgan": attgan, "igan": igan}
    modules["out_of_domain"] = out_of_domain
    direct = getattr(modules[module], name)(net, **CALLS[function])
    direct = list(direct) if function in ITERATORS else direct
    assert (flat(back.run(net)) == flat(direct)).all()


@pytest.mark.parametrize("function", CALLS)
def test_the_shown_code_runs_and_makes_the_same_pixels(net_of, function, monkeypatch, tmp_path):
    import weights

    net = net_of(function)
    load = weights.load
    monkeypatch.setattr(weights, "load", lambda name, **rest: net if name == net.info.name else load(name, **rest))
    monkeypatch.chdir(tmp_path)
    output = {"format": "gif", "fps": 10, "size": "2x"} if function.endswith(("interpolate", "slide")) else None
    recipe = recipes.make(function, net, output=output, **CALLS[function])
    scope = {}
    exec(compile(recipe.code(), "cell", "exec"), scope)
    assert (flat(scope["result"]) == flat(recipe.run(net))).all()
    animated = function.endswith(("interpolate", "slide", "transfer", "morph"))
    assert (tmp_path / "animation.gif").exists() == animated
    assert bool(list(tmp_path.glob("result*.png"))) == (not animated), "the code saves what it makes"
    assert recipe.code().startswith("# Run this in the folder of ganbook")


def test_code_of_an_own_file_says_which_file():
    recipe = Recipe("stylegan2.sample", "own:0123456789ab", "0123456789ab" + "0" * 52, {"seeds": [1]})
    assert "weights.read" in recipe.code() and "0123456789ab" in recipe.code()


def test_another_checkpoint_is_refused(net):
    recipe = Recipe("stylegan2.sample", "stylegan2/tiny", "cd" * 32, {"seeds": [1]})
    with pytest.raises(UserError, match="another version"):
        recipe.run(net)


def good():
    return json.loads(Recipe("stylegan2.sample", "stylegan2/tiny", "ab" * 32, {"seeds": [1]}).to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"function": "os.system"},
        {"function": "stylegan2._w"},
        {"function": None},
        {"function": ["stylegan2.sample"]},
        {"ganbook": 99},
        {"checkpoint": "stylegan2/faces"},
        {"checkpoint": {"name": 3, "sha256": "x"}},
        {"checkpoint": {"name": "stylegan2/faces"}},
        {"arguments": [1]},
        {"arguments": {"seeds": [1], "surprise": 1}},
        {"arguments": {"net": 1, "seeds": [1]}},
        {"arguments": {}},
        {"output": "gif"},
    ],
)
def test_bad_recipes_are_one_sentence(change):
    with pytest.raises(UserError) as e:
        Recipe.from_json(json.dumps({**good(), **change}))
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "text", ["", "hello", "[]", "{}", "null", '{"ganbook": 1}', b"\xff\xfe", "[" * 200_000, "x" * 2_000_000]
)
def test_files_that_are_no_recipes(text):
    with pytest.raises(UserError):
        Recipe.from_json(text)


def test_values_out_of_bounds_are_refused_when_run(net):
    for arguments in ({"seeds": "1-10000"}, {"seeds": [1], "truncation_psi": 1e9}, {"seeds": [1], "noise_mode": 3}):
        recipe = Recipe.from_json(json.dumps({**good(), "arguments": arguments}))
        with pytest.raises(UserError):
            recipe.run(net)
