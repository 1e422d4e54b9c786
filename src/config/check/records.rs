//! Checks `records: { messages: grpc }` of a route against its other rules and its upstream.

use crate::config::file::records::{RecordMessageKind, RecordMessagesConfig};
use crate::config::source::Cursor;
use crate::model::FieldPath;
use crate::pii::{BodyFormat, BodySettings, OnUnexpectedShape, Rules};
use crate::upstream::{HttpProtocol, UpstreamSettings};

/// Adds to `rules`, those of the body that leaves, that each of its messages is a record.
pub(super) fn add_messages(
    at: &Cursor<'_>,
    written: RecordMessagesConfig,
    (subject, on_shape): (Option<&str>, Option<OnUnexpectedShape>),
    upstream: Option<&UpstreamSettings>,
    rules: &mut Rules,
) {
    let (records, messages) = (at.key("records"), at.key("records").key("messages"));
    let Some(RecordMessageKind::Grpc) = written.messages else {
        messages.fault("is missing", "write records: { messages: grpc }");
        return;
    };
    if rules.reads_body() || rules.body_settings != BodySettings::default() {
        let wrong = "cannot be used with rules that read the body: the messages of gRPC are counted, and not read";
        records.fault(wrong, "take out these rules, or give calls that are not gRPC a route of their own");
    }
    if subject.is_some() {
        let wrong = "cannot be used with records: { messages: grpc }: nothing is read in a message";
        at.key("subject").fault(wrong, "take it out");
    }
    if on_shape.is_some() {
        let wrong = "has no effect: a body that is no gRPC call is refused in any case";
        at.key("on_shape").fault(wrong, "take it out");
    }
    if upstream.is_some_and(|upstream| upstream.protocol == HttpProtocol::Http1) {
        let wrong = "can count nothing: gRPC needs HTTP/2, and the upstream is spoken to in HTTP/1.1 alone";
        records.fault(wrong, "write protocol: http2 or auto for the upstream");
    }
    // One record a message is one record a document.
    rules.records = FieldPath::parse("$").ok();
    rules.body_settings.format = Some(BodyFormat::GrpcMessages);
}
