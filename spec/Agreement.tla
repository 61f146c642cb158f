------------------------------ MODULE Agreement ------------------------------
(* One height of Hansa's agreement: two votes, locks, rounds, copies and their deletion, crashes, liars.

   It follows src/hansa/consensus (agreement, rounds, recovery) and docs/spec/agreement.md; names are theirs.
   What it abstracts, always towards more behaviour, never less:
     - Messages are never lost for good and never in order: an action needs that votes were once sent, and may
       happen at any time later or not at all. So loss, delay, reordering, partitions and pauses are all there.
     - Timeouts may strike whenever their timer may run.
     - A faulty super node has sent every vote for every slot to whomever it likes; where it is master it has
       proposed every block, new or again. It cannot forge: a certificate needs the votes of honest ones too.
     - An honest master may propose again any block that a quorum reviewed, not only the latest.
     - Writing a promise and sending it is one step: a message that is sent late is one more delayed message.
   What it leaves out: signatures, contents and their execution, elections, several heights, liveness. *)
EXTENDS Integers, FiniteSets

CONSTANTS
  Honest,     \* super nodes that follow the rules
  Faulty,     \* the others; at most a third
  Values,     \* blocks that may be proposed
  LastRound,  \* rounds are 0 .. LastRound
  Masters,    \* who may be drawn as master of a round: Nodes, or less to explore only that
  Holds,      \* {TRUE}: who approves a new block has copies of it; BOOLEAN: perhaps, who rejects it too
  Variant     \* "none", or which rule is broken

Nil == "nil"
None == "none"
Rounds == 0 .. LastRound
Nodes == Honest \cup Faulty
F == (Cardinality(Nodes) - 1) \div 3
Quorum == ((2 * Cardinality(Nodes)) \div 3) + (IF Variant = "quorum-less-one" THEN 0 ELSE 1)

VARIABLES
  master,     \* [Rounds -> Masters], drawn once
  round,      \* [Honest -> Rounds]
  step,       \* [Honest -> {"propose", "review", "confirm"}]
  lockRound,  \* [Honest -> Rounds \cup {-1}]
  lockValue,  \* [Honest -> Values \cup {None}]
  decided,    \* [Honest -> Values \cup {None}]: a block on disk
  proposal,   \* [Rounds -> what an honest master proposed: <<value, round of its reviews or -1>>, or <<>>]
  reviews,    \* [Rounds -> [Honest -> set of votes sent]]: more than one only if a rule is broken
  confirms,   \* the same
  body,       \* [Honest -> SUBSET Values]: bodies in the vote log, or on the chain
  copies      \* [Honest -> SUBSET Rounds]: rounds of which copies are in memory

vars == <<master, round, step, lockRound, lockValue, decided, proposal, reviews, confirms, body, copies>>

InitFor(drawn) ==
  /\ master = drawn
  /\ round = [n \in Honest |-> 0]
  /\ step = [n \in Honest |-> "propose"]
  /\ lockRound = [n \in Honest |-> -1]
  /\ lockValue = [n \in Honest |-> None]
  /\ decided = [n \in Honest |-> None]
  /\ proposal = [r \in Rounds |-> <<>>]
  /\ reviews = [r \in Rounds |-> [n \in Honest |-> {}]]
  /\ confirms = [r \in Rounds |-> [n \in Honest |-> {}]]
  /\ body = [n \in Honest |-> {}]
  /\ copies = [n \in Honest |-> {}]

Init == \E drawn \in [Rounds -> Masters] : InitFor(drawn)

(* ---- what the votes sent so far can prove ---- *)

Voted(votes, r, v) == Cardinality({n \in Honest : v \in votes[r][n]}) + Cardinality(Faulty) >= Quorum
AnyQuorum(votes, r) == Cardinality({n \in Honest : votes[r][n] # {}}) + Cardinality(Faulty) >= Quorum

\* A certificate of reviews: what locks a block, and what lets it be proposed again.
Reviewed(r, v) == Voted(reviews, r, v)
\* A certificate of confirms: what decides.
Confirmed(r, v) == Voted(IF Variant = "one-vote" THEN reviews ELSE confirms, r, v)

\* Some f+1 super nodes, one honest one among them, have voted in round r or later.
Reached(r) ==
  \/ Cardinality(Faulty) > F
  \/ \E m \in Honest, later \in r .. LastRound : reviews[later][m] # {} \/ confirms[later][m] # {}

\* There is a proposal of round r for v, new (again = -1) or with the certificate of an earlier round.
Proposed(r, v, again) ==
  /\ \/ master[r] \in Faulty
     \/ proposal[r] = <<v, again>>
  /\ IF again = -1 THEN TRUE ELSE again < r /\ (Variant = "no-certificate" \/ Reviewed(again, v))

Running(n) == decided[n] = None

(* ---- the rules ---- *)

\* Step 3, at an honest master: a new block if it holds no lock, or a certified one again.
Propose(n, v, again) ==
  LET r == round[n] IN
  /\ Running(n) /\ step[n] = "propose" /\ master[r] = n /\ proposal[r] = <<>>
  /\ IF again = -1
     THEN lockRound[n] = -1 \/ Variant = "lock-ignored"
     ELSE again < r /\ Reviewed(again, v)
  /\ proposal' = [proposal EXCEPT ![r] = <<v, again>>]
  /\ UNCHANGED <<master, round, step, lockRound, lockValue, decided, reviews, confirms, body, copies>>

\* May n approve v? Tendermint's lines 22 and 28.
Acceptable(n, v, again) ==
  \/ lockRound[n] = -1
  \/ lockValue[n] = v
  \/ again >= 0 /\ (lockRound[n] <= again \/ Variant = "stale-certificate")
  \/ Variant = "lock-ignored"

CastReview(n, vote, held) ==
  LET r == round[n] IN
  /\ step' = [step EXCEPT ![n] = "review"]
  /\ reviews' = [reviews EXCEPT ![r][n] = @ \cup {vote}]
  /\ copies' = IF held THEN [copies EXCEPT ![n] = @ \cup {r}] ELSE copies
  /\ UNCHANGED <<master, round, lockRound, lockValue, decided, proposal, confirms, body>>

\* Step 4: approve. A new block comes with copies, one proposed again with none.
Approve(n, v, again, held) ==
  /\ Running(n) /\ step[n] = "propose"
  /\ Proposed(round[n], v, again) /\ Acceptable(n, v, again)
  /\ held => again = -1
  /\ CastReview(n, v, held)

\* Step 4: reject, for whatever reason, or because nothing came in time.
Reject(n, held) ==
  /\ Running(n) /\ step[n] = "propose"
  /\ held => \E v \in Values : Proposed(round[n], v, -1)
  /\ CastReview(n, Nil, held)

\* Step 6: a quorum approved: body and certificate to the disk, the lock, the vote; one write.
Lock(n, v) ==
  LET r == round[n] IN
  /\ Running(n) /\ step[n] = "review" /\ Reviewed(r, v)
  /\ body' = [body EXCEPT ![n] = @ \cup {v}]
  /\ lockRound' = [lockRound EXCEPT ![n] = r]
  /\ lockValue' = [lockValue EXCEPT ![n] = v]
  /\ step' = [step EXCEPT ![n] = "confirm"]
  /\ confirms' = [confirms EXCEPT ![r][n] = @ \cup {v}]
  /\ UNCHANGED <<master, round, decided, proposal, reviews, copies>>

\* Step 9, first half: a quorum rejected, or has voted and time is up.
ConfirmNil(n) ==
  LET r == round[n] IN
  /\ Running(n) /\ step[n] = "review"
  /\ AnyQuorum(reviews, r)
  /\ step' = [step EXCEPT ![n] = "confirm"]
  /\ confirms' = [confirms EXCEPT ![r][n] = @ \cup {Nil}]
  /\ UNCHANGED <<master, round, lockRound, lockValue, decided, proposal, reviews, body, copies>>

\* Step 9, second half: to a later round. Behind a certificate of nil (ERASE carries it), behind a quorum of
\* confirms and a timeout, or behind f+1 others. Copies go; the lock and the body it names stay.
Enter(n, r) ==
  /\ Running(n) /\ r > round[n]
  /\ AnyQuorum(confirms, r - 1) \/ Reached(r)
  /\ round' = [round EXCEPT ![n] = r]
  /\ step' = [step EXCEPT ![n] = "propose"]
  /\ copies' = IF Variant = "copies-kept" THEN copies ELSE [copies EXCEPT ![n] = {}]
  /\ body' = IF Variant = "body-deleted" THEN [body EXCEPT ![n] = {}] ELSE body
  /\ IF Variant = "lock-dropped"
     THEN /\ lockRound' = [lockRound EXCEPT ![n] = -1]
          /\ lockValue' = [lockValue EXCEPT ![n] = None]
     ELSE UNCHANGED <<lockRound, lockValue>>
  /\ UNCHANGED <<master, decided, proposal, reviews, confirms>>

\* Steps 7 and 8: a quorum confirmed, heard vote by vote or as a certificate, from a peer or while catching up.
\* ERASED is signed with it: what it says is NoCopyAfterRound.
Decide(n, v) ==
  /\ Running(n) /\ \E r \in Rounds : Confirmed(r, v)
  /\ decided' = [decided EXCEPT ![n] = v]
  /\ body' = [body EXCEPT ![n] = @ \cup {v}]
  /\ copies' = IF Variant = "copies-kept" THEN copies ELSE [copies EXCEPT ![n] = {}]
  /\ UNCHANGED <<master, round, step, lockRound, lockValue, proposal, reviews, confirms>>

\* An order to erase that proves nothing, from a faulty node: followed only where that rule is broken, by a node
\* that takes "delete the copy" for all it has of the block.
EraseUnproven(n) ==
  /\ Variant = "erase-unproven" /\ Running(n) /\ Faulty # {}
  /\ copies' = [copies EXCEPT ![n] = {}]
  /\ body' = [body EXCEPT ![n] = {}]
  /\ lockRound' = [lockRound EXCEPT ![n] = -1]
  /\ lockValue' = [lockValue EXCEPT ![n] = None]
  /\ UNCHANGED <<master, round, step, decided, proposal, reviews, confirms>>

(* ---- a crash and the start after it: what the vote log says is all that is left ---- *)

Slots(n) == {r \in Rounds : reviews[r][n] # {} \/ confirms[r][n] # {} \/ (master[r] = n /\ proposal[r] # <<>>)}
LastOf(n) == IF Slots(n) = {} THEN 0 ELSE CHOOSE r \in Slots(n) : \A other \in Slots(n) : other <= r
StepOf(n, r) ==
  IF confirms[r][n] # {} THEN "confirm" ELSE IF reviews[r][n] # {} THEN "review" ELSE "propose"

Crash(n) ==
  LET last == IF Variant = "votes-forgotten" THEN 0 ELSE LastOf(n) IN
  /\ Running(n)
  /\ round' = [round EXCEPT ![n] = last]
  /\ step' = [step EXCEPT ![n] = IF Variant = "votes-forgotten" THEN "propose" ELSE StepOf(n, last)]
  /\ copies' = [copies EXCEPT ![n] = {}]
  /\ IF Variant \in {"votes-forgotten", "lock-forgotten"}
     THEN /\ lockRound' = [lockRound EXCEPT ![n] = -1]
          /\ lockValue' = [lockValue EXCEPT ![n] = None]
     ELSE UNCHANGED <<lockRound, lockValue>>
  /\ UNCHANGED <<master, decided, proposal, reviews, confirms, body>>

Next ==
  \E n \in Honest :
    \/ \E v \in Values, again \in Rounds \cup {-1} :
         \/ Propose(n, v, again)
         \/ \E held \in (IF again = -1 THEN Holds ELSE {FALSE}) : Approve(n, v, again, held)
    \/ \E held \in {FALSE} \cup (IF FALSE \in Holds THEN {TRUE} ELSE {}) : Reject(n, held)
    \/ \E v \in Values : Lock(n, v) \/ Decide(n, v)
    \/ ConfirmNil(n)
    \/ \E r \in Rounds : Enter(n, r)
    \/ EraseUnproven(n)
    \/ Crash(n)

Spec == Init /\ [][Next]_vars

(* ---- what must never be otherwise ---- *)

\* No two blocks at one height.
Agreed == \A n, m \in Honest : decided[n] = None \/ decided[m] = None \/ decided[n] = decided[m]

\* Not even in certificates: who checks them with the genesis alone must not be able to find two.
OneCertificate ==
  \A v, w \in Values : (\E r, s \in Rounds : Confirmed(r, v) /\ Confirmed(s, w)) => v = w

\* A vote once given is given for ever, crashes included.
NoDoubleVote ==
  \A r \in Rounds, n \in Honest : Cardinality(reviews[r][n]) <= 1 /\ Cardinality(confirms[r][n]) <= 1

\* Copies are of the round in progress, and of none once the height is decided.
NoCopyAfterRound ==
  \A n \in Honest : copies[n] \subseteq (IF Running(n) THEN {round[n]} ELSE {})

\* A lock names a body that a crash does not take away.
LockNamesBody == \A n \in Honest : lockRound[n] >= 0 => lockValue[n] \in body[n]

\* What may be decided is never lost: f+1 honest super nodes keep the body, so that one of any quorum has it.
DecisionKept ==
  \A v \in Values : (\E r \in Rounds : Voted(confirms, r, v)) =>
    Cardinality({n \in Honest : v \in body[n]}) + Cardinality(Faulty) >= Quorum

(* ---- what must be possible: each of these is refuted, or the model says nothing ---- *)

NobodyDecides == \A n \in Honest : decided[n] = None
NobodyDecidesLate == \A n \in Honest : \A v \in Values :
  ~(decided[n] = v /\ Confirmed(LastRound, v) /\ \E r \in Rounds : r < LastRound /\ Reviewed(r, v))
NobodyWaitsLocked == \A n \in Honest : lockRound[n] = -1 \/ lockRound[n] = round[n]
=============================================================================
