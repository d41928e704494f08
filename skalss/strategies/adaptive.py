"""The refined adaptive strategy: rows that stand for many hard ones, at a fixed price."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..latent import MANY_HUBS
from ..utils.checks import check_between, check_choice, check_number, check_positive_int, check_share
from ..utils.tensors import as_numpy
from .base import BaseStrategy, Candidates
from .diversity import draw
from .herding import herd
from .snapshot import Snapshot

SPACES = ("auto", "codes", "features")
_LEAST = 0.5  # doubt of a row that is asked, as a share of the usual doubt of the candidates
_PER_ROW = 4  # candidates for each row wanted: fewer leave little to choose
_MOST = 10_000  # candidates for that reason; their distances take 400 MB


class AdaptiveStrategy(BaseStrategy):
    """Asks for rows that stand for as many others as possible that the network is unsure of.

    Every row counts by how unsure the network is of it: 1 less the gap of the two highest probabilities, to a
    power; with several labels a row the mean gap of yes and no, with masks that of the pixels. A label covers
    the rows around it in the latent space. One after the other, the row is chosen that adds most to what is
    covered. With few labels each reaches far, and the rows asked are those in the middle of many. With more
    labels each reaches less far, and doubt decides more and more. No two of the rows asked are near copies.

    Codes that have hubs, as features of pretrained encoders do, are compared by direction where that has
    fewer; see `find_geometry`. Where codes without hubs do not keep the classes apart, rows are covered in
    the network's features instead.

    A round looks at `n_candidates` rows with the network, or, up to 10,000, at four times as many as are
    wanted, and there at up to 2,000 labelled ones, too, however large the pool.

    Parameters
    ----------
    n_candidates : int, default=4000
        Unlabelled rows drawn at random to choose from.
    power : float, default=2.0
        0 counts all rows alike, whether hard or not (MaxHerding); the larger, the more hard rows count.
    min_structure : float, default=0.05
        Least `PseudoLabels.structure` of the codes at which rows are covered there; 0: they always are, as
        they are for a network without a last linear layer.
    rare_share : float, default=0.0
        Share, in [0, 1], of the rows asked that the network takes for rare classes, as far as there are such
        candidates: for those that have fewer labels so far than the average class. They are chosen among
        themselves as all others are. 0: classes are not looked at.
    temperature : float, default=4.0
        What logits are divided by: a network trained to the end on few labels is sure of too much.
    space : {"auto", "codes", "features"}, default="auto"
        Where rows are covered: in the latent space, or in the network's features, where it has some.
        ``"auto"``: in the codes, unless they do not keep the classes apart.
    closeness : float, default=0.3
        How far a label reaches: this quantile of the distances of labelled rows to their nearest.

    References
    ----------
    - Bae, Oliveira and Sutherland, "Uncertainty Herding: One Active Learning Method for All Label Budgets",
      arXiv:2412.20644; there doubt is not squared, the quantile is the least distance, and the temperature is
      fitted to held-out labels.
    - Batches balanced by the predicted classes: Bengar et al., "Class-balanced active learning for image
      classification", WACV 2022, arXiv:2110.04543; Aggarwal et al., "Minority class oriented active learning
      for imbalanced datasets", arXiv:2202.00390.

    Examples
    --------
    >>> from skalss.strategies import AdaptiveStrategy
    >>> AdaptiveStrategy(n_candidates=8000)
    AdaptiveStrategy(n_candidates=8000)
    """

    tasks = frozenset({"classification", "multilabel", "segmentation"})
    needs = frozenset({"labels", "logits"})

    def __init__(
        self,
        n_candidates: int = 4000,
        power: float = 2.0,
        min_structure: float = 0.05,
        rare_share: float = 0.0,
        temperature: float = 4.0,
        space: str = "auto",
        closeness: float = 0.3,
    ):
        self.n_candidates = n_candidates
        self.power = power
        self.min_structure = min_structure
        self.rare_share = rare_share
        self.temperature = temperature
        self.space = space
        self.closeness = closeness

    def check(self) -> None:
        """Refuse a wrong parameter before anything is trained."""
        check_positive_int("n_candidates", self.n_candidates)
        check_between("power", self.power, 0, 20)  # beyond that all weights would vanish
        check_share("min_structure", self.min_structure)
        check_share("rare_share", self.rare_share)
        check_number("temperature", self.temperature)
        check_share("closeness", self.closeness)
        check_choice("space", self.space, SPACES)

    def uses_codes(self, abilities: frozenset[str]) -> bool:
        """Whether codes are compared."""
        return self.space != "features" or "features" not in abilities

    def query(self, snapshot: Snapshot, n: int) -> Candidates:
        """Choose up to `n` rows that cover hard ones.

        Parameters
        ----------
        snapshot : Snapshot
        n : int

        Returns
        -------
        candidates : Candidates
            Its `scores` are gaps of the two highest probabilities, small for hard rows.
        """
        some = draw(snapshot, max(self.n_candidates, n, min(_PER_ROW * n, _MOST)))
        n = min(n, len(some))
        network, target = snapshot.network, snapshot.target

        def look(logits: Tensor) -> tuple[np.ndarray, ...]:
            beliefs, calm = target.chances(logits), target.chances(logits / float(self.temperature))
            both = (as_numpy(target.doubt(P), dtype=torch.float64) for P in (beliefs, calm))
            return (*both, target.present(beliefs))

        features, torn, doubt, present = network.with_features(some, look)
        gaps = -torn
        # Above 0: where the network is sure of all rows, they count alike.
        weight = (1 + doubt).clip(1e-6) ** float(self.power)
        if features is not None and self._covers_features(snapshot):
            labeled, points = network.labeled_features(), features
        else:
            labeled, points = snapshot.latent.compared_labeled(), snapshot.latent.compared(some)

        def choose(among: np.ndarray, m: int, taken: np.ndarray) -> np.ndarray:
            known = np.concatenate([labeled, points[taken]])
            rng, device = snapshot.random_state, snapshot.device
            chosen = herd(
                points[among],
                weight[among],
                known,
                m,
                rng,
                closeness=float(self.closeness),
                least=_LEAST,
                device=device,
            )
            return among[chosen]

        every, none = np.arange(len(some)), np.empty(0, dtype=np.intp)
        chosen = choose(every, n, none)
        if self.rare_share:
            rare = _are_rare(snapshot, present)
            n_rare = min(round(self.rare_share * n), int(rare.sum()))
            if rare[chosen].sum() < n_rare:
                first = choose(np.flatnonzero(rare), n_rare, none)
                rest = choose(np.setdiff1d(every, first), n - n_rare, first)
                chosen = np.concatenate([first, rest])
        return Candidates(rows=some[chosen], scores=gaps[chosen])

    def _covers_features(self, snapshot: Snapshot) -> bool:
        """Whether rows are covered in the network's features: as set, or where codes say little."""
        return self.space == "features" or (self.space == "auto" and self._codes_say_little(snapshot))

    def _codes_say_little(self, snapshot: Snapshot) -> bool:
        """Whether the codes do not keep the classes apart; with hubs, the graph that would tell does not."""
        if not self.min_structure or snapshot.latent.hubness() > MANY_HUBS:
            return False
        if not snapshot.target.can_spread:  # there is no structure of labels that are no classes of rows
            return False
        return snapshot.structure() < self.min_structure


def _are_rare(snapshot: Snapshot, present: np.ndarray) -> np.ndarray:
    """Tell which rows are taken to have a class with fewer labels than the average class has."""
    counts = snapshot.target.present_in(snapshot.y_labeled).sum(axis=0)
    return np.asarray(present[:, counts < counts.mean()].any(axis=1))
