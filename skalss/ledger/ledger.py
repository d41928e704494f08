"""The ledger as a user sees it: answers from any process, tables, CSV files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Self

import pandas as pd

from ..oracles import Failed
from ..utils.checks import check_flag, check_path, check_text
from ..utils.scalars import from_json, to_json
from . import csv_file, frames
from .answers import check_cost, check_told, target_for, to_line
from .book import Book
from .csv_answers import CsvAnswers
from .errors import LedgerError
from .store import Store
from .tables import Item


class Ledger:
    """The durable record of every question and every answer of a labelling task: one SQLite file.

    Campaigns make it and write to it (``AdaptiveLatentSampler(ledger=path)``). With an object of this class,
    or from another process with its path, one reads it and answers what is asked there.

    Labels come back as what they were: scalars; tuples of several values or classes; read-only arrays for
    masks and fields, which the file has in NumPy's own format.

    Parameters
    ----------
    path : str or path
        The file. SQLite keeps ``<path>-wal`` and ``<path>-shm`` beside it while it is open, and the campaign
        that drives it holds ``<path>-lock``. It must be on a disk of this machine, not in a network folder.
    cache : bool, default=True
        Whether campaigns keep in the folder ``<path>-cache`` what a restart would compute again: the fitted
        latent model, the codes of the pool (four bytes for each row and component), and a small file for each
        round. It holds no label, and can be deleted at any time.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> from skalss import AdaptiveLatentSampler, Campaign, Ledger
    >>> X, y = load_iris(return_X_y=True)
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = Path(folder.name) / "iris.ledger"
    >>> sampler = AdaptiveLatentSampler(
    ...     strategy="random", n_initial=3, max_labels=3, classes=[0, 1, 2], ledger=path, random_state=0)
    >>> with Campaign(sampler, X) as campaign, Ledger(path) as ledger:
    ...     asked = campaign.ask().ids
    ...     for id_ in asked:  # as another process would
    ...         ledger.answer(id_, y[id_], annotator="ann")
    ...     print(len(campaign.pending), campaign.stop_reason)
    ...     ledger.to_frame()["state"].tolist()
    0 max_labels
    ['labeled', 'labeled', 'labeled']
    >>> folder.cleanup()
    """

    def __init__(self, path: str | os.PathLike, *, cache: bool = True):
        check_path("path", path)
        check_flag("cache", cache)
        self.path, self.cache = Path(path), cache
        self._store: Store | None = None

    def answer(self, id_: Hashable, label: Any, *, annotator: str = "", cost: float = 0.0) -> None:
        """Record an answer; it is on the disk when this returns.

        It serves every campaign that waits for this row, or will ask for it. Answering again corrects: the
        latest label or abstention counts, whoever gave it, from the next time that a campaign asks or looks
        at what is pending; the earlier ones stay in `history`, and `to_frame` shows where annotators
        `disagree`. Where no campaign named its classes, a text that is new but almost an earlier label
        brings a warning.

        Parameters
        ----------
        id_ : bool, int, float or str
            What was asked, of the type it has in `to_frame`.
        label : scalar, list, array, None, ABSTAIN or Failed
            A label: a bool, int, float or str; a list of values; a list of classes, or a row of 0 and 1; a
            mask or a field. None or ABSTAIN where there is none to be had; or ``Failed(reason)`` for a
            question that waits.
        annotator : str, default=""
            Who answered.
        cost : float, default=0.0
            What it cost, in a unit of yours.

        Raises
        ------
        ValueError
            If the id was never asked, the label is none of the classes that campaigns named, or of another
            kind or shape, or a failure is told where nobody waits. Then nothing is recorded.
        LedgerError
            If there is no ledger, or it cannot be written.
        """
        check_text("annotator", annotator)
        id_json, cost = to_json(id_, "id"), check_cost(cost)
        store = self._open()
        with store.writing() as book:
            item = self._item(book, id_json, id_)
            answer = check_told(label, target_for(store, item.number), id_)
            requests: list[int | None] = [request.number for request in book.waiting(item.number)]
            if not isinstance(answer, Failed):
                requests = requests[-1:] or [None]
            elif not requests:
                raise ValueError(
                    f"Nobody waits for an answer to id {id_!r}, so a failure says nothing. To take a label "
                    "back, answer None: an abstention."
                )
            # A failure is one of each question that waits; what it cost stands in the first.
            costs = [cost] + [0.0] * (len(requests) - 1)
            store.add(
                "answers",
                [
                    to_line(item.number, request, answer, store.target, cost=cost, annotator=annotator)
                    for request, cost in zip(requests, costs, strict=True)
                ],
            )

    def _item(self, book: Book, id_json: str, id_: Hashable) -> Item:
        item = book.item(id_json)
        if item is None:
            some = [from_json(other.id) for other in book.items[:3]]
            raise ValueError(
                f"The id {id_!r} ({type(id_).__name__}) was never asked in the ledger {self.path}; it holds "
                f"{len(book.items)} ids such as {some}. Take ids, with their type, from to_frame()."
            )
        return item

    # -- tables -----------------------------------------------------------------------------------

    def to_frame(self) -> pd.DataFrame:
        """Return the questions as a table.

        Returns
        -------
        frame : DataFrame
            A row for each question of each campaign, in the order asked, with the answer that counts, and
            then a row for each answered item that no campaign here has asked. Columns: `id`, `kind` (pool
            or generated), `content` (hash of the row), `state` (pending, labeled, abstained, failed),
            `label`, `reason`, `cost`, `charged`, `annotator`, `answered_at`; `n_annotators`, who gave a
            label or an abstention, and `disagree`, whether their last ones differ (what counts is the
            latest, whoever gave it; `history` has all); `campaign`, `seed`, `round`,
            `strategy`, `score`, `control`, `asked_at`, `version`; and for generated points `code` and
            `row`. Times are UTC.
        """
        return frames.questions(self._open())

    def history(self) -> pd.DataFrame:
        """Return every answer, corrected ones too, in the order in which they came.

        Returns
        -------
        frame : DataFrame
            Columns `id`, `state`, `label`, `reason`, `cost`, `charged`, `annotator`, `answered_at`.
        """
        return frames.answers(self._open())

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write `to_frame` to a CSV file, with a column for the types of ids and labels.

        Codes and rows of generated points are left out. Text that a spreadsheet program takes for a formula
        (it starts with ``= + - @``), that has blanks at its ends, is empty or means "missing" to pandas gets
        an apostrophe ahead of it, which `read_csv` takes away. Several values or classes are a list in JSON,
        ``["car", "dog"]``. A mask or a field is a file of NumPy's in the folder ``<stem>-labels`` beside the
        CSV file, and its relative path is in the cell.

        Parameters
        ----------
        path : str or path
        """
        check_path("path", path)
        csv_file.write(path, self.to_frame())

    def read_csv(self, path: str | os.PathLike, *, annotator: str = "") -> int:
        """Record the answers of a CSV file: all of them, or none if one cannot be.

        Parameters
        ----------
        path : str or path
            A table in UTF-8 or UTF-16 with the columns `id` and `label`, as `to_csv` or a spreadsheet
            program writes it: separated by commas, semicolons or tabs, in any order, the header in any case.
            A label is an answer or a correction, whatever the state beside it; an empty cell is none, and
            the class ``''`` is written as an apostrophe. A label is one of the classes where the ledger
            knows them, as they are written: "007", "NA" and "1e5" are read as such. Where it knows none,
            `label_type` (int, float, bool or str) says what a label is; without it, the type is that of the
            other labels, or else numbers where all labels are written as Python writes numbers, and text.
            Several values are a list, ``[1.0, 2.5]`` or ``1.0; 2.5``; several classes ``["car", "dog"]``,
            ``car; dog``, or a 0 or 1 for each class, and ``[]`` is none of them. A mask or a field is the
            path of a file of ``numpy.save``, relative to the folder of the table.
            Further columns that are read: `state` (``abstained`` is an answer without a label; ``failed``
            counts where a question waits), `reason`, `annotator`, `cost`, `charged`, `id_type`,
            `answered_at` (a line that says what was recorded then says nothing new), and `content`, which
            proves an id that a program has changed, and with `kind` one that was never asked here.
        annotator : str, default=""
            Who answered, where the file does not say.

        Returns
        -------
        n_recorded : int
            Answers that were new. Those that are known already are passed over; of other lines that are, a
            warning names the ids and the reason.

        Raises
        ------
        ValueError
            With the line of the file that cannot be read, or the column that is missing or there twice; of
            an array that is not there or is no label, also with its path.
        """
        check_path("path", path)
        check_text("annotator", annotator)
        store = self._open()
        entries = csv_file.read(path)
        with store.writing() as book:
            answers = CsvAnswers(entries, store, book, annotator, Path(path).parent)
            n_recorded = answers.record()
            for why, ids in answers.notes.items():
                more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
                warnings.warn(f"{path}: the ids {ids[:10]}{more} {why}.", UserWarning, stacklevel=2)
        return n_recorded

    # -- the file ---------------------------------------------------------------------------------

    def _open(self) -> Store:
        if self._store is None or not self._store.usable:
            self._store = Store(self.path)
        else:
            self._store.refresh()
        return self._store

    def close(self) -> None:
        """Close the file; it opens again when it is needed."""
        if self._store is not None and self._store.usable:
            self._store.close()
        self._store = None

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file."""
        self.close()

    def __repr__(self) -> str:
        """Show the path and how many questions it holds."""
        return f"Ledger({str(self.path)!r}, {self._summary()})"

    def _summary(self) -> str:
        was_open = self._store is not None and self._store.usable
        try:
            book = self._open().book
            n_pending = sum(book.answer_to(request) is None for request in book.requests)
            return f"{len(book.requests)} questions, {n_pending} pending"
        except LedgerError:
            return "no ledger to read" if self.path.exists() else "no file yet"
        finally:
            if not was_open:
                self.close()

    def __sklearn_clone__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the path, not the open file."""
        return {**vars(self), "_store": None}


def make_ledger(ledger: Any) -> Ledger | None:
    """Turn a path into a ledger; a ledger and None stay as they are.

    Parameters
    ----------
    ledger : Ledger, str, path or None

    Returns
    -------
    ledger : Ledger or None

    Raises
    ------
    TypeError
        If it is something else.
    """
    if ledger is None or isinstance(ledger, Ledger):
        return ledger
    check_path("ledger", ledger, also="a Ledger or None")
    return Ledger(ledger)
