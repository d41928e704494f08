"""A restart with a ledger computes nothing again that an earlier process computed."""

import numpy as np
import pytest

from skalss import Campaign, Ledger, PredictionsAgree, TaskNet
from skalss.latent import LinearLatent
from skalss.strategies import BaseStrategy, Candidates

from .digits import X_TEST, Y_TEST, X, Y
from .ledgers import Counting, Stop, assert_same, make_sampler

KINDS = {
    "snn": {"strategy": "snn"},
    "pseudo-labels": {},
    "control rows": {"strategy": "mms", "control_share": 0.3},
    "agreement": {"strategy": "margin", "stop": PredictionsAgree(1.0)},
    "warm start": {"strategy": "margin", "warm_start": True},
}


@pytest.fixture
def counted(monkeypatch):
    """Count fits of latent models, encodings and trainings of networks."""
    counts = {}

    def count(cls, name):
        method = getattr(cls, name)

        def counting(self, *args, **kwargs):
            counts[name] = counts.get(name, 0) + 1
            return method(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, counting)

    for cls, name in ((LinearLatent, "_fit"), (LinearLatent, "encode_rows"), (TaskNet, "fit_rows")):
        count(cls, name)
    return counts


def stopped(path, after=25, **params):
    with pytest.raises(Stop):
        make_sampler(path, oracle=Counting(after), **params).fit(X, X_val=X_TEST, y_val=Y_TEST)


def fit(path, **params):
    return make_sampler(path, oracle=Counting(), **params).fit(X, X_val=X_TEST, y_val=Y_TEST)


@pytest.mark.parametrize("params", KINDS.values(), ids=KINDS)
def test_only_the_network_needed_now_is_trained(params, path, counted):
    expected = fit(None, **params)
    stopped(path, **params)
    with Campaign(make_sampler(path, **params), X, X_val=X_TEST, y_val=Y_TEST) as campaign:
        counted.clear()  # of the rehearsal on a few rows
        campaign.resume()
        # A warm start goes on from every network; what control rows are compared with is the last one.
        trained = {"warm start": 2, "control rows": 1}.get(
            next(k for k, v in KINDS.items() if v == params), 0
        )
        assert counted == ({"fit_rows": trained} if trained else {})
    assert_same(fit(path, **params), expected)


def test_seconds_are_those_of_the_process_that_spent_them(path):
    stopped(path)
    with Campaign(make_sampler(path), X, X_val=X_TEST, y_val=Y_TEST) as campaign:
        campaign.resume()
        first = campaign.history
    assert (first["fit_seconds"].iloc[1:-1] > 0).all()
    assert fit(path).history_["fit_seconds"].tolist()[: len(first) - 1] == first["fit_seconds"].tolist()[:-1]


def damage_by(change):
    def damage(folder):
        for file in folder.iterdir():
            file.write_bytes(change(file.read_bytes()))

    return damage


def swap(folder):
    """Give each file the content of another one."""
    files = sorted(folder.iterdir())
    contents = [file.read_bytes() for file in files]
    for file, content in zip(files, contents[1:] + contents[:1], strict=True):
        file.write_bytes(content)


def remove(folder):
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()


def put_a_folder_for_each_file(folder):
    for file in list(folder.iterdir()):
        file.unlink()
        file.mkdir()


DAMAGE = {
    "cut": damage_by(lambda content: content[: len(content) // 2]),
    "empty": damage_by(lambda content: b""),
    "noise": damage_by(lambda content: bytes(255 - byte for byte in content)),
    "a byte": damage_by(lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]),
    "swapped": swap,
    "removed": remove,
    "folders": put_a_folder_for_each_file,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.filterwarnings("ignore:What the campaign computed cannot be kept")
def test_what_is_not_whole_is_computed_again(damage, path):
    expected = fit(None)
    stopped(path)
    damage(path.with_name("digits.ledger-cache"))
    assert_same(fit(path), expected)


def test_a_folder_that_cannot_be_written_is_said_and_the_campaign_goes_on(path):
    path.with_name(f"{path.name}-cache").write_text("something else")
    with pytest.warns(UserWarning, match="cannot be kept in .*-cache: .*It goes on"):
        sampler = fit(path)
    assert_same(sampler, fit(None))


def test_a_cache_of_other_rows_is_not_used(path, counted):
    """The ledger has seen only some of the rows; the codes are of all."""
    stopped(path, after=5)
    asked = Ledger(path).to_frame()["id"].astype(int)
    other = X.copy()
    other[np.setdiff1d(np.arange(len(X)), asked)] += 1.0
    counted.clear()
    resumed = make_sampler(path, oracle=Counting()).fit(other)
    assert counted["encode_rows"] == 1
    np.testing.assert_array_equal(
        resumed.latent_model_.transform(other),
        LinearLatent(4, random_state=resumed.latent_model_.random_state).fit(other).transform(other),
    )


def test_a_corrected_label_is_learned_from(path):
    stopped(path)
    frame = Ledger(path).to_frame().query("state == 'labeled'")
    with Ledger(path) as ledger:
        ledger.answer(int(frame["id"].iloc[0]), 7 if frame["label"].iloc[0] != 7 else 3)
    corrected = fit(path)
    remove(path.with_name(f"{path.name}-cache"))
    assert_same(fit(path), corrected)


def test_a_ledger_without_a_cache(path):
    with pytest.raises(Stop):
        make_sampler(Ledger(path, cache=False), oracle=Counting(25)).fit(X)
    assert not path.with_name(f"{path.name}-cache").exists()


class InTurn(BaseStrategy):
    """Goes up the rows and down in turn: it remembers how often it was asked."""

    def __init__(self):
        self.n = 0

    def query(self, snapshot, n):
        self.n += 1
        return Candidates(rows=snapshot.unlabeled[:: 1 if self.n % 2 else -1][:n])


def test_a_strategy_that_remembers_sees_every_round(path):
    expected = fit(None, strategy=InTurn())
    stopped(path, strategy=InTurn())
    assert_same(fit(path, strategy=InTurn()), expected)


class Shifted(LinearLatent):
    """Learns more than it says."""

    def _fit(self, X):
        super()._fit(X)
        self.shift_ = float(X.mean())

    def _encode(self, x):
        return super()._encode(x) + self.shift_


def test_a_model_that_does_not_say_what_it_learned_is_fitted_again(path):
    params = {"strategy": "snn", "latent_model": Shifted(4)}
    expected = fit(None, **params)
    stopped(path, **params)
    assert_same(fit(path, **params), expected)


def test_late_answers(path):
    """A round that was asked while some of the one before were open."""

    def play(ledger, restarts):
        campaign = Campaign(make_sampler(ledger, strategy="margin"), X)
        for _ in range(4):
            if restarts:
                campaign.close()
                campaign = Campaign(make_sampler(ledger, strategy="margin"), X)
                campaign.resume()
            waiting = campaign.pending.ids[:3]
            if len(waiting):
                campaign.tell(waiting, Y[waiting])
            batch = campaign.ask()
            campaign.tell(batch.ids[:-2], Y[batch.ids[:-2]])
        with campaign:
            return campaign.finish()

    assert_same(play(path, restarts=True), play(None, restarts=False))


def test_scores_by_class_of_earlier_rounds_are_there_again(path):
    params = {"strategy": "margin", "control_share": 0.5, "max_labels": 65}
    stopped(path, after=50, **params)
    found, expected = fit(path, **params), fit(None, **params)
    assert expected.control_scores_["round"].nunique() >= 4
    assert_same(found, expected)
