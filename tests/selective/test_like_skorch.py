"""skorch's own tests of its classifiers, for nets of ours without a selector."""

import pytest

from skalss.selective import SelectiveNetBinaryClassifier, SelectiveNetClassifier

REASON = "this skorch comes without its tests"
suite = pytest.importorskip("skorch.tests.test_classifier", reason=REASON)
shared = pytest.importorskip("skorch.tests.conftest", reason=REASON)
pytestmark = [  # what the tests of skorch do themselves
    pytest.mark.filterwarnings("ignore:Module-scoped fixtures defined as instance methods"),
    pytest.mark.filterwarnings("ignore::FutureWarning:sklearn"),
]

classifier_module = shared.classifier_module
classifier_data = shared.classifier_data
seeds_fixed = shared.seeds_fixed


class NeuralNetClassifier(SelectiveNetClassifier):
    """Bears the name that the messages tested have."""

    def __init__(self, *args, selector=None, **kwargs):
        super().__init__(*args, selector=selector, **kwargs)


class NeuralNetBinaryClassifier(SelectiveNetBinaryClassifier):
    def __init__(self, *args, selector=None, **kwargs):
        super().__init__(*args, selector=selector, **kwargs)


class TestClassifier(suite.TestNeuralNet):
    @pytest.fixture(scope="module")
    def net_cls(self):
        return NeuralNetClassifier


class TestBinaryClassifier(suite.TestNeuralNetBinaryClassifier):
    @pytest.fixture(scope="module")
    def net_cls(self):
        return NeuralNetBinaryClassifier
