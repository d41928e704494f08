"""What tests measure of a world and of codes, apart from the package."""

import numpy as np
import torch

N_MEMBERS = 3


def loss_of(world, Z, y):
    """Return the task loss of each row, at decoded codes."""
    rows = world.latent_model.inverse_transform(Z)
    if world.task == "classification":
        return -np.log(world.network.predict_proba(rows)[np.arange(len(y)), y])
    return np.square(world.network.predict(rows) - y)


def disagreement_of(world, rows):
    """Return how far a committee is apart on rows, by its public predictions."""
    members = [world.member(i) for i in range(N_MEMBERS)]
    name = "predict_proba" if world.task == "classification" else "predict"
    beliefs = torch.as_tensor(np.array([getattr(m, name)(rows) for m in members]).astype(float))
    return world.target.disagreement(beliefs).numpy()


def to_labelled(codes, labeled):
    """Return the distance of each code from the nearest labelled one."""
    return np.linalg.norm(codes[:, None].astype(float) - labeled[None], axis=2).min(axis=1)
