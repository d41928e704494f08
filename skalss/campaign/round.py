"""One round of a campaign: the way of the data, from what is known to what is asked next."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ..ledger.tables import Request
from ..oracles.base import FAILED
from ..strategies import BaseStrategy, Candidates, MadePoints, Snapshot, make_snapshot, warn_if_outside
from ..utils.seeds import derive_seed
from ..utils.surroundings import usual_numerics
from .budget import Budget
from .history import History
from .journal import Journal, NoJournal
from .judge import Judge
from .models import Models
from .outlook import outlook_of, say_if_new
from .pool import Pool
from .questions import GENERATED, Question, annotate, as_candidates, check_candidates, make_questions
from .records import Records
from .replay import Note, Replay, memory_of
from .stopping import Progress, StoppingRule, first_reason


class Rounds:
    """Asks round after round.

    Parameters
    ----------
    pool : Pool
    records : Records
    history : History
    models : Models
    budget : Budget
    judge : Judge
    journal : Journal or NoJournal
    replay : Replay
    initial, strategy : BaseStrategy
        Who chooses the first rows, and the later ones.
    rules : list of StoppingRule
    seed : int

    Attributes
    ----------
    stop_reason : str or None
        Which rule holds, as of the last answer or the last look at the network.
    interrupted : bool
        Whether to ask no more.
    """

    def __init__(
        self,
        pool: Pool,
        records: Records,
        history: History,
        models: Models,
        budget: Budget,
        judge: Judge,
        journal: Journal | NoJournal,
        replay: Replay,
        *,
        initial: BaseStrategy,
        strategy: BaseStrategy,
        rules: list[StoppingRule],
        seed: int,
    ):
        self.pool, self.records, self.history, self.models = pool, records, history, models
        self.budget, self.judge, self.journal, self.replay = budget, judge, journal, replay
        self.initial, self.strategy, self.rules, self.seed = initial, strategy, rules, seed
        self.stop_reason: str | None = None
        self.interrupted = False

    def ask(self, n: int | None = None) -> list[Question]:
        """Close the last round and ask the next one; nothing where a rule holds, or nothing can be asked."""
        self.collect()
        earlier = self.journal.round(self.records.round)
        n = self.budget.next_size(len(earlier) or n)
        if self.stop() or self.nothing_more() or n < 1:
            return []
        note = self.replay.find(self.records.round) if len(earlier) == n else None
        questions = self.compute(n, earlier) if note is None else self.take_up(note, earlier)
        self.collect(reused=True)
        self.stop()  # the points made may not fit the budget
        return questions

    def compute(self, n: int, earlier: list[Request]) -> list[Question]:
        """Close the last round, choose `n` rows and ask for them."""
        round_, open_, remembered = self.records.round, self.replay.open(), memory_of(self.strategy)
        self.close()
        if self.stop():
            return []
        questions = self.write(self.choose(n), earlier[:n])
        if questions and memory_of(self.strategy) == remembered:
            self.replay.note(round_, open_)
        return questions

    def take_up(self, note: Note, earlier: list[Request]) -> list[Question]:
        """Ask what an earlier process asked, without choosing again."""
        self.replay.restore(note)
        return [] if self.stop() else self.write([], earlier)

    def write(self, questions: list[Question], earlier: list[Request]) -> list[Question]:
        """Write the questions of a round down; those of an earlier process stay as they were asked."""
        asked = self.journal.as_asked(earlier, questions)
        if asked is not questions:
            self.budget.price(asked)
        if asked:
            self.journal.ask(asked)
            self.records.ask(asked, first_set=self.is_first_set())
        return asked

    def is_first_set(self) -> bool:
        """Whether rows of the first set are still to be asked."""
        return self.budget.missing_at_first() > 0

    # -- answers, and when to stop ----------------------------------------------------------------

    def collect(self, *, reused: bool = False) -> None:
        """Take the answers to open questions that the journal has, whoever gave them."""
        found = self.journal.recorded(list(self.records.pending.values()))
        for question, answered in found:
            question.cost = answered.cost or question.cost
            question.annotator, question.reused = answered.annotator, reused
            self.records.answer(question.id, answered.answer)
        corrected = self.journal.corrected(self.records.questions)
        for question, answered in corrected:
            question.annotator = answered.annotator
            self.records.correct(question, answered.answer)
        if found or corrected:
            self.stop()

    def close(self) -> None:
        """Train, score and compare before the next question, as far as somebody looks at it."""
        if self.records.labels():
            self.models.advance()
            self.judge.measure(first_set=self.is_first_set())
            self.judge.accept()

    def stop(self) -> str | None:
        """Note which rule holds, of what is known by now; no network is trained for it."""
        reason = "interrupted" if self.interrupted else first_reason(self.rules, self.progress())
        if reason is None and not self.strategy.generates_points and not self.records.pending:
            reason = "pool exhausted" if self.records.taken.all() else None
        self.stop_reason = reason
        return reason

    def nothing_more(self) -> bool:
        """Whether a rule will hold as soon as what is pending is answered."""
        return first_reason(self.rules, replace(self.progress(), pending=0)) is not None

    def progress(self) -> Progress:
        """Return how far the campaign is."""
        records, line, agreement = self.records, self.history.known(), self.judge.agreement
        return Progress(
            paid=records.n_paid,
            cost=records.cost(),
            round=records.round - records.first_rounds,
            n_labels=line.n_labels,
            failed=records.count(FAILED),
            pending=len(records.pending),
            score=line.val_score,
            control_score=line.control_score,
            agreement=() if agreement is None else tuple(agreement.values),
            priced_out=self.budget.priced_out(),
        )

    # -- choosing ---------------------------------------------------------------------------------

    def choose(self, n: int) -> list[Question]:
        """Let control rows and the strategy have their share of `n` questions."""
        self.budget.hide_what_is_too_dear()
        control = [] if self.is_first_set() else self.draw_control(n)
        snapshot, n = self.look(), n - len(control)
        start, before = time.perf_counter(), self.history.now().seconds_of_models
        candidates = self.query(snapshot, n)
        fitting = self.history.now().seconds_of_models - before  # the strategy may have asked for training
        questions = self.budget.keep_affordable(self.questions(candidates, snapshot, n) + control)
        if self.budget.nothing_fits:
            return []
        line = self.history.now()
        line.n_asked = len(questions)
        line.query_seconds = time.perf_counter() - start - fitting
        line.network_rows = snapshot.network.n_rows
        line.outlook = "" if self.is_first_set() else self.outlook(snapshot)
        if questions:
            self.judge.choose_by(None if self.is_first_set() else self.models.trained, line)
        return questions

    def chooser(self) -> BaseStrategy:
        """Return who chooses: `initial` for the first set, and while there is no label to learn from."""
        return self.initial if self.is_first_set() or not self.records.labels() else self.strategy

    def draw_control(self, n: int) -> list[Question]:
        """Return the control rows of a batch of n, before the strategy chooses from what is left."""
        free = ~self.records.blocked()
        if not self.strategy.generates_points:
            n = min(n, int(free.sum()))
        return self.judge.control.draw(free, n)

    def look(self) -> Snapshot:
        """Return what a strategy may look at."""
        records, pool = self.records, self.pool
        made, refused = records.labelled(GENERATED), records.refused()
        taken = records.blocked()
        taken[self.judge.control.reserved] = True
        return make_snapshot(
            pool.X,
            records.positions(),
            pool.target.as_array(records.labels()),
            latent=self.models.latent,
            network=self.models.network,
            target=pool.target,
            taken=taken,
            made=_points(made) if made else None,
            refused=np.array([q.code for q in refused]) if refused else None,
            starts_used=records.starts_used(),
            member=self.models.member,
            known_structure=self.models.known_structure,
            bounds=lambda: pool.bounds,
            points_asked=records.points,
            as_user_rows=pool.like_user_rows,
            random_state=np.random.RandomState(derive_seed(self.seed, "query", records.round)),
            device=self.models.device,
        )

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Let the strategy choose, where there is anything to choose."""
        strategy = self.chooser()
        if n < 1 or (len(snapshot.unlabeled) == 0 and not strategy.generates_points):
            return Candidates(rows=np.array([], dtype=np.intp))
        with usual_numerics(keep_dtype=True):  # changed under a lock, under which no strategy of a user runs
            candidates = as_candidates(strategy.query(snapshot, n), strategy)
        self.records.pass_on_refused()
        return candidates

    def outlook(self, snapshot: Snapshot) -> str:
        """Return whether what was chosen is likely to gain."""
        share = 0.0 if self.budget.unlimited else self.budget.total() / max(1, len(self.pool))
        found = outlook_of(snapshot, self.chooser(), models=self.models, judge=self.judge, share=share)
        say_if_new(found, next((line.outlook for line in self.history.lines[::-1] if line.outlook), ""))
        return found

    def questions(self, candidates: Candidates, snapshot: Snapshot, n: int) -> list[Question]:
        """Turn candidates into questions."""
        strategy, records = self.chooser(), self.records
        check_candidates(candidates, snapshot, n, strategy)
        common = {"round": records.round, "strategy": type(strategy).__name__}
        questions = make_questions(candidates, snapshot, self.pool.ids, records.generated_ids(), common)
        made = [q.row for q in questions if q.kind == GENERATED]
        if made and getattr(strategy, "bounds", None) is None:
            warn_if_outside(snapshot, np.array(made))
        return annotate(questions, candidates, records.start_keys())


def _points(questions: list[Question]) -> MadePoints:
    return MadePoints(np.array([q.code for q in questions]), np.array([q.row for q in questions]))
