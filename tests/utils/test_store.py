"""The file of a fitted sampler: what it holds comes back as it was, and nothing in it is run."""

import json
import math
import os
import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from skalss.campaign import saving
from skalss.utils import store
from skalss.utils.scaling import Scaling


def round_trip(value, path):
    store.write(path, {"value": value})
    return store.read(path)["value"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state"


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, False, 0, -1, 2**70, 0.1, -0.0, 1e-320, math.pi, math.inf, -math.inf),
        *("", "text", "\x00\ud7ff\u20ac", "@tensor"),
        *(np.float32(0.1), np.float64(0.1), np.int8(-3), np.uint64(2**64 - 1), np.bool_(True), np.str_("a")),
        *([], [1, "a", None], (1, (2, 3)), {}, {"a": {"b": [1.5]}}),
    ],
    ids=repr,
)
def test_values_come_back_exactly_with_their_type(value, path):
    got = round_trip(value, path)
    assert type(got) is type(value)
    assert got == value
    assert repr(got) == repr(value)


@pytest.mark.parametrize("nan", [math.nan, np.float32("nan"), np.float64("nan")])
def test_nan_comes_back(nan, path):
    got = round_trip(nan, path)
    assert type(got) is type(nan)
    assert math.isnan(got)


@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(6).reshape(2, 3)[:, ::-1], np.array(5), np.zeros((0, 4), dtype=np.float32)),
        *(np.array([0.1, np.nan, np.inf]), np.array([True, False]), np.arange(3, dtype=np.uint16)),
        *(np.array(["a", "bcd"]), np.array([["a", None], [1, 2.5]], dtype=object), np.array([], dtype="<U4")),
        *(np.array([1.5, 2.5], dtype=np.float16), np.array([2**63], dtype=np.uint64)),
    ],
    ids=lambda a: f"{a.dtype}{a.shape}",
)
def test_arrays_come_back_exactly(array, path):
    got = round_trip(array, path)
    assert got.dtype == array.dtype
    np.testing.assert_array_equal(got, array)
    if got.dtype == object:
        assert [type(v) for v in got.ravel()] == [type(v) for v in array.ravel()]
    assert got.flags.writeable


def test_the_byte_order_becomes_that_of_the_machine(path):
    got = round_trip(np.array([1, 2], dtype=">i4"), path)
    assert got.tolist() == [1, 2]
    assert got.dtype == np.int32


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool])
def test_tensors_come_back_exactly(dtype, path):
    tensor = torch.randn(3, 4).to(dtype).T
    got = round_trip([tensor, torch.empty(0, 2)], path)
    assert got[0].dtype == dtype
    assert torch.equal(got[0], tensor)
    assert got[1].shape == (0, 2)


def test_tensors_that_share_memory_are_written_both(path):
    tensor = torch.arange(4.0)
    first, second = round_trip([tensor, tensor[:2]], path)
    assert torch.equal(first, tensor)
    assert torch.equal(second, tensor[:2])


def test_a_scaling_comes_back(path):
    scaling = Scaling(torch.tensor([0.1, 3.0]), torch.tensor([2.0, 1 / 3]), unit_range=False)
    got = round_trip(scaling, path)
    rows = torch.randn(5, 2)
    assert torch.equal(got(rows), scaling(rows))
    assert got.unit_range is False


def test_tables_come_back_exactly(path):
    frame = pd.DataFrame(
        {
            "id": pd.Series(["a", 1, np.int64(3), None], dtype=object),
            "text": ["x", "y", None, "z"],
            "number": [0.1, np.nan, np.inf, 3.0],
            "count": np.arange(4, dtype=np.int32),
            "flag": [True, False, True, True],
        }
    )
    got = round_trip(frame, path)
    pd.testing.assert_frame_equal(got, frame)
    assert [type(v) for v in got["id"]] == [type(v) for v in frame["id"]]
    pd.testing.assert_frame_equal(round_trip(frame.iloc[:0], path), frame.iloc[:0])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            pd.Timestamp("2020-01-01"),
            "value holds .* of type Timestamp, which cannot be saved without pickle",
        ),
        (object(), "of type object"),
        ({1: "a"}, "of type dict"),
        ({"@tensor": "a"}, "of type dict"),
        (b"bytes", "of type bytes"),
        (np.datetime64("2020-01-01"), "cannot be saved without pickle"),
        (np.array([1 + 2j]), "an array of complex128"),
        (np.array([object()], dtype=object), "of type object"),
        (
            pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}),
            "Column 'when' of value has the type datetime",
        ),
    ],
)
def test_what_cannot_be_written_is_named(value, message, path):
    with pytest.raises(TypeError, match=message):
        store.write(path, {"value": value})
    assert not path.exists()


class Trap:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("trapped",)


@pytest.mark.parametrize(
    "content",
    [pickle.dumps(Trap()), b"", b"{}", b"\xff" * 100, (2).to_bytes(8, "little") + b"{}", b"PK\x03\x04"],
    ids=["pickle", "empty", "short", "noise", "other safetensors", "zip"],
)
def test_another_file_is_refused_and_not_run(content, path, monkeypatch):
    monkeypatch.chdir(path.parent)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a saved sampler, or is damaged"):
        store.read(path)
    assert not (path.parent / "trapped").exists()


def test_a_file_of_torch_is_refused_and_not_run(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    torch.save(Trap(), path)
    with pytest.raises(ValueError, match="is not a saved sampler"):
        store.read(path)
    assert not (path.parent / "trapped").exists()


@pytest.fixture
def content(path):
    store.write(path, {"weights": torch.arange(200.0), "names": ["a"] * 50})
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_off_is_refused(content, path, share):
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ValueError, match="damaged"):
        store.read(path)


def test_every_changed_byte_is_noticed(content, path, seed):
    for place in np.random.RandomState(seed).randint(8, len(content), size=60):
        changed = bytearray(content)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        with pytest.raises(ValueError, match="damaged|not a saved sampler|format"):
            store.read(path)


@pytest.mark.parametrize(("version", "named"), [("2", "2"), ("x", "x"), ("", "")])
def test_a_newer_format_is_refused(path, monkeypatch, version, named):
    monkeypatch.setattr(store, "FORMAT", version)
    store.write(path, {})
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"has format {named}, this version reads up to 1. Upgrade skalss"):
        store.read(path)


@pytest.mark.parametrize(
    "state",
    [
        {"@array": {"dtype": "O8", "shape": [1], "items": [{"@call": "os.mkdir"}]}},
        {"@numpy": ["datetime64", 1]},
        {"@frame": {"length": 1, "columns": [["a", "category", ["x"]]]}},
        {"@array": {"dtype": "<M8[s]", "shape": [1], "items": [1]}},
    ],
)
def test_a_forged_file_names_no_type_of_its_own(state, path):
    text = json.dumps(state).encode()
    tensors = {"@state": torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    # Private: whoever forges a file also makes its digest right.
    header = {"kind": store.KIND, "format": "1", "digest": store._digest(tensors)}
    path.write_bytes(store.save(tensors, metadata=header))
    with pytest.raises(ValueError, match="The file (holds|names)"):
        store.read(path)


def test_a_crash_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    store.write(path, {"value": "old"})

    def crash(*_):
        raise OSError("the disk is full")

    for module, name in ((saving.os, "fsync"), (saving.os, "replace")):
        monkeypatch.setattr(module, name, crash)
        with pytest.raises(OSError, match="the disk is full"):
            store.write(path, {"value": "new"})
        monkeypatch.undo()
        assert store.read(path) == {"value": "old"}
        assert os.listdir(path.parent) == [path.name]
    store.write(path, {"value": "new"})
    assert store.read(path) == {"value": "new"}
    assert os.listdir(path.parent) == [path.name]
