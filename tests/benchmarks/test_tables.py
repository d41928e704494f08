"""Where benchmarks find their tables, and what they say where there is none."""

import pandas as pd
import pytest
from sklearn.utils import Bunch

from skalss.benchmarks import tables
from skalss.benchmarks.__main__ import main
from skalss.benchmarks.common import load_data


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SKALSS_DATA", raising=False)


def letters(name, **settings):
    n = 80
    data = pd.DataFrame({"x": range(n), "cut": pd.Categorical(["Fair", "Ideal"] * (n // 2))})
    return Bunch(data=data, target=pd.Series(["A", "B", "C", "D"] * (n // 4)))


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_missing_table_says_where_it_was_looked_for_and_how_to_get_it(name, tmp_path):
    with pytest.raises(SystemExit) as error:
        main(["label-efficiency", "--data", f"{name}.npz"])
    text = str(error.value)
    assert f"looked for {tmp_path / name}.npz" in text
    assert "SKALSS_DATA, a folder to look in, too, is not set" in text
    assert tables.TABLES[name].link in text
    assert f"python -m skalss.benchmarks tables {name} --folder data, then set SKALSS_DATA=data" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["label-efficiency", "--data", "mnist"],
        ["selective", "--data", "cifar10"],
        ["campaign-rounds", "--data", "mnist"],
        ["vae-fit", "--data", "mnist"],
        ["selective", "--data", "mine.npz"],
        ["label-efficiency", "--data", "mine"],
    ],
    ids=" ".join,
)
def test_every_benchmark_ends_with_a_message(arguments, tmp_path, monkeypatch):
    monkeypatch.setenv("SKALSS_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit, match=r"there is no file|no file mine.npz: looked for .* and .*nowhere"):
        main(arguments)


def test_the_command_writes_what_the_benchmarks_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tables, "fetch_openml", letters)
    main(["tables", "letter", "--folder", str(tmp_path / "data")])
    assert "pool of (60, 2), test set of (20, 2)" in capsys.readouterr().out
    monkeypatch.setenv("SKALSS_DATA", str(tmp_path / "data"))
    X, y, X_test, y_test = load_data("letter.npz")
    assert (len(X), len(y), len(X_test), len(y_test)) == (60, 60, 20, 20)
    assert sorted(set(y)) == [0, 1, 2, 3]
    for given in ("letter", str(tmp_path / "data" / "letter.npz")):
        assert len(load_data(given)[0]) == 60


def test_a_download_that_fails_and_a_file_that_is_none(tmp_path, monkeypatch):
    def offline(name, **settings):
        raise OSError("no route to host")

    monkeypatch.setattr(tables, "fetch_openml", offline)
    with pytest.raises(SystemExit, match="Could not get 'dna' from OpenML: no route to host"):
        main(["tables", "dna"])
    (tmp_path / "dna.npz").write_bytes(b"PK nothing")
    with pytest.raises(SystemExit, match="does not hold the arrays X_train"):
        load_data("dna.npz")
