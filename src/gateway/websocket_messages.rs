//! The messages of a WebSocket under the rules of its route, in one direction.
//!
//! Each text message is one body: it is treated by the plan of the side that sends it, counted, and framed anew.
//! Control frames pass between its fragments. A message of up to [`bounds::WEBSOCKET_FRAGMENT_BYTES`] leaves whole or
//! not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::body_end::HttpMessage;
use super::snapshot::{MessageRules, RouteRuntime};
use crate::bounds;
use crate::http::{FrameError, FramePart, FrameReader, FrameWriter, MessageKind, WebSocketSide};
use crate::pii::{RewriteError, RewriteObserver, Rewriter};

/// The close codes of RFC 6455 section 7.4.1 that the gateway sends.
const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED_DATA: u16 = 1003;
const INVALID_PAYLOAD: u16 = 1007;
pub(super) const POLICY_VIOLATION: u16 = 1008;
const MESSAGE_TOO_BIG: u16 = 1009;

/// The close code of a WebSocket that the gateway ends, which both directions share; 0 until one of them ends it.
pub(super) type CloseCode = Arc<AtomicU16>;

/// Treats the messages of one side.
pub(super) struct MessageRewriter {
    reader: FrameReader,
    output: MessageOutput,
}

/// The message that is on its way, and the frames that it becomes.
struct MessageOutput {
    route: Arc<RouteRuntime>,
    sender: HttpMessage,
    writer: FrameWriter,
    /// The engine of the message; `None` between messages, and while a message is empty.
    engine: Option<Box<dyn Rewriter>>,
    /// What of the treated message has not been framed.
    held: Vec<u8>,
    /// Whether a frame of the message has been written.
    has_begun: bool,
    code: CloseCode,
}

impl MessageRewriter {
    /// A rewriter of what the sender of this message of the exchange sends: the caller's requests, the upstream's
    /// responses.
    pub(super) fn new(route: &Arc<RouteRuntime>, sender: HttpMessage, code: &CloseCode) -> Self {
        let side = match sender {
            HttpMessage::Request => WebSocketSide::Client,
            HttpMessage::Response => WebSocketSide::Server,
        };
        Self {
            reader: FrameReader::new(side),
            output: MessageOutput {
                route: Arc::clone(route),
                sender,
                writer: FrameWriter::new(side),
                engine: None,
                held: Vec::new(),
                has_begun: false,
                code: Arc::clone(code),
            },
        }
    }
}

impl Rewriter for MessageRewriter {
    fn feed(
        &mut self,
        mut input: &[u8],
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), RewriteError> {
        loop {
            let outcome = match self.reader.read(&mut input) {
                Ok(None) => return Ok(()),
                Ok(Some(part)) => self.output.take(&part, observer, out),
                Err(error) => Err(of_frame(error)),
            };
            outcome.map_err(|(code, error)| {
                // The first error is the cause of what follows.
                let _ = self.output.code.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
                error
            })?;
        }
    }

    /// A side that leaves in the middle of a message leaves it unfinished: nothing that is held of it leaves.
    fn finish(&mut self, _observer: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> Result<(), RewriteError> {
        Ok(())
    }
}

impl MessageOutput {
    fn take(
        &mut self,
        part: &FramePart<'_>,
        observer: &mut dyn RewriteObserver,
        out: &mut Vec<u8>,
    ) -> Result<(), (u16, RewriteError)> {
        let (bytes, is_last) = match part {
            FramePart::Control(frame) => {
                self.writer.control(frame, out);
                return Ok(());
            }
            FramePart::Data { kind: MessageKind::Binary, .. } => {
                return Err((UNSUPPORTED_DATA, RewriteError::Opaque { what: "a binary message" }));
            }
            FramePart::Data { kind: MessageKind::Text, bytes, is_last, .. } => (*bytes, *is_last),
        };
        let outcome = self.treat(bytes, is_last, observer);
        if let Err(error) = outcome {
            if error == RewriteError::RecordBudgetSpent {
                // The whole records that the budget had room for, in a message that never ends.
                self.fragment(usize::MAX, false, out);
            }
            return Err((close_code(&error), error));
        }
        while self.held.len() >= bounds::WEBSOCKET_FRAGMENT_BYTES {
            self.fragment(bounds::WEBSOCKET_FRAGMENT_BYTES, false, out);
        }
        if is_last {
            self.fragment(usize::MAX, true, out);
            self.has_begun = false;
        }
        Ok(())
    }

    /// Hands a piece of the message to its engine.
    fn treat(&mut self, bytes: &[u8], is_last: bool, observer: &mut dyn RewriteObserver) -> Result<(), RewriteError> {
        if self.engine.is_none() && !bytes.is_empty() {
            let rules = match self.sender {
                HttpMessage::Request => &self.route.request,
                HttpMessage::Response => &self.route.response,
            };
            let plan = rules.as_ref().map(|MessageRules { plan, .. }| plan);
            self.engine = plan.map(|plan| plan.body_rewriter(Some("application/json"), None)).transpose()?;
        }
        if let Some(engine) = &mut self.engine {
            engine.feed(bytes, observer, &mut self.held)?;
            if is_last {
                engine.finish(observer, &mut self.held)?;
                self.engine = None;
                observer.on_body_end();
            }
        }
        Ok(())
    }

    /// Frames what is held, up to so many bytes.
    fn fragment(&mut self, most: usize, is_last: bool, out: &mut Vec<u8>) {
        let length = self.held.len().min(most);
        if length > 0 || is_last {
            self.writer.text(&self.held[..length], !self.has_begun, is_last, out);
            self.held.drain(..length);
            self.has_begun = true;
        }
    }
}

fn of_frame(error: FrameError) -> (u16, RewriteError) {
    match error {
        FrameError::Protocol(what) => (PROTOCOL_ERROR, RewriteError::Malformed { what, at: 0 }),
        FrameError::NotUtf8 => (INVALID_PAYLOAD, RewriteError::Malformed { what: "a reason that is not UTF-8", at: 0 }),
        FrameError::TooLong => {
            let limit = bounds::WEBSOCKET_MESSAGE_BYTES_MAX;
            (MESSAGE_TOO_BIG, RewriteError::Bound { bound: "a WebSocket message", limit })
        }
    }
}

const fn close_code(error: &RewriteError) -> u16 {
    match error {
        RewriteError::Malformed { .. } => INVALID_PAYLOAD,
        RewriteError::Bound { .. } => MESSAGE_TOO_BIG,
        RewriteError::Opaque { .. } | RewriteError::MissingColumn { .. } => UNSUPPORTED_DATA,
        RewriteError::UnexpectedShape { .. }
        | RewriteError::Untreatable { .. }
        | RewriteError::GraphqlQuery { .. }
        | RewriteError::RecordBudgetSpent => POLICY_VIOLATION,
    }
}
