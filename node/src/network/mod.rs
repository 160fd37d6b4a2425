//! The libp2p swarm, the admission gate and the framed substreams.
