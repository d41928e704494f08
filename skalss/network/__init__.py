"""What a campaign trains: a network, or any classifier or regressor of scikit-learn."""

from .model_file import describe_net, load_model
from .sklearn_model import SklearnModel
from .task_model import TaskModel, check_task_model, make_task_model
from .tasknet import TaskNet

__all__ = [
    "SklearnModel",
    "TaskModel",
    "TaskNet",
    "check_task_model",
    "describe_net",
    "load_model",
    "make_task_model",
]
