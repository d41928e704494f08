"""Functions, methods, pictures and tensors as subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import torch

from ... import augment, compare, datasets, display, nets, network, oracles, scores, simulation, targets
from ... import latent as latents
from ... import neighbors as nearby
from ... import strategies as ways
from ...campaign import Campaign
from ...ledger import Ledger, make_ledger
from ...sampler import AdaptiveLatentSampler
from . import subjects as s
from . import world
from .subjects import Subject, of_class, of_function

LABELED_DATA = {"X": world.rows, "y": world.labels}


def functions() -> Iterator[Subject]:
    """Yield functions."""
    codes = {"codes": s.float_rows, "Z": lambda: s.float_rows()[:3], "k": 2}
    yield of_function("skalss.neighbors.nearest_codes", nearby.nearest_codes, **codes)
    yield of_function("skalss.neighbors.make_index", nearby.make_index, codes=s.float_rows)
    yield of_function("skalss.latent.default_latent_model", latents.default_latent_model, n_dimensions=2)
    yield of_function("skalss.strategies.make_strategy", ways.make_strategy, strategy="margin")
    yield of_function("skalss.strategies.make_initial", ways.make_initial, initial="kmeans")
    yield of_function("skalss.strategies.make_snapshot", ask_snapshot, **snapshot_arguments())
    yield of_function("skalss.oracles.make_oracle", oracles.make_oracle, oracle=lambda: world.Labeller())
    yield of_function("skalss.oracles.Failed", make_failed, charged=False)
    yield of_function("skalss.ledger.make_ledger", make_ledger, ledger="made.ledger")
    yield of_function("skalss.network.make_task_model", network.make_task_model, estimator=world.net)
    yield of_function("skalss.network.check_task_model", network.check_task_model, estimator=world.net)
    yield of_function("skalss.targets.make_target", targets.make_target, estimator=world.net, classes=None)
    yield of_function("skalss.strategies.is_auto", ways.is_auto, strategy="auto")
    yield of_function("skalss.load_model", load_network, path="saved.skalss", device="cpu")
    box = {"low": lambda: np.zeros(3), "high": lambda: np.ones(3), "n": 8, "random_state": 0}
    yield of_class(
        "skalss.simulation.Box", simulation.Box, lambda made, random_state: made.draw(random_state), **box
    )
    yield of_function("skalss.targets.target_of_task", targets.target_of_task, task="regression")
    yield of_function("skalss.datasets.load_digits_pool", datasets.load_digits_pool)
    yield of_function("skalss.datasets.make_vessels", datasets.make_vessels, size=16)
    yield of_function("skalss.datasets.make_vessel_masks", datasets.make_vessel_masks, size=16)
    box = {"low": (0.0, 1.0), "high": (1.0, 2.0), "n": 16}
    yield of_class("skalss.simulation.Box", simulation.Box, lambda made: made.draw(0), **box)
    yield of_function("skalss.nets.net_classifier", train_classifier, module=s.mlp_factory)
    yield of_function("skalss.nets.net_regressor", train_regressor, module=s.mlp_factory)
    table = {"results": world.results}
    compared = of_function("skalss.compare.compare_strategies", compare.compare_strategies, **comparison())
    yield compared._replace(call=scores_of_comparison)
    unbounded = {**table, "finite": False}  # labels to a target that is not reached
    yield of_function("skalss.compare.summarize_comparison", compare.summarize_comparison, **unbounded)
    yield of_function("skalss.compare.learning_areas", compare.learning_areas, **table)
    yield of_function("skalss.compare.paired_runs", compare.paired_runs, **table)
    yield of_function(
        "skalss.compare.mean_interval", compare.mean_interval, values=world.values, finite=False
    )
    curve = {"curve": world.curve, "target": 0.5, "finite": False}
    yield of_function("skalss.compare.labels_to_target", compare.labels_to_target, **curve)


def scores_of_comparison(**arguments: Any) -> Any:
    """Compare; the balance of classes may be unknown."""
    return compare.compare_strategies(**arguments).drop(columns="class_balance")


def comparison() -> dict[str, Any]:
    """Return a comparison of two arms."""
    test = {"X_test": lambda: world.rows(seed=1), "y_test": world.labels, "seeds": 2}
    small = partial(world.sampler, oracle=None)
    return {"sampler": small, **LABELED_DATA, "strategies": lambda: ["margin"], **test}


def snapshot_arguments() -> dict[str, Any]:
    """Return the arguments of a snapshot."""
    return {
        "X": world.rows,
        "labeled": lambda: np.arange(6),
        "y_labeled": lambda: world.labels(6),
        "latent": lambda: world.encoded,
        "network": lambda: lambda: world.fitted_tasknet(),
        "taken": lambda: np.arange(24) < 6,
    }


def ask_snapshot(X, labeled, y_labeled, latent, network, taken, random_state, device) -> Any:
    """Make a snapshot and let two strategies choose from it."""
    made = ways.make_snapshot(
        X,
        labeled,
        y_labeled,
        latent=latent,
        network=network,
        taken=taken,
        random_state=random_state,
        device=device,
    )
    return [ways.STRATEGIES[way]().query(made, 3).rows for way in ("margin", "coreset")]


def make_failed(charged: bool) -> Any:
    """Let a labeller give a failure."""
    return s.use_answer(oracles.Failed("broken", charged))


def train_classifier(module: Any) -> Any:
    """Train a net around a module."""
    return (
        network.TaskNet(nets.net_classifier(module, max_epochs=1))
        .fit(world.rows(), world.labels())
        .predict(world.rows())
    )


def train_regressor(module: Any) -> Any:
    """Train a net around a module."""
    return (
        network.TaskNet(nets.net_regressor(module, max_epochs=1))
        .fit(world.rows(), world.values())
        .predict(world.rows())
    )


def method(cls: type, name: str, maker: Callable[[], Any], **good: Any) -> Subject:
    """Return a method as a subject, of an object that `maker` makes anew for each call."""
    template = of_function(f"{cls.__name__}.{name}", getattr(cls, name), **good)
    return template._replace(call=lambda **arguments: getattr(maker(), name)(**arguments))


def methods() -> Iterator[Subject]:
    """Yield methods of objects that are fitted."""
    X, Z = world.rows, lambda: world.rows(width=2)
    for cls, maker in ((latents.VAE, world.fitted_vae), (latents.LinearLatent, world.fitted_linear)):
        yield method(cls, "transform", maker, X=X)
        yield method(cls, "inverse_transform", maker, Z=Z)
        yield method(cls, "decode", maker, Z=lambda: torch.zeros(3, 2))
    spread = {"codes_labeled": lambda: s.float_rows()[:8], "y": lambda: world.labels(8)}
    spread |= {"codes": lambda: s.float_rows()[8:], "rows_labeled": lambda: s.float_rows()[:8]}
    yield of_class("skalss.latent.LabelSpreader", latents.LabelSpreader, use_spreader, **spread)
    for last in ("predict", "predict_proba"):
        yield method(AdaptiveLatentSampler, last, world.fitted_sampler, X=X)
    for last in ("predict", "predict_proba", "features", "logits", "features_and_logits"):
        yield method(network.TaskNet, last, world.fitted_tasknet, X=X)
    sketch = {"n_components": 8, "random_state": 0}
    yield method(network.TaskNet, "gradients", world.fitted_tasknet, X=X, **sketch)
    weights = {"sample_weight": lambda: np.ones(24)}
    yield method(AdaptiveLatentSampler, "score", world.fitted_sampler, **LABELED_DATA, **weights)
    yield method(network.TaskNet, "score", world.fitted_tasknet, **LABELED_DATA, **weights)
    classes = {"classes": lambda: np.array([0, 1])}
    yield method(network.TaskNet, "partial_fit", s.task_net, **LABELED_DATA, **classes)
    yield method(network.TaskNet, "forward", world.fitted_tasknet, rows=lambda: torch.zeros(3, 4))
    yield of_function("AdaptiveLatentSampler.save", world.fitted_sampler().save, path="saved.skalss")
    yield of_function("AdaptiveLatentSampler.load", load_sampler, path="saved.skalss", sampler=bare_sampler)
    yield of_function("AdaptiveLatentSampler.paper", AdaptiveLatentSampler.paper, strategy="snn")
    yield from _campaign_methods()
    yield from _target_methods()


def use_spreader(spreader: Any, **arguments: Any) -> Any:
    """Spread labels."""
    spreader.check()
    return spreader.spread(**arguments).confidence


def bare_sampler() -> AdaptiveLatentSampler:
    """Return what the saved sampler was made as."""
    return world.sampler(strategy="kmeans")


def load_network(path: Any, allow: Any = ("skalss.nets",), device: Any = "cpu") -> Any:
    """Save a sampler, and load its network."""
    world.fitted_sampler().save("saved.skalss")
    return network.load_model(path, allow, device=device).predict(world.rows())


def load_sampler(path: Any, sampler: Any) -> Any:
    """Save a sampler, and load it."""
    world.fitted_sampler().save("saved.skalss")
    return AdaptiveLatentSampler.load(path, sampler).predict(world.rows())


def _campaign_methods() -> Iterator[Subject]:
    data = {"sampler": lambda: world.sampler(oracle=None, classes=[0, 1]), "X": world.rows, "y": None}
    more = {"sample_id": lambda: np.arange(24), "X_val": lambda: world.rows(seed=1), "y_val": world.labels}
    more |= {"show": world.rows}
    answers = {"answers": lambda: world.labels(6)}
    yield of_class("skalss.Campaign", Campaign, s.use_campaign, **data, **more, **answers)
    yield method(Campaign, "ask", lambda: world.campaign(), n=2)
    yield of_function("Campaign.tell", tell, ids=None, **answers, annotator="me", correct=False)
    yield of_function(
        "Campaign.run", lambda oracle: world.campaign().run(oracle), oracle=lambda: world.Labeller()
    )
    yield method(Campaign, "save", lambda: world.campaign(), path="saved.campaign")
    yield of_function("Campaign.load", load_campaign, path="saved.campaign", X=world.rows)
    yield of_class("skalss.Ledger", Ledger, lambda ledger: len(ledger.to_frame()), path=ledger_path)
    first = {"id_": lambda: world.first_id(), "label": 1, "annotator": "me", "cost": 1.0}
    yield method(Ledger, "answer", world.ledger, **first)
    yield method(Ledger, "to_csv", world.ledger, path="labels.csv")
    yield of_function("Ledger.read_csv", read_csv, path="labels.csv", annotator="me")


def tell(ids: Any, answers: Any, annotator: Any, correct: Any) -> Any:
    """Tell a campaign answers to what it asked."""
    campaign = world.campaign()
    campaign.tell(campaign.pending.ids if ids is None else ids, answers, annotator=annotator, correct=correct)
    return campaign.finish().predict(world.rows())


tell.__doc__ = Campaign.tell.__doc__


def load_campaign(path: Any, X: Any) -> Any:
    """Save a campaign, and load it."""
    world.campaign().save("saved.campaign")
    campaign = Campaign.load(path, X)
    return campaign.run(world.Labeller()).finish().predict(world.rows())


def ledger_path() -> str:
    """Return the path of a ledger that is there."""
    world.ledger().close()
    return "good.ledger"


def read_csv(path: Any, annotator: Any) -> Any:
    """Read labels that were typed."""
    ledger = world.ledger()
    ledger.to_csv("labels.csv")
    return ledger.read_csv(path, annotator=annotator)


read_csv.__doc__ = Ledger.read_csv.__doc__


def _target_methods() -> Iterator[Subject]:
    yield of_class("skalss.targets.Classes", targets.Classes, use_target, classes=(0, 1), y=world.labels)
    yield of_class("skalss.targets.Values", targets.Values, use_target, y=world.values, n_values=None)
    several = {"classes": (0, 1, 2), "y": lambda: np.eye(3, dtype=int)}
    yield of_class("skalss.targets.Labels", targets.Labels, use_target, **several)
    masks = {"classes": (0, 1), "shape": (2, 2), "y": lambda: np.ones((3, 2, 2), dtype=int)}
    yield of_class("skalss.targets.ClassMap", targets.ClassMap, use_target, **masks)
    fields = {"shape": (2, 2), "y": lambda: np.linspace(0, 1, 12).reshape(3, 2, 2)}
    yield of_class("skalss.targets.ValueMap", targets.ValueMap, use_target, **fields)
    for cls, make in ((targets.Classes, lambda: targets.Classes([0, 1])), (targets.Values, targets.Values)):
        checked = method(cls, "check", make, answer=1)
        yield checked._replace(documented={"answer": "label"})
        yield method(cls, "score", make, y=world.labels, predicted=world.labels)


def use_target(target: Any, y: Any) -> Any:
    """Take labels as an answer key does, and encode them."""
    y = target.column(y)
    target.check_column(y)
    checked = target.as_array([target.check(label) for label in y])
    return target.fitted(checked).encode(checked)


def pictures() -> Iterator[Subject]:
    """Yield displays."""
    curves = display.LabelEfficiencyDisplay.from_results
    yield of_function("LabelEfficiencyDisplay.from_results", curves, results=world.results)
    samplers = {"samplers": lambda: {"kmeans": [world.fitted_sampler()]}}
    more = display.LabelEfficiencyDisplay.from_samplers
    yield of_function("LabelEfficiencyDisplay.from_samplers", more, **samplers)
    codes = {"codes": s.float_rows, "labeled": lambda: np.arange(6), "labels": lambda: world.labels(6)}
    codes |= {"asked": lambda: np.arange(3), "codes_generated": lambda: s.float_rows()[:2]}
    codes |= {"labels_generated": lambda: world.labels(2)}
    yield of_function("LatentSpaceDisplay.from_codes", display.LatentSpaceDisplay.from_codes, **codes)
    shown = {"sampler": world.fitted_sampler, "X": world.rows}
    yield of_function("LatentSpaceDisplay.from_estimator", display.LatentSpaceDisplay.from_estimator, **shown)
    training = display.TrainingProgressDisplay
    history = {"history": lambda: world.monitored().history}
    yield of_function("TrainingProgressDisplay.from_history", training.from_history, **history)
    watched = {"estimator": world.monitored}
    yield of_function("TrainingProgressDisplay.from_estimator", training.from_estimator, **watched)


def tensors() -> Iterator[Subject]:
    """Yield what takes tensors."""
    table, y = {"scores": world.scores, "finite": False}, {"y": lambda: torch.tensor([0, 1, 2, 0, 1])}
    for name in ("margin", "entropy", "least_confident"):
        yield of_function(f"skalss.scores.{name}", getattr(scores, name), **table)
    for name in ("loss", "gradient_norm"):
        yield of_function(f"skalss.scores.{name}", getattr(scores, name), **table, **y)
    weights = {"weight": lambda: torch.eye(3), "bias": lambda: torch.ones(3)}
    yield of_function("skalss.scores.mms", scores.mms, **table, **weights)
    single = {"output": lambda: torch.linspace(0.1, 0.9, 5), "finite": False}
    yield of_function("skalss.scores.two_columns", scores.two_columns, **single)
    rows = {"rows": lambda: torch.zeros(3, 4)}
    yield of_class("skalss.nets.MLP", nets.MLP, s.use_module, input_dim=4, **rows)
    pixels = {"input_shape": (1, 8, 8), "rows": lambda: torch.zeros(3, 1, 8, 8)}
    for module in (nets.LeNet, nets.ResNet8, nets.UNet):
        yield of_class(f"skalss.nets.{module.__name__}", module, s.use_module, **pixels)
    ready = (augment.Flip, augment.ShiftCrop, augment.Cutout, augment.ImageAugment)
    for made in (*ready, augment.ImageViews, augment.CorruptedViews):
        batch = {"batch": lambda: torch.zeros(3, 1, 8, 8)}
        yield of_class(f"skalss.augment.{made.__name__}", made, s.use_augment, **batch)
    image = {"image": lambda: world.vessels()[0]}
    yield method(simulation.VesselStress, "simulate", simulation.VesselStress, **image)
    encoded = {"model": world.fitted_linear, "codes": lambda: world.rows(width=2).astype(np.float32)}
    yield of_class("skalss.strategies.Encoded", ways.Encoded, lambda made: made.index(), **encoded)
