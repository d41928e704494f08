"""Displays: pictures of what was recorded, drawn with matplotlib (``pip install "skalss[plot]"``)."""

from .label_efficiency import LabelEfficiencyDisplay
from .latent_space import LatentSpaceDisplay
from .training import TrainingProgressDisplay

__all__ = ["LabelEfficiencyDisplay", "LatentSpaceDisplay", "TrainingProgressDisplay"]
