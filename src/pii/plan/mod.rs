//! The compiled treatment of one direction of one route: everything that its rules ask of a message.
//!
//! Made once per config and shared. Hands out a fresh engine for each body and a [`HeadRewriter`] for each message's URL and headers.
//! A body that the rules must read, and that no engine here reads, is refused: never passed.

use std::fmt;
use std::sync::Arc;

use super::accept::AcceptFilter;
use super::body::Engines;
use super::detect::{DetectRule, PiiKind, whole_number};
use super::encoding::{ContentCoding, DecodingRewriter};
use super::form::decode;
use super::graphql::{GraphqlRewriter, QueryChecker, QueryPacking};
use super::json::{MatcherError, MatcherSpec, TreatedPath};
use super::keys::VendorKeys;
use super::media::MediaType;
use super::reveal::{RevealCounts, Revealer};
use super::rewriter::{RecordBudgetSpent, RewriteError, RewriteObserver, Rewriter};
use super::rule::{Rules, TreatmentKind, ValueType};
use super::transform::{Replacement, SelectedValue, Transform, ValueKind};
use super::treatment::{DeferredBatch, PieceTransform, Transformer, TreatmentError};
use super::url::{HeadRewriter, HeadRules};

/// The compiled rules of one direction of one route.
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

/// What a rule is called in metrics and in the exposure report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleName {
    /// Where it looks, such as `$.customers[*].email` or `query:email`; `detect` for the detectors.
    pub location: Box<str>,
    /// What it does.
    pub treatment: TreatmentKind,
}

/// What the detectors of a plan are called in the place of a path.
pub const DETECT: &str = "detect";

/// Why rules cannot become a plan.
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
    /// [`PlanError`] when a rule's class is none of the keys', a treatment is impossible, or the paths cannot be matched.
    pub fn compile(rules: &Rules, keys: Arc<VendorKeys>) -> Result<Self, PlanError> {
        Self::compile_with_counts(rules, keys, Arc::default())
    }

    /// The same, adding what it reveals to `counts`, which several plans may share and which may outlive them.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_with_counts(
        rules: &Rules,
        keys: Arc<VendorKeys>,
        counts: Arc<RevealCounts>,
    ) -> Result<Self, PlanError> {
        let treat: Arc<dyn Transform> = Arc::new(PlanTransform {
            treater: Transformer::compile(&rules.treat, Arc::clone(&keys))?,
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

    /// Whether bodies must be read: without, they pass byte for byte and need no engine.
    pub const fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// A fresh engine for one body with these header values. What leaves it has no content coding.
    ///
    /// # Errors
    /// [`RewriteError::Opaque`] when the rules must read the body and no engine can.
    pub fn body_rewriter(
        &self,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
    ) -> Result<Box<dyn Rewriter>, RewriteError> {
        if !self.reads_body {
            return Ok(Box::new(PassthroughRewriter));
        }
        let coding = content_encoding.map_or(Ok(None), ContentCoding::parse)?;
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

    /// Judges a request's GraphQL query where it stands in the URL, given without its `?`; `has_body` where it can stand there too.
    ///
    /// # Errors
    /// [`RewriteError`] when the query goes around the rules of its answer, cannot be judged, or is nowhere.
    pub fn check_graphql_query(&self, query: Option<&str>, has_body: bool) -> Result<(), RewriteError> {
        let Some(checker) = &self.graphql else { return Ok(()) };
        let mut pairs = Vec::new();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (mut decoded, mut told) = (Vec::new(), Vec::new());
            let name = decode(name.as_bytes(), 0, &mut decoded)?.to_owned();
            pairs.push((name, decode(value.as_bytes(), 0, &mut told)?.to_owned()));
        }
        checker.check_parameters(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())), !has_body)
    }

    /// The content type of a body as it leaves, where that is another than the one it came with: it is in UTF-8 then.
    pub fn content_type(&self, content_type: &str) -> Option<String> {
        let media = MediaType::parse(content_type).ok().filter(|_| self.reads_body)?;
        self.engines.decoded_media_type(&media)
    }

    /// An `Accept` field narrowed to what these rules, of the answer, read; `None` to leave it as it came.
    pub fn narrow_accept(&self, accept: &str) -> Option<String> {
        if self.reads_body { self.accept_filter.narrow(accept, &self.engines) } else { None }
    }

    /// Whether a URL, header or cookie can need treatment.
    pub fn reads_head(&self) -> bool {
        !self.head_rules.is_empty()
    }

    /// What treats the query, path segments, headers and cookies of one message.
    pub fn head_rewriter<'a>(&'a self, observer: &'a mut dyn RewriteObserver) -> HeadRewriter<'a> {
        HeadRewriter { rules: &self.head_rules, transform: &*self.engines.transform, observer }
    }

    /// Whether the references of an answer's head can need treatment: see [`Plan::reference_rewriter`].
    pub fn reads_references(&self) -> bool {
        !self.reference_rules.is_empty()
    }

    /// What treats the URLs of `Location`, `Content-Location` and `Link` by the rules for a body: a parameter that has the
    /// last name of a field is treated as that field.
    pub fn reference_rewriter<'a>(&'a self, observer: &'a mut dyn RewriteObserver) -> HeadRewriter<'a> {
        HeadRewriter { rules: &self.reference_rules, transform: &*self.engines.transform, observer }
    }

    /// The names of all rules, by the number that [`RewriteObserver::on_treated`] is told: those that treat, those that reveal, the detectors.
    pub fn rules(&self) -> &[RuleName] {
        &self.rules
    }

    /// What this plan has revealed and what it could not.
    pub const fn reveal_counts(&self) -> &Arc<RevealCounts> {
        &self.counts
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// A plan's treatments, reveals and detectors as one, numbered in this order.
struct PlanTransform {
    treater: Transformer,
    revealer: Revealer,
    first_reveal: usize,
    detect: Option<(usize, DetectRule)>,
}

impl Transform for PlanTransform {
    fn drops_member(&self, rule: usize) -> bool {
        self.treater.drops_member(rule)
    }

    fn transform(&self, rule: usize, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Result<Replacement, RewriteError> {
        match &self.detect {
            Some((rest, guard)) if *rest == rule => Ok(detect(guard, value, out)),
            Some(_) | None if rule < self.first_reveal => self.treater.transform(rule, value, out),
            Some(_) | None => self.revealer.transform(rule, value, out),
        }
    }

    fn begin_pieces(&self, rule: usize) -> Option<PieceTransform> {
        if rule < self.first_reveal { self.treater.begin_pieces(rule) } else { None }
    }

    fn finish_pieces(&self, rule: usize, pieces: PieceTransform, out: &mut Vec<u8>) {
        self.treater.finish_pieces(rule, pieces, out);
    }

    /// What is no token is left as it came, and what detectors find is ASCII.
    fn accepts_any_bytes(&self, rule: usize) -> bool {
        rule >= self.first_reveal
    }

    fn defer(
        &self,
        rule: usize,
        value: SelectedValue<'_>,
        out: &mut Vec<u8>,
        batch: &mut DeferredBatch,
    ) -> Result<Replacement, RewriteError> {
        if rule < self.first_reveal {
            self.treater.defer(rule, value, out, batch)
        } else {
            self.transform(rule, value, out)
        }
    }

    fn complete_deferred(&self, batch: &mut DeferredBatch, out: &mut [u8]) {
        self.treater.complete_deferred(batch, out);
    }
}

/// What a guard makes of a text that no rule selects.
fn detect(guard: &DetectRule, value: SelectedValue<'_>, out: &mut Vec<u8>) -> Replacement {
    let mut any = FoundFlag(false);
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
    if guard.apply(text, &mut any, out) { Replacement::Text } else { Replacement::Unchanged { counted: any.0 } }
}

/// Whether anything was found.
struct FoundFlag(bool);

impl RewriteObserver for FoundFlag {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        Ok(())
    }

    fn on_treated(&mut self, _rule: usize) {}

    fn on_found(&mut self, _sort: PiiKind) {
        self.0 = true;
    }

    fn on_subject(&mut self, _value: &[u8]) {}
}

/// The engine of a body that no rule reads.
struct PassthroughRewriter;

impl Rewriter for PassthroughRewriter {
    fn feed(&mut self, input: &[u8], _watch: &mut dyn RewriteObserver, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        out.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, _watch: &mut dyn RewriteObserver, _out: &mut Vec<u8>) -> Result<(), RewriteError> {
        Ok(())
    }
}

/// Only strings can be tokens, so a revealed field selects nothing else.
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
    let treat = rules.treat.iter().map(|rule| (rule.location.to_string(), rule.treatment.kind()));
    let reveal = rules.reveal.iter().map(|path| (path.to_string(), TreatmentKind::Reveal));
    let detect = rules.detect.iter().map(|guard| (DETECT.to_owned(), guard.action().treatment_kind()));
    treat.chain(reveal).chain(detect).map(|(place, treatment)| RuleName { location: place.into(), treatment }).collect()
}

#[cfg(test)]
mod tests;
