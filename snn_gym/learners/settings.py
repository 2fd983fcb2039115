"""Typed hyper-parameters of the gradient-free and local learners, readable without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, get_args

from snn_gym._base.config import Config, Count, NonNegative, Positive, PositiveShare, Range, Share
from snn_gym.envs.synapses.plasticity import PRESETS, check_rule

# ---- settings ------------------------------------------------------------------------------------
PRESET_NAMES = tuple(PRESETS)
# Each copy takes time and memory at once, and a file may ask for any number of them.
Copies = Annotated[int, Range(at_least=1, at_most=8_192)]
Limits = tuple[tuple[float, ...], tuple[float, ...]]
"""Lower and upper limits of the observed values, in the environment's units."""


@dataclass(frozen=True)
class LearnerSettings(Config):
    """Hyper-parameters that every gradient-free learner has."""

    budget_class: ClassVar[str] = "evolutionary"
    n_envs: Copies = 1
    """Copies of the environment that are stepped together where no batched task serves."""
    probe_episodes: Count = 1
    """Episodes by which a network is judged."""
    observation_limits: Limits | None = None
    """Limits (low, high) that become -1 and 1; None for those of the task."""

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration, by which training may exceed its budget."""
        return self.probe_episodes


@dataclass(frozen=True)
class ComparingSettings(LearnerSettings):
    """Hyper-parameters of learners that compare a candidate with the weights they hold."""

    gone: ClassVar[Mapping[str, Any]] = {"early_rejection": False}
    comparison: Literal["until_accepted", "kept_score"] = "until_accepted"
    """Episodes of a comparison; see ``ComparingLearner``."""

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration: of the candidate and of the weights held."""
        return 2 * self.probe_episodes


@dataclass(frozen=True)
class AcceptRejectSettings(ComparingSettings):
    """Hyper-parameters of ``AcceptReject``."""

    gone: ClassVar[Mapping[str, Any]] = {**ComparingSettings.gone, "step_shape": "normal"}
    step_size: Positive = 1.0
    """Standard deviation of a weight's step."""
    moved_share: PositiveShare = 1.0
    """Probability that a candidate moves each weight; it moves at least one."""


@dataclass(frozen=True)
class RandomSearchSettings(LearnerSettings):
    """Hyper-parameters of ``RandomSearch``."""

    gone: ClassVar[Mapping[str, Any]] = {"head_scale": 1.0}
    candidates: Count = 16
    """Fresh networks of an iteration."""

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one iteration: of the candidates and of the weights held."""
        return (self.candidates + 1) * self.probe_episodes


@dataclass(frozen=True)
class WinStaySettings(ComparingSettings):
    """Hyper-parameters of ``WinStay``."""

    gone: ClassVar[Mapping[str, Any]] = {**ComparingSettings.gone, "lose": "redraw"}
    step_size: Positive = 0.5
    """Length of a move."""
    moved_share: PositiveShare = 0.5
    """Probability that the drawn move of a synapse is not 0."""


@dataclass(frozen=True)
class EvolutionStrategiesSettings(LearnerSettings):
    """Hyper-parameters of ``EvolutionStrategies``."""

    learning_rate: Positive = 0.1
    """Step size of Adam."""
    pairs: Count = 16
    """Antithetic pairs of networks for each update."""
    noise_std: Positive = 0.3
    """Standard deviation of the noise on the weights."""
    weight_decay: NonNegative = 0.0
    """Coefficient of the weights that are subtracted from each gradient."""

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one update."""
        return 2 * self.pairs * self.probe_episodes


@dataclass(frozen=True)
class CMAESSettings(LearnerSettings):
    """Hyper-parameters of ``CMAES``; only variances are adapted above 200 synapses."""

    gone: ClassVar[Mapping[str, Any]] = {"separable": None}
    initial_std: Positive = 0.5
    """Standard deviation of the first generation's weights around the start."""
    population_size: Annotated[int, Range(at_least=2)] = 18
    """Networks of a generation; Hansen's ``4 + 3 ln W`` for about 114 weights."""

    @property
    def episodes_per_iteration(self) -> int:
        """Episodes of one generation."""
        return self.population_size * self.probe_episodes


def _check_preset(name: str, where: str) -> None:
    if name not in PRESET_NAMES:
        raise ValueError(f"{where} {name!r} is unknown; allowed: {', '.join(PRESET_NAMES)}")


@dataclass(frozen=True)
class SynapseAgentsSettings(LearnerSettings):
    """Hyper-parameters of ``SynapseAgents``."""

    budget_class: ClassVar[str] = "local"
    gone: ClassVar[Mapping[str, Any]] = {
        "frozen": False,
        "learner": "shared_table",
        "moves_kept": "improving",
        "restlessness": 0.0,
        "restless_step_size": 0.5,
    }
    preset: Annotated[str, _check_preset] = "weight+topology"
    """Features that synapses observe, a key of ``snn_gym.envs.synapses.plasticity.PRESETS``."""
    reward: Literal["global", "local"] = "global"
    """Reward of a synapse: ``global``, or ``local``, the mean of the global reward and the
    move times the synapse's eligibility (from the advantages within the episodes)."""
    learning_rate: Positive = 0.1
    """Rate of the table."""
    gamma: Annotated[float, Range(at_least=0, below=1)] = 0.8
    """Discount of the synapses' future rewards."""
    exploration: Share = 0.2
    """Probability that a synapse moves at random."""
    step_size: Positive = 0.6
    """Length of a move."""
    weight_limit: Positive = 4.0
    """Bound of the weights."""
    probe_renewal: Literal["always", "improved", "never"] = "improved"
    """When new episodes are drawn: ``always`` (each iteration), ``improved`` (after an improvement
    that is kept), or ``never``."""
    history: Count = 2
    """Number of past moves and rewards that synapses observe."""
    shuffled: bool = False
    """Whether local dynamics, a rule's eligibility among them, are permuted across synapses, by one
    fixed permutation."""
    plasticity_rule: Annotated[str, check_rule] | None = None
    """Rule of plasticity whose eligibility synapses see beside the preset: ``three_factor``,
    ``r_stdp``, or a name given to ``register_rule``; None for none."""

    @property
    def features(self) -> tuple[str, ...]:
        """Blocks of features that synapses observe: the preset's, and any rule's eligibility."""
        seen = PRESETS[self.preset]
        return seen if self.plasticity_rule is None else (*seen, "eligibility")

    @property
    def episodes_per_iteration(self) -> int:
        """Most episodes of one iteration: of the weights before and after."""
        return 2 * self.probe_episodes


@dataclass(frozen=True)
class LocalRegulation(Config):
    """Terms beside a rule that keep hidden neurons responsive and their spikes few.

    ``snn_gym.learners.local.regulator`` defines the terms; a step or strength of 0 turns one off. A
    decision is one environment step of all environments together.
    """

    min_rate_hz: NonNegative = 50.0
    """Least firing rate that is left alone."""
    max_rate_hz: NonNegative = 500.0
    """Largest firing rate that is left alone; equal to ``min_rate_hz`` for a target rate."""
    rate_decisions: Count = 500
    """Decisions over which the running mean of a neuron's firing rate, its slow trace, goes."""
    homeostasis_step: NonNegative = 0.0
    """Rise of the bias at a decision for each Hz below the range, fall above it, in rheobases."""
    scaling_step: NonNegative = 0.0
    """Growth of a neuron's incoming weights and bias at a decision for each Hz below the range, as
    a share of them."""
    revival_step: NonNegative = 0.0
    """Rise of the bias after ``silent_decisions``, in rheobases."""
    silent_rate_hz: NonNegative = 10.0
    """Firing rate below which a neuron counts as silent."""
    silent_decisions: Count = 1000
    """Silent decisions in a row after which the bias rises, and after as many again once more."""
    lean_strength: NonNegative = 0.0
    """Weight of the cost of spikes beside the return, for each synapse that leaves a neuron."""
    episodes: Count = 20
    """Episodes in the mean return that decides whether spikes may be shed."""
    patience: Count = 20
    """Episodes without a better mean return after which spikes may be shed."""
    tolerance: Share = 0.02
    """Difference of mean returns that counts, in units of what was gained since the worst."""
    shuffle_seed: Annotated[int, Range(at_least=0, below=2**63)] | None = None
    """Seed of a permutation that gives each neuron the signals of another neuron of its layer, as
    a control; None for its own signals."""

    def _check(self) -> None:
        if self.min_rate_hz > self.max_rate_hz:
            raise ValueError(
                f"min_rate_hz must be at most max_rate_hz, got {self.min_rate_hz} and "
                f"{self.max_rate_hz}"
            )
        if not (
            self.homeostasis_step or self.scaling_step or self.revival_step or self.lean_strength
        ):
            raise ValueError(
                "regulation does nothing: give homeostasis_step, scaling_step, revival_step or "
                "lean_strength above 0, or leave regulation out"
            )


@dataclass(frozen=True)
class LocalRuleSettings(Config):
    """Hyper-parameters of ``LocalActorCritic``'s rule."""

    gamma: Share = 0.99
    """Discount of a reward one environment step later."""
    trace_decay: Share = 0.9
    """Lambda: decay of a trace in one environment step, beside the discount."""
    hidden_rate: NonNegative = 0.5
    """Step size of hidden synapses, as a share of the readouts' ``learning_rate``."""
    feedback: Literal["random", "symmetric", "broadcast", "none"] = "random"
    """Path of the error to hidden synapses: fixed ``random`` weights; ``symmetric``, the readouts'
    weights; ``broadcast``, the TD error alone; ``none``, no learning."""
    rule: Annotated[str, check_rule] = "three_factor"
    """Rule of plasticity of hidden synapses: ``three_factor``, ``r_stdp``, or a name given to
    ``register_rule``."""
    regulation: LocalRegulation | None = None
    """Terms that keep hidden neurons responsive and lean; None for no terms."""
    optimiser: Literal["adam", "sgd"] = "adam"
    """``adam`` (with its usual constants) or ``sgd``."""
    reward_scale: Positive = 0.01
    """Factor of rewards, so that values are of the order of 1."""
    observation_limits: Limits | None = None
    """Limits (low, high) that become -1 and 1; None for those of the task."""


# ---- sequence settings ---------------------------------------------------------------------------
CreditName = Literal["bptt", "eprop"]


def check_credit(credit: str) -> None:
    """Raise ValueError if a name is unknown."""
    if credit not in get_args(CreditName):
        allowed = ", ".join(map(repr, get_args(CreditName)))
        raise ValueError(f"credit must be one of {allowed}, got {credit!r}")


def check_sequences(sequence_length: int, burn_in_steps: int) -> None:
    """Raise ValueError if a length is out of range or a sequence is shorter than its burn-in."""
    if sequence_length < 1 or burn_in_steps < 0:
        raise ValueError(
            "sequence_length must be at least 1 and burn_in_steps at least 0, got "
            f"{sequence_length} and {burn_in_steps}"
        )
    if burn_in_steps > sequence_length:
        raise ValueError(
            f"a sequence must not be shorter than its burn-in, got sequence_length="
            f"{sequence_length} and burn_in_steps={burn_in_steps}; lengthen the one or shorten the "
            "other"
        )
