"""All faulty nodes by name: what `--actor` takes, and what a seed draws from."""

from hansa.sim.behaviour import Behaviour, RolledBack
from hansa.sim.lying_links import (
    BodySwapper,
    EarlyEraser,
    FalseEraser,
    Flooder,
    Forger,
    FutureTalker,
    Garbler,
    KeyJuggler,
    Replayer,
    SelfCertifier,
    StatusLiar,
    Withholder,
    WrongRefuser,
)
from hansa.sim.lying_proposals import (
    Censor,
    CertificateHider,
    CopySpoiler,
    EmptyPayload,
    Equivocator,
    FakeCertificate,
    InvalidBatch,
    Oversizer,
    Repeater,
    StaleProof,
    TimeTraveller,
    Usurper,
    WrongParent,
    WrongRoot,
)
from hansa.sim.lying_votes import (
    BothVoter,
    DoubleVoter,
    EpochLaggard,
    EpochShifter,
    FalseAccuser,
    FarRounds,
    FewListeners,
    JustInTime,
    MalformedVoter,
    SignerForger,
    Silent,
    UnseenVoter,
    VoteMultiplier,
    WrongReviewer,
    WrongState,
    YesSayer,
)

_ALL: tuple[type[Behaviour], ...] = (
    BodySwapper,
    BothVoter,
    Censor,
    CertificateHider,
    CopySpoiler,
    DoubleVoter,
    EarlyEraser,
    EmptyPayload,
    EpochLaggard,
    EpochShifter,
    Equivocator,
    FakeCertificate,
    FalseAccuser,
    FalseEraser,
    FarRounds,
    FewListeners,
    Flooder,
    Forger,
    FutureTalker,
    Garbler,
    InvalidBatch,
    JustInTime,
    KeyJuggler,
    MalformedVoter,
    Oversizer,
    Repeater,
    Replayer,
    RolledBack,
    SelfCertifier,
    SignerForger,
    Silent,
    StaleProof,
    StatusLiar,
    TimeTraveller,
    UnseenVoter,
    Usurper,
    VoteMultiplier,
    Withholder,
    WrongParent,
    WrongRefuser,
    WrongReviewer,
    WrongRoot,
    WrongState,
    YesSayer,
)


def _name(kind: type[Behaviour]) -> str:
    """Return a class's name as a word of the command line: DoubleVoter is double-voter."""
    return "".join(
        "-" + letter.lower() if letter.isupper() else letter for letter in kind.__name__
    )[1:]


ACTORS: dict[str, type[Behaviour]] = {_name(kind): kind for kind in _ALL}
"""Every kind of faulty node, sorted by name."""
