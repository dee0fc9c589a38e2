"""An agent and a cascade as one model."""

from torch import nn

from powermuse.types import Brief, Clip, Composition, Proposal


class Muse(nn.Module):
    """Two clips in, a blend out. The agent decides what the cascade sees; truth never comes here but, in training, as
    the noise that flow matching learns to undo and as the notes that are to be painted."""

    def __init__(self, agent: nn.Module, cascade: nn.Module) -> None:
        super().__init__()
        self.agent, self.cascade = agent, cascade

    def forward(self, groove: Clip, harmony: Clip, brief: Brief | None = None) -> tuple[Proposal, Composition]:
        """The proposal of the agent and the composition of the cascade. `brief` is for a composer by flow matching."""
        proposal: Proposal = self.agent(groove, harmony)
        composition: Composition = self.cascade(proposal) if brief is None else self.cascade(proposal, brief)
        return proposal, composition
