import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from skalss.datasets import images, load_digits_pool, load_images

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32)}


def grey_ramp(n, shape):
    """Images whose channels and rows differ, so that a wrong axis shows."""
    c, h, w = shape
    image, channel, row, _ = np.ogrid[:n, :c, :h, :w]
    return np.broadcast_to(5 * image + 60 * channel + 2 * row, (n, c, h, w)).astype(np.uint8)


def write_mnist(folder, n_train=6, n_test=3, **replaced):
    arrays = {}
    for part, n in (("train", n_train), ("test", n_test)):
        arrays[f"X_{part}"] = grey_ramp(n, SHAPES["mnist"])[:, 0]
        arrays[f"y_{part}"] = (np.arange(n) % 10).astype(np.uint8)
    arrays = {key: value for key, value in {**arrays, **replaced}.items() if value is not None}
    np.savez(folder / "mnist.npz", **arrays)


def write_cifar10(folder, n_train=6, n_test=3):
    Image = pytest.importorskip("PIL.Image")
    arrays = {}
    for part, n in (("train", n_train), ("test", n_test)):
        files = []
        for image in grey_ramp(n, SHAPES["cifar10"]):
            buffer = io.BytesIO()
            pixels = Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1)))
            pixels.save(buffer, format="JPEG", quality=100, subsampling=0)
            files.append(np.frombuffer(buffer.getvalue(), dtype=np.uint8))
        arrays[f"jpeg_{part}"] = np.concatenate(files)
        arrays[f"offset_{part}"] = np.cumsum([0, *map(len, files)])
        arrays[f"y_{part}"] = (np.arange(n) % 10).astype(np.uint8)
    np.savez(folder / "cifar10_jpeg.npz", **arrays)


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SKALSS_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def openml(monkeypatch):
    """OpenML with six rows to train on and two to test on; `calls` records what was asked of it."""
    monkeypatch.delenv("SKALSS_DATA", raising=False)
    # Private, as nothing else says how large the sets are: those of the true size are too large for tests.
    for name, spec in images._IMAGE_SETS.items():
        monkeypatch.setitem(images._IMAGE_SETS, name, spec._replace(n_train=6, n_test=2))
    server = SimpleNamespace(calls=[], n_rows=8, error=None)

    def fetch_openml(name, **kwargs):
        server.calls.append((name, kwargs))
        if server.error:
            raise server.error
        shape = SHAPES["mnist" if name == "mnist_784" else "cifar10"]
        rows = grey_ramp(server.n_rows, shape).reshape(server.n_rows, -1)
        return rows.astype(np.float64), np.array([str(i) for i in range(server.n_rows)], dtype=object)

    monkeypatch.setattr(images, "fetch_openml", fetch_openml)
    return server


@pytest.mark.parametrize(("as_images", "shape"), [(False, (64,)), (True, (1, 8, 8))])
def test_digits_pool_has_the_documented_form(as_images, shape):
    digits = load_digits_pool(as_images=as_images)
    assert digits.X.shape == (1297, *shape)
    assert digits.X_test.shape == (500, *shape)
    assert digits.X.dtype == digits.X_test.dtype == np.float32
    assert digits.X.min() == 0
    assert digits.X.max() == 1
    assert digits.y.dtype == digits.y_test.dtype == np.int64
    assert digits.target_names == list("0123456789")
    assert "1297 rows" in digits.DESCR


def test_digits_pool_and_test_set_share_no_row_and_lose_none():
    from sklearn.datasets import load_digits

    digits = load_digits_pool()
    together = np.concatenate([digits.X, digits.X_test])
    everything = (load_digits().data / 16).astype(np.float32)
    np.testing.assert_array_equal(np.unique(together, axis=0), np.unique(everything, axis=0))
    assert len(together) == len(everything)


def test_digits_split_is_stratified_and_repeatable(seed):
    digits = load_digits_pool(random_state=seed)
    again = load_digits_pool(random_state=seed)
    np.testing.assert_array_equal(digits.X, again.X)
    np.testing.assert_array_equal(digits.y_test, again.y_test)
    shares = np.bincount(digits.y) / len(digits.y) - np.bincount(digits.y_test) / len(digits.y_test)
    assert np.abs(shares).max() < 0.01


def test_digits_split_depends_on_the_seed():
    assert not np.array_equal(load_digits_pool().y, load_digits_pool(random_state=1).y)


def test_digits_return_X_y_is_the_pool():
    X, y = load_digits_pool(return_X_y=True)
    np.testing.assert_array_equal(X, load_digits_pool().X)
    np.testing.assert_array_equal(y, load_digits_pool().y)


def test_mnist_from_the_folder(data_folder):
    write_mnist(data_folder)
    mnist = load_images("mnist")
    assert mnist.X.shape == (6, 1, 28, 28)
    assert mnist.X_test.shape == (3, 1, 28, 28)
    assert mnist.X.dtype == mnist.X_test.dtype == np.float32
    np.testing.assert_allclose(mnist.X, grey_ramp(6, SHAPES["mnist"]) / 255, rtol=1e-6)
    np.testing.assert_array_equal(mnist.y, np.arange(6))
    assert mnist.y.dtype == mnist.y_test.dtype == np.int64
    assert mnist.target_names[3] == "3"
    assert "mnist.npz" in mnist.DESCR


def test_cifar10_from_the_folder_is_decoded_channels_first(data_folder):
    write_cifar10(data_folder)
    cifar10 = load_images("cifar10", dtype="uint8")
    assert cifar10.X.shape == (6, 3, 32, 32)
    assert cifar10.X_test.shape == (3, 3, 32, 32)
    error = cifar10.X.astype(int) - grey_ramp(6, SHAPES["cifar10"])
    assert np.abs(error).max() <= 4  # what JPEG takes; channels are 60 apart
    np.testing.assert_array_equal(cifar10.y_test, np.arange(3))
    assert cifar10.target_names[6] == "frog"


def test_cifar10_from_the_folder_as_float32(data_folder):
    write_cifar10(data_folder)
    X = load_images("cifar10").X
    assert X.dtype == np.float32
    assert 0.5 < X.max() <= 1


def test_uint8_keeps_the_bytes(data_folder):
    write_mnist(data_folder)
    mnist = load_images("mnist", dtype="uint8")
    assert mnist.X.dtype == mnist.X_test.dtype == np.uint8
    np.testing.assert_array_equal(mnist.X, grey_ramp(6, SHAPES["mnist"]))


@pytest.mark.parametrize(("name", "openml_name"), [("mnist", "mnist_784"), ("cifar10", "CIFAR_10")])
def test_download_is_split_and_shaped(name, openml_name, openml, tmp_path):
    data = load_images(name, data_home=tmp_path, dtype="uint8")
    assert openml.calls == [
        (openml_name, {"version": 1, "data_home": str(tmp_path), "as_frame": False, "return_X_y": True})
    ]
    images = grey_ramp(8, SHAPES[name])
    np.testing.assert_array_equal(data.X, images[:6])
    np.testing.assert_array_equal(data.X_test, images[6:])
    np.testing.assert_array_equal(data.y, np.arange(6))
    np.testing.assert_array_equal(data.y_test, [6, 7])
    assert openml_name in data.DESCR


def test_the_folder_goes_before_a_download(openml, data_folder):
    write_mnist(data_folder)
    load_images("mnist")
    assert openml.calls == []


def test_real_split_sizes():
    sizes = {name: (spec.n_train, spec.n_test) for name, spec in images._IMAGE_SETS.items()}
    assert sizes == {"mnist": (60_000, 10_000), "cifar10": (50_000, 10_000)}


def test_unknown_name_and_dtype_are_refused():
    with pytest.raises(ValueError, match=r".*'mnist', 'cifar10'.* or your own array.*got 'imagenet'"):
        load_images("imagenet")
    with pytest.raises(ValueError, match=r"dtype must be one of \['float32', 'uint8'\], got 'float64'"):
        load_images("mnist", dtype="float64")


@pytest.mark.parametrize(
    ("name", "file", "openml_name"),
    [("mnist", "mnist.npz", "mnist_784"), ("cifar10", "cifar10_jpeg.npz", "CIFAR_10")],
)
def test_missing_file_names_both_ways(name, file, openml_name, data_folder):
    with pytest.raises(FileNotFoundError, match=rf"SKALSS_DATA is set.*'.*{file}'.*download '{openml_name}'"):
        load_images(name)


@pytest.mark.parametrize("error", [OSError("no route to host"), ValueError("md5 checksum differs")], ids=repr)
def test_failed_download_names_both_ways(error, openml):
    openml.error = error
    with pytest.raises(
        OSError, match=rf"'mnist_784' from OpenML: {error}.*SKALSS_DATA.*'mnist\.npz'"
    ) as caught:
        load_images("mnist")
    assert caught.value.__cause__ is error


def test_truncated_download_is_refused(openml):
    openml.n_rows = 7
    with pytest.raises(OSError, match=r"expected 8 rows of 784 values, got shape \(7, 784\)"):
        load_images("mnist")


@pytest.mark.parametrize(
    ("replaced", "problem"),
    [
        ({"y_test": None}, "y_test"),
        ({"X_train": np.zeros((6, 20, 20), np.uint8)}, r"train part.*got uint8 of shape \(6, 20, 20\)"),
        ({"X_train": np.zeros((6, 28, 28))}, "got float64"),
        ({"y_train": np.zeros(5, np.uint8)}, "its 5 labels"),
    ],
    ids=["array missing", "wrong size", "wrong dtype", "too few labels"],
)
def test_file_with_other_contents_is_refused(replaced, problem, data_folder):
    write_mnist(data_folder, **replaced)
    with pytest.raises(ValueError, match=rf"Could not read '.*mnist\.npz'.*{problem}"):
        load_images("mnist")


@pytest.mark.parametrize("content", [b"", b"not a zip file"])
def test_file_that_is_no_npz_is_refused(content, data_folder):
    (data_folder / "mnist.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"Could not read '.*mnist\.npz'"):
        load_images("mnist")


def test_missing_pillow_is_named(data_folder, monkeypatch):
    write_cifar10(data_folder)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        load_images("cifar10")
