--------------------------- MODULE AgreementTrace ---------------------------
(* Are recorded runs of the shipped replicas runs of the model?

   `hansa.sim.traces` writes TraceData: for each height of a simulated world the masters of its rounds and, in the
   order in which they happened, what its honest super nodes wrote to their vote logs, appended, held in
   memory and forgot in a crash. Each event must be an action of Agreement that is enabled just then; where
   one is not, TLC reports a deadlock at that event. *)
EXTENDS Agreement, Sequences, TraceData

VARIABLES trace, at
all == <<vars, trace, at>>

TraceInit ==
  /\ trace \in 1 .. Len(Traces)
  /\ at = 1
  /\ InitFor([r \in Rounds |-> Traces[trace].masters[r + 1]])

Event == Traces[trace].events[at]

\* What a proposal carried that a crash kept from being sent makes no difference: the first thing allowed.
Again(e) ==
  IF e.again # -2 THEN e.again
  ELSE IF lockRound[e.node] = -1 THEN -1
  ELSE CHOOSE r \in Rounds : r < e.round /\ Reviewed(r, e.value)

Follows(e) ==
  CASE e.do = "propose" -> round[e.node] = e.round /\ Propose(e.node, e.value, Again(e))
    [] e.do = "review" /\ e.value # Nil ->
         round[e.node] = e.round /\ \E again \in Rounds \cup {-1} : Approve(e.node, e.value, again, e.held)
    [] e.do = "review" /\ e.value = Nil -> round[e.node] = e.round /\ Reject(e.node, e.held)
    [] e.do = "lock" -> round[e.node] = e.round /\ Lock(e.node, e.value)
    [] e.do = "reject" -> round[e.node] = e.round /\ ConfirmNil(e.node)
    [] e.do = "enter" -> Enter(e.node, e.round)
    [] e.do = "decide" -> Decide(e.node, e.value)
    [] e.do = "start" -> Crash(e.node)
    [] e.do = "copies" -> copies[e.node] = e.rounds /\ UNCHANGED vars
    [] OTHER -> FALSE \* A confirm without its body: no action of the model.

TraceNext ==
  \/ /\ at <= Len(Traces[trace].events)
     /\ Follows(Event)
     /\ at' = at + 1
     /\ UNCHANGED trace
  \/ /\ at > Len(Traces[trace].events)
     /\ UNCHANGED all
=============================================================================
