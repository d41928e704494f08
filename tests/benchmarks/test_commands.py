"""The benchmark commands run and print their table; how fast is not a matter for tests."""

import pytest

from skalss.benchmarks.__main__ import main

TINY = {
    "acquisition": ["--rows", "3000", "--labeled", "50", "--queries", "10", "--repeats", "1"],
    "badge": ["--rows", "500", "--features", "8", "--queries", "10", "--repeats", "1"],
    "campaign-rounds": ["--data", "random", "--labels", "40", "--epochs", "2", "--repeats", "1"],
    "label-efficiency": [
        *("--data", "digits", "--net", "mlp", "--latent", "pca", "--seeds", "2", "--max-epochs", "2"),
        *("--strategies", "kmeans/mms", "--n-initial", "20", "--n-per-round", "20", "--rounds", "1"),
        *("--dtype", "auto", "--batch-size", "16"),
    ],
    "ledger": ["--answers", "200", "--labels", "100", "--repeats", "1"],
    "ledger-kills": ["--runs", "1", "--kills", "1"],
    "neighbor-index": ["--rows", "2000", "3000", "--rounds", "2", "--repeats", "1"],
    "oracle-jobs": ["--rows", "4", "--milliseconds", "1", "--repeats", "1"],
    "selective": ["--data", "digits", "--net", "mlp", "--epochs", "2", "--repeats", "1", "--rows", "400"],
    "selective-overhead": ["--epochs", "1", "--repeats", "1"],
    "simulation": [
        *("--pool", "60", "--n-initial", "20", "--n-per-round", "10", "--rounds", "1", "--seeds", "2"),
        *("--max-epochs", "1", "--vae-epochs", "1", "--target", "0.9", "--test", "50", "--turned"),
        *("--arms", "auto", "si-chosen-far", "si-mixed", "latin-hypercube-vae", "si-paper", "random-paper"),
    ],
    "snn-acquisition": ["--rows", "2000", "--labeled", "50", "--queries", "10", "--repeats", "1"],
    "snn-parts": ["--seeds", "1", "--max-labels", "60"],
    "vessel-stress": [
        *("--vessels", "12", "--repeats", "1", "--learn", "--simulations", "40", "--epochs", "1"),
        *("--vae-epochs", "1"),
    ],
    "vae-fit": ["--data", "digits", "--repeats", "1", "--epochs", "1"],
}
NEEDS = {"badge": "skactiveml", "vessel-stress": "skfem"}


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_prints_a_table(name, capsys):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    main([name, *TINY[name]])
    table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(table) >= 3
    assert all(line.endswith("|") for line in table)


def test_the_list_of_benchmarks(capsys):
    main([])
    printed = capsys.readouterr().out
    assert all(name in printed for name in TINY)


def test_an_unknown_benchmark():
    with pytest.raises(SystemExit, match="no benchmark 'speed'"):
        main(["speed"])
