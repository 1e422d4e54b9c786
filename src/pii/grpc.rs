//! The messages of a gRPC call as records (gRPC over HTTP/2, 'Length-Prefixed-Message'): each is one record.
//!
//! Reads the prefixes alone, and changes no byte. The prefix of a message is held back until it is whole and the
//! message is counted, so that nothing of a message beyond the budget leaves. Never holds more than a prefix.

use super::media::MediaType;
use super::rewriter::{RewriteError, RewriteObserver, RewriteResult, Rewriter};
use crate::bounds::GRPC_MESSAGE_BYTES_MAX;

/// The flag that says whether a message is compressed, and four bytes of length.
const PREFIX_BYTES: usize = 5;

/// Counts the messages of one body.
pub(super) struct GrpcRewriter {
    /// What there is of the prefix of the next message.
    prefix: [u8; PREFIX_BYTES],
    prefix_bytes: usize,
    /// The bytes of the message that are still to come.
    message_bytes: u64,
    /// The bytes of the body that were read.
    at: u64,
}

impl GrpcRewriter {
    /// A counter for one body of this type.
    ///
    /// # Errors
    /// [`RewriteError::Opaque`] when it is none of gRPC.
    pub(super) fn new(media: &MediaType<'_>) -> RewriteResult<Self> {
        if !media.is_or_extends("application", "grpc") {
            return Err(RewriteError::Opaque { what: "a body that is no gRPC call, whose messages are the records" });
        }
        Ok(Self { prefix: [0; PREFIX_BYTES], prefix_bytes: 0, message_bytes: 0, at: 0 })
    }

    /// Takes a whole prefix: the message that it begins is a record.
    fn begin_message(&mut self, observer: &mut dyn RewriteObserver) -> RewriteResult {
        let [flag, length @ ..] = self.prefix;
        let at = self.at - PREFIX_BYTES as u64;
        if flag > 1 {
            return Err(RewriteError::Malformed { what: "a gRPC message that is neither compressed nor not", at });
        }
        let length = u64::from(u32::from_be_bytes(length));
        if length > GRPC_MESSAGE_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "the length of a gRPC message", limit: GRPC_MESSAGE_BYTES_MAX });
        }
        observer.on_record()?;
        self.message_bytes = length;
        Ok(())
    }
}

impl Rewriter for GrpcRewriter {
    fn feed(&mut self, mut input: &[u8], observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        while !input.is_empty() {
            let within = input.len().min(usize::try_from(self.message_bytes).unwrap_or(usize::MAX));
            let (message, rest) = input.split_at(within);
            out.extend_from_slice(message);
            self.message_bytes -= within as u64;
            let (prefix, rest) = rest.split_at(rest.len().min(PREFIX_BYTES - self.prefix_bytes));
            self.prefix[self.prefix_bytes..][..prefix.len()].copy_from_slice(prefix);
            self.prefix_bytes += prefix.len();
            self.at += (message.len() + prefix.len()) as u64;
            input = rest;
            if self.prefix_bytes == PREFIX_BYTES {
                self.begin_message(observer)?;
                out.extend_from_slice(&self.prefix);
                self.prefix_bytes = 0;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _observer: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> RewriteResult {
        if self.prefix_bytes > 0 || self.message_bytes > 0 {
            return Err(RewriteError::Malformed {
                what: "the end of a call in the middle of a gRPC message",
                at: self.at,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pii::rewriter::RecordBudgetSpent;

    /// Counts records up to a budget.
    struct Budget {
        left: usize,
        records: usize,
    }

    impl RewriteObserver for Budget {
        fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
            self.left = self.left.checked_sub(1).ok_or(RecordBudgetSpent)?;
            self.records += 1;
            Ok(())
        }

        fn on_treated(&mut self, _rule: usize) {}

        fn on_subject(&mut self, _value: &[u8]) {}
    }

    fn counter() -> GrpcRewriter {
        GrpcRewriter::new(&MediaType::parse("application/grpc+proto").unwrap()).unwrap()
    }

    fn message(flag: u8, length: u32, bytes: &[u8]) -> Vec<u8> {
        [&[flag][..], &length.to_be_bytes(), bytes].concat()
    }

    /// What leaves of a body that comes in pieces of this size, its records, and its end.
    fn pushed(body: &[u8], size: usize, left: usize) -> (Vec<u8>, usize, RewriteResult) {
        let (mut counter, mut budget, mut out) = (counter(), Budget { left, records: 0 }, Vec::new());
        let mut end = Ok(());
        for piece in body.chunks(size) {
            end = end.and_then(|()| counter.feed(piece, &mut budget, &mut out));
        }
        let end = end.and_then(|()| counter.finish(&mut budget, &mut out));
        (out, budget.records, end)
    }

    #[test]
    fn messages_pass_as_they_are_and_each_is_a_record_however_they_are_cut() {
        let body = [message(0, 3, b"one"), message(1, 0, b""), message(0, 0, b""), message(1, 6, b"\0\0\0\0\x09x")];
        let body = body.concat();
        for size in 1..=body.len() {
            assert_eq!(pushed(&body, size, 9), (body.clone(), 4, Ok(())), "{size}");
        }
    }

    #[test]
    fn nothing_of_the_message_beyond_the_budget_passes() {
        let first = [message(0, 3, b"one"), message(0, 0, b"")].concat();
        let body = [&first[..], &message(0, 3, b"two")].concat();
        for size in 1..=body.len() {
            assert_eq!(pushed(&body, size, 2), (first.clone(), 2, Err(RewriteError::RecordBudgetSpent)), "{size}");
        }
    }

    #[test]
    fn a_prefix_that_is_none_and_a_message_without_its_end_are_refused() {
        let too_long = u32::try_from(GRPC_MESSAGE_BYTES_MAX + 1).unwrap();
        let bound = RewriteError::Bound { bound: "the length of a gRPC message", limit: GRPC_MESSAGE_BYTES_MAX };
        let malformed = |what, at| RewriteError::Malformed { what, at };
        let (flag, end) =
            ("a gRPC message that is neither compressed nor not", "the end of a call in the middle of a gRPC message");
        for (body, passes, error) in [
            (message(0, too_long, b"x"), 0, bound.clone()),
            (message(0, u32::MAX, b""), 0, bound),
            ([message(0, 1, b"x"), message(0x80, 1, b"x")].concat(), 6, malformed(flag, 6)),
            (message(0, 3, b"on"), 7, malformed(end, 7)),
            ([message(0, 1, b"x"), vec![0, 0, 0]].concat(), 6, malformed(end, 9)),
        ] {
            for size in 1..=body.len() {
                let (out, _, outcome) = pushed(&body, size, 9);
                assert_eq!((out.len(), outcome), (passes, Err(error.clone())), "{size} of {body:?}");
            }
        }
    }

    #[test]
    fn only_a_body_of_grpc_is_read() {
        for (media, is_read) in [
            ("application/grpc", true),
            ("application/grpc;x=y", true),
            ("application/grpc+json", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let media = MediaType::parse(media).unwrap();
            assert_eq!(GrpcRewriter::new(&media).is_ok(), is_read, "{media:?}");
        }
        assert!(GrpcRewriter::new(&MediaType::NONE).is_err());
    }
}
