"""The task network: what a campaign trains."""

from .tasknet import TaskNet

__all__ = ["TaskNet"]
