"""Load mutated files in a process whose memory is bounded: ``python hostile.py FOLDER N_MUTANTS SEED``."""

import copy
import json
import os
import resource
import sys
import time
import warnings
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from sklearn.datasets import load_digits

from skalss import AdaptiveLatentSampler, Campaign, load_model
from skalss.campaign.cache import Cache
from skalss.latent import VAE, LinearLatent
from skalss.nets import LeNet, net_classifier
from skalss.utils import store

X, Y = load_digits(return_X_y=True)
X, Y = X[:60], Y[:60]
ROOM = 100 * 2**20  # bytes above those of loading the sound file
SECONDS = 5.0
HUGE = 10**9

VALUES = [
    *(None, True, -1, 0, HUGE, 2**63, 10**40, 1e308, "", "x", "\ud800", "__class__", "a" * 1000),
    *([], {}, [[]], [HUGE], [-1], [0], [HUGE, HUGE], [1, 2, 3], {"a": 1}, [None]),
    *({"@float": "nan"}, {"@float": "x"}, {"@tensor": "@state"}, {"@numbers": "nothing"}, {"@tensor": []}),
    *({"@tuple": [HUGE]}, {"@tuple": 7}, {"@tuple": [[HUGE]]}, {"@scaling": {}}, {"@scaling": 1}, {"@": 1}),
    {"@numpy": ["str", HUGE]},
    {"@numpy": ["int8", HUGE]},
    {"@numpy": ["float64", [1] * 9]},
    {"@array": {"dtype": "<U100000000", "shape": [2], "items": ["a", "b"]}},
    {"@array": {"dtype": "<U900000000000", "shape": [1], "items": ["a"]}},
    {"@array": {"dtype": "O", "shape": [HUGE], "items": []}},
    {"@array": {"dtype": "O", "shape": [-1], "items": [1, 2]}},
    {"@array": {"dtype": "O", "shape": [0, 10**12], "items": []}},
    {"@array": {"dtype": "V1000000000", "shape": [1], "items": [1]}},
    {"@array": {"dtype": {"names": ["a"], "formats": ["O"]}, "shape": [1], "items": [1]}},
    {"@array": {"dtype": "O", "shape": [1], "items": HUGE}},
    {"@frame": {"length": 10**12, "columns": []}},
    {"@frame": {"length": 10**12, "columns": [["a", "object", []]]}},
    {"@frame": {"length": -1, "columns": [["a", "object", []]]}},
    {"@frame": {"length": 2, "columns": [["a", "object", "xy"]]}},
]


def places(value, path=()):
    """Yield the path of each value inside."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def look_up(value, path):
    for key in path:
        value = value[key]
    return value


def exchange(state, path, value):
    """Return a copy with another value at a path."""
    if not path:
        return value
    state = copy.deepcopy(state)
    look_up(state, path[:-1])[path[-1]] = value
    return state


def forge(text, tensors, kind):
    """Return a file with a right digest."""
    tensors = {**tensors, "@state": torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    header = {"kind": kind, "format": "1", "digest": store._digest(tensors)}
    return save(tensors, metadata=header)


def forged(path, kind, n, rng):
    """Yield files with other values and a right digest."""
    tensors = store.load(path.read_bytes())
    state = json.loads(tensors.pop("@state").numpy().tobytes())
    found = list(places(state))
    shallow = [place for place in found if len(place) < 5 and "settings" not in place]
    for i in range(n):
        here = [shallow, found][i % 2][rng.integers(len([shallow, found][i % 2]))]
        if i % 5:
            value = VALUES[rng.integers(len(VALUES))]
        else:  # what stands elsewhere in the file
            value = look_up(state, found[rng.integers(len(found))])
        yield (
            f"{here} = {str(value)[:60]}",
            forge(json.dumps(exchange(state, here, value)).encode(), tensors, kind),
        )
    name = sorted(tensors)[0]
    for other in (
        tensors[name][:0],
        tensors[name].double(),
        torch.zeros(3),
        torch.zeros(1, dtype=torch.bool),
    ):
        yield f"tensor {name}", forge(json.dumps(state).encode(), {**tensors, name: other}, kind)
    for text in (b"[" * 200_000, b'{"a":' * 100_000, b"\xff\xfe", b" ", b"1" * 10_000, b"NaN", b"null"):
        yield f"text {text[:10]!r}", forge(text, tensors, kind)


def broken(content, n, rng):
    """Yield the file cut, and with bytes changed."""
    for end in sorted({0, 1, 7, 8, 9, len(content) - 1, *rng.integers(len(content), size=n)}):
        yield f"cut at {end}", content[:end]
    for _ in range(n):
        place = rng.integers(len(content))
        yield f"byte {place}", content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]
    for length in (2**63, 2**40, 2**31, 2**24):
        yield f"header of {length}", length.to_bytes(8, "little") + content[8:]
    deep = b"[" * 100_000
    yield "deep header", len(deep).to_bytes(8, "little") + deep


def check(name, path, content, load):
    """Load a file; return what is wrong with how it went."""
    path.write_bytes(content)
    start = time.perf_counter()
    try:
        load(path)
    except ValueError as error:
        if len(str(error)) > 2000 or not str(error):
            return f"{name}: an error of {len(str(error))} characters"
    except BaseException as error:
        return f"{name}: {type(error).__name__}: {str(error)[:100]}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if peak > check.most:
        check.most = peak + ROOM
        return f"{name}: took {peak / 2**20:.0f} MiB"
    seconds = time.perf_counter() - start
    return f"{name}: took {seconds:.1f} s" if seconds > SECONDS else None


def main(folder, n, seed):
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rng, made, faults = np.random.default_rng(seed), {}, []
    samplers = {
        "flat": (AdaptiveLatentSampler(net_classifier(max_epochs=1), LinearLatent(3)), X),
        "images": (
            AdaptiveLatentSampler(net_classifier(LeNet, max_epochs=1), VAE(2, max_epochs=1)),
            X.reshape(-1, 1, 8, 8),
        ),
    }
    for name, (sampler, rows) in samplers.items():
        sampler.set_params(strategy="snn", n_initial=20, n_per_round=10, max_labels=30, random_state=0)
        path = folder / name
        made[name] = sampler.fit(rows, Y), path
        sampler.save(path)
    cache = Cache(folder / "cache")
    codes = np.zeros((60, 3), np.float32)
    cache.write("latent", "key", {"codes": codes, "model": sampler.latent_model_.get_state()})
    campaign = Campaign(samplers["flat"][0], X)
    campaign.ask()
    campaign.save(folder / "campaign")

    loads = []
    for sampler, path in made.values():
        loads += [(path, store.KIND, lambda p, s=sampler: AdaptiveLatentSampler.load(p, s))]
        loads += [(path, store.KIND, load_model)]
    loads += [(folder / "cache" / "latent", "skalss cache", lambda p: cache.read("mutant", "key"))]
    for path, _, load in loads:
        load(path)
    Campaign.load(folder / "campaign", X)
    check.most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + ROOM
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (size + 4 * ROOM, size + 4 * ROOM))
    for path, kind, load in loads:
        mutant = path.with_name("mutant")
        for name, content in chain(forged(path, kind, n, rng), broken(path.read_bytes(), n // 4, rng)):
            faults.append(check(f"{path.name}: {name}", mutant, content, load))
    content = (folder / "campaign").read_bytes()
    for name, changed in broken(content, n // 4, rng):
        faults.append(check(f"campaign: {name}", folder / "mutant", changed, lambda p: Campaign.load(p, X)))
    print("\n".join(fault for fault in faults if fault))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
