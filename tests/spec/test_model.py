"""The model in `spec/`, small: TLC finds it sound, its broken variants not, and the simulator's runs in it."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from hansa.consensus.agreement import Agreement
from hansa.errors import MissingError
from hansa.sim import lying_proposals, traces
from hansa.sim.remembered import remembered
from hansa.sim.run import Plan, Run
from hansa.sim.traces import HeightTrace

SPEC = Path(__file__).resolve().parents[2] / "spec"
pytestmark = pytest.mark.timeout(300)


def _load() -> ModuleType:
    found = importlib.util.spec_from_file_location("hansa_spec_check", SPEC / "check.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return module


check = _load()


@pytest.fixture(autouse=True, scope="module")
def _tlc() -> None:
    """Skip where there is no Java; under CI that is a failure."""
    try:
        check.find_tlc()
    except MissingError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the model is not checked: {error}")


@pytest.mark.parametrize(
    "instance", [item for item in check.INSTANCES if item.is_small], ids=lambda item: item.name
)
def test_small_instances(instance) -> None:
    """All states of two rounds are sound; without one of its rules the protocol breaks."""
    outcome = check.check(instance)
    assert (instance.refuted or "sound") == outcome.found
    # So many states were seen, or the model was changed to say less.
    assert instance.refuted or outcome.states > 100_000


def _run(seed: int, **more: object) -> traces.Recorder:
    run = Run(seed, Plan(byzantine=1, chaos_ms=1_500), **more)
    recorder = traces.record(run.world)
    with remembered():
        run.run()
    return recorder


def _ask(chosen: list[HeightTrace], recorder: traces.Recorder) -> str:
    text = traces.write(chosen, recorder.faulty)
    return check.check_traces(text, honest=3, faulty=1, name="test").found


def _eventful(recorder: traces.Recorder) -> list[HeightTrace]:
    """Return the heights that took more than a round."""
    return [trace for trace in recorder.complete(3, 4) if trace.last_round > 0]


def test_runs_of_the_replicas_are_runs_of_the_model() -> None:
    """Heights with crashes, liars and several rounds; what was recorded must be allowed, step by step."""
    recorder = _run(11)
    chosen = _eventful(recorder)[:8]
    assert len(chosen) >= 3
    assert any(event.do == "start" for trace in chosen for event in trace.events)
    assert _ask(chosen, recorder) == "sound"


def test_a_run_that_breaks_a_rule_is_refused() -> None:
    """Without its locks, a recorded height is no run of the model: the check can fail."""
    recorder = _run(11)
    trace = next(
        trace
        for trace in _eventful(recorder)
        if sum(event.do == "decide" for event in trace.events) >= 3
    )
    trace.events = [event for event in trace.events if event.do != "lock"]
    assert _ask([trace], recorder).startswith("deadlock in trace 1 at event")


def test_replicas_with_a_planted_bug_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One vote only: the model has no confirm without a quorum of reviews."""
    review = Agreement._cast_review

    def review_and_confirm(self, named, verdicts, code):
        review(self, named, verdicts, code)
        if (self.height.round, "confirm") not in self.height.own:
            self._cast_confirm(named)

    monkeypatch.setattr(Agreement, "_cast_review", review_and_confirm)
    recorder = _run(0, behaviour=lying_proposals.Equivocator)
    chosen = [trace for trace in recorder.complete(3, 4) if trace.events][:3]
    assert chosen
    assert _ask(chosen, recorder).startswith("deadlock in trace")
