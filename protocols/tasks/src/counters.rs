/// Declares the counters once: the struct, and their names for whoever shows them.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// How often each edge of the lifecycle was taken since the start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// By name, in the order of declaration.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name)),*].into_iter()
            }
        }
    };
}

counters! {
    submitted, placed, placed_degraded, replaced_placements, existing, conflicts, unavailable, busy, too_old,
    held, confirmed, abandoned, not_mine, taken, needs_refused,
    prepares, promises, promises_full, refusals, takeovers, stepped_down, ambiguous_births,
    writes, in_force, lacked_birth, pulls,
    granted, asked, not_running, reports, late_reports, attempts_failed, poisoned, retried, waited, unable,
    isolated, isolated_stopped, drained,
    awaited, inputs_came, inputs_lost,
    done, failed, cancelled, deadline_passed,
    auctions, bids, bidders_silent,
    steals, retracted, pushed, handed, put_back,
    polls, polls_undecided, replicas, replicas_lost, replicas_again, dissents, miscounted,
    executed, outbox_kept, outbox_settled,
    repairs, retired, followed, delivered, stale_items,
}
