//! The compiled rules of one direction of one route.
//!
//! Made once per config and shared between threads. Makes a [`Rewriter`] for each body, and a [`HeadRewriter`] for the
//! URL and headers of each message. A body that the rules must read and that no engine can read is refused, never
//! passed.

use std::fmt;
use std::sync::Arc;

use super::accept::AcceptFilter;
use super::body::Engines;
use super::detect::{DetectRule, whole_number};
use super::encoding::{ContentCoding, DecodingRewriter};
use super::form::decode;
use super::graphql::{GraphqlRewriter, QueryChecker, QueryPacking};
use super::json::{MatcherError, MatcherSpec, TreatedPath};
use super::keys::VendorKeys;
use super::media::MediaType;
use super::reveal::{RevealCounts, Revealer};
use super::rewriter::{RewriteError, RewriteObserver, RewriteResult, Rewriter};
use super::rule::{Rules, ValueType};
use super::transform::{Replacement, SelectedValue, Transform, ValueKind};
use super::treatment::{DeferredBatch, PieceTransform, Transformer, TreatmentError};
use super::url::{HeadRewriter, HeadRules};
use crate::model::{Category, TreatmentKind};

/// The compiled rules of one direction of one route, with the keys of its vendor. Share it by `Arc` between threads.
pub struct Plan {
    reads_body: bool,
    treats_body: bool,
    graphql: Option<Arc<QueryChecker>>,
    rules: Box<[RuleName]>,
    counts: Arc<RevealCounts>,
    head_rules: HeadRules,
    reference_rules: HeadRules,
    engines: Engines,
    accept_filter: AcceptFilter,
}

/// How a rule is named in metrics and in the exposure report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleName {
    /// Where it looks, such as `$.customers[*].email` or `query:email`; `detect` for the detectors.
    pub location: Box<str>,
    /// What it does to a value.
    pub treatment: TreatmentKind,
    /// The category of personal data that it treats, where it is one.
    pub category: Option<Category>,
}

/// The location in the [`RuleName`] of the detectors.
pub const DETECT: &str = "detect";

/// Why rules cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A treatment cannot be carried out.
    #[error(transparent)]
    Treatment(#[from] TreatmentError),
    /// The paths cannot be matched.
    #[error(transparent)]
    Paths(#[from] MatcherError),
}

impl Plan {
    /// Compiles the rules of one direction of one route, with the keys of its vendor.
    ///
    /// # Errors
    /// [`PlanError`] when a rule's class is none of the keys', a treatment is impossible, or the paths cannot be
    /// matched.
    pub fn compile(rules: &Rules, keys: Arc<VendorKeys>) -> Result<Self, PlanError> {
        Self::compile_with_counts(rules, keys, Arc::default())
    }

    /// As [`Plan::compile`], with counts of revealed tokens that several plans share and that may outlive them.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_with_counts(
        rules: &Rules,
        keys: Arc<VendorKeys>,
        counts: Arc<RevealCounts>,
    ) -> Result<Self, PlanError> {
        let treat: Arc<dyn Transform> = Arc::new(PlanTransform {
            transformer: Transformer::compile(&rules.treat, Arc::clone(&keys))?,
            revealer: Revealer::new(keys, Arc::clone(&counts)),
            first_reveal: rules.treat.len(),
            detect: rules.detect_rule().zip(rules.detect.clone()),
        });
        Ok(Self {
            reads_body: rules.reads_body(),
            treats_body: rules.treats_body(),
            graphql: rules.graphql.as_ref().map(|answer| Arc::new(QueryChecker::new(answer, rules))),
            rules: rule_names(rules),
            counts,
            head_rules: HeadRules::new(rules),
            reference_rules: HeadRules::for_references(rules),
            accept_filter: AcceptFilter::of(rules),
            engines: Engines::compile(rules, &json_spec(rules), treat)?,
        })
    }

    /// Whether bodies must be read. Without that they pass byte for byte and need no engine.
    pub const fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// Whether bodies are the messages of gRPC calls, which are read and pass as they are.
    pub fn counts_grpc_messages(&self) -> bool {
        self.engines.counts_grpc_messages()
    }

    /// A new engine for one body with these values of `Content-Type` and `Content-Encoding`. The body leaves it without
    /// a content coding, and with the content type that [`Plan::content_type`] gives.
    ///
    /// # Errors
    /// [`crate::pii::RewriteError::Opaque`] when the rules must read the body and no engine can.
    pub fn body_rewriter(
        &self,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> RewriteResult<Box<dyn Rewriter>> {
        if !self.reads_body {
            return Ok(Box::new(PassthroughRewriter));
        }
        let coding = content_encoding.map_or(Ok(None), ContentCoding::parse)?;
        if coding.is_some() && self.engines.counts_grpc_messages() {
            return Err(RewriteError::Opaque { what: "a gRPC call under a content coding" });
        }
        let media = content_type.map_or(Ok(MediaType::NONE), MediaType::parse)?;
        let engine = if self.treats_body { self.engines.engine_for(&media)? } else { Box::new(PassthroughRewriter) };
        let engine = match &self.graphql {
            Some(checker) => Box::new(GraphqlRewriter::new(Arc::clone(checker), QueryPacking::of(&media)?, engine)),
            None => engine,
        };
        Ok(match coding {
            Some(coding) => Box::new(DecodingRewriter::new(coding, engine)),
            None => engine,
        })
    }

    /// Checks the GraphQL query in the query of a URL, which is given without its `?`. With `has_body`, the GraphQL
    /// query may be in the body instead.
    ///
    /// # Errors
    /// [`crate::pii::RewriteError`] when the query would return values that the rules of its answer do not select,
    /// cannot be checked, or is missing.
    pub fn check_graphql_query(&self, query: Option<&str>, has_body: bool) -> RewriteResult {
        let Some(checker) = &self.graphql else { return Ok(()) };
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (mut name_buffer, mut value_buffer) = (Vec::new(), Vec::new());
            let name = decode(name.as_bytes(), 0, &mut name_buffer)?.to_owned();
            pairs.push((name, decode(value.as_bytes(), 0, &mut value_buffer)?.to_owned()));
        }
        checker.check_parameters(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), !has_body)
    }

    /// The content type of a body as it leaves, if that differs from the one that it came with: its charset is then
    /// UTF-8.
    pub fn content_type(&self, content_type: &str) -> Option<String> {
        let media = MediaType::parse(content_type).ok().filter(|_| self.reads_body)?;
        self.engines.decoded_media_type(&media)
    }

    /// The value of an `Accept` field, narrowed to the types that these rules of the answer read; `None` to leave it as
    /// it came (RFC 9110, section 12.5.1).
    pub fn narrow_accept(&self, accept: &str) -> Option<String> {
        if self.reads_body { self.accept_filter.narrow(accept, &self.engines) } else { None }
    }

    /// Whether a rule selects values in URLs, headers or cookies.
    pub fn reads_head(&self) -> bool {
        !self.head_rules.is_empty()
    }

    /// A rewriter for the query, path segments, headers and cookies of one message.
    pub fn head_rewriter<'a>(&'a self, observer: &'a mut dyn RewriteObserver) -> HeadRewriter<'a> {
        HeadRewriter { rules: &self.head_rules, transform: &*self.engines.transform, observer }
    }

    /// Whether [`Plan::reference_rewriter`] can change anything.
    pub fn reads_references(&self) -> bool {
        !self.reference_rules.is_empty()
    }

    /// A rewriter for the URLs in `Location`, `Content-Location` and `Link` of an answer, which may repeat fields of
    /// its body: a parameter with the last name of a field is treated as that field.
    pub fn reference_rewriter<'a>(&'a self, observer: &'a mut dyn RewriteObserver) -> HeadRewriter<'a> {
        HeadRewriter { rules: &self.reference_rules, transform: &*self.engines.transform, observer }
    }

    /// The names of all rules. The index is the number that [`RewriteObserver::on_treated`] receives: first the rules
    /// that treat, then those that reveal, then the detectors.
    pub fn rules(&self) -> &[RuleName] {
        &self.rules
    }

    /// How many tokens this plan has opened, and how many not.
    pub const fn reveal_counts(&self) -> &Arc<RevealCounts> {
        &self.counts
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A plan's treatments, reveals and detectors as one [`Transform`], numbered in this order.
struct PlanTransform {
    transformer: Transformer,
    revealer: Revealer,
    first_reveal: usize,
    detect: Option<(usize, DetectRule)>,
}

impl Transform for PlanTransform {
    fn drops_member(&self, rule: usize) -> bool {
        self.transformer.drops_member(rule)
    }

    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> RewriteResult<Replacement> {
        match &self.detect {
            Some((number, detectors)) if *number == rule => Ok(detect(detectors, value, out)),
            Some(_) | None if rule < self.first_reveal => self.transformer.transform(rule, value, out),
            Some(_) | None => self.revealer.transform(rule, value, out),
        }
    }

    fn begin_pieces(&self, rule: usize) -> Option<PieceTransform> {
        if rule < self.first_reveal { self.transformer.begin_pieces(rule) } else { None }
    }

    fn finish_pieces(&self, rule: usize, pieces: PieceTransform, out: &mut Vec<u8>) {
        self.transformer.finish_pieces(rule, pieces, out);
    }

    /// A revealed field that is no token stays as it came, and detectors look for ASCII alone.
    fn accepts_any_bytes(&self, rule: usize) -> bool {
        rule >= self.first_reveal
    }

    fn defer(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        batch: &mut DeferredBatch,
    ) -> RewriteResult<Replacement> {
        if rule < self.first_reveal {
            self.transformer.defer(rule, value, out, batch)
        } else {
            self.transform(rule, value, out)
        }
    }

    fn complete_deferred(&self, batch: &mut DeferredBatch, out: &mut [u8]) {
        self.transformer.complete_deferred(batch, out);
    }
}

/// Applies the detectors to a value that no rule selects.
fn detect(detectors: &DetectRule, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Replacement {
    let mut found = false;
    let plain;
    let text = match value.kind {
        ValueKind::Number => match whole_number(value.text) {
            Some(digits) => {
                plain = digits;
                plain.as_bytes()
            }
            None => return Replacement::Unchanged { counted: false },
        },
        ValueKind::String | ValueKind::Boolean | ValueKind::Null | ValueKind::Container => value.text,
    };
    let replaced = detectors.apply(text, |_| found = true, out);
    if replaced { Replacement::Text } else { Replacement::Unchanged { counted: found } }
}

/// Passes a body that no rule reads.
struct PassthroughRewriter;

impl Rewriter for PassthroughRewriter {
    fn feed(&mut self, input: &[u8], _watch: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> RewriteResult {
        out.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, _watch: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> RewriteResult {
        Ok(())
    }
}

/// The rules as the JSON engine takes them. A revealed field selects strings alone, since only they can be tokens.
fn json_spec(rules: &Rules) -> MatcherSpec<'_> {
    let mut spec = MatcherSpec::of(rules);
    let reveal = (rules.treat.len()..).zip(&rules.reveal);
    spec.treat.extend(reveal.map(|(rule, path)| TreatedPath {
        path: path.clone(),
        rule,
        only_type: Some(ValueType::String),
    }));
    spec
}

fn rule_names(rules: &Rules) -> Box<[RuleName]> {
    let treat = rules.treat.iter().map(|rule| RuleName {
        location: rule.location.to_string().into(),
        treatment: rule.treatment.kind(),
        category: rule.category.clone(),
    });
    let reveal = rules.reveal.iter().map(|path| RuleName {
        location: path.to_string().into(),
        treatment: TreatmentKind::Reveal,
        category: None,
    });
    let detect = rules.detect.iter().map(|detectors| RuleName {
        location: DETECT.into(),
        treatment: detectors.treatment_kind(),
        category: detectors.category(),
    });
    treat.chain(reveal).chain(detect).collect()
}

#[cfg(test)]
mod tests;
