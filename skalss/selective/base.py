"""What a selector is: which rows of the training stream get a step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator
from skorch import NeuralNet
from skorch.dataset import unpack_data
from skorch.utils import to_device
from torch import Tensor

from ..utils.checks import check_real, check_share, show
from .rows import Rows, RowStream
from .scoring import device_of, seconds

MOST_BATCHES = 10**6  # of a pool
FORGOTTEN = 50  # plain updates after which a running average holds half a percent of what was before


@dataclass
class Selection:
    """One step's choice, for callbacks to look at: ``net.selection_``.

    Parameters
    ----------
    rows : Rows
        The pool: its batch, on the net's device, and the positions of its rows in the training set.
    picked : tensor of shape (n_batch,) or None
        Which of them are trained on; None: all.
    output : float32 tensor of shape (n_pool, ...) or None
        What the network said of them in eval mode; None: it was not asked.
    seconds : float
        Time from the step before to this one: loading, scoring, choosing.
    seconds_plain : float
        Of it, what loading a batch as it comes would have taken.
    seconds_after : float
        Time in which the selector looked at the step, after it.
    """

    rows: Rows
    picked: Tensor | None = None
    output: Any = None
    seconds: float = 0.0
    seconds_plain: float = 0.0
    seconds_after: float = 0.0

    @property
    def X(self) -> Any:
        """The inputs of the pool's rows."""
        return unpack_data(self.rows.batch)[0]

    @property
    def y(self) -> Any:
        """The targets of the pool's rows."""
        return unpack_data(self.rows.batch)[1]


class BaseSelector(BaseEstimator):
    """Base of selectors: a training iterator in, the batches that get a step out.

    A net clones its selector at the start of `fit`, so that what a selector remembers of rows belongs to one
    training set.
    """

    needs_ids = False  # whether it cannot do without the positions of rows
    needs_classes = False  # whether it cannot do without class scores
    biased = False  # whether the last updates were made on rows that are not like the data set

    def start_training(self, net: NeuralNet) -> None:
        """Get ready for the first epoch of a training."""

    def end_training(self) -> None:
        """Forget rows and layers: they would be pickled with the net."""
        for name in [name for name in vars(self) if name.startswith("_")]:
            delattr(self, name)

    def select(self, net: NeuralNet, iterator: Iterable[Any], **fit_params) -> Iterator[Any]:
        """Yield the training batches of one epoch.

        Parameters
        ----------
        net : SelectiveNetClassifier
            ``net.progress(share_of_epoch)`` returns the share of the training that is done. Set
            ``net.selection_`` before each batch.
        iterator : iterable
            The loader. Each ``iter`` of it is a pass.
        **fit_params
            What `fit` passes on to the module.

        Yields
        ------
        batch : what the loader would yield
        """
        raise NotImplementedError

    def row_weights(self, net: NeuralNet) -> Tensor | None:
        """Return the weight in the loss of each row of the batch at hand; None: all weigh the same."""
        return None

    def after_step(self, net: NeuralNet, output: Tensor | tuple[Tensor, ...]) -> None:
        """See the module's output on the batch yielded last, in training mode, after its step."""

    def check(self) -> None:
        """Refuse wrong parameters before training starts.

        Raises
        ------
        ValueError
        """


class PoolSelector(BaseSelector):
    """Base of selectors that take a pool of several batches and train on a batch of it.

    An epoch has as many updates as one pass over the data has batches, and passes over the data
    `pool_factor` times. Before the share `start` of the training and after the share `end` each batch of the
    loader is trained on.
    """

    pool_factor: float
    start: float
    end: float

    def start_training(self, net: NeuralNet) -> None:
        """Get ready for the first epoch of a training."""
        self._n_plain = FORGOTTEN

    def select(self, net: NeuralNet, iterator: Iterable[Any], **fit_params) -> Iterator[Any]:
        """Yield as many batches as one pass has, each chosen from a pool of its own."""
        stream = RowStream(iterator)
        n_done, device = 0, device_of(net)
        began = seconds(device)
        while n_done < stream.n_batches:
            in_time = self.start <= net.progress(n_done / stream.n_batches) < self.end
            selective = in_time and self.pays(n_done)
            if selective:
                rows = stream.take(float(self.pool_factor))
            elif in_time:
                rows = stream.take(1, min_tail=2)  # batch normalisation cannot train on a single row
            else:
                rows = stream.take_batch()
            if rows is None:
                continue
            n_done += 1
            self._n_plain = 0 if selective else self._n_plain + 1
            if selective:
                rows = self._choose(net, rows, stream.batch_size, fit_params)
            else:
                net.selection_ = Selection(rows)
            net.selection_.seconds = seconds(device) - began
            net.selection_.seconds_plain = stream.seconds_per_batch
            yield rows.batch
            began = seconds(device)

    def _choose(self, net: NeuralNet, pool: Rows, n: int, fit_params: dict[str, Any]) -> Rows:
        """Pick `n` rows of the pool."""
        pool.batch = to_device(pool.batch, device_of(net))
        pool.ids = None if pool.ids is None else pool.ids.to(device_of(net))
        net.selection_ = selection = Selection(pool)
        if len(pool) > n:
            selection.output = self.look(net, pool, **fit_params)
            selection.picked = self.pick(net, selection, n)
        return pool if selection.picked is None else pool.pick(selection.picked)

    @property
    def biased(self) -> bool:  # type: ignore[override]
        """Whether chosen rows still show in running averages with torch's default momentum."""
        return self._n_plain < FORGOTTEN

    def pays(self, n_done: int) -> bool:
        """Whether to select for the next update of an epoch that had `n_done`."""
        return True

    def look(self, net: NeuralNet, pool: Rows, **fit_params) -> Tensor | None:
        """Ask the network about the rows of the pool."""
        return None

    def pick(self, net: NeuralNet, selection: Selection, n: int) -> Tensor:
        """Return the positions in the pool of the `n` rows to train on."""
        raise NotImplementedError

    def check(self) -> None:
        """Refuse a pool smaller than a batch, and shares outside [0, 1].

        Raises
        ------
        ValueError
        """
        check_real("pool_factor", self.pool_factor)
        if self.pool_factor < 1:
            raise ValueError(f"pool_factor must be at least 1, got {self.pool_factor!r}.")
        if self.pool_factor > MOST_BATCHES:
            raise ValueError(f"pool_factor must be at most {MOST_BATCHES}, got {show(self.pool_factor)}.")
        check_share("start", self.start)
        check_share("end", self.end)
        if self.start > self.end:
            raise ValueError(f"start must not exceed end, got start={self.start!r} and end={self.end!r}.")
