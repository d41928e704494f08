"""Scores on held-out rows."""

import numpy as np
import pytest

from .digits import X_TEST, Y_TEST, X, Y, make_sampler


def test_validation_rows_alone_stop_nothing_and_choose_nothing():
    plain = make_sampler().fit(X, Y)
    scored = make_sampler().fit(X, Y, X_val=X_TEST, y_val=Y_TEST)
    np.testing.assert_array_equal(plain.labeled_indices_, scored.labeled_indices_)
    np.testing.assert_array_equal(plain.predict_proba(X_TEST), scored.predict_proba(X_TEST))
    assert plain.history_["val_score"].isna().all()
    assert scored.history_["val_score"].iloc[-1] == pytest.approx(scored.score(X_TEST, Y_TEST))
