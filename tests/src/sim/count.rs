//! Every fault and every edge of a task's life, counted: what stayed at zero was not tested.

use std::fmt;

macro_rules! counts {
    ($($name:ident $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Count { $($name,)* }

        impl Count {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

impl Count {
    /// What a run need not have seen: known limits, and what only defends against what no fault here does.
    pub const OPTIONAL: &[Self] = &[
        Self::TwoHomes,
        Self::LacksBirth,
        // Records are small here.
        Self::KeptPiece,
        Self::RefusedConfig,
        Self::HistoryOpen,
        // Worlds with one crash and no other fault are run by themselves.
        Self::CutLost,
        Self::CutTorn,
        Self::CutUnsynced,
        Self::CutWhole,
        // Only where it is asked for.
        Self::Drains,
        Self::Undrains,
        // Nobody asks for so much.
        Self::RanBusy,
        // Its brain has told its body of a committee before anybody knows that it is up, mostly.
        Self::RefusedUnready,
        // Nothing counts it.
        Self::PbftTooOld,
        // Only where nodes die by plan.
        Self::Spared,
        Self::Thinned,
        Self::Barred,
    ];
}

counts! {
    // What is done to the mesh.
    Crash "fault.crash",
    CrashBetweenEffects "fault.crash_between_effects",
    CrashInCommit "fault.crash_in_commit",
    CrashInAbsorb "fault.crash_in_absorb",
    CrashInStart "fault.crash_in_start",
    PowerLoss "fault.power_loss",
    CrashAll "fault.crash_all",
    TornTail "fault.torn_tail",
    CutLost "fault.cut_lost",
    CutTorn "fault.cut_torn",
    CutUnsynced "fault.cut_unsynced",
    CutWhole "fault.cut_whole",
    DiskLost "fault.disk_lost",
    Destroyed "fault.destroyed",
    Spared "fault.spared",
    Thinned "fault.thinned",
    Barred "fault.barred",
    SlowDisk "fault.slow_disk",
    DiskFull "fault.disk_full",
    ConnectionBroken "fault.connection_broken",
    FrameLost "fault.frame_lost",
    FrameDropped "fault.frame_dropped",
    FrameOvertaken "fault.frame_overtaken",
    FrameDuplicated "fault.frame_duplicated",
    FrameStalled "fault.frame_stalled",
    FrameReordered "fault.frame_reordered",
    SlowLink "fault.slow_link",
    Partition "fault.partition",
    OneWayPartition "fault.one_way_partition",
    BlackHole "fault.black_hole",
    QueueFull "fault.queue_full",
    QueueWritable "fault.queue_writable",
    Paused "fault.paused",
    WallForward "fault.wall_forward",
    WallBack "fault.wall_back",
    Joined "fault.joined",
    Left "fault.left",
    Refitted "fault.refitted",
    Drains "fault.drains",
    Undrains "fault.undrains",
    Forgotten "fault.forgotten",
    UpWithoutDown "fault.up_without_down",
    AnnouncementLost "fault.announcement_lost",
    // What executions do.
    ExecutionStarted "execution.started",
    StartedAfter "execution.started_after_others",
    ExecutionLong "execution.long",
    ExecutionHangs "execution.hangs",
    ExecutionExits "execution.exit_code",
    ExecutionLost "execution.lost",
    ExecutionRefused "execution.refused",
    ExecutionCancelled "execution.cancelled",
    ExecutionKilled "execution.killed_with_node",
    ExecutionGivenBack "execution.given_back",
    ExecutionUnattended "execution.lost_with_worker",
    ExecutionIsolated "execution.isolated",
    // What users do.
    Submitted "user.submitted",
    Rushed "user.flooded",
    Retried "user.retried",
    SubmittedTwice "user.submitted_twice",
    SubmittedRival "user.submitted_rival",
    CancelWanted "user.cancel",
    Followed "user.followed",
    Walked "user.left",
    GatewayLost "user.gateway_lost",
    Resubmitted "user.resubmitted",
    After "user.after_others",
    AfterSome "user.after_some_others",
    AfterChain "user.after_a_chain",
    AfterNobody "user.after_nobody",
    // What users are told.
    AnswerPlaced "answer.placed",
    AnswerDegraded "answer.placed_degraded",
    AnswerExisting "answer.placed_existing",
    AnswerConflict "answer.conflict",
    AnswerTooOld "answer.too_old",
    AnswerUnavailable "answer.unavailable",
    AnswerUnintroduced "answer.unintroduced",
    AnswerReadOnly "answer.read_only",
    AnswerBusy "answer.busy",
    AnswerMalformed "answer.malformed",
    AnswerEnded "answer.ended",
    AnswerMissing "answer.missing",
    AnswerCancelAsked "answer.cancel_asked",
    AnswerTask "answer.task",
    AnswerTasks "answer.tasks",
    AnswerMatches "answer.matches",
    AnswerStatus "answer.status",
    AnswerReferenced "answer.referenced",
    AnswerMembers "answer.members",
    AnswerFinished "answer.finished",
    // What nodes say to each other.
    Place "item.place",
    PlaceAgain "item.place_superseding",
    Placed "item.placed",
    Taken "item.taken",
    NotMine "item.not_mine",
    Busy "item.busy",
    TooOld "item.too_old",
    Born "item.born",
    Abandon "item.abandon",
    Prepare "item.prepare",
    Promise "item.promise",
    PromiseEmpty "item.promise_without_record",
    Refused "item.refused",
    Write "item.write",
    WriteWithBirth "item.write_with_birth",
    Wrote "item.wrote",
    LacksBirth "item.lacks_birth",
    Pull "item.pull",
    NotDriven "item.not_driven",
    InForce "item.in_force",
    Assign "item.assign",
    Ask "item.ask",
    Running "item.running",
    NotRunning "item.not_running",
    Unable "item.not_able",
    Report "item.report",
    Steal "item.steal",
    Yielded "item.yielded",
    YieldedNothing "item.yielded_nothing",
    Retract "item.retract",
    Handed "item.handed",
    Keep "item.keep",
    Announce "item.announce",
    Bid "item.bid",
    NoBid "item.no_bid",
    ClosedWon "item.closed_won",
    ClosedLost "item.closed_lost",
    Settled "item.settled",
    DrivenBy "item.driven_by",
    Follow "item.follow",
    Needed "item.needed",
    Following "item.following",
    Unknown "item.unknown",
    Ended "item.ended",
    Cancel "item.cancel",
    // What is on disk.
    FactHeld "fact.held",
    HeldWaiting "fact.held_waiting",
    HeldAfter "fact.held_after_others",
    TakeoverAfter "fact.taken_over_after_others",
    FactWritten "fact.written",
    FactPromised "fact.promised",
    FactDropped "fact.dropped",
    FactOutlived "fact.outlived",
    FactFloor "fact.floor",
    FactKept "fact.kept",
    FactSettled "fact.settled",
    FactMember "fact.member",
    FactIntroduced "fact.introduced",
    Announced "member.announced",
    Outdated "member.outdated",
    // What nodes find of the mesh as a whole.
    Suspected "member.suspected",
    Confirmed "member.confirmed",
    Refuted "member.refuted",
    CutBegan "cut.began",
    CutRecovered "cut.recovered",
    Absorbed "disk.absorbed",
    // What becomes of tasks.
    Takeover "task.takeover",
    HoldersChange "task.holders_change",
    HoldersChanged "task.holders_changed",
    Reassigned "task.reassigned",
    EndedDone "task.done",
    EndedCounted "task.counted",
    EndedDissent "task.counted_dissent",
    EndedMore "task.counted_more",
    EndedUndecided "task.undecided",
    ReplicaRan "execution.replica",
    ReplicaAgain "execution.replica_again",
    ReplicaFabricated "execution.fabricated",
    CountForged "fault.count_forged",
    LiarsOutvoted "task.counted_two_liars_outvoted",
    BidForged "bidder.bid",
    BidderAwarded "bidder.awarded",
    BidderUnable "bidder.ran_unable",
    BidderRefused "bidder.refused",
    BidderVanished "bidder.vanished",
    BidderIdled "bidder.idled",
    BidderHung "bidder.hung",
    BidderFoundOut "bidder.found_out",
    Overtook "queue.overtook",
    InTurn "queue.in_turn",
    EndedFailed "task.failed",
    EndedPoison "task.poison",
    EndedCancelled "task.cancelled",
    EndedDeadline "task.deadline_passed",
    WantAsFailed "task.other_failed",
    WantAsCancelled "task.other_cancelled",
    WantAsLate "task.other_late",
    WantAsUnknown "task.other_unknown",
    WantAsForgotten "task.other_forgotten",
    WantOfAChain "task.other_wants_another",
    TwoHomes "task.two_homes",
    Decoded "wire.decoded",
    // What members of the committee say.
    SaidRequest "said.request",
    SaidPrePrepare "said.pre_prepare",
    SaidPrepare "said.prepare",
    SaidCommit "said.commit",
    SaidCheckpoint "said.checkpoint",
    SaidViewChange "said.view_change",
    SaidNewView "said.new_view",
    SaidStatus "said.status",
    SaidFetch "said.fetch",
    SaidRequests "said.requests",
    SaidBatch "said.batch",
    SaidDecided "said.decided",
    SaidStable "said.stable",
    SaidEpochs "said.epochs",
    SaidChunk "said.chunk",
    SaidReply "said.reply",
    // What their verifiers do not take.
    RefusedUnready "refused.unready",
    RefusedDecode "refused.decode",
    RefusedMember "refused.member",
    RefusedEpoch "refused.epoch",
    RefusedView "refused.view",
    RefusedWindow "refused.window",
    RefusedDuplicate "refused.duplicate",
    RefusedMuted "refused.muted",
    RefusedSignature "refused.signature",
    RefusedTooFewSignatures "refused.too_few_signatures",
    RefusedCertificate "refused.certificate",
    RefusedConfig "refused.config",
    RefusedLimits "refused.limits",
    // What their replicas have on disk.
    KeptAccepted "kept.accepted",
    KeptPrepared "kept.prepared",
    KeptLeft "kept.left",
    KeptEntered "kept.entered",
    KeptCheckpoint "kept.checkpoint",
    KeptStable "kept.stable",
    KeptInstalled "kept.installed",
    KeptEpochs "kept.epochs",
    KeptEvidence "kept.evidence",
    KeptAmnesia "kept.amnesia",
    KeptRan "kept.ran",
    KeptState "kept.state",
    KeptStateDropped "kept.state_dropped",
    KeptFollows "kept.follows",
    KeptPiece "kept.piece",
    // What their replicas count.
    PbftAdmitted "pbft.admitted",
    PbftRepeated "pbft.repeated",
    PbftTooOld "pbft.too_old",
    PbftBusy "pbft.busy",
    PbftRelayed "pbft.relayed",
    PbftProposed "pbft.proposed",
    PbftNullsProposed "pbft.nulls_proposed",
    PbftAccepted "pbft.accepted",
    PbftPrepared "pbft.prepared",
    PbftCommitted "pbft.committed",
    PbftDecided "pbft.decided",
    PbftExecuted "pbft.executed",
    PbftExecutedRequests "pbft.executed_requests",
    PbftSkippedRequests "pbft.skipped_requests",
    PbftFetched "pbft.fetched",
    PbftAnswered "pbft.answered",
    PbftLeftViews "pbft.left_views",
    PbftJoinedViews "pbft.joined_views",
    PbftEnteredViews "pbft.entered_views",
    PbftWrongNewViews "pbft.wrong_new_views",
    PbftIdlePrimaries "pbft.idle_primaries",
    PbftSlowPrimaries "pbft.slow_primaries",
    PbftCheckpoints "pbft.checkpoints",
    PbftStable "pbft.stable",
    PbftTransfers "pbft.transfers",
    PbftPieces "pbft.pieces",
    PbftBadPieces "pbft.bad_pieces",
    PbftInstalled "pbft.installed",
    PbftEpochs "pbft.epochs",
    PbftEvidence "pbft.evidence",
    LedgerAccuses "ledger.accuses",
    // What liars among them do.
    LieSilent "lie.silent",
    LieWithholds "lie.withholds",
    LieEquivocates "lie.equivocates",
    LieViews "lie.views",
    LieTransfers "lie.transfers",
    LieSlow "lie.slow",
    LieFloods "lie.floods",
    LieReplays "lie.replays",
    LieMutates "lie.mutates",
    LieSignsTwice "lie.signs_twice",
    LieTwins "lie.twins",
    LieMints "lie.mints",
    MintRelayed "mint.relayed",
    MintTaken "mint.taken_in",
    MintAnswered "mint.answered",
    LiePins "lie.pins",
    PinKept "pin.past_state_given",
    TwinStarted "twin.started",
    TwinCrashed "twin.crashed",
    TwinProposed "twin.proposed",
    TwinVoted "twin.voted",
    TwinLeftView "twin.left_view",
    TwinsApart "twin.said_another_thing",
    // What gateways that lie do.
    CrookTwoFaced "crook.two_requests_of_a_number",
    CrookOldNumber "crook.old_number",
    CrookFarNumber "crook.far_number",
    CrookTakesNext "crook.takes_the_next_number",
    CrookUnsigned "crook.unsigned",
    CrookForgedVote "crook.forged_vote",
    CrookForgedMotion "crook.forged_motion",
    CrookForgedEvidence "crook.forged_evidence",
    CrookForgedCommand "crook.forged_command",
    CrookNonsense "crook.nonsense",
    // What becomes of the committee.
    StewardAdds "steward.adds",
    StewardRemoves "steward.removes",
    StewardRecruits "steward.recruits",
    StewardForbears "steward.forbears",
    EpochReached "epoch.reached",
    SeatedUnprepared "epoch.seated_who_did_not_follow",
    // What users of the ledger do, and are told.
    OrderGovern "order.govern",
    OrderPut "order.put",
    OrderGet "order.get",
    OrderDelete "order.delete",
    OrderSwap "order.swap",
    OrderLock "order.lock",
    OrderRenew "order.renew",
    OrderUnlock "order.unlock",
    OrderTick "order.tick",
    OrderFleeting "order.put_for_a_time",
    OrderAward "order.award",
    OrderPropose "order.propose",
    OrderVote "order.vote",
    OrderClose "order.close",
    OrderLook "order.look",
    OrderRecruit "order.recruit",
    OrderAgain "order.again",
    OrderLeft "order.left",
    RanWritten "ran.written",
    RanDeleted "ran.deleted",
    RanAnswered "ran.answered",
    RanMismatch "ran.mismatch",
    RanGranted "ran.granted",
    RanHeld "ran.held",
    RanNotHeld "ran.not_held",
    RanReleased "ran.released",
    RanKept "ran.kept",
    RanMoved "ran.moved",
    RanSeconded "ran.seconded",
    RanNotMoved "ran.not_moved",
    RanAwarded "ran.awarded",
    RanProposed "ran.proposed",
    RanVoted "ran.voted",
    RanNotVoted "ran.not_voted",
    RanDecided "ran.decided",
    RanStale "ran.stale",
    RanRepeated "ran.repeated",
    RanReadOnly "ran.read_only",
    RanBusy "ran.busy",
    RanClockAhead "ran.clock_ahead",
    RanLooked "ran.looked",
    RanRecruited "ran.recruited",
    HistoryChecked "history.keys_checked",
    HistoryOpen "history.keys_too_long",
    HistoryEnded "history.keys_ended",
    BallotsChecked "history.ballots_checked",
    DecisionsChecked "history.decisions_checked",
}

/// How often each happened.
#[derive(Clone)]
pub struct Counts(Vec<u64>);

impl Default for Counts {
    fn default() -> Self {
        Self(vec![0; Count::ALL.len()])
    }
}

impl Counts {
    pub fn add(&mut self, count: Count) {
        self.0[count as usize] += 1;
    }

    pub fn add_many(&mut self, count: Count, times: u64) {
        self.0[count as usize] += times;
    }

    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, other) in self.0.iter_mut().zip(&other.0) {
            *mine += other;
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (Count, u64)> {
        Count::ALL.iter().map(|&count| (count, self.of(count)))
    }

    /// What a run as a whole should have seen and has not.
    pub fn missing(&self) -> Vec<Count> {
        self.iter()
            .filter(|(count, times)| *times == 0 && !Count::OPTIONAL.contains(count))
            .map(|(count, _)| count)
            .collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (count, times)) in self.iter().enumerate() {
            let gap = if index % 4 == 3 { "\n" } else { "  " };
            write!(f, "{:<28}{times:>9}{gap}", count.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_named() {
        let mut counts = Counts::default();
        for count in Count::ALL.iter().filter(|count| **count != Count::Partition && **count != Count::TwoHomes) {
            counts.add(*count);
        }
        assert_eq!(counts.missing(), [Count::Partition]);
        let mut both = Counts::default();
        both.merge(&counts);
        both.merge(&counts);
        assert_eq!((both.of(Count::Crash), both.of(Count::Partition)), (2, 0));
    }

    #[test]
    fn names_are_distinct() {
        let names: std::collections::BTreeSet<_> = Count::ALL.iter().map(|count| count.name()).collect();
        assert_eq!(names.len(), Count::ALL.len());
    }
}
