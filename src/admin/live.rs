//! The live stream: what changed of each vendor, second by second, as server-sent events.
//!
//! One task reads the gateway's own figures for all streams. It begins with the first stream and ends with the last, so
//! nothing is read while nobody looks. A stream first gets every vendor, then those that changed. One whose reader is
//! too slow ends, and so does each after a time: the page asks for the next, and gets every vendor again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderValue, Response, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use super::api::AdminApi;
use super::body::AdminBody;
use super::control::{AdminControl, ControlError};
use super::endpoint::{Endpoint, EndpointSpec, QueryParameter, schema};
use super::problem::AdminError;
use crate::bounds::{LIVE_EVENTS_WAITING_MAX, LIVE_PERIOD, LIVE_STREAM_AGE_MAX, LIVE_STREAMS_MAX};
use crate::config::OperatorRole;
use crate::kill::VendorState;
use crate::model::{Clock, Lock as _, Moment};

/// What a vendor is and did so far; the sums are those of both directions since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveSample {
    /// Whether it may pass.
    pub state: VendorState,
    /// Whether its contract only observes.
    pub observes: bool,
    /// Requests whose last byte has not left yet.
    pub in_flight: u64,
    /// Exchanges that ended.
    pub requests: u64,
    /// Those refused or cut short.
    pub denials: u64,
    /// Records that left.
    pub records: u64,
    /// Body bytes that left.
    pub bytes: u64,
}

/// One event of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LiveEvent {
    /// When the figures were read, in milliseconds since 1970.
    pub at: u64,
    /// Whether every vendor is here; if not, only those that changed since the event before.
    pub whole: bool,
    /// Vendors by their id.
    pub vendors: BTreeMap<String, LiveSample>,
    /// Vendors that are not there any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}

/// Where the figures come from.
pub trait LiveControl {
    /// Every vendor that has a contract or is killed, in no order.
    fn live(&self) -> Vec<(String, LiveSample)>;
}

/// The streams that are open.
#[derive(Debug, Default)]
pub(super) struct LiveFeed {
    streams: Mutex<LiveStreams>,
    /// Told when a stream joins: it need not wait for the next second.
    joined: Notify,
}

#[derive(Debug, Default)]
struct LiveStreams {
    open: Vec<LiveStream>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct LiveStream {
    events: mpsc::Sender<Bytes>,
    until_ns: u64,
    /// It has got no event yet.
    is_new: bool,
    /// It ends with its first event.
    once: bool,
}

const ONCE: QueryParameter = QueryParameter::optional("once", "One event with every vendor, and no stream");

impl<C: AdminControl> AdminApi<C> {
    pub(super) const LIVE: &'static [Endpoint<C>] = &[EndpointSpec::get(
        "/v1/live",
        "Every vendor's figures, and then what changes, each second: server-sent events",
    )
    .parameters(&[ONCE])
    .answers_events(schema::<LiveEvent>)
    .on_gateway(OperatorRole::Viewer, |api, call| {
        Box::pin(async move {
            let once = call.query.value("once").is_some();
            let events = api.live.join(&api.control, &api.clock, once)?;
            let mut answer = Response::new(AdminBody::Events(events));
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            Ok(answer)
        })
    })];
}

impl LiveFeed {
    /// Opens a stream, and begins to read where nobody did.
    fn join<C: AdminControl>(
        self: &Arc<Self>,
        control: &Arc<C>,
        clock: &Clock,
        once: bool,
    ) -> Result<mpsc::Receiver<Bytes>, AdminError> {
        let (events, receiver) = mpsc::channel(LIVE_EVENTS_WAITING_MAX);
        let age = u64::try_from(LIVE_STREAM_AGE_MAX.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = clock.now().monotonic_ns.saturating_add(age);
        let mut streams = self.streams.locked();
        streams.open.retain(|stream| !stream.events.is_closed());
        if streams.open.len() >= LIVE_STREAMS_MAX {
            return Err(AdminError::Control(ControlError::LiveFull));
        }
        streams.open.push(LiveStream { events, until_ns, is_new: true, once });
        // A task that panicked is finished, too.
        if streams.task.as_ref().is_none_or(JoinHandle::is_finished) {
            streams.task = Some(tokio::spawn(run(Arc::clone(self), Arc::clone(control), clock.clone())));
        }
        drop(streams);
        self.joined.notify_one();
        Ok(receiver)
    }

    /// Ends every stream: those who still may will ask for the next.
    pub(super) fn end_all(&self) {
        self.streams.locked().open.clear();
    }

    /// Sends an event; returns whether any stream is left.
    fn send(&self, figures: &HashMap<String, LiveSample>, changed: &LiveEvent, now: Moment) -> bool {
        let mut streams = self.streams.locked();
        let whole = streams.open.iter().any(|stream| stream.is_new).then(|| event_bytes(&whole_event(figures, now)));
        let changed = event_bytes(changed);
        streams.open.retain_mut(|stream| {
            let event = if std::mem::take(&mut stream.is_new) { whole.as_ref().unwrap_or(&changed) } else { &changed };
            let is_sent = stream.events.try_send(event.clone()).is_ok();
            is_sent && !stream.once && now.monotonic_ns < stream.until_ns
        });
        if streams.open.is_empty() {
            // Under the lock, so that whoever joins next begins anew.
            streams.task = None;
        }
        !streams.open.is_empty()
    }
}

async fn run<C: AdminControl>(feed: Arc<LiveFeed>, control: Arc<C>, clock: Clock) {
    let mut known = HashMap::new();
    loop {
        let now = clock.now();
        let figures: HashMap<String, LiveSample> = control.live().into_iter().collect();
        let is_watched = feed.send(&figures, &changed_event(&known, &figures, now), now);
        if !is_watched {
            return;
        }
        known = figures;
        tokio::select! {
            () = tokio::time::sleep(LIVE_PERIOD) => {}
            () = feed.joined.notified() => {}
        }
    }
}

fn whole_event(figures: &HashMap<String, LiveSample>, now: Moment) -> LiveEvent {
    let vendors = figures.iter().map(|(vendor, sample)| (vendor.clone(), *sample)).collect();
    LiveEvent { at: now.wall.as_millis(), whole: true, vendors, gone: Vec::new() }
}

fn changed_event(known: &HashMap<String, LiveSample>, figures: &HashMap<String, LiveSample>, now: Moment) -> LiveEvent {
    let changed = figures.iter().filter(|(vendor, sample)| known.get(*vendor) != Some(sample));
    let mut gone: Vec<String> = known.keys().filter(|vendor| !figures.contains_key(*vendor)).cloned().collect();
    gone.sort_unstable();
    let vendors = changed.map(|(vendor, sample)| (vendor.clone(), *sample)).collect();
    LiveEvent { at: now.wall.as_millis(), whole: false, vendors, gone }
}

fn event_bytes(event: &LiveEvent) -> Bytes {
    // Ids and numbers always make JSON, which has no line feed.
    Bytes::from(format!("data: {}\n\n", serde_json::to_string(event).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixTime;

    fn figures(list: &[(&str, u64)]) -> HashMap<String, LiveSample> {
        let of = |(vendor, requests): &(&str, u64)| {
            ((*vendor).to_owned(), LiveSample { requests: *requests, ..LiveSample::default() })
        };
        list.iter().map(of).collect()
    }

    #[test]
    fn an_event_has_what_changed_and_what_is_gone() {
        let now = Clock::manual(UnixTime::from_secs(1)).now();
        let event =
            changed_event(&figures(&[("a", 1), ("b", 1), ("c", 1)]), &figures(&[("a", 1), ("b", 2), ("d", 0)]), now);
        assert_eq!(event.vendors.keys().collect::<Vec<_>>(), ["b", "d"]);
        assert_eq!((event.at, event.whole, event.gone), (1_000, false, vec!["c".to_owned()]));
    }

    #[test]
    fn a_stream_that_is_not_read_ends_and_holds_up_no_other() {
        let feed = LiveFeed::default();
        let clock = Clock::manual(UnixTime::from_secs(1));
        let open = || {
            let (events, receiver) = mpsc::channel(LIVE_EVENTS_WAITING_MAX);
            let until_ns = clock.now().monotonic_ns + 1_000_000_000;
            feed.streams.locked().open.push(LiveStream { events, until_ns, is_new: true, once: false });
            receiver
        };
        let (mut read, _unread) = (open(), open());
        for place in 0..=LIVE_EVENTS_WAITING_MAX {
            assert!(feed.send(&figures(&[("a", 1)]), &LiveEvent::default(), clock.now()));
            let event = read.try_recv().expect("an event");
            assert_eq!(event.starts_with(b"data: {\"at\":1000,\"whole\":true,"), place == 0, "{event:?}");
        }
        assert_eq!(feed.streams.locked().open.len(), 1);
        clock.advance(LIVE_STREAM_AGE_MAX);
        assert!(!feed.send(&HashMap::new(), &LiveEvent::default(), clock.now()), "it is old");
    }
}
