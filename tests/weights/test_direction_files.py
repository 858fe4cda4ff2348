"""Directions out of files of others: what is in them arrives, and what is no direction gets a sentence."""

import io
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from weights import direction_files
from weights.errors import RefusedFile, UserError

VECTOR = np.random.RandomState(0).randn(1, 16)


def numpy_file(path, array, **options):
    with open(path, "wb") as file:
        np.save(file, array, **options)
    return path


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", ">f4"])
def test_numpy(tmp_path, dtype):
    [(name, found)] = direction_files.read(numpy_file(tmp_path / "age.npy", VECTOR.astype(dtype))).items()
    assert name == "age" and found.dtype == torch.float32 and found.shape == (1, 16)
    assert np.abs(found.numpy() - VECTOR).max() < (2e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("legacy", [False, True])
def test_torch(tmp_path, legacy):
    """A bare tensor is called like the file; several have names of their own."""
    path, one = tmp_path / "pose.pt", torch.randn(18, 16)
    torch.save(one, path, _use_new_zipfile_serialization=not legacy)
    assert torch.equal(direction_files.read(path)["pose"], one)
    torch.save({"age": one, "smile": one[:1]}, path, _use_new_zipfile_serialization=not legacy)
    found = direction_files.read(path)
    assert list(found) == ["age", "smile"] and torch.equal(found["smile"], one[:1])


def test_safetensors(tmp_path):
    path = tmp_path / "several.safetensors"
    save_file({"age": torch.ones(16), "pose": torch.zeros(18, 16)}, path)
    found = direction_files.read(path)
    assert set(found) == {"age", "pose"} and found["age"].shape == (16,)


class Bomb:
    def __reduce__(self):
        return (open, ("bomb-went-off", "w"))


def test_nothing_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"age": Bomb()}, "bomb.pt")
    with open("object.npy", "wb") as file:
        np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    with open("plain.pkl", "wb") as file:
        pickle.dump(Bomb(), file)
    for name in ("bomb.pt", "object.npy", "plain.pkl"):
        with pytest.raises(UserError) as caught:
            direction_files.read(name)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "bomb-went-off").exists()


def promised(shape: str) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(64)


def torch_bytes(value) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"age: 1 2 3", "no direction"),
        (promised("(1000000000, 16)"), "damaged"),
        (promised("(16,"), "damaged"),
        (b"\x93NUMPY\x01\x00", "damaged"),
        (torch_bytes([1, 2, 3]), "no direction"),
        (torch_bytes({"age": torch.ones(2), "name": "age"}), "no direction"),
        (torch_bytes({}), "no direction"),
        (torch_bytes({str(i): torch.ones(2) for i in range(65)}), "65 arrays"),
        (torch_bytes(torch.tensor([float("nan")])), "NaN or infinite values"),
        (torch_bytes(torch.ones(3))[:200], "."),
    ],
)
def test_what_is_no_direction_is_said(tmp_path, content, words):
    path = tmp_path / "file.npy"
    path.write_bytes(content)
    with pytest.raises(RefusedFile, match=words) as caught:
        direction_files.read(path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_a_file_that_is_gone(tmp_path):
    with pytest.raises(RefusedFile, match="not there"):
        direction_files.read(tmp_path / "gone.npy")
