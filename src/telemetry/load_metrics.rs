//! Metrics of the gateway's load: dropped log lines, open connections and those that were ended to make room.
//!
//! The totals are counted elsewhere, and copied here before a scrape.

use std::sync::atomic::{AtomicU64, Ordering};

use super::families::{self, ScrapePage};
use super::fleet_metrics::FleetMetrics;
use super::metrics::Metrics;

/// A log, as the label of `vendorgate_log_dropped_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLabel {
    /// Events, on standard error.
    Events,
    /// Exchanges, on standard output.
    Exchanges,
}

/// Listeners that share one limit of connections, as the label of `vendorgate_connections`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerGroup {
    /// Those of vendors and of our services.
    Data,
    /// The admin listener.
    Admin,
    /// The admin socket beside the state.
    Socket,
}

/// The connections of a group of listeners.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Connections that are open.
    pub open: u64,
    /// Most connections that may be open.
    pub most: u64,
    /// Connections ended to make room, because the limit was reached.
    pub shed_full: u64,
    /// Connections ended because their sender had too many without a proven caller.
    pub shed_sender: u64,
    /// Connections ended because a request's head was late.
    pub late: u64,
}

impl Metrics {
    /// Sets the number of lines that a log has dropped so far.
    pub fn log_dropped(&self, log: LogLabel, total: u64) {
        self.values.load.log_dropped(log, total);
    }

    /// Sets the numbers of connections of a group of listeners.
    pub fn connections(&self, listeners: ListenerGroup, counts: ConnectionCounts) {
        self.values.load.connections(listeners, counts);
    }

    /// Sets how many destinations of no contract are listed, and how often one was asked for.
    pub fn unknown_destinations(&self, listed: u64, asked: u64) {
        self.values.load.unknown_destinations(listed, asked);
    }
}

#[derive(Debug, Default)]
pub(super) struct LoadMetrics {
    pub(super) fleet: FleetMetrics,
    dropped: [AtomicU64; 2],
    connections: [[AtomicU64; 5]; 3],
    /// How many destinations of no contract are listed, and how often one was asked for.
    unknown: [AtomicU64; 2],
}

const LOGS: [(LogLabel, &str); 2] = [(LogLabel::Events, "events"), (LogLabel::Exchanges, "exchanges")];
const LISTENERS: [(ListenerGroup, &str); 3] =
    [(ListenerGroup::Data, "data"), (ListenerGroup::Admin, "admin"), (ListenerGroup::Socket, "socket")];

impl LoadMetrics {
    pub(super) fn log_dropped(&self, log: LogLabel, total: u64) {
        self.dropped[log as usize].store(total, Ordering::Relaxed);
    }

    pub(super) fn connections(&self, listeners: ListenerGroup, counts: ConnectionCounts) {
        let numbers = [counts.open, counts.most, counts.shed_full, counts.shed_sender, counts.late];
        for (cell, number) in self.connections[listeners as usize].iter().zip(numbers) {
            cell.store(number, Ordering::Relaxed);
        }
    }

    pub(super) fn unknown_destinations(&self, listed: u64, asked: u64) {
        for (cell, number) in self.unknown.iter().zip([listed, asked]) {
            cell.store(number, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self, page: &mut ScrapePage) {
        self.fleet.read(page);
        let load = |cell: &AtomicU64| cell.load(Ordering::Relaxed) as f64;
        for (log, word) in LOGS {
            page.counter(&families::LOG_DROPPED, &[word], load(&self.dropped[log as usize]));
        }
        page.gauge(&families::UNKNOWN_LISTED, &[], load(&self.unknown[0]));
        page.counter(&families::UNKNOWN_ASKED, &[], load(&self.unknown[1]));
        for (listeners, word) in LISTENERS {
            let [open, most, shed @ ..] = &self.connections[listeners as usize];
            page.gauge(&families::CONNECTIONS, &[word], load(open));
            page.gauge(&families::CONNECTIONS_MAX, &[word], load(most));
            for (why, total) in ["full", "sender", "late_head"].into_iter().zip(shed) {
                page.counter(&families::CONNECTIONS_SHED, &[word, why], load(total));
            }
        }
    }
}
