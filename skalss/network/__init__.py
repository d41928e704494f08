"""What a campaign trains: a network, or any classifier or regressor of scikit-learn."""

from .sklearn_model import SklearnModel
from .task_model import TaskModel, check_task_model, make_task_model
from .tasknet import TaskNet

__all__ = ["SklearnModel", "TaskModel", "TaskNet", "check_task_model", "make_task_model"]
