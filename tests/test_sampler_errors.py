"""Ctrl-C, and errors in the middle of a fit."""

import itertools
import os
import signal
import threading

import pytest
from skorch.callbacks import Callback

from skalss import Campaign
from skalss.latent import LinearLatent
from skalss.nets import net_classifier
from skalss.oracles import Failed, FunctionOracle

from .sampling import X_TEST, Y_TEST, X, Y, label_of, make_sampler


@pytest.mark.parametrize("n_answers", [1, 10, 14, 29])
def test_ctrl_c_at_the_oracle_keeps_what_is_bought(n_answers):
    calls = itertools.count()

    def function(row):
        if next(calls) == n_answers:
            raise KeyboardInterrupt
        return label_of(row[None])[0]

    sampler = make_sampler(oracle=FunctionOracle(function, per_row=True), classes=range(10))
    with pytest.warns(
        UserWarning, match=f"Interrupted after {n_answers} paid answers: the sampler is fitted"
    ):
        sampler.fit(X)
    assert sampler.stop_reason_ == "interrupted"
    assert sampler.n_labels_ == sampler.n_queries_ == n_answers
    assert (sampler.queries_["state"] == "labeled").sum() == n_answers
    assert sampler.predict(X).shape == (120,)


def test_ctrl_c_before_the_first_label_is_passed_on():
    def function(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_sampler(oracle=function).fit(X)


class PressCtrlC(Callback):
    """Sends the signal of Ctrl-C to this process, once, in the given epoch."""

    n_epochs = 0
    at = None

    def on_epoch_begin(self, net, **kwargs):
        PressCtrlC.n_epochs += 1
        if PressCtrlC.n_epochs == PressCtrlC.at:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread gets signals"
)
@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(("at", "n_labels"), [(2, 10), (5, 20), (8, 30)])
def test_ctrl_c_in_training_stops_the_campaign(at, n_labels, warm_start):
    PressCtrlC.n_epochs, PressCtrlC.at = 0, at + 1 + warm_start  # after the rehearsal
    handler = signal.getsignal(signal.SIGINT)
    sampler = make_sampler(net_classifier(max_epochs=3, callbacks=[PressCtrlC()]), warm_start=warm_start)
    with pytest.warns(UserWarning, match=f"Interrupted after {n_labels} paid answers"):
        sampler.fit(X, Y)
    assert signal.getsignal(signal.SIGINT) is handler
    assert sampler.stop_reason_ == "interrupted"
    assert sampler.n_labels_ == n_labels
    assert sampler.predict(X).shape == (120,)


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread gets signals"
)
def test_ctrl_c_in_the_rehearsal_is_passed_on():
    PressCtrlC.n_epochs, PressCtrlC.at = 0, 1
    with pytest.raises(KeyboardInterrupt):
        Campaign(make_sampler(net_classifier(max_epochs=3, callbacks=[PressCtrlC()])), X)


def test_ctrl_c_in_the_latent_model_does_not_start_it_again():
    class Interrupted(LinearLatent):
        n_fits = 0

        def rehearse(self, X):
            pass

        def _fit(self, X):
            type(self).n_fits += 1
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Interrupted after"):
        sampler = make_sampler(latent_model=Interrupted(4), train_on="decoded", strategy="random").fit(X, Y)
    assert Interrupted.n_fits == 1
    assert sampler.score(X_TEST, Y_TEST) > 0.1


class Break(Callback):
    n_trainings = 0

    def on_train_begin(self, net, **kwargs):
        Break.n_trainings += 1
        if Break.n_trainings == 3:  # the rehearsal is the first
            raise RuntimeError("out of memory")


def test_an_error_in_training_carries_the_campaign():
    Break.n_trainings = 0
    sampler = make_sampler(net_classifier(max_epochs=3, callbacks=[Break()]))
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        sampler.fit(X, Y)
    campaign = caught.value.campaign
    assert campaign.records.n_paid == 20
    assert any("The 20 answers bought so far are kept in error.campaign" in n for n in caught.value.__notes__)
    assert campaign.run().finish().n_labels_ == 30


def test_reasons_are_told_when_every_question_failed():
    oracle = FunctionOracle(lambda rows: [Failed("licence server down")] * len(rows))
    with pytest.raises(ValueError, match="no label to train on") as caught:
        make_sampler(oracle=oracle).fit(X)
    assert any("licence server down" in note for note in caught.value.__notes__)
    assert (caught.value.campaign.queries["state"] == "failed").any()
