"""Who asks for bfloat16 where it is slower than float32 is told so."""

import warnings

import torch
from torch import nn

from skalss.latent import VAE
from skalss.nets import MLP
from skalss.selective import SelectiveNetClassifier


def test_bfloat16_that_is_emulated_is_told(monkeypatch):
    X, y = torch.rand(40, 3).numpy(), torch.arange(40).numpy() % 2
    fits = {
        "dtype": lambda dtype: VAE(2, max_epochs=1, dtype=dtype).fit(X),
        "dtype of a net": lambda dtype: _net(dtype=dtype).fit(X, y),
        "score_dtype": lambda dtype: _net(selector__score_dtype=dtype).fit(X, y),
        "score_dtype of losses": lambda dtype: _net("hard_negatives", selector__score_dtype=dtype).fit(X, y),
    }
    for able, dtype in ((True, "bfloat16"), (False, "auto"), (False, "bfloat16")):
        monkeypatch.setattr("skalss.utils.devices.supports_bf16", lambda device, able=able: able)
        for name, fit in fits.items():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                fit(dtype)
            told = [w for w in caught if f"{name.split()[0]}='bfloat16' on cpu" in str(w.message)]
            assert len(told) == (not able and dtype == "bfloat16")


def _net(selector="mms", **params):
    params |= {"module__input_dim": 3, "module__output_dim": 2, "criterion": nn.CrossEntropyLoss}
    return SelectiveNetClassifier(
        MLP, selector=selector, max_epochs=1, train_split=None, verbose=0, batch_size=8, **params
    )
