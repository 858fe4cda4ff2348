"""The table of ``make gpu-check``, on the processor: what it compares, and what it says where nothing compiles."""

from __future__ import annotations

import pytest
import torch

from benchmarks import gpu_check, synthesis

SIZE = 32


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(synthesis.SIZES, SIZE, 512)


def test_each_precision_is_a_row(monkeypatch):
    """A processor computes all of them in single precision, so there all pictures are the same."""
    compiled, halves, network = [], [], synthesis.network

    def noted(resolution, device, num_fp16_res=0):
        halves.append(num_fp16_res > 0)
        return network(resolution, device, num_fp16_res)

    monkeypatch.setattr(synthesis, "network", noted)
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    rows = gpu_check.speeds("cpu", (SIZE,), 1)
    assert [row[0] for row in rows] == [f"{SIZE} px, {name}" for name, *_ in gpu_check.VARIANTS]
    assert len(compiled) == 2 and halves == [half for _name, half, _compiled in gpu_check.VARIANTS]
    assert all(float(row[1]) > 0 and float(row[3]) == 0 for row in rows)


def test_a_machine_that_cannot_compile_says_so(monkeypatch):
    def compile(module):
        def refuse(*_args, **_kwargs):
            raise RuntimeError("Failed to find a working compiler")

        return refuse

    monkeypatch.setattr(torch, "compile", compile)
    rows = gpu_check.speeds("cpu", (SIZE,), 1)
    assert [row[1] for row in rows if "compiled" in row[0]] == ["RuntimeError"] * 2
    assert all(float(row[1]) > 0 for row in rows if "compiled" not in row[0])
