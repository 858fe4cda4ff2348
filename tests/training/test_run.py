"""Recipes: every one can be typed, a stopped stage goes on, the next waits for it, and the card comes last."""

import importlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import weights
from training import run, stylegan2

from .stylegan2_helpers import folder_of

ROOT = Path(__file__).resolve().parents[2]
RECIPES = run.recipes()
STAGES = [(name, stage) for name, recipe in RECIPES.items() for stage in recipe.get("stages", [])]


@pytest.mark.parametrize(("name", "stage"), STAGES, ids=lambda v: v if isinstance(v, str) else v["trainer"])
def test_each_stage_is_a_command_that_its_trainer_takes(name, stage):
    trainer, *options = run.arguments(stage, "data", "runs")
    importlib.import_module(f"training.{trainer}").parser().parse_args(options)


def test_what_a_stage_needs_was_made_before_it():
    for name, recipe in RECIPES.items():
        made = set()
        for stage in recipe["stages"]:
            needed = set(re.findall(r"\{runs\}/([a-z0-9-]+)", stage["options"]))
            assert needed <= made, (name, needed - made)
            made.add(stage.get("out"))
        for card in recipe.get("cards", []):
            assert set(re.findall(r"\{runs\}/([a-z0-9-]+)", card)) <= made, name


def test_everything_that_ships_has_a_recipe_and_a_target():
    named = {re.search(r"--name (\S+)", card)[1] for r in RECIPES.values() for card in r.get("cards", [])}
    shipped = {e.name for e in weights.entries() if e.shipped and not e.name.startswith("directions/")}
    assert shipped <= named
    made = subprocess.run(
        [shutil.which("make"), "-pn", "clean"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"^NETWORKS := (.*)$", made, re.M)[1].split() == list(RECIPES)


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    source = folder_of(tmp_path, False)
    tiny = "--resolution 8 --batch 4 --channel-base 32 --channel-max 4 --z-dim 4 --w-dim 4 --mapping-layers 1"
    tiny += f" --data {source} --device cpu --metric-images 0 --tick 8"
    stages = [
        {"out": "first", "trainer": "stylegan2", "options": f"{tiny} --images 8"},
        {
            "out": "second",
            "trainer": "stylegan2",
            "options": f"{tiny} --images 16 --start-from {{runs}}/first/state.pt",
        },
    ]
    monkeypatch.setattr(run, "recipes", lambda: {"tiny": {"stages": stages, "cards": ["--run {runs}/second"]}})
    commands = []

    def called(command, processes=1):
        commands.append(command)
        if command[0] != "card":
            args = stylegan2.parser().parse_args(command[1:])
            stylegan2.train(args, log=lambda line: None)
        return 0

    monkeypatch.setattr(run, "run", called)
    return tmp_path, commands


def test_stages_run_in_order_and_once(recipe, capsys):
    folder, commands = recipe
    argv = ["tiny", "--data", str(folder), "--runs", str(folder / "runs")]
    assert run.main([*argv, "--list"]) == 0 and not commands and "second 0 of 16" in capsys.readouterr().out
    assert run.main(argv) == 0
    assert [c[0] for c in commands] == ["stylegan2", "stylegan2", "card"]
    state = torch.load(folder / "runs" / "second" / "state.pt", weights_only=True)
    assert state["shown"] == 16 and state["origin"] == "--start-from runs/first/state.pt"
    commands.clear()
    assert run.main(argv) == 0 and [c[0] for c in commands] == ["card"]


def test_a_run_that_goes_on_with_other_options():
    stages = RECIPES["faces"]["stages"]
    wide = [s for s in stages if s["out"] == "faces-wide"]
    parser = importlib.import_module("training.stylegan2").parser()
    options = [parser.parse_args(run.arguments(stage, "data", "runs")[1:]) for stage in wide]
    assert [o.images for o in options] == sorted({o.images for o in options}), "each has more to do than the last"
    assert options[1].lr < options[0].lr and options[1].d_resolution == options[0].d_resolution
    assert options[-1].judge_sampled and options[-1].projected == ["mobilefacenet"] and not options[0].projected


def test_a_stopped_stage_keeps_the_next_one_waiting(recipe, monkeypatch):
    folder, commands = recipe
    monkeypatch.setattr(run, "run", lambda command, processes=1: commands.append(command) or 0)  # trains nothing
    assert run.main(["tiny", "--data", str(folder), "--runs", str(folder / "runs")]) == 0
    assert len(commands) == 1


def test_unknown_names_are_said(capsys):
    assert run.main(["cubes"]) == 2 and run.main([]) == 2
    assert "no recipe for cubes" in capsys.readouterr().out
