"""The loop, written once: ask, label, train, until a stopping rule.

``AdaptiveLatentSampler.fit`` drives it; people and remote simulators use it directly.
"""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from ..network import TaskModel
from ..oracles import BaseOracle, Failed
from ..oracles.alignment import in_order_of_ids, names_of
from ..oracles.base import PENDING, read_told
from ..utils.checks import check_flag, check_path, check_positive_int, check_text, clone_checked, show
from ..utils.progress import Bar, progress_bar, showing_progress
from . import saving
from .buying import buy
from .fitted import fitted_attributes
from .parts import Data, assemble, check_oracle
from .pool import rows_of
from .questions import Batch, Question, make_batch


class Campaign:
    """Ask / tell: choose rows, take their labels as they come, train, and choose again.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
        All settings are read from it. It is not changed.
    X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...), or Box
        The pool. A memory map stays one. A `Box` in its place has rows drawn in it.
    y : array-like of shape (n_samples,), default=None
        Without an oracle: the labels that `run` looks up. With one: labels that are known already;
        missing ones are None, NaN or pandas' NA.
    labeled : bool array of shape (n_samples,), default=None
        Rows whose `y` is known from the start; they cost nothing. None: those whose `y` is not missing, if
        some are missing or there is an oracle; otherwise none, and `y` is what `run` looks up.
    sample_id : array-like of shape (n_samples,), default=None
        What identifies each row, of any types that can be hashed, each kept as it is; none may be missing.
        None: its position. A ledger keeps bool, int, float and str.
    X_val, y_val : arrays, default=None
        Held-out rows for `ScoreReached` and the `val_score` column of `history`.
    show : sequence of length n_samples, default=None
        What whoever labels sees of each row, where that is not X itself: the rows as they came, before a
        Pipeline scaled or encoded them. A DataFrame, an array, or a list of texts or paths, in the order
        of X. The oracle and its costs get these rows, and batches show them. None: X.
    codes : array-like of shape (n_samples, n_components), default=None
        Codes of the pool, in the order of X, in place of a latent model; a memory map is taken, too. See
        `AdaptiveLatentSampler.fit`.

    Attributes
    ----------
    round : int
        Number of batches asked so far.
    stop_reason : str or None
        ``"max_labels"``, ``"pool exhausted"``, ``"interrupted"``, or what a rule of `stop` says; None while
        there is more to ask. What depends on the network is known when the next batch is asked for, which
        then is empty.
    parts : Parts
        What the campaign is made of, for a look inside.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skalss import AdaptiveLatentSampler, Campaign
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = AdaptiveLatentSampler(
    ...     strategy="margin", n_initial=10, n_per_round=10, max_labels=20, classes=[0, 1, 2],
    ...     random_state=0)
    >>> campaign = Campaign(sampler, X)
    >>> while len(batch := campaign.ask()):
    ...     campaign.tell(batch.ids, y[batch.ids])  # a person's answers, say
    >>> campaign.finish().n_labels_
    20
    """

    def __init__(
        self,
        sampler,
        X,
        y=None,
        *,
        labeled=None,
        sample_id=None,
        X_val=None,
        y_val=None,
        show=None,
        codes=None,
    ):
        _check_sampler(sampler)
        self.sampler = clone_checked(sampler).set_params(oracle=None)
        self._given_oracle = sampler.oracle
        data = Data(X, y, labeled, sample_id, X_val, y_val, show, codes)
        self.parts = parts = assemble(self.sampler, sampler.oracle, sampler.random_state, data)
        self.pool, self.records, self.models = parts.pool, parts.records, parts.models
        self.oracle, self.seed = parts.oracle, parts.seed
        self._rounds = parts.rounds

    def __repr__(self) -> str:
        """Say where it is: ``Campaign(round 2, 70 of 90 labels, 12 pending)``."""
        given = len(self.pool.given)
        state = [
            f"round {self.round}",
            f"{self.records.n_paid} of {self.parts.budget.total()} labels",
            f"{len(self.records.pending)} pending",
            *([f"{given} given"] if given else []),
            *([f"stopped: {self.stop_reason}"] if self.stop_reason else []),
        ]
        return f"{type(self).__name__}({', '.join(state)})"

    # -- ask and tell -----------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Choose the next rows to label.

        Parameters
        ----------
        n : int, default=None
            How many at most; None: what is left of `n_initial`, then `n_per_round`. Never more than the
            budget has left.

        Returns
        -------
        batch : Batch
            Pending until told. Empty when a stopping rule holds, or all that is left is pending. With a
            ledger, what an earlier process asked comes first, as many rows as it asked, without those whose
            answers are known.

        Raises
        ------
        LedgerError
            If the ledger cannot be written, or another campaign drives it.
        """
        if n is not None:
            check_positive_int("n", n, also="None for n_per_round")
        self.pool.check_attached()
        while questions := self._ask(n):
            waiting = [q for q in questions if q.state == PENDING]
            if waiting:
                return self._batch(waiting)
            # The ledger knew every answer: on to the next round.
        return self._batch([])

    def tell(self, ids, answers, *, annotator: str = "", correct: bool = False) -> None:
        """Record answers: all or part of what is pending, in any order.

        Parameters
        ----------
        ids : array-like of shape (n,)
            From `Batch.ids`.
        answers : array-like of shape (n,), or mapping from id to answer
            Labels, None or ``ABSTAIN`` (does not know: never asked again), or ``Failed(reason)``. A list or
            array is in the order of `ids`. A Series, or a DataFrame of one column, goes by its index: the
            ids; the labels of the rows asked, where they are of a DataFrame; or the index of `ids`, where
            both are columns of a table.
        annotator : str, default=""
            Who answered, for `queries` and the ledger.
        correct : bool, default=False
            Whether ids that have an answer may be among them. Theirs is replaced, as `Ledger.answer` does:
            the next training uses the new label, and nothing is paid again. To take a label back, answer
            None. A ledger keeps the earlier answers, too.

        Raises
        ------
        ValueError
            If an id is not pending (with `correct`, not asked), a label is outside `classes`, an answer is
            NaN, as an empty cell of a table is, or an index does not tell which answer is whose. Then nothing
            is recorded.
        LedgerError
            If the ledger cannot be written. Then nothing is recorded either.
        """
        check_text("annotator", annotator)
        check_flag("correct", correct)
        ids, answers = in_order_of_ids(ids, answers, self._labels_of)
        questions = [self._asked(id_, correct) for id_ in ids]
        if len(set(ids)) != len(ids):
            raise ValueError("tell got an id twice; give one answer for each id.")
        read = [read_told(answer, id_) for id_, answer in zip(ids, answers, strict=True)]
        checked = [self.pool.check_label(answer) for answer in read]
        for question, answer in zip(questions, checked, strict=True):
            if question.state != PENDING and isinstance(answer, Failed):
                raise ValueError(
                    f"id {question.id!r} has an answer, and a failure corrects none. To take a label back, "
                    "answer None: an abstention."
                )
        recorded = self.parts.journal.record(questions, checked, annotator)
        for question, answer in zip(questions, recorded, strict=True):
            question.annotator = annotator
            if question.state == PENDING:
                self.records.answer(question.id, answer)
            else:
                self.records.correct(question, answer)
        self._rounds.stop()

    def _asked(self, id_: Any, correct: bool) -> Question:
        """Return the question about an id that waits, or to `correct` one that has an answer."""
        waiting = self.records.pending
        if isinstance(id_, Hashable) and id_ in waiting:
            return waiting[id_]
        answered = self.records.answered(id_) if isinstance(id_, Hashable) else None
        if correct and answered is not None:
            return answered
        way = "Take ids from the batch that ask() returned."
        if answered is not None:
            given = repr(answered.label) if answered.label is not None else answered.state
            way = f"It has an answer: {given}. To correct that, pass correct=True."
        raise ValueError(
            f"id {id_!r} is not waiting for an answer; {len(waiting)} are: {list(waiting)[:5]}. {way}"
        )

    @property
    def pending(self) -> Batch:
        """What was asked and not answered yet, as one batch.

        With a ledger, answers that came there meanwhile are taken first. What an earlier process left open is
        among it after `resume` or `ask`.
        """
        self._rounds.collect()
        return self._batch(list(self.records.pending.values()))

    def resume(self) -> Batch:
        """Go through the rounds that an earlier process asked with this ledger, and ask nothing new.

        `ask` and `run` do so by themselves. What is kept beside the ledger is not computed again; see
        `Ledger`.

        Returns
        -------
        batch : Batch
            What was asked and has no answer yet.

        Raises
        ------
        LedgerError
            If the ledger cannot be read, or another campaign drives it.
        """
        self.pool.check_attached()
        while self.parts.journal.round(self.round) and self._ask():
            pass
        return self.pending

    def run(self, oracle: Any = None) -> Self:
        """Ask an oracle until a stopping rule holds.

        Parameters
        ----------
        oracle : BaseOracle or callable, default=None
            None: the sampler's oracle, or the answer key `y`.

        Returns
        -------
        self : Campaign

        Raises
        ------
        OracleError
            If the oracle breaks down, carrying this campaign: every answer that arrived is kept.
        """
        for _ in self.rounds(oracle):
            pass
        return self

    def rounds(self, oracle: Any = None) -> Iterator[Batch]:
        """Run, and yield each batch after it was answered, to look at the campaign in between.

        Parameters
        ----------
        oracle : BaseOracle or callable, default=None
            As for `run`.

        Yields
        ------
        batch : Batch
            What was asked; `queries` has the answers.

        Raises
        ------
        OracleError
            As `run` does.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skalss import AdaptiveLatentSampler, Campaign
        >>> X, y = load_iris(return_X_y=True)
        >>> sampler = AdaptiveLatentSampler(
        ...     strategy="margin", n_initial=10, n_per_round=10, max_labels=30, random_state=0)
        >>> campaign = Campaign(sampler, X, y)
        >>> [len(batch) for batch in campaign.rounds()]
        [10, 10, 10]
        """
        if oracle is not None:
            oracle = check_oracle(oracle, self.pool, self.parts.choosers)
            self.parts.budget.take_from(oracle)
            self.parts.budget.rehearse()
        oracle = self.oracle if oracle is None else oracle
        if oracle is None:
            raise ValueError(
                "There is nobody to ask: the sampler has no oracle and y is not known for every row. Pass an "
                "oracle to run(), or use ask() and tell()."
            )
        self._rounds.interrupted = self.models.interrupted = False
        total, verbose = self.parts.budget.total(), self.sampler.verbose
        with progress_bar("labels", total=total, unit="label", verbose=verbose) as bar:
            bar.update(self.records.n_paid)
            # What an earlier run left open is asked first, under the same ids.
            while batch := self._batch(list(self.records.pending.values()) or self._ask()):
                self._buy(oracle, batch, bar)
                yield batch
        if self.stop_reason is None:
            warnings.warn(
                f"{self._rounds.strategy} found nothing to ask; stopped before the budget was used up.",
                UserWarning,
                stacklevel=3,  # through run
            )

    def _ask(self, n: int | None = None) -> list[Question]:
        with showing_progress(self.sampler.verbose):
            return self._rounds.ask(n)

    def _buy(self, oracle: BaseOracle, batch: Batch, bar: Bar) -> None:
        """Put to the oracle what of a batch has no answer yet."""
        paid = self.records.n_paid
        self._rounds.collect()
        waiting = [self.records.pending[id_] for id_ in batch.ids if id_ in self.records.pending]
        bar.update(self.records.n_paid - paid)
        if waiting:
            for n_paid in buy(self, oracle, batch if len(waiting) == len(batch) else self._batch(waiting)):
                bar.update(n_paid)

    def _batch(self, questions: list[Question]) -> Batch:
        encoded = self.models.encoded
        return make_batch(questions, self.pool, None if encoded is None else encoded.codes, self.round)

    def _labels_of(self, ids: list[Any]) -> pd.Index | None:
        """Return the labels of the rows that wait under these ids, where all of them have one."""
        waiting = self.records.pending
        asked = [waiting[id_] for id_ in ids if isinstance(id_, Hashable) and id_ in waiting]
        if self.pool.X is None or len(asked) < len(ids):
            return None
        return names_of(make_batch(asked, self.pool, None, self.round).X) if asked else None

    # -- where it is ------------------------------------------------------------------------------

    @property
    def round(self) -> int:
        """Number of batches asked so far."""
        return self.records.round

    @property
    def stop_reason(self) -> str | None:
        """Which stopping rule held when an answer came or a round was closed; None: there is more to ask."""
        return self._rounds.stop_reason

    @property
    def queries(self) -> pd.DataFrame:
        """Every question so far, as in the sampler's `queries_`."""
        return self.records.to_frame()

    @property
    def history(self) -> pd.DataFrame:
        """A row for each round, as in the sampler's `history_`."""
        return self.parts.history.to_frame()

    @property
    def control_scores(self) -> pd.DataFrame:
        """The recall of each class on the control rows, as in the sampler's `control_scores_`.

        Empty without `control_share`, for values, and before a network was scored on two control rows.
        """
        return self.parts.judge.control.to_frame()

    def network(self) -> TaskModel:
        """Return the network trained on the labels so far; it is trained when there are new ones.

        Labels of control rows are held out of it; `finish` trains on them, too.

        Returns
        -------
        network : TaskNet or SklearnModel

        Raises
        ------
        ValueError
            If there is no label yet.
        """
        with showing_progress(self.sampler.verbose):
            return self.models.network()

    # -- the end ----------------------------------------------------------------------------------

    def finish(self):
        """Return a fitted sampler from what is labelled so far, at any time.

        Returns
        -------
        sampler : AdaptiveLatentSampler
            Fitted on all labels, those of control rows included; the campaign can go on after it, with the
            control rows held out as before.

        Raises
        ------
        ValueError
            If there is no label yet.
        """
        last = self.models.trained if self._rounds.interrupted else None
        with showing_progress(self.sampler.verbose):
            if last is None and self.records.labels():
                self.parts.judge.measure(first_set=self._rounds.is_first_set())
            if last is None and self.stop_reason and not self.records.labels(held_out=True):
                raise ValueError(
                    f"There is no label to train on yet, and the campaign ended by {self.stop_reason!r} "
                    "before one was bought. Allow more of that, or give labels with y and labeled."
                )
            model = self.models.final() if last is None else last
        self._rounds.stop()
        sampler = clone(self.sampler).set_params(oracle=self._given_oracle)
        fitted = fitted_attributes(
            self.pool,
            self.records,
            self.models,
            self.parts.history,
            model=model,
            control_scores=self.control_scores,
            stop_reason=self.stop_reason,
        )
        for name, value in fitted.items():
            setattr(sampler, name, value)
        return sampler

    def interrupt(self) -> None:
        """Stop asking; `finish` then takes the last network, without training again. `run` goes on."""
        self._rounds.interrupted = self.models.interrupted = True
        self._rounds.stop()

    def close(self) -> None:
        """Let the ledger go, for another campaign. It is taken again when this one goes on."""
        self.parts.journal.close()

    def __enter__(self) -> Self:
        """Return the campaign itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Let the ledger go."""
        self.close()

    # -- save and load ----------------------------------------------------------------------------

    def save(self, path: str | os.PathLike) -> None:
        """Write the campaign to a file, without the pool; atomic.

        Parameters
        ----------
        path : str or path
            An oracle that cannot be pickled is left out, with a warning: pass it to `run` after loading.
        """
        check_path("path", path)
        campaign = self
        fault = saving.pickling_fault((self.oracle, self._given_oracle))
        if fault:
            campaign = copy.copy(self)
            campaign.oracle = campaign._given_oracle = None
            campaign.parts = self.parts._replace(oracle=None)
            warnings.warn(
                f"{type(self.oracle).__name__} cannot be pickled ({fault}) and was not saved. After "
                "Campaign.load, pass it to campaign.run(oracle).",
                UserWarning,
                stacklevel=2,
            )
        kept = {"fingerprint": self.pool.fingerprint(), "codes": self.pool.name_of_codes()}
        saving.write(path, {**kept, "campaign": campaign})

    @classmethod
    def load(cls, path: str | os.PathLike, X, *, show: Any = None, codes: Any = None) -> Campaign:
        """Read a campaign back; it continues as if it had never stopped.

        The file is a pickle: load only what you wrote yourself.

        Parameters
        ----------
        path : str or path
        X : array-like or Box
            The pool the campaign was made with.
        show : sequence of length n_samples, default=None
            What the campaign was made with.
        codes : array-like of shape (n_samples, n_components), default=None
            What the campaign was made with.

        Returns
        -------
        campaign : Campaign

        Raises
        ------
        ValueError
            If the file is not a campaign, is of a newer format, `X` is another pool, `show` is missing, or
            `codes` are not those of the campaign.
        """
        check_path("path", path)
        state = saving.read(path)
        campaign = state["campaign"]
        campaign.pool.attach(rows_of(X, campaign.sampler.random_state), show=show, codes=codes)
        campaign.parts.budget.oracle = campaign.oracle
        if campaign.pool.fingerprint() != state["fingerprint"]:
            raise ValueError(
                f"X is not the pool this campaign was made with: its content differs (shape {np.shape(X)}). "
                "Pass the same rows in the same order and dtype."
            )
        if campaign.pool.name_of_codes() != state.get("codes", ""):
            raise ValueError(
                f"codes are not those that this campaign was made with: {_got_codes(codes, state)}. Pass the "
                "same numbers in the same order."
            )
        return campaign


def _got_codes(codes: Any, state: Mapping[str, Any]) -> str:
    if codes is None:
        return "it had some, and got none"
    return "their content differs" if state.get("codes") else "it had none"


def _check_sampler(sampler: object) -> None:
    """Refuse what has not the settings of a campaign."""
    if isinstance(sampler, Pipeline):
        raise TypeError(
            "Campaign takes an AdaptiveLatentSampler, got a Pipeline. Pass its last step, with rows that the "
            "steps before it have transformed, pipe[:-1].fit_transform(X); show= takes the rows as they came."
        )
    known = sampler.get_params(deep=False) if isinstance(sampler, BaseEstimator) else {}
    if not {"oracle", "strategy", "max_labels"} <= set(known):
        got = f"the class {sampler.__name__}" if isinstance(sampler, type) else show(sampler)
        raise TypeError(
            f"Campaign takes an AdaptiveLatentSampler as its sampler, got {got}. Pass one, such as "
            "AdaptiveLatentSampler(max_labels=100)."
        )
