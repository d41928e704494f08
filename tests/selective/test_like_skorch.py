"""skorch's own tests, with selective nets in the place of its nets.

They are those of the installed skorch, or of the folder ``skorch/tests`` that `SKALSS_SKORCH_TESTS` names.
"""

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

FILES = ["test_net.py", "test_classifier.py", "test_regressor.py", "test_scoring.py", "test_helper.py"]
CALLBACKS = ["logging", "lr_scheduler", "regularization", "scoring", "training"]
HERE = Path(__file__).parent

# What fails by nature, and why.
CLASS_NAME = "the text has the class's own module: <class 'skorch.classifier.NeuralNetClassifier'>"
COUNTS_PASSES = "counts every forward pass, and to score a pool is one"
MOCK = "a mock calls what it stands for by the net's own class, which calls the mock"
HARD_ROWS = "the loss in training is that of the rows chosen"
SHARES = "rows are chosen in shares of max_epochs, so a shorter training is another one"
BATCHES_ALIKE = "batches of one row, each of another shape, cannot be put together in a pool"
ONE_ROW = "the module takes a single row, and a pool has several"
BY_NATURE = {
    "none": {
        "test_repr_uninitialized_works": CLASS_NAME,
        "test_repr_initialized_works": CLASS_NAME,
        "test_repr_fitted_works": CLASS_NAME,
        "test_no_module_reinit_when_already_correct": MOCK,
        "test_no_module_reinit_partial_fit": MOCK,
    },
}
BY_NATURE["default"] = BY_NATURE["none"] | {
    "test_fit_params_passed_to_module": COUNTS_PASSES,
    "test_fit_params_passed_to_module_in_pipeline": COUNTS_PASSES,
    "test_fit_with_extra_params_and_routing": COUNTS_PASSES,
    "test_partial_fit_with_extra_params_and_routing": COUNTS_PASSES,
    "test_net_overrides_caching": COUNTS_PASSES,
    "test_correct_train_loss_values": HARD_ROWS,
    "test_weights_restore": SHARES,
    "test_net_variable_label_lengths": BATCHES_ALIKE,
    "test_net_variable_prediction_lengths": ONE_ROW,
}


def folder_of_tests():
    named = os.environ.get("SKALSS_SKORCH_TESTS")
    if named is not None:
        return Path(named)
    found = importlib.util.find_spec("skorch.tests")
    if found is None or not found.submodule_search_locations:
        pytest.skip(
            "this skorch comes without its tests: `pip download skorch --no-deps --no-binary :all:`, unpack "
            "it, and name its folder skorch/tests in SKALSS_SKORCH_TESTS"
        )
    return Path(found.submodule_search_locations[0])


def failures(selector, tmp_path):
    """Run skorch's tests in a process of their own; return the failed tests and how many passed."""
    tests, report = folder_of_tests(), tmp_path / f"{selector}.xml"
    files = [
        *(tests / name for name in FILES),
        *(tests / "callbacks" / f"test_{name}.py" for name in CALLBACKS),
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "skorch_swap", "-p", "no:cacheprovider"]
    command += ["--import-mode=importlib", f"--rootdir={tmp_path}", f"--junit-xml={report}", "-W", "ignore"]
    paths = [str(HERE / "plugin"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "SKALSS_SWAPPED_SELECTOR": selector}
    command += ["-c", os.devnull, *(str(file) for file in files if file.exists())]
    done = subprocess.run(command, cwd=tests, env=environment, capture_output=True, text=True)
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    cases = list(ET.parse(report).getroot().iter("testcase"))
    failed = {case for case in cases if case.find("failure") is not None or case.find("error") is not None}
    skipped = {case for case in cases if case.find("skipped") is not None}
    names = {f"{case.get('classname')}::{case.get('name')}" for case in failed}
    print(f"{selector}: {len(cases)} tests, {len(failed)} failed, {len(skipped)} skipped")
    return names, len(cases) - len(failed) - len(skipped)


@pytest.fixture(scope="module")
def plain_failures(tmp_path_factory):
    """What fails with skorch's own nets: for want of a file, a device or a package."""
    return failures("plain", tmp_path_factory.mktemp("skorch"))[0]


@pytest.mark.slow
@pytest.mark.parametrize("selector", ["none", "default"])
def test_skorchs_own_tests(selector, plain_failures, tmp_path):
    failed, n_passed = failures(selector, tmp_path)
    ours = {name.rpartition("::")[2].partition("[")[0] for name in failed - plain_failures}
    assert ours == set(BY_NATURE[selector])
    assert n_passed > 300
