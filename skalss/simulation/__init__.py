"""Simulators as oracles: a box of parameters to start from, and the stress in the wall of an artery."""

from .box import Box
from .result import VesselSimulation
from .vessel import VesselStress

__all__ = ["Box", "VesselSimulation", "VesselStress"]
