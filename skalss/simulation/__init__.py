"""Oracles that simulate. The first: the stress in the wall of an artery, from its image."""

from .result import VesselSimulation
from .vessel import VesselStress

__all__ = ["VesselSimulation", "VesselStress"]
