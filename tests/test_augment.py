"""Augmentations of images: each row a draw of its own, and manners as settings."""

import pickle

import pytest
import torch
from sklearn.base import clone

from skalss.augment import CorruptedViews, Cutout, Flip, ImageAugment, ImageViews, ShiftCrop

ALL = [Flip(), ShiftCrop(2), Cutout(3), ImageAugment(cutout=3)]
every = pytest.mark.parametrize("augment", ALL, ids=str)
IMAGES = 1 + torch.arange(400 * 2 * 6 * 7, dtype=torch.float32).reshape(400, 2, 6, 7)  # no value twice, no 0


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@every
def test_the_batch_given_stays_and_rows_do_not_mix(augment):
    given = IMAGES.clone()
    out = augment(given)
    assert (out.shape, out.dtype) == (IMAGES.shape, IMAGES.dtype)
    assert torch.equal(given, IMAGES)
    assert not torch.equal(out, IMAGES)
    own = (IMAGES.flatten(1)[:, :, None] == out.flatten(1)[:, None]).any(1) | (out.flatten(1) == 0)
    assert own.all()


def test_half_of_the_images_are_mirrored():
    out = Flip()(IMAGES)
    mirrored = (out == IMAGES.flip(-1)).flatten(1).all(1)
    assert torch.equal(out[~mirrored], IMAGES[~mirrored])
    assert 150 < mirrored.sum() < 250


def test_images_are_moved_by_all_steps_alike():
    X = torch.zeros(400, 1, 9, 9)
    X[:, :, 4, 4] = 1.0
    places = ShiftCrop(1)(X).nonzero()[:, 2:]
    assert len(places) == 400
    found, counts = places.unique(dim=0, return_counts=True)
    assert found.tolist() == [[y, x] for y in (3, 4, 5) for x in (3, 4, 5)]
    assert counts.min() > 20


def test_cutout_sets_a_square_to_zero():
    gone = Cutout(3)(IMAGES) == 0
    assert torch.equal(gone[:, 0], gone[:, 1])
    sizes = gone[:, 0].flatten(1).sum(1)
    assert set(sizes.tolist()) == {4, 6, 9}  # at an edge, less
    assert len(gone[:, 0].unique(dim=0)) == 6 * 7


def test_nothing_to_do_changes_nothing():
    assert torch.equal(ImageAugment(flip=False, shift=0)(IMAGES), IMAGES)


@pytest.mark.parametrize("augment", [*ALL, ImageViews(colour=0.2), CorruptedViews(0.4)], ids=str)
def test_settings(augment):
    copies = [clone(augment), pickle.loads(pickle.dumps(augment)), eval(repr(augment))]
    assert [augment, augment, augment] == copies
    assert len({augment, *copies}) == 1
    assert len(set(ALL)) == len(ALL)
    assert ShiftCrop(2) != ShiftCrop(3)


@pytest.mark.parametrize(
    ("augment", "X", "text"),
    [
        (Flip(), torch.zeros(4, 64), r"Flip takes images of shape .* got \(4, 64\)\. Reshape the rows"),
        (
            ShiftCrop(8),
            torch.zeros(4, 1, 8, 9),
            "padding must be below the height and width .* 8 and 9, got 8",
        ),
        (ShiftCrop(0), IMAGES, "padding must be a whole number of at least 1, got 0"),
        (Cutout(-1), IMAGES, "size must be a whole number of at least 1, got -1"),
        (ImageAugment(shift=-1), IMAGES, "shift must be a whole number of at least 0, got -1"),
        (CorruptedViews(2), IMAGES, "share must .*2"),
        (ImageViews(), torch.zeros(4, 64), "ImageViews takes images"),
        (ImageAugment(flip="yes"), IMAGES, "flip must be True or False, got 'yes'"),
    ],
    ids=str,
)
def test_wrong_rows_and_settings_are_refused(augment, X, text):
    with pytest.raises((ValueError, TypeError), match=text):
        augment(X)


@pytest.mark.gpu
@pytest.mark.parametrize("augment", [*ALL, ImageViews(), CorruptedViews()], ids=str)
def test_on_an_accelerator(augment):
    device = torch.accelerator.current_accelerator()
    assert augment(IMAGES.to(device)).device.type == device.type
