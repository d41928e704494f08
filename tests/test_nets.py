from functools import partial

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from torch import nn

from skalss import TaskNet
from skalss.nets import MLP, LeNet, ResNet8, UNet, net_classifier, net_regressor

POOLING = LeNet().body[1]
FACTORIES = [(net_classifier, NeuralNetClassifier), (net_regressor, NeuralNetRegressor)]


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (MLP(12, 3), (12,)),
        (MLP(12, 3), (3, 2, 2)),
        (MLP(12, 3, hidden_layer_sizes=()), (12,)),
        (MLP(12, 3, hidden_layer_sizes=(8, 4), dropout=0.5), (12,)),
        (LeNet(output_dim=3), (1, 28, 28)),
        (LeNet((1, 8, 8), 3), (1, 8, 8)),
        (LeNet((1, 8, 8), 3), (64,)),
        (LeNet((3, 4, 7), 3), (3, 4, 7)),
        (ResNet8(output_dim=3), (3, 32, 32)),
        (ResNet8((1, 8, 8), 3), (64,)),
        (ResNet8((2, 5, 9), 3), (2, 5, 9)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else str(value),
)
def test_rows_to_outputs(module, shape):
    output = module(torch.randn(5, *shape))
    assert output.shape == (5, 3)
    output.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("module", [LeNet, ResNet8])
def test_flat_rows_are_the_same_images(module):
    torch.manual_seed(0)
    net = module((2, 8, 8), 4).eval()
    images = torch.randn(3, 2, 8, 8)
    torch.testing.assert_close(net(images.flatten(1)), net(images))


@pytest.mark.parametrize("module", [MLP(64, 5), LeNet((1, 8, 8), 5), ResNet8((1, 8, 8), 5)])
def test_outputs_are_logits_of_the_head(module):
    """Neither probabilities nor cut off at 0; what `mms` and the last-layer search rely on."""
    torch.manual_seed(0)
    output = module.eval()(100 * torch.randn(50, 64))
    assert (output < 0).any()
    assert (output > 1).any()
    assert isinstance(module.head, nn.Linear)
    assert module.head.out_features == 5


def test_mlp_widths():
    linear = [m for m in MLP(7, 2, hidden_layer_sizes=(5, 4)).modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(7, 5), (5, 4), (4, 2)]


def test_mlp_dropout_only_in_training():
    torch.manual_seed(0)
    net, X = MLP(4, 2, dropout=0.5), torch.randn(8, 4)
    assert not torch.equal(net(X), net(X))
    net.eval()
    assert torch.equal(net(X), net(X))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        *((shape, torch.float32) for shape in [(1, 1, 2, 2), (2, 3, 7, 8), (2, 3, 8, 9), (2, 3, 5)]),
        ((2, 5, 28, 28), torch.float64),
        ((3, 2, 8, 8), torch.bfloat16),
    ],
    ids=str,
)
def test_pooling_without_a_graph_gives_the_same_numbers(shape, dtype):
    X = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    expected = nn.functional.max_pool2d(X, 2)
    torch.testing.assert_close(POOLING(X), expected, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(POOLING(X), expected, rtol=0, atol=0)
    with torch.inference_mode():
        torch.testing.assert_close(POOLING(X), expected, rtol=0, atol=0)


def test_pooling_passes_nan_and_any_layout():
    X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    X[0, 0, 0, 0] = torch.nan
    for laid_out in (X, X.to(memory_format=torch.channels_last), X.transpose(2, 3)):
        expected = nn.functional.max_pool2d(laid_out, 2)
        with torch.no_grad():
            torch.testing.assert_close(POOLING(laid_out), expected, rtol=0, atol=0, equal_nan=True)


def test_lenet_says_the_same_with_and_without_a_graph():
    torch.manual_seed(0)
    net, X = LeNet((1, 9, 11), 4), torch.randn(5, 1, 9, 11)
    with_graph = net(X)
    assert with_graph.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(net(X), with_graph)


def test_pooling_has_a_gradient():
    X = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    other = X.detach().clone().requires_grad_()
    POOLING(X).square().sum().backward()
    nn.functional.max_pool2d(other, 2).square().sum().backward()
    assert torch.equal(X.grad, other.grad)


@pytest.mark.parametrize("width", [3, 16])
def test_resnet8_has_eight_layers_on_its_main_path(width):
    net = ResNet8() if width == 16 else ResNet8(width=width)
    shortcuts = {id(m) for name, m in net.named_modules() if "shortcut" in name}
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear) and id(m) not in shortcuts]
    assert len(layers) == 8
    assert [m.out_channels for m in layers[:-1]] == [width * k for k in (1, 1, 1, 2, 2, 4, 4)]
    projections = [m for m in net.modules() if isinstance(m, nn.Conv2d) and id(m) in shortcuts]
    assert [tuple(m.kernel_size) for m in projections] == [(1, 1), (1, 1)]


def test_resnet8_blocks_add_their_input():
    torch.manual_seed(0)
    block = ResNet8().stages[0]
    for parameter in block.body[-1].parameters():
        nn.init.zeros_(parameter)
    X = torch.rand(2, 16, 8, 8)
    torch.testing.assert_close(block(X), X)


@pytest.mark.parametrize(("factory", "kind"), FACTORIES)
def test_factories_give_unfitted_nets(factory, kind):
    net = factory()
    assert type(net) is kind
    assert net.module is MLP
    assert not net.initialized_
    assert net.train_split is None
    assert net.verbose == 0


@pytest.mark.parametrize(("factory", "kind"), FACTORIES)
def test_factory_settings_can_be_overruled(factory, kind):
    net = factory(LeNet, lr=0.5, max_epochs=3, optimizer=torch.optim.SGD, optimizer__fused=False, verbose=1)
    assert net.module is LeNet
    assert (net.lr, net.max_epochs, net.optimizer, net.verbose) == (0.5, 3, torch.optim.SGD, 1)
    assert net.get_params()["optimizer__fused"] is False


def test_classifier_criterion_takes_logits():
    assert net_classifier().criterion is nn.CrossEntropyLoss
    assert net_classifier(criterion=nn.MultiMarginLoss).criterion is nn.MultiMarginLoss


def test_criterion_and_optimizer_parameters_reach_the_net():
    net = net_classifier(criterion__label_smoothing=0.1, module__output_dim=3, module__input_dim=2)
    net.initialize()
    assert net.criterion_.label_smoothing == 0.1
    assert net.module_.head.out_features == 3
    assert net.predict_proba(np.zeros((1, 2), dtype=np.float32)).shape == (1, 3)


class OwnAdam(torch.optim.Adam):
    def __init__(self, params, **kwargs):
        super().__init__(params, **kwargs)


@pytest.mark.parametrize(
    "optimizer",
    [
        torch.optim.RMSprop,
        torch.optim.Adadelta,
        torch.optim.LBFGS,
        torch.optim.SGD,
        OwnAdam,
        partial(torch.optim.Adam, foreach=True),
        partial(torch.optim.Rprop, etas=(0.5, 1.1)),
        lambda params, lr: torch.optim.AdamW(params, lr),
    ],
    ids=lambda optimizer: getattr(optimizer, "__name__", None),
)
def test_any_optimizer(optimizer):
    X, y = np.eye(6, dtype=np.float32), np.arange(6) % 2
    net = net_classifier(module__input_dim=6, module__output_dim=2, optimizer=optimizer, max_epochs=1)
    net.fit(X, y)
    regressor = net_regressor(module__input_dim=6, optimizer=optimizer, max_epochs=1)
    regressor.fit(X, y[:, None].astype(np.float32))
    later = net_classifier(max_epochs=1).set_params(optimizer=optimizer)  # as a grid search does
    TaskNet(later).fit(X, y)


def test_adam_is_fused_where_nothing_speaks_against_it():
    assert net_classifier().get_params()["optimizer__fused"]
    assert net_classifier(optimizer=torch.optim.AdamW).get_params()["optimizer__fused"]
    assert not net_classifier(optimizer__fused=False).get_params()["optimizer__fused"]
    assert "optimizer__fused" not in net_classifier(optimizer__foreach=True).get_params()


@pytest.mark.parametrize(
    "shape", [(1, 4, 4), (2, 5, 7), (1, 33, 18), (3, 16, 64), (1, 4, 5, 6), (2, 9, 8, 17)], ids=str
)
@pytest.mark.parametrize("n", [1, 3])
def test_unet_puts_out_the_size_of_its_rows(shape, n):
    net = UNet(shape, 3, width=2)
    output = net(torch.randn(n, *shape))
    assert output.shape == (n, 3, *shape[1:])
    output.square().sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    flat = torch.randn(n, *shape)
    net.eval()
    torch.testing.assert_close(net(flat.flatten(1)), net(flat))


def test_unet_is_as_deep_as_its_rows_allow():
    depths = {side: len(UNet((1, side, 70), width=2).up) for side in (4, 7, 8, 16, 31, 32, 64)}
    assert depths == {4: 0, 7: 0, 8: 1, 16: 2, 31: 2, 32: 3, 64: 3}
    assert len(UNet((1, 64, 64), width=2, depth=4).up) == 4
    with pytest.raises(ValueError, match=r"depth must be at most 1 for sides of \(8, 9\), got 2"):
        UNet((1, 8, 9), depth=2)
    with pytest.raises(ValueError, match=r"at least 4 pixels each way, got \(1, 3, 8\)"):
        UNet((1, 3, 8))


def _moved(X):
    """Rows of bright squares, and the mask of each."""
    masks = np.zeros((len(X), 16, 16), dtype=np.int64)
    for mask, (top, left) in zip(masks, X, strict=True):
        mask[top : top + 6, left : left + 6] = 1
    return (masks[:, None] + np.random.default_rng(0).normal(0, 0.2, (len(X), 1, 16, 16))).astype("f4"), masks


def test_unet_learns_masks():
    X, y = _moved(np.random.default_rng(1).integers(0, 10, (40, 2)))
    net = TaskNet(net_classifier(UNet, module__width=4, lr=0.01, max_epochs=15), random_state=0)
    assert net.fit(X[:30], y[:30]).score(X[30:], y[30:]) > 0.9
    assert net.predict(X[:1]).shape == (1, 16, 16)


@pytest.mark.slow
@pytest.mark.parametrize("library", ["segmentation_models_pytorch", "monai"])
def test_networks_of_other_libraries_learn_masks(library):
    pytest.importorskip(library, exc_type=ImportError)
    if library == "monai":
        from monai.networks.nets import UNet as MonaiUNet

        sizes = {"channels": (8, 16, 32), "strides": (2, 2)}
        module = partial(MonaiUNet, spatial_dims=2, in_channels=1, out_channels=2, **sizes)
    else:
        from segmentation_models_pytorch import Unet

        small = {"encoder_depth": 3, "decoder_channels": (16, 8, 8), "encoder_weights": None}
        module = partial(Unet, "resnet18", in_channels=1, classes=2, **small)
    X, y = _moved(np.random.default_rng(1).integers(0, 10, (40, 2)))
    net = TaskNet(net_classifier(module, lr=0.01, max_epochs=30), random_state=0)
    assert net.fit(X[:30], y[:30]).score(X[30:], y[30:]) > 0.8
