"""The loop, written once: ask, label, train, until a stopping rule.

``AdaptiveLatentSampler.fit`` drives it; people and remote simulators use it directly.
"""

from __future__ import annotations

import copy
import numbers
import os
import time
import warnings
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils.validation import check_random_state
from tqdm.auto import tqdm

from ..latent import BaseLatentModel
from ..ledger import make_ledger
from ..network.tasknet import TaskNet
from ..oracles import BaseOracle, make_oracle
from ..oracles.base import read_answer
from ..strategies import BaseStrategy, Candidates, Snapshot, make_initial, make_strategy
from ..utils.checks import check_positive_int
from ..utils.devices import resolve_device
from ..utils.seeds import derive_seed
from . import saving
from .agreement import Agreement
from .budget import Costs
from .buying import buy
from .control import ControlRows, make_scorer
from .journal import CampaignLedger
from .models import Models
from .pool import Pool
from .questions import (
    FAILED,
    GENERATED,
    PENDING,
    Batch,
    Question,
    annotate,
    check_candidates,
    make_batch,
    make_questions,
)
from .records import Records


class Campaign:
    """Ask / tell: choose rows, take their labels as they come, train, and choose again.

    Parameters
    ----------
    sampler : AdaptiveLatentSampler
        All settings are read from it. It is not changed.
    X : array-like of shape (n_samples, n_features) or (n_samples, n_channels, ...)
        The pool. A memory map stays one.
    y : array-like of shape (n_samples,), default=None
        Without an oracle: the labels that `run` looks up. With one: labels that are known already;
        missing ones are None, NaN or pandas' NA.
    labeled : bool array of shape (n_samples,), default=None
        Rows whose `y` is known from the start; they cost nothing. None: none, or, with an oracle, those
        whose `y` is not missing.
    sample_id : array-like of shape (n_samples,), default=None
        What identifies each row; None: its position.
    X_val, y_val : arrays, default=None
        Held-out rows for `target_score` and the `val_score` column of `history`.

    Attributes
    ----------
    round : int
        Number of batches asked so far.
    stop_reason : str or None
        ``"max_labels"``, ``"max_cost"``, ``"n_rounds"``, ``"target_score"``, ``"agreement"``,
        ``"pool exhausted"``, ``"max_failures"`` or ``"interrupted"``; None while there is more to ask.
        Whether predictions agree is known when the next batch is asked for, which then is empty.

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

    def __init__(self, sampler, X, y=None, *, labeled=None, sample_id=None, X_val=None, y_val=None):
        # The oracle stays out of the clone: a callable would be deep-copied, and see no question.
        settings = {**sampler.get_params(deep=False), "oracle": None}
        self.sampler = clone(type(sampler)(**settings))
        self._given_oracle = sampler.oracle
        self.pool = Pool(self.sampler, sampler.oracle is not None, X, y, labeled, sample_id, X_val, y_val)
        self.strategy: BaseStrategy = make_strategy(self.sampler.strategy, self.pool.task)
        self.initial: BaseStrategy = make_initial(self.sampler.initial, self.sampler.strategy, self.pool.task)
        self.records = Records(len(self.pool), self.pool.given, self.pool.given_labels)
        self.oracle = self._check_oracle(sampler.oracle)
        self.costs = Costs(self.sampler.max_cost, self.pool, self.records, self.oracle)
        self.device = resolve_device(sampler.device)
        ledger = make_ledger(self.sampler.ledger)
        self.ledger = None if ledger is None else CampaignLedger(ledger, self.sampler, self.pool)
        self.seed = self._choose_seed(sampler.random_state)
        self.round = 0
        self._first_rounds = 0  # batches of the random first set
        self._history: list[dict[str, Any]] = []
        self.models = Models(self.sampler, self.pool, self.records, self.seed)
        self.models.rehearse()
        self._scorer = make_scorer(self.sampler.scoring)
        self.control = ControlRows(
            self.sampler, self.pool, self.records, self._scorer, self._budget(), self.seed
        )
        self.agreement = Agreement(self.sampler.stop_at_agreement, self.pool, self.seed)
        self._interrupted = False
        if self.ledger is not None:
            self.ledger.start(self.seed)

    def _choose_seed(self, random_state: Any) -> int:
        if self.ledger is not None:
            return self.ledger.choose_seed(random_state)
        return int(check_random_state(random_state).randint(2**31 - 1))

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
        while questions := self._ask(n):
            waiting = [q for q in questions if q.state == PENDING]
            if waiting:
                return self._batch(waiting)
            # The ledger knew every answer: on to the next round.
        return self._batch([])

    def _ask(self, n: int | None = None) -> list[Question]:
        """Choose the questions of a round, write them down, and take the answers that the ledger knows."""
        self.pool.check_attached()
        self._collect()
        earlier = [] if self.ledger is None else self.ledger.round(self.round)
        n = len(earlier) or n or self._batch_size()
        n = min(n, self._budget_left())
        if self.stop_reason or n < 1 or self._rounds_are_used_up():
            return []
        self._close_round()
        if self.agreement.reached:
            return []
        self.costs.hide_what_is_too_dear()
        first_set = self._rows_missing_at_first() > 0
        questions = self._choose(n, first_set)
        if self.ledger is not None:
            questions = self.costs.price(self.ledger.as_asked(earlier[:n], questions))
        if not questions:
            return []
        if self.ledger is not None:
            self.ledger.ask(questions)
        self.control.choose_by(None if first_set else self.models.trained, self._entry())
        self.records.ask(questions)
        self.round += 1
        self._first_rounds += first_set
        self._collect(reused=True)
        return questions

    def _choose(self, n: int, first_set: bool) -> list[Question]:
        control = [] if first_set else self._draw_control(n)
        snapshot, n = self._snapshot(), n - len(control)
        start, before = time.perf_counter(), self._seconds_of_models()
        candidates = self._query(snapshot, n)
        fitting = self._seconds_of_models() - before  # the strategy may have asked for training
        questions = self.costs.keep_affordable(self._questions(candidates, snapshot, n) + control)
        if self.costs.nothing_fits:
            return []
        self._note(
            n_asked=len(questions),
            query_seconds=time.perf_counter() - start - fitting,
            network_rows=snapshot.network_rows,
        )
        return questions

    def _collect(self, reused: bool = False) -> None:
        """Take the answers to open questions that the ledger has, whoever gave them."""
        if self.ledger is None:
            return
        for question, line in self.ledger.recorded(list(self.records.pending.values())):
            answer = self.ledger.read_answer(question, line)
            question.cost = line.cost or question.cost  # 0 where whoever answered named none
            question.annotator, question.reused = line.annotator, reused
            self.records.answer(question.id, answer)

    def tell(self, ids, answers, *, annotator: str = "") -> None:
        """Record answers: all or part of what is pending, in any order.

        Parameters
        ----------
        ids : array-like of shape (n,)
            From `Batch.ids`.
        answers : array-like of shape (n,)
            Labels, None or ``ABSTAIN`` (does not know: never asked again), or ``Failed(reason)``.
        annotator : str, default=""
            Who answered, for `queries` and the ledger.

        Raises
        ------
        ValueError
            If an id is not pending, a label is outside `classes`, or an answer is NaN, as an empty cell of
            a table is. Then nothing is recorded.
        LedgerError
            If the ledger cannot be written. Then nothing is recorded either.
        """
        if isinstance(answers, str):
            raise ValueError(
                f"tell got the text {answers!r} as answers; give a list with one answer for each id."
            )
        ids, answers = list(ids), list(answers)
        if len(ids) != len(answers):
            raise ValueError(
                f"tell got {len(ids)} ids and {len(answers)} answers; give one answer for each id."
            )
        for id_ in ids:
            if not isinstance(id_, Hashable) or id_ not in self.records.pending:
                raise ValueError(
                    f"id {id_!r} is not waiting for an answer; {len(self.records.pending)} are: "
                    f"{list(self.records.pending)[:5]}. Take ids from the batch that ask() returned."
                )
        if len(set(ids)) != len(ids):
            raise ValueError("tell got an id twice; give one answer for each id.")
        checked = [self._check_answer(id_, answer) for id_, answer in zip(ids, answers, strict=True)]
        questions = [self.records.pending[id_] for id_ in ids]
        if self.ledger is not None:
            checked = self.ledger.record(questions, checked, annotator)
        for question, answer in zip(questions, checked, strict=True):
            question.annotator = annotator
            self.records.answer(question.id, answer)

    def _check_answer(self, id_: Any, answer: Any) -> Any:
        if isinstance(answer, numbers.Real) and np.isnan(float(answer)):
            raise ValueError(
                f"The answer to id {id_!r} is NaN, as an empty cell of a table is. Leave out what is "
                "not answered yet (frame.dropna(subset='label')); answer None where there is no label to be "
                "had, or Failed(reason)."
            )
        return self.pool.check_label(read_answer(answer))

    @property
    def pending(self) -> Batch:
        """What was asked and not answered yet, as one batch.

        With a ledger, answers that came there meanwhile are taken first, and what an earlier process left
        open is among it, for which the campaign goes through the rounds of that process again.
        """
        self._collect()
        while self.ledger is not None and self.ledger.round(self.round):
            if not self._ask():
                break
        return self._batch(list(self.records.pending.values()))

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
        """Run, and give each batch after it was answered, to look at the campaign in between.

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
            oracle = self._check_oracle(oracle)
            self.costs.take_from(oracle)
        oracle = self.oracle if oracle is None else oracle
        if oracle is None:
            raise ValueError(
                "There is nobody to ask: the sampler has no oracle and y is not known for every row. Pass an "
                "oracle to run(), or use ask() and tell()."
            )
        self._interrupted = self.models.interrupted = False
        with tqdm(total=self._budget(), disable=not self.sampler.verbose, unit="label") as bar:
            bar.update(self.records.n_paid)
            while True:
                # What an earlier run left open is asked first, under the same ids.
                batch = self._batch(list(self.records.pending.values()) or self._ask())
                if len(batch) == 0:
                    if self.stop_reason is None:
                        warnings.warn(
                            f"{self.strategy} found nothing to ask; stopped before the budget was used up.",
                            UserWarning,
                            stacklevel=3,  # through run
                        )
                    return
                self._buy(oracle, batch, bar)
                yield batch

    def _buy(self, oracle: BaseOracle, batch: Batch, bar: tqdm) -> None:
        """Put to the oracle what of a batch has no answer yet."""
        paid = self.records.n_paid
        self._collect()
        waiting = [self.records.pending[id_] for id_ in batch.ids if id_ in self.records.pending]
        bar.update(self.records.n_paid - paid)
        if waiting:
            for n_paid in buy(self, oracle, batch if len(waiting) == len(batch) else self._batch(waiting)):
                bar.update(n_paid)

    # -- stopping ---------------------------------------------------------------------------------

    @property
    def stop_reason(self) -> str | None:
        """Which stopping rule holds; None while there is more to ask."""
        s, records = self.sampler, self.records
        if self._interrupted:
            return "interrupted"
        if records.count(FAILED) > s.max_failures:
            return "max_failures"
        if records.n_paid >= s.max_labels:
            return "max_labels"
        if self.costs.are_used_up(self.strategy.generates_points):
            return "max_cost"
        if self._rounds_are_used_up() and not records.pending:
            return "n_rounds"
        if records.taken.all() and not self.strategy.generates_points and not records.pending:
            return "pool exhausted"
        if s.target_score is not None and len(records.labels()) and self._score() >= s.target_score:
            return "target_score"
        return "agreement" if self.agreement.reached else None

    def _budget(self) -> int:
        """Paid answers allowed, clipped to what there is to ask."""
        askable = len(self.pool) - len(self.pool.given)
        unlimited = self.strategy.generates_points
        return self.sampler.max_labels if unlimited else min(self.sampler.max_labels, askable)

    def _budget_left(self) -> int:
        return self.sampler.max_labels - self.records.n_paid - len(self.records.pending)

    def _rounds_are_used_up(self) -> bool:
        n_rounds = self.sampler.n_rounds
        return n_rounds is not None and self.round - self._first_rounds >= n_rounds

    def _batch_size(self) -> int:
        missing = self._rows_missing_at_first()
        return missing if missing > 0 else self.sampler.n_per_round

    def _rows_missing_at_first(self) -> int:
        """Rows of the first set that were neither known from the start nor asked yet."""
        return self.sampler.n_initial - len(self.pool.given) - len(self.records.questions)

    # -- one round --------------------------------------------------------------------------------

    def _strategy_now(self) -> BaseStrategy:
        """Choose as `initial` says while there is no label to learn from, and for the first set."""
        first_set = self._rows_missing_at_first() > 0
        return self.initial if first_set or not self.records.labels() else self.strategy

    def _close_round(self) -> None:
        """Train and score before the next question where someone looks, even if the strategy does not."""
        if not self.records.labels():
            return
        if self.sampler.continue_training:
            self.network()
            self.models.advance()
        self._measure()
        self.agreement.advance()

    def _draw_control(self, n: int) -> list[Question]:
        """Give the control rows of a batch of n, before the strategy chooses from what is left."""
        free = ~self.records.blocked()
        if not self.strategy.generates_points:
            n = min(n, int(free.sum()))
        return self.control.draw(free, n, self.round, self._first_rounds)

    def _query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Let the strategy choose, where there is anything to choose."""
        strategy = self._strategy_now()
        if n < 1 or (len(snapshot.unlabeled) == 0 and not strategy.generates_points):
            return Candidates(ids=np.array([], dtype=np.intp), codes=None)
        candidates = strategy.query(snapshot, n)
        self.records.pass_on_refused()
        return candidates

    def _snapshot(self) -> Snapshot:
        generated, refused = self.records.labelled(GENERATED), self.records.refused()
        taken = self.records.blocked()
        taken[self.control.reserved] = True
        return Snapshot(
            task=self.pool.task,
            X=self.pool.X,
            taken=taken,
            labeled=self.records.positions(),
            y_labeled=self.pool.as_labels(self.records.labels()),
            codes_generated=np.array([q.code for q in generated]) if generated else None,
            starts_used=self.records.starts_used(),
            latent=self._latent,
            network=self.network,
            random_state=np.random.RandomState(derive_seed(self.seed, "query", self.round)),
            device=self.device,
            classes=self.pool.classes,
            member=self._member,
            rows_generated=np.array([q.row for q in generated]) if generated else None,
            refused=np.array([q.code for q in refused]) if refused else None,
            structure=lambda: self.models.structure,
        )

    def _questions(self, candidates: Candidates, snapshot: Snapshot, n: int) -> list[Question]:
        """Turn candidates into questions."""
        strategy = self._strategy_now()
        check_candidates(candidates, snapshot, n, strategy)
        common = {"round": self.round, "strategy": type(strategy).__name__}
        questions = make_questions(candidates, snapshot, self.pool.ids, self.records.generated_ids(), common)
        return annotate(questions, candidates, self.records.start_keys())

    def _batch(self, questions: list[Question]) -> Batch:
        return make_batch(questions, self.pool, self.models.codes, self.round)

    @property
    def queries(self) -> pd.DataFrame:
        """Every question so far, as in the sampler's `queries_`."""
        return self.records.to_frame()

    @property
    def history(self) -> pd.DataFrame:
        """A row for each round, as in the sampler's `history_`."""
        return pd.DataFrame(self._history)

    # -- the network and its history --------------------------------------------------------------

    def network(self) -> TaskNet:
        """Give the network trained on the labels so far; trained when there are new ones.

        Labels of control rows are held out of it; `finish` trains on them, too.

        Returns
        -------
        network : TaskNet

        Raises
        ------
        ValueError
            If there is no label yet.
        """
        if self.models.is_current():
            return self.models.network(self.round)
        network = self._train(self.models.network)
        self._note(n_pseudo=self.models.n_pseudo)
        return network

    def _train(self, train: Callable[[int], TaskNet]) -> TaskNet:
        if self.models.spreader is not None:
            self._latent()
        start = time.perf_counter()
        network = train(self.round)
        self._add_fit_seconds(start)
        return network

    def _member(self, number: int) -> TaskNet:
        """Train a network of this round's committee."""
        start = time.perf_counter()
        member = self.models.member(number, self.round)
        self._add_fit_seconds(start)
        return member

    def _add_fit_seconds(self, start: float) -> None:
        seconds = time.perf_counter() - start
        self._entry()["fit_seconds"] += seconds

    def _latent(self) -> tuple[BaseLatentModel, np.ndarray]:
        if not self.models.has_codes:
            start = time.perf_counter()
            self.models.latent()
            self._note(latent_seconds=time.perf_counter() - start)
        return self.models.latent()

    def _seconds_of_models(self) -> float:
        entry = self._entry()
        return entry["fit_seconds"] + entry["latent_seconds"]

    def _measure(self) -> None:
        """Score the network on held-out rows, on control rows, and against the last one, as asked for."""
        s = self.sampler
        if self.pool.X_val is not None:
            self._score()
        if s.control_share:
            self.control.measure(self.network(), self.round, self._entry())
        if s.stop_at_agreement is not None and self._rows_missing_at_first() <= 0:
            agreement = self.agreement.look(self.network(), len(self.records.labels()))
            if not np.isnan(agreement):
                self._note(agreement=agreement)

    def _score(self) -> float:
        network, entry = self.network(), self._entry()
        if np.isnan(entry["val_score"]):
            entry["val_score"] = float(self._scorer(network, self.pool.X_val, self.pool.y_val))
        return entry["val_score"]

    def _entry(self) -> dict[str, Any]:
        """Give the line of the history for this round and number of labels."""
        n_labels = len(self.records.labels(held_out=True)) - len(self.pool.given)
        key = {"round": self.round, "n_labels": n_labels}
        if not self._history or any(self._history[-1][name] != value for name, value in key.items()):
            seconds = {"latent_seconds": 0.0, "fit_seconds": 0.0, "query_seconds": 0.0}
            blank = {"val_score": np.nan, "n_asked": 0, **seconds, "network_rows": 0, "n_pseudo": 0}
            names = ("control_score", "control_low", "control_high", "asked_score", "agreement")
            scores = {"n_control": len(self.records.held_out()), **dict.fromkeys(names, np.nan)}
            paid = {"n_queries": self.records.n_paid, "cost": self.records.cost()}
            self._history.append({**key, **paid, **blank, **scores})
        return self._history[-1]

    def _note(self, **values: Any) -> None:
        self._entry().update(values)

    # -- the end ----------------------------------------------------------------------------------

    def finish(self):
        """Give a fitted sampler from what is labelled so far, at any time.

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
        last = self.models.trained if self._interrupted else None
        sampler, records = clone(self.sampler), self.records
        if last is None and records.labels():
            self._measure()
        network = last or (self._train(self.models.final) if records.held_out() else self.network())
        sampler.oracle = self._given_oracle
        generated = records.labelled(GENERATED)
        fitted = {
            **self.pool.fitted_attributes,
            "estimator_": network,
            "latent_model_": self.models.latent_model,
            "history_": self.history,
            "queries_": self.queries,
            "labeled_indices_": records.positions(held_out=True),
            "X_generated_": np.array([q.row for q in generated]).reshape(-1, *self.pool.X.shape[1:]),
            "y_generated_": np.array([q.label for q in generated]),
            "n_labels_": len(records.labels(held_out=True)) - len(self.pool.given),
            "n_queries_": records.n_paid,
            "n_rounds_": self.round,
            "stop_reason_": self.stop_reason,
        }
        vars(sampler).update(fitted)
        if self.pool.task == "classification":
            sampler.classes_ = network.classes_
        return sampler

    def interrupt(self) -> None:
        """Stop asking; `finish` then takes the last network, without training again. `run` goes on."""
        self._interrupted = self.models.interrupted = True

    def _check_oracle(self, oracle: Any) -> BaseOracle | None:
        """Give the oracle, or None where answers come by `tell`; refuse one that cannot serve."""
        oracle = self.pool.answer_key if oracle is None else make_oracle(oracle)
        if oracle is None:
            return None
        makes_points = next((s for s in (self.strategy, self.initial) if s.generates_points), None)
        if makes_points is not None and not oracle.labels_new_points:
            raise ValueError(
                f"{makes_points} asks for labels of generated points, but {type(oracle).__name__} only "
                "labels rows of the pool. Use strategy='snn', which asks for the nearest pool rows, or an "
                "oracle with labels_new_points=True, such as FunctionOracle(function)."
            )
        oracle.check_pool(self.pool.sample_id, len(self.pool))
        return oracle

    def close(self) -> None:
        """Let the ledger go, for another campaign. It is taken again when this one goes on."""
        if self.ledger is not None:
            self.ledger.close()

    def __enter__(self) -> Self:
        """Give the campaign itself."""
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
        campaign = self
        fault = saving.pickling_fault((self.oracle, self._given_oracle))
        if fault:
            campaign = copy.copy(self)
            campaign.oracle = campaign._given_oracle = None
            warnings.warn(
                f"{type(self.oracle).__name__} cannot be pickled ({fault}) and was not saved. After "
                "Campaign.load, pass it to campaign.run(oracle).",
                UserWarning,
                stacklevel=2,
            )
        saving.write(path, {"fingerprint": self.pool.fingerprint(), "campaign": campaign})

    @classmethod
    def load(cls, path: str | os.PathLike, X) -> Campaign:
        """Read a campaign back; it continues as if it had never stopped.

        The file is a pickle: load only what you wrote yourself.

        Parameters
        ----------
        path : str or path
        X : array-like
            The pool the campaign was made with.

        Returns
        -------
        campaign : Campaign

        Raises
        ------
        ValueError
            If the file is not a campaign, is of a newer format, or `X` is another pool.
        """
        state = saving.read(path)
        campaign = state["campaign"]
        campaign.pool.attach(X)
        campaign.costs.oracle = campaign.oracle
        if campaign.pool.fingerprint() != state["fingerprint"]:
            raise ValueError(
                f"X is not the pool this campaign was made with: its content differs (shape {np.shape(X)}). "
                "Pass the same rows in the same order and dtype."
            )
        return campaign
