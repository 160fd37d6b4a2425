/// Declares the counters once: the struct, and their names for whoever shows them.
macro_rules! counters {
    ($($name:ident),* $(,)?) => {
        /// How often each thing happened since the start.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $(pub $name: u64,)*
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
    admitted, repeated, too_old, busy, relayed,
    proposed, nulls_proposed, accepted, prepared, committed, decided, executed, executed_requests, skipped_requests,
    fetched, answered,
    complaints, left_views, joined_views, entered_views, wrong_new_views, idle_primaries, slow_primaries,
    votes, votes_expected,
    checkpoints, stable, transfers, pieces, bad_pieces, installed, epochs,
    evidence,
}
