from importlib.util import find_spec

import numpy as np
import pytest

from skalss.datasets import load_scratch_assay

there = pytest.mark.skipif(find_spec("ndev_sampledata") is None, reason="needs ndev-sampledata")


@there
def test_tiles_have_the_documented_form():
    pytest.importorskip("PIL")
    assay = load_scratch_assay()
    assert assay.X.shape == (756, 1, 32, 32)
    assert assay.X_test.shape == (324, 1, 32, 32)
    assert assay.y.shape == (756, 32, 32)
    assert assay.X.dtype == np.float32
    assert 0 <= assay.X.min() < assay.X.max() <= 1
    assert set(np.unique(assay.y)) == {0, 1, 2}
    assert set(assay.frame_test) == {2, 5, 8}
    assert not set(assay.frame) & {2, 5, 8}


@there
def test_nuclei_are_bright_in_the_stain():
    pytest.importorskip("PIL")
    assay = load_scratch_assay(size=48, channels=("oblique", "stain"), test_frames=(9,))
    assert assay.X.shape == (9 * 48, 2, 48, 48)
    stain = assay.X[:, 1]
    assert stain[assay.y == 2].mean() > 2 * stain[assay.y != 2].mean()


@pytest.mark.parametrize(
    ("params", "error", "text"),
    [
        ({"size": 300}, ValueError, "size must be 8 to 210"),
        ({"channels": "stain"}, TypeError, "channels must be a sequence"),
        ({"channels": ("red",)}, ValueError, "every entry of channels must be one of"),
        ({"test_frames": (11,)}, ValueError, "test_frames must be some"),
        ({"test_frames": 3}, TypeError, "test_frames must be a sequence"),
    ],
)
def test_wrong_parameters_are_refused(params, error, text):
    with pytest.raises(error, match=text):
        load_scratch_assay(**params)
