"""One contract for labels of every kind: written, read back, corrected, sent out as a table and read again."""

import io
import json
import pickle
import sqlite3
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

from skalss import Ledger, LedgerError, LedgerMismatchError
from skalss.ledger.store import Store
from skalss.targets import TARGETS, ClassMap, Labels, ValueMap, Values
from skalss.utils.arrays import pack

from .kinds import FIELDS, KINDS, MASKS, ROW, forge, make_ledger, pool_of

each = pytest.mark.parametrize(("target", "labels", "told"), KINDS.values(), ids=KINDS)
MAPS = {name: KINDS[name] for name in ("mask", "field")}


def check_same(found, expected):
    """Compare labels with their types; of maps the numbers."""
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected
        parts = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
        assert all(type(one) is type(other) for one, other in parts)


def say(label):
    """Return classes as a set, which is never a row of 0 and 1."""
    classes = isinstance(label, tuple) and not any(isinstance(one, float) for one in label)
    return {*label} if classes else label


def read(ledger):
    return ledger.to_frame()["label"].tolist()


def test_every_kind_is_listed():
    assert {type(target) for target, *_ in KINDS.values()} == set(TARGETS)


@each
class TestEveryKind:
    @pytest.fixture
    def ledger(self, path, target, labels):
        """A ledger with three of its four rows labelled by ann."""
        with make_ledger(path, target) as ledger:
            for i, label in enumerate(labels):
                ledger.answer(f"row {i}", say(label), annotator="ann")
            yield ledger

    def test_labels_come_back(self, ledger, path, target, labels, told):
        for found in (read(ledger), read(Ledger(path)), ledger.history()["label"].tolist()):
            for one, other in zip(found, labels, strict=False):
                check_same(one, other)
        for i, label in enumerate(told):  # other ways to say the same
            ledger.answer(f"row {i}", label, annotator="bob")
        assert ledger.to_frame()["n_annotators"].tolist() == [2, 2, 2, 0]
        assert not ledger.to_frame()["disagree"].any()

    def test_the_last_answer_counts_and_who_differs_is_told(self, ledger, target, labels, told):
        ledger.answer("row 0", say(labels[1]), annotator="bob")
        ledger.answer("row 1", None, annotator="bob")
        ledger.answer("row 2", say(labels[0]), annotator="ann")  # corrects herself
        frame = ledger.to_frame()
        check_same(frame["label"][0], labels[1])
        check_same(frame["label"][2], labels[0])
        assert frame["label"][1] is None
        assert frame["disagree"].tolist() == [True, True, False, False]
        assert len(ledger.history()) == 6

    def test_a_table_goes_out_and_comes_back(self, ledger, tmp_path, target, labels, told):
        folder = tmp_path / "out"
        folder.mkdir()
        ledger.to_csv(folder / "task.csv")
        moved = folder.rename(tmp_path / "moved") / "task.csv"
        with warnings.catch_warnings(), make_ledger(tmp_path / "other", target) as other:
            warnings.simplefilter("error")
            assert ledger.read_csv(moved) == 0
            assert other.read_csv(moved) == 3
            assert other.read_csv(moved) == 0
            for one, label in zip(read(other), labels, strict=False):
                check_same(one, label)
        ledger.answer("row 0", say(labels[1]), annotator="bob")
        ledger.to_csv(moved.with_name("task.csv"))
        sheet = pd.read_csv(moved, dtype=str, keep_default_na=False)
        sheet.loc[3, "label"] = sheet["label"][0]  # a person copies a cell into an empty one
        sheet.to_csv(moved, index=False, sep=";", encoding="utf-16")
        assert ledger.read_csv(moved, annotator="bob") == 1
        check_same(read(ledger)[3], labels[1])

    def test_an_older_copy_of_a_table_takes_nothing_back(self, ledger, tmp_path, target, labels, told):
        ledger.answer("row 3", say(labels[0]), annotator="ann")
        ledger.to_csv(tmp_path / "task.csv")
        older = (tmp_path / "task.csv").read_bytes()
        ledger.answer("row 0", say(labels[1]), annotator="ann")
        ledger.to_csv(tmp_path / "task.csv")
        (tmp_path / "task.csv").write_bytes(older)
        assert ledger.read_csv(tmp_path / "task.csv") == 0
        check_same(read(ledger)[0], labels[1])

    def test_what_is_no_label_of_the_kind_in_the_file_is_damage(self, ledger, path, target, labels, told):
        ledger.close()
        for label in ("{}", "[[1]]", "[" * 100_000, "", b"\x93NUMPY", b"[1]", 3, 2.5):
            if target.task == "regression" and isinstance(label, int | float) and not target.spec:
                continue  # SQLite makes text of it, which is a value
            forge(path, {"label": label})
            with pytest.raises(LedgerError, match="damaged: "):
                Ledger(path).to_frame()


def test_the_note_of_a_label_a_row_is_as_it_was(path):
    make_ledger(path, KINDS["value"][0])
    connection = sqlite3.connect(path)
    ((note,),) = connection.execute("SELECT value FROM meta WHERE name = 'pool'")
    connection.close()
    assert json.loads(note)[0] == {"task": "regression", "dtype": "<f4", "shape": list(ROW)}


@pytest.mark.parametrize(
    ("made", "opened", "message"),
    [
        (Values(), Values(2), r"kind Values\(\), this campaign has Values\(n_values=2\)"),
        (Values(2), Values(3), r"Values\(n_values=2\), this campaign has Values\(n_values=3\)"),
        (ClassMap(ignore=255), ClassMap(), r"ClassMap\(ignore=255\), this campaign has ClassMap\(ignore=-1\)"),
        (ValueMap(), ValueMap((2, 2)), r"ValueMap\(\), this campaign has ValueMap\(shape=\[2, 2\]\)"),
        (Labels([0, 1]), ClassMap([0, 1]), "made for the task multilabel, this campaign has segmentation"),
    ],
)
def test_a_ledger_of_another_kind_of_labels_is_refused(path, made, opened, message):
    make_ledger(path, made)
    with pytest.raises(LedgerMismatchError, match=message):
        Store(path, pool_of(opened))
    Store(path, pool_of(made)).close()


def test_a_shape_that_is_said_is_that_of_labels_from_elsewhere(path):
    ledger = make_ledger(path, ValueMap((2, 2)))
    ledger.answer("row 0", np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"A map must have the shape \(2, 2\).*got \(4, 5\)"):
        ledger.answer("row 1", FIELDS[1])
    Store(path.with_name("b"), pool_of(ValueMap(ROW[1:]))).close()
    Store(path.with_name("b"), pool_of(ValueMap())).close()  # the same, said or not


@pytest.mark.parametrize(("target", "labels", "told"), MAPS.values(), ids=MAPS)
def test_maps_of_flat_rows_have_the_shape_of_others(path, target, labels, told):
    ledger = make_ledger(path, target, shape=(7,))
    ledger.answer("row 0", labels[0][:2])
    ledger.answer("row 0", labels[0])  # the only one may be corrected
    with pytest.raises(ValueError, match=r"id 'row 1' cannot be recorded: .*shape \(4, 5\).*got \(5, 4\)"):
        ledger.answer("row 1", labels[1].T)
    assert len(ledger.history()) == 2


# -- bytes that nobody wrote as a label ---------------------------------------------------------------


def blob(header, numbers=b""):
    """Return bytes in NumPy's format with any header."""
    text = header.encode("latin1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + numbers


def described(shape, descr="'<f8'"):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


def zipped():
    file = io.BytesIO()
    np.savez(file, a=np.ones((4, 5)))
    return file.getvalue()


class Opened:
    """Unpickled, it would write a file."""

    def __reduce__(self):
        return open, ("opened", "w")


HOSTILE = {
    "a pickle": pickle.dumps(Opened()),
    "objects": blob(described("(1,)", "'|O'"), pickle.dumps([Opened()])),
    "objects in records": blob(described("(1,)", "[('a', '|O')]"), pickle.dumps([Opened()])),
    "huge": blob(described("(1000000000, 1000)"), b"\x00" * 8),
    "huge text": blob(described("(1,)", "'<U500000000'"), b"\x00" * 8),
    "huge product": blob(described("(4294967296, 4294967296)"), b""),
    "below 0": blob(described("(-1, -1)"), b"\x00" * 8),
    "nothing": blob(described("(0, 1000000000000)")),
    "no axis": blob(described("()"), b"\x00" * 8),
    "complex": blob(described("(1,)", "'<c16'"), b"\x00" * 16),
    "too long": pack(MASKS[0]) + b"\x00",
    "too short": pack(MASKS[0])[:-1],
    "no header": b"\x93NUMPY\x01\x00\xff\xff",
    "code": blob("__import__('os').system('touch opened')"),
    "a long header": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"(" * 10**5,
    "a later format": b"\x93NUMPY\x09\x00" + pack(MASKS[0])[8:],
    "several arrays": zipped(),
    "empty": b"",
    "text": "[[0, 3], [3, 0]]",
}


@pytest.mark.parametrize("bytes_", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize(("target", "labels", "told"), MAPS.values(), ids=MAPS)
def test_bytes_that_are_no_map_are_damage_and_take_no_memory(
    path, tmp_path, monkeypatch, target, labels, told, bytes_
):
    monkeypatch.chdir(tmp_path)
    with make_ledger(path, target) as ledger:
        ledger.answer("row 0", labels[0])
    forge(path, {"label": bytes_})
    tracemalloc.start()
    with pytest.raises(LedgerError, match=r"damaged: the label of answer 1 is none: .*Restore a backup"):
        Ledger(path).to_frame()
    with pytest.raises(LedgerError, match="damaged"):
        Store(path, pool_of(target))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20
    assert not (tmp_path / "opened").exists()


def test_a_flipped_bit_in_a_map_is_detected(path):
    with make_ledger(path, ClassMap([0, 3], ignore=255)) as ledger:
        ledger.answer("row 0", MASKS[0])
    content = path.read_bytes()
    place = content.index(MASKS[0].tobytes())
    for i in range(MASKS[0].size):
        path.write_bytes(content[: place + i] + bytes([content[place + i] ^ 4]) + content[place + i + 1 :])
        with pytest.raises(LedgerError, match="line 1 of its answers is not as it was written"):
            Ledger(path).to_frame()


@pytest.mark.parametrize("spec", [{"n_values": "x"}, {"n_values": None}, {"a": 1}, [1], "x", 3])
def test_a_note_of_labels_of_no_kind_is_damage(path, spec):
    store = Store(path, pool_of(Values(2)))
    store.write_meta("pool", {**pool_of(Values(2)), "target": spec})
    store.close()
    with pytest.raises(LedgerError, match="damaged: its labels are to be of a kind that is none"):
        Ledger(path).to_frame()
    with pytest.raises(LedgerMismatchError, match="made for labels of the kind Values"):
        Store(path, pool_of(Values(2)))


# -- tables as people and programs fill them in -------------------------------------------------------


def fill(ledger, path, cell, kind=""):
    """Read a table with one cell; return the label."""
    pd.DataFrame({"id": ["row 0"], "label": [cell], "label_type": [kind]}).to_csv(path, index=False)
    ledger.read_csv(path)
    return read(ledger)[0]


@pytest.mark.parametrize(
    ("name", "cell", "label"),
    [
        ("values", "[1.0, 2.5]", (1.0, 2.5)),
        ("values", "1.0; 2.5", (1.0, 2.5)),
        ("values", "[1;2.5]", (1.0, 2.5)),
        ("values", "'-1; 2", (-1.0, 2.0)),
        ("names", '["dog", "car"]', ("car", "dog")),
        ("names", "[“dog”, “car”]", ("car", "dog")),
        ("names", "[dog, car]", ("car", "dog")),
        ("names", "car; dog", ("car", "dog")),
        ("names", " car ;dog; ", ("car", "dog")),
        ("names", "dog", ("dog",)),
        ("names", "=sky; blue", ("=sky; blue",)),
        ("names", "'=sky; blue", ("=sky; blue",)),
        ("names", "[0, 1, 1]", ("car", "dog")),
        ("names", "0;1;1", ("car", "dog")),
        ("names", "[]", ()),
        ("numbers", "3; 10", (3, 10)),
        ("numbers", "3.0; 1E+01", (3, 10)),
        ("numbers", "[0, 1, 0]", (3,)),
        ("numbers", "3", (3,)),
        ("columns", "[0, 1]", (1,)),
    ],
)
def test_lists_as_people_write_them(path, tmp_path, name, cell, label):
    check_same(fill(make_ledger(path, KINDS[name][0]), tmp_path / "sheet.csv", cell), label)


@pytest.mark.parametrize(
    ("name", "cell", "kind", "message"),
    [
        ("values", "[1.0]", "", r"must be 2 numbers here, got \[1.0\]"),
        ("values", "1.0", "", r"must be 2 numbers here"),
        ("values", "1,5; 2,5", "", r"2 numbers here, got \['1,5', '2,5'\]"),
        ("values", "[1.0, NaN]", "", "must be a finite number"),
        ("values", "[NaN, NaN]", "", "is NaN, as an empty cell"),
        ("values", "[1, 2", "", "2 numbers here"),
        ("values", "[1, 2]", "float", r"the type 'float' is none of \['list'\]"),
        ("names", "car; dgo", "", "'dgo' is outside.*Did you mean 'dog'"),
        ("names", '{"car": 1}', "", "is outside classes"),
        ("names", '[["car"]]', "list", "is outside classes"),
        ("names", "[" * 10**5, "", "is outside classes"),
        ("class", "[1]", "list", "the type 'list' is none of"),
        ("mask", "there.npy", "str", r"the type 'str' is none of \['array'\]"),
    ],
)
def test_lists_that_are_no_labels_name_the_line(path, tmp_path, name, cell, kind, message):
    ledger = make_ledger(path, KINDS[name][0])
    with pytest.raises(ValueError, match=rf"sheet.csv, line 2: (.|\n)*{message}.* Nothing of the file was rec"):
        fill(ledger, tmp_path / "sheet.csv", cell, kind)
    assert ledger.history().empty


@pytest.fixture
def files(tmp_path):
    """Files that hold what is no mask of four times five pixels, and one that does."""
    folder = tmp_path / "masks"
    folder.mkdir()
    np.save(folder / "good.npy", MASKS[0])
    np.save(folder / "turned.npy", MASKS[0].T)
    np.save(folder / "floats.npy", FIELDS[0])
    np.save(folder / "class.npy", MASKS[0] + 1)
    np.save(folder / "objects.npy", np.array([Opened()]), allow_pickle=True)
    for name in ("huge", "several arrays", "a pickle", "too short", "empty", "nothing"):
        (folder / f"{name}.npy").write_bytes(HOSTILE[name])
    return folder


def test_an_array_may_be_any_file_of_numpy(path, tmp_path, files):
    ledger = make_ledger(path, ClassMap([0, 3], ignore=255))
    for cell in ("masks/good.npy", "masks\\good.npy", str(files / "good.npy")):
        check_same(fill(ledger, tmp_path / "sheet.csv", cell), MASKS[0])
    assert len(ledger.history()) == 1


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("masks/gone.npy", "there is no file .*gone.npy. Write the path of a file of numpy.save there"),
        ("masks", "there is no file"),
        ("0", "there is no file"),
        ("masks/turned.npy", r"must have the shape \(4, 5\).*got \(5, 4\).*turned.npy"),
        ("masks/floats.npy", "must be a mask of whole numbers.*float64.*floats.npy"),
        ("masks/class.npy", "the class 1, which is outside classes.*class.npy"),
        ("masks/objects.npy", "objects.npy holds no array of numbers"),
        ("masks/huge.npy", "huge.npy holds no array of numbers"),
        ("masks/several arrays.npy", "several arrays.npy holds several arrays"),
        ("masks/a pickle.npy", "a pickle.npy holds no array of numbers"),
        ("masks/too short.npy", "too short.npy holds no array"),
        ("masks/empty.npy", "empty.npy holds no array"),
        ("masks/nothing.npy", "dtype float64.*nothing.npy"),
        ("a\x00b", "there is no file"),
    ],
)
def test_files_that_hold_no_label_name_the_line(path, tmp_path, monkeypatch, files, cell, message):
    monkeypatch.chdir(tmp_path)
    ledger = make_ledger(path, ClassMap([0, 3], ignore=255))
    sheet = f"id,label\nrow 1,masks/good.npy\nrow 0,{cell}\n"
    (tmp_path / "sheet.csv").write_text(sheet)
    with pytest.raises(ValueError, match=rf"sheet.csv, line 3: .*{message}.*Nothing of the file was recorded"):
        ledger.read_csv(tmp_path / "sheet.csv")
    assert ledger.history().empty
    assert not (tmp_path / "opened").exists()


def test_names_of_files_are_safe_and_differ(path, tmp_path):
    store = Store(path, pool_of(ValueMap()))
    ids = ["../../x", "a/b", "a\\b", "A/B", "", "CON", "ä" * 300, 7, "7", 7.0, ".."]
    with store.writing():
        store.add("items", [(json.dumps(id_), f"{i:032x}", "pool") for i, id_ in enumerate(ids)])
    store.close()
    ledger = Ledger(path)
    for i, id_ in enumerate(ids):
        ledger.answer(id_, FIELDS[0] + i)
    ledger.to_csv(tmp_path / "-out.csv")
    found = list((tmp_path / "-out-labels").iterdir())
    assert len({file.name.lower() for file in found}) == len(ids)
    assert all(len(file.name) < 80 and file.name.isascii() for file in found)
    assert ledger.read_csv(tmp_path / "-out.csv") == 0
