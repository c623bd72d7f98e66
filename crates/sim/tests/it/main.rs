//! Scenarios: what must hold whatever happens to the nodes and to the network between them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "helpers of tests may fail like tests")]
#![allow(clippy::print_stdout, reason = "times are worth a look")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests look for one event among many")]

mod address_lies;
mod authors;
mod clocks;
mod explain;
mod far;
mod far_attacks;
mod faults;
mod fuzz;
mod history;
mod history_attacks;
mod link_attacks;
mod link_guests;
mod link_set;
mod link_start;
mod links;
mod membership;
mod mesh;
mod network_time;
mod probes;
mod punch;
mod punch_attacks;
mod punch_changes;
mod punch_paths;
mod punch_victims;
mod rebuild;
mod refusals;
mod relay;
mod relay_first;
mod relay_standby;
mod ring;
mod ring_chaos;
mod routing;
mod routing_attacks;
mod scenarios;
mod services;
mod services_attacks;
mod services_churn;
mod signal_servers;
mod spread;
mod support;
mod sybils;
