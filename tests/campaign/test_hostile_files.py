"""Files that somebody changed: refused with a ValueError, in little memory and time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sklearn.base import clone

from skalss import AdaptiveLatentSampler, Campaign, load_model

from .digits import X, Y, make_sampler

SCRIPT = Path(__file__).with_name("hostile.py")


def play(folder, n, seed):
    found = subprocess.run(
        [sys.executable, SCRIPT, str(folder), str(n), str(seed)], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_mutated_files_are_refused_in_little_memory(tmp_path, seed):
    assert play(tmp_path, 15, seed) == ""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
@pytest.mark.parametrize("first", range(4))
def test_many_mutated_files_are_refused_in_little_memory(tmp_path, first):
    assert play(tmp_path, 800, 100 + first) == ""


LOADERS = {
    "sampler": lambda path: AdaptiveLatentSampler.load(path, make_sampler()),
    "model": load_model,
    "campaign": lambda path: Campaign.load(path, X),
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_what_has_no_end_is_not_read(load, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero", "."):
        with pytest.raises(ValueError, match="is not a"):
            load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


def test_a_campaign_cut_at_any_place_is_refused(tmp_path):
    Campaign(make_sampler(), X).save(tmp_path / "whole")
    content = (tmp_path / "whole").read_bytes()
    for end in [*range(40), *range(40, len(content), len(content) // 50), len(content) - 1]:
        (tmp_path / "cut").write_bytes(content[:end])
        with pytest.raises(ValueError, match="is not a campaign|cut short or damaged"):
            Campaign.load(tmp_path / "cut", X)


def test_a_link_to_a_saved_sampler_is_followed(tmp_path):
    sampler = make_sampler(strategy="random").fit(X, Y)
    sampler.save(tmp_path / "model")
    (tmp_path / "latest").symlink_to(tmp_path / "model")
    assert AdaptiveLatentSampler.load(tmp_path / "latest", clone(sampler)).n_labels_ == sampler.n_labels_
