mod cluster;
mod journal;
mod machine;
mod snapshots;
mod storage;
