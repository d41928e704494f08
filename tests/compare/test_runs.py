"""The file of kept runs: what is read is not run again."""

import numpy as np
import pandas as pd
import pytest

from skalss.latent import LinearLatent
from skalss.nets import net_classifier

from .comparing import POOL, Y, compare, make_sampler, without_seconds


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """The results of two arms and two seeds, and the file that keeps them."""
    csv = tmp_path_factory.mktemp("kept") / "folder" / "runs.csv"
    return compare(["margin"], csv=csv), csv.read_bytes()


@pytest.fixture
def csv(kept, tmp_path):
    path = tmp_path / "runs.csv"
    path.write_bytes(kept[1])
    return path


def ran(campaigns):
    """Return strategy and seed of each campaign, in order."""
    return [(c.sampler.strategy, c.sampler.random_state) for c in campaigns]


def test_a_second_call_runs_nothing(kept, csv, campaigns):
    again = compare(["margin"], csv=csv)
    assert ran(campaigns) == []
    pd.testing.assert_frame_equal(again, kept[0])
    assert again.attrs == kept[0].attrs
    assert csv.read_bytes() == kept[1]


def test_only_what_is_missing_is_run(kept, csv, campaigns):
    lines = csv.read_text().splitlines(keepends=True)
    csv.write_text("".join(line for line in lines if not line.startswith("margin,1,")))
    again = compare(["margin"], csv=csv)
    assert ran(campaigns) == [("margin", 1)]
    pd.testing.assert_frame_equal(without_seconds(again), without_seconds(kept[0]))


def test_more_seeds_and_arms_are_added(csv, campaigns):
    table = compare(["margin", "entropy"], csv=csv, seeds=[1, 2])
    assert ran(campaigns) == [("entropy", 1), ("random", 2), ("margin", 2), ("entropy", 2)]
    assert table.groupby("arm", sort=False)["seed"].unique().map(list).to_dict() == {
        arm: [1, 2] for arm in ("random", "margin", "entropy")
    }


@pytest.mark.parametrize(
    "change",
    [
        {"sampler": make_sampler(n_per_round=20)},
        {"sampler": make_sampler(net_classifier(max_epochs=5, lr=0.01))},
        {"sampler": make_sampler(latent_model=LinearLatent(3))},
        {"y": np.roll(Y, 1)},
        {"X_test": POOL.X_test[100:200], "y_test": POOL.y_test[100:200]},
    ],
    ids=["sampler", "net", "latent model", "labels", "test rows"],
)
def test_other_settings_are_not_mixed_in(kept, csv, campaigns, change):
    table = compare(["margin"], csv=csv, **change)
    assert len(campaigns) == 4
    assert not set(table["settings"]) & set(kept[0]["settings"])
    assert not table.duplicated(["arm", "seed", "round"]).any()
    compare(["margin"], csv=csv)
    assert len(campaigns) == 4  # the first settings are still there


def test_seed_device_and_progress_bar_are_no_settings(csv, campaigns):
    compare(["margin"], make_sampler(verbose=1, random_state=7), csv=csv)
    assert ran(campaigns) == []


@pytest.mark.parametrize(
    ("cut", "rerun"),
    [
        (1, [("margin", 1)]),  # the end of the last line
        (30, [("margin", 1)]),  # half of it
        ("last line", []),  # whole lines: a campaign that looks whole
        ("margin,1 but 3 letters", [("margin", 1)]),
        ("margin,1 but its first line and a half", [("margin", 1)]),
        ("random,1 and three letters of margin,1", [("margin", 1)]),
        ("half the header", [("random", 0), ("margin", 0), ("random", 1), ("margin", 1)]),
        ("everything", [("random", 0), ("margin", 0), ("random", 1), ("margin", 1)]),
    ],
    ids=str,
)
def test_a_torn_end_of_the_file_loses_no_other_run(kept, csv, campaigns, cut, rerun):
    whole = kept[1]
    lines = whole.splitlines(keepends=True)
    text = {
        "last line": b"".join(lines[:-1]),
        "margin,1 but 3 letters": b"".join(lines[:-3]) + lines[-3][:-3],
        "margin,1 but its first line and a half": b"".join(lines[:-2]) + lines[-2][:-12],
        "random,1 and three letters of margin,1": b"".join(lines[:-3]) + lines[-3][:3],
        "half the header": lines[0][:20],
        "everything": b"",
    }.get(cut, whole[: -cut if isinstance(cut, int) else None])
    csv.write_bytes(text)
    table = compare(["margin"], csv=csv)
    assert ran(campaigns) == rerun
    assert csv.read_bytes().endswith(b"\n")
    if cut != "last line":
        pd.testing.assert_frame_equal(without_seconds(table), without_seconds(kept[0]))
    compare(["margin"], csv=csv)
    assert ran(campaigns) == rerun  # and the file is whole again


def test_campaigns_written_twice_count_once(kept, csv, campaigns):
    lines = csv.read_bytes().splitlines(keepends=True)
    csv.write_bytes(b"".join([*lines, *lines[1:]]))
    pd.testing.assert_frame_equal(compare(["margin"], csv=csv), kept[0])
    assert ran(campaigns) == []


def test_names_that_look_like_numbers_or_nothing_are_kept(tmp_path, campaigns):
    arms = {"None": {"strategy": "margin"}, "007": "margin", 'a "b", c': "margin"}
    sampler = make_sampler(max_labels=10)
    first = compare(arms, sampler, csv=tmp_path / "runs.csv", seeds=1)
    again = compare(arms, sampler, csv=tmp_path / "runs.csv", seeds=1)
    assert len(campaigns) == 4
    pd.testing.assert_frame_equal(again, first)
