//! One replica at a time, with peers played by the test; one file for each part of the checklist.

mod admission;
mod agreement;
mod bench;
mod checkpoints;
mod clients;
mod complaints;
mod durability;
mod epochs;
mod evidence;
mod histories;
mod limits;
mod past;
mod pins;
mod plans;
mod rot;
mod sources;
mod strangers;
mod tables;
mod verification;
mod views;
