"""Bayesian optimisation with a Gaussian process: the best value in the fewest trials.

One model over the whole space, conditional branches included. Each suggestion maximises the expected
improvement of the model over the best value so far; see `tunesmith.numeric` for the mathematics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tunesmith.core.errors import StrategyError
from tunesmith.core.history import History
from tunesmith.core.rng import stream
from tunesmith.core.space.space import Space
from tunesmith.core.strategy import Outlook, Suggestion
from tunesmith.numeric import ranks
from tunesmith.numeric.threads import one_thread
from tunesmith.search.bayes.acquire import MANY, THOROUGH, Maximiser
from tunesmith.search.bayes.domain import Domain
from tunesmith.search.bayes.expected_gain import expected_gain, room
from tunesmith.search.bayes.failing import Failing, Risky
from tunesmith.search.bayes.joint import Joint
from tunesmith.search.bayes.priced import Price, Priced
from tunesmith.search.bayes.region import Region, is_its_turn, is_late
from tunesmith.search.bayes.surrogate import LEAST, Model, needed, predicted_by
from tunesmith.search.bayes.transfer import UNTIL
from tunesmith.strategy.evidence import Evidence, Proposals

Floats = NDArray[np.float64]
Judge: TypeAlias = Callable[[Model | Joint], Model | Joint | Priced | Risky]

#: In spaces of choices and numbers, one suggestion in so many tries another choice than the best trial's; half as many
#: late in a study of one objective, when the trust region has more.
LEAVE_EVERY: Final = 4
#: In spaces of choices alone, one in so many stays within two choices of the best trial's instead.
BESIDE_EVERY: Final = 2
#: Results of a version before which nobody says what earlier ones tell of it.
KNOWN: Final = 5
#: By how much the model's uncertainty is scaled. The likeliest hyperparameters are surer than all that
#: are likely together, and with 1 the search stays around the first good optimum.
CURIOSITY: Final = {"low": 0.7, "balanced": 1.4, "high": 2.0}


def check_exploration(owner: str, exploration: object) -> None:
    """Raise StrategyError unless `exploration` is one of `CURIOSITY`'s words."""
    if exploration not in CURIOSITY:
        raise StrategyError(
            f"{owner}: exploration is {', '.join(map(repr, CURIOSITY))}, not {exploration!r}"
        )


@dataclass(frozen=True, slots=True)
class Bayes:
    """Expected improvement under a Gaussian process.

    `exploration` scales the model's uncertainty: "low" stays near what is known to be good, "high"
    goes where little is known. Some 10 to 20 ms per suggestion, however many trials there are; in a batch of more than 16 some
    1 ms for each after the first few.
    """

    valid: ClassVar[bool] = True
    objectives: ClassVar[str] = "all"

    exploration: Literal["low", "balanced", "high"] = "balanced"

    def __post_init__(self) -> None:
        check_exploration("bayes", self.exploration)

    def suggest(self, space: Space, history: History, n: int, rng: Generator) -> list[Suggestion]:
        """The initial design, then what the model expects most of; a batch costs one fit, and a large one O(n m) for each of
        its later points, n being the results that the model sees and m the candidates (see `Maximiser.further`)."""
        domain = _domain(space, history)
        proposals = Proposals(domain.points, history)
        evidence = Evidence.ranked(history)
        size = _design_size(domain, history)
        own = history.own
        if own < size or evidence.results < LEAST:
            until = size if evidence.results >= LEAST else own + n
            for point, study in domain.transfer.tried[own : own + n]:
                if proposals.fresh(point):
                    proposals.add(point, f"warm start: one of the best of {study}")
            proposals.open(domain.design(size), until, n)
        if len(proposals) < n and evidence.results >= LEAST and domain.d:
            with one_thread(), np.errstate(all="ignore"):
                self._add_modelled(domain, history, evidence, proposals, n, rng)
        if domain.everything is None or history.duplicates:
            proposals.fill(n, rng)
        elif evidence.results < LEAST:
            for point in rng.permutation(domain.everything):
                if len(proposals) < n and proposals.fresh(point):
                    proposals.add(point, "random: there is no model yet")
        return proposals.made

    def _add_modelled(
        self,
        domain: Domain,
        history: History,
        evidence: Evidence,
        proposals: Proposals,
        n: int,
        rng: Generator,
    ) -> None:
        model, judged = self._model(domain, history, evidence, rng)
        proposals.repeats = history.duplicates and model.noisy
        for point in proposals.taken:
            model.believe(point[None])
        maximiser, begun = Maximiser(domain, judged(model), proposals, rng), len(proposals)
        inside: Maximiser | None = None
        single = isinstance(model, Model)
        every = LEAVE_EVERY * (2 if single and is_late(domain, evidence.results) else 1)
        # where there are choices alone, pools were worse: no climb goes astray there, and neighbours are all there is
        pooled = n > MANY and (domain.everything is not None or not domain.choices_alone)
        while len(proposals) < n:
            number = len(history) + len(proposals)
            in_batch = pooled and len(proposals) - begun >= THOROUGH
            proposal, by = None, maximiser
            if isinstance(model, Model) and is_its_turn(domain, evidence.results, number):
                inside = inside or _inside(model, judged, history, evidence, proposals, rng)
                if inside is not None:
                    proposal, by = inside.inside(number, late=in_batch), inside
            if proposal is None:
                proposal = _instead(domain, maximiser, number, every, single, in_batch)
                if proposal is None:
                    proposal = maximiser.further() if in_batch else maximiser.best()
                by = maximiser
            if proposal is None:
                return
            point, why = proposal
            proposals.add(point, why + by.model.describe(point))
            for maker in (maximiser, inside):
                if maker is not None:
                    maker.believe(point)

    def _model(
        self, domain: Domain, history: History, evidence: Evidence, rng: Generator
    ) -> tuple[Model | Joint, Judge]:
        """The model of the results, and what makes one judge by cost, and by how likely a trial fails, too."""
        curiosity = CURIOSITY[self.exploration]
        model: Model | Joint
        failing = Failing.of(domain, history)
        if len(history.objectives) > 1 or history.constraints:
            modelled = None if failing is None else failing.modelled
            model = Joint(domain, history, evidence.pending, rng, curiosity, modelled)
        else:
            rest = evidence if failing is None else failing.rest(evidence)
            model = Model.of(domain, history, rest, curiosity)
        price = Price.of(domain, history)

        def judged(model: Model | Joint) -> Model | Joint | Priced | Risky:
            priced = model if price is None else Priced(model, price)
            return priced if failing is None else Risky(priced, failing)

        return model, judged


def _instead(
    domain: Domain, maximiser: Maximiser, number: int, every: int, single: bool, in_batch: bool
) -> tuple[Floats, str] | None:
    """What is proposed instead of the best point, where it is the turn of that: another choice, to be tuned for; where
    there is nothing to tune, what is near to the best trial."""
    if not len(domain.unordered):
        return None
    if not domain.choices_alone:
        return maximiser.leave(late=in_batch) if number % every == 0 else None
    near = single and domain.everything is None and number % BESIDE_EVERY == 1
    return maximiser.beside() if near else None


def _inside(
    model: Model,
    judged: Judge,
    history: History,
    evidence: Evidence,
    proposals: Proposals,
    rng: Generator,
) -> Maximiser | None:
    """For the trust region, whose model believes what is running or about to."""
    domain = model.domain
    region = Region.of(domain, model, history, evidence)
    if region is None:
        return None
    running = np.array([*history.points[evidence.pending], *proposals.taken])
    region.model.believe(region.model.tempting(running.reshape(-1, domain.d)))
    return Maximiser(domain, judged(region.model), proposals, rng, region)


def model_of(history: History, evidence: Evidence) -> Model | None:
    """A model of what has ended; None for fewer results than `needed`, several objectives, or constraints."""
    domain = _domain(history.space, history)
    if evidence.results < needed(domain.d) or not domain.d:
        return None
    if len(history.objectives) > 1 or history.constraints:
        return None
    with one_thread(), np.errstate(all="ignore"):
        return Model.likeliest(domain, history, evidence)


def likeness(history: History) -> dict[int, tuple[float, float]]:
    """By version that is set aside, what its results tell of the current one's: their correlation as the model has
    learned it (1: they go up and down together), and the rank correlation of the new results with what a model of the
    old ones alone predicts for them. Empty where there is too little to go by, or so much that the model does without."""
    evidence, domain = Evidence.of(history), _domain(history.space, history)
    earlier = history.earlier_versions()
    single = len(history.objectives) == 1 and not history.constraints
    if not single or not earlier or not KNOWN <= evidence.results <= UNTIL or not domain.d:
        return {}
    known = np.isfinite(evidence.losses)
    points, losses = history.points[evidence.rows[known]], evidence.losses[known]
    out: dict[int, tuple[float, float]] = {}
    with one_thread(), np.errstate(all="ignore"):
        model = Model.likeliest(domain, history, evidence)
        for study, version in enumerate(earlier, 1 + len(history.past)):
            predicted = predicted_by(domain, study, points)
            agreement = ranks.correlation(predicted, losses)
            out[int(version.study.split()[-1])] = (model.likeness(study), agreement)
    return out


def look_ahead(history: History, n: int) -> Outlook | None:
    """What `n` more trials would gain, by `model_of`; None where there is none."""
    evidence = Evidence.of(history)
    model = model_of(history, evidence)
    if model is None:
        return None
    with one_thread(), np.errstate(all="ignore"):
        rng = stream(history.seed, evidence.results, "outlook")
        return expected_gain(model.domain, model, n, rng, room(history))


def _domain(space: Space, history: History) -> Domain:
    aged = history.visible_aged
    return history.memo(
        ("bayes", aged),
        lambda: Domain(
            space, history.seed, history.past, history.earlier_versions(), len(history.objectives)
        ),
    )


def _design_size(domain: Domain, history: History) -> int:
    """A few more than parameters, enough for each of few choices, and no more than a quarter of all trials."""
    widest = max((k for k in domain.points.choices if k <= 8), default=0)
    size = min(max(6, domain.d + 2, widest + 1), 12)
    if domain.transfer:
        size = len(domain.transfer.tried) + size // 3
    trials = history.trials_expected
    return size if trials is None else min(size, max(LEAST, trials // 4))


SEARCHER = Bayes
