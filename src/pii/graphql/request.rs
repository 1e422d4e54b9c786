//! Where the query of a request is (GraphQL over HTTP): in a JSON body, in a body of type `application/graphql`, or
//! in the URL.
//!
//! A body is held whole until its query has been checked. A name that a laxer server might read as `query`, or by
//! which it might find a persisted query, is refused. So are two queries in one request, since a server could take
//! either.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::QueryChecker;
use crate::bounds::GRAPHQL_BYTES_MAX;
use crate::pii::charset::Charset;
use crate::pii::media::MediaType;
use crate::pii::{RewriteError, RewriteObserver, RewriteResult, Rewriter};

/// How a body contains its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pii) enum QueryPacking {
    /// A JSON object with the query, or a list of such objects.
    Json,
    /// The body is the query.
    Bare,
}

impl QueryPacking {
    /// How a body of this media type contains its query.
    ///
    /// # Errors
    /// [`RewriteError::GraphqlQuery`] for types in which only some servers look for a query, [`RewriteError::Opaque`]
    /// for a charset.
    pub(in crate::pii) fn of(media: &MediaType<'_>) -> RewriteResult<Self> {
        if media.charset() != Charset::Utf8 {
            return Err(RewriteError::Opaque { what: "a body in a charset other than UTF-8" });
        }
        if media.is("application", "graphql") {
            Ok(Self::Bare)
        } else if media.is("application", "json") || media.has_suffix("+json") {
            Ok(Self::Json)
        } else {
            Err(refused("is in a body that is neither application/json nor application/graphql"))
        }
    }
}

/// Holds a body until its query has been checked, and hands it to the inner rewriter then.
pub(in crate::pii) struct GraphqlRewriter {
    checker: Arc<QueryChecker>,
    packing: QueryPacking,
    held: Zeroizing<Vec<u8>>,
    engine: Box<dyn Rewriter>,
}

impl GraphqlRewriter {
    pub(in crate::pii) fn new(checker: Arc<QueryChecker>, packing: QueryPacking, engine: Box<dyn Rewriter>) -> Self {
        Self { checker, packing, held: Zeroizing::default(), engine }
    }
}

impl Rewriter for GraphqlRewriter {
    fn feed(&mut self, input: &[u8], _watch: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> RewriteResult {
        if self.held.len() + input.len() > GRAPHQL_BYTES_MAX {
            return Err(RewriteError::Bound { bound: "a GraphQL request", limit: GRAPHQL_BYTES_MAX as u64 });
        }
        self.held.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, observer: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        self.checker.check_body(self.packing, &self.held)?;
        self.engine.feed(&self.held, observer, out)?;
        self.engine.finish(observer, out)
    }
}

/// One request in JSON. A second `query`, one in another case and all unknown names are errors.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GraphqlRequest {
    query: String,
    #[serde(default, rename = "operationName")]
    _operation: Option<IgnoredAny>,
    #[serde(default, rename = "variables")]
    _variables: Option<IgnoredAny>,
    #[serde(default)]
    extensions: Option<serde_json::Map<String, serde_json::Value>>,
}

const fn refused(what: &'static str) -> RewriteError {
    RewriteError::GraphqlQuery { what, at: 0 }
}

/// The error for a persisted query.
const UNSEEN: &str = "is not in the request itself: what is persisted elsewhere cannot be judged";

impl QueryChecker {
    fn check_body(&self, packing: QueryPacking, body: &[u8]) -> RewriteResult {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let text = std::str::from_utf8(body).map_err(|_| refused("is not UTF-8"))?;
        if packing == QueryPacking::Bare {
            return self.check(text);
        }
        let unread = |_| refused("is not in a JSON object of query, operationName, variables and extensions alone");
        if !text.trim_start().starts_with('[') {
            return self.check_envelope(&serde_json::from_str(text).map_err(unread)?);
        }
        let list: Vec<GraphqlRequest> = serde_json::from_str(text).map_err(unread)?;
        if list.len() != 1 && !self.holds_in_lists() {
            return Err(refused("comes in a list, whose answers the rules would not reach: send each by itself"));
        }
        if list.is_empty() {
            return Err(refused("comes in a list that is empty"));
        }
        list.iter().try_for_each(|envelope| self.check_envelope(envelope))
    }

    fn check_envelope(&self, envelope: &GraphqlRequest) -> RewriteResult {
        let mut extensions = envelope.extensions.iter().flatten().map(|(name, _)| name.to_ascii_lowercase());
        if extensions.any(|name| name.contains("persisted")) {
            return Err(refused(UNSEEN));
        }
        self.check(&envelope.query)
    }

    /// Checks the decoded parameters of a URL; with `alone`, the request has no body, so a query must be among them.
    pub(in crate::pii) fn check_parameters<'a>(
        &self,
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
        alone: bool,
    ) -> RewriteResult {
        const UNSEEN_NAMES: [&str; 9] =
            ["extensions", "id", "documentid", "doc_id", "queryid", "query_id", "hash", "sha256hash", "persistedquery"];
        let mut seen = false;
        for (name, value) in pairs {
            let folded = name.trim().to_ascii_lowercase();
            let plain = folded.split(['[', '.']).next().unwrap_or_default();
            if UNSEEN_NAMES.contains(&plain) {
                return Err(refused(UNSEEN));
            }
            if plain == "query" && (name != "query" || std::mem::replace(&mut seen, true)) {
                return Err(refused("is in the URL twice, or under a name that only some servers read"));
            }
            if name == "query" {
                self.check(value)?;
            }
        }
        if seen || !alone {
            Ok(())
        } else {
            Err(refused("is missing: the URL has no query parameter, and there is no body"))
        }
    }
}
