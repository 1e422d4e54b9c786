//! The compiled treatment of one direction of one route: everything that its rules ask of a message.
//!
//! Made once per config and shared. Hands out a fresh engine for each body and a [`Scene`] for each message's URL and headers.
//! A body that the rules must read, and that no engine here reads, is refused: never passed.

use std::fmt;
use std::sync::Arc;

use super::accept::Asked;
use super::body::Engines;
use super::detect::{Guard, Sort, whole_number};
use super::encoding::{Coding, Decoding};
use super::form::decode;
use super::graphql::{Checker, GraphqlBody, Packing};
use super::json::{MatcherError, Spec, Target};
use super::keys::VendorKeys;
use super::media::MediaType;
use super::reveal::{RevealCounts, Revealer};
use super::rewriter::{Cut, Kind, Rewriter, Shape, Stop, Treat, Value, Watch};
use super::rule::{Rules, TreatmentKind, ValueType};
use super::treatment::{Batch, Pieces, Treater, TreatmentError};
use super::url::{Places, Scene};

/// The compiled rules of one direction of one route.
pub struct Plan {
    reads_body: bool,
    treats_body: bool,
    graphql: Option<Arc<Checker>>,
    rules: Box<[RuleName]>,
    counts: Arc<RevealCounts>,
    places: Places,
    references: Places,
    engines: Engines,
    asked: Asked,
}

/// What a rule is called in metrics and in the exposure report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleName {
    /// Where it looks, such as `$.customers[*].email` or `query:email`; `detect` for the detectors.
    pub place: Box<str>,
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
        Self::compile_counting(rules, keys, Arc::default())
    }

    /// The same, adding what it reveals to `counts`, which several plans may share and which may outlive them.
    ///
    /// # Errors
    /// As [`Plan::compile`].
    pub fn compile_counting(
        rules: &Rules,
        keys: Arc<VendorKeys>,
        counts: Arc<RevealCounts>,
    ) -> Result<Self, PlanError> {
        let treat: Arc<dyn Treat> = Arc::new(Both {
            treater: Treater::compile(&rules.treat, Arc::clone(&keys))?,
            revealer: Revealer::new(keys, Arc::clone(&counts)),
            first_reveal: rules.treat.len(),
            rest: rules.rest().zip(rules.detect.clone()),
        });
        Ok(Self {
            reads_body: rules.reads_body(),
            treats_body: rules.treats_body(),
            graphql: rules.graphql.as_ref().map(|answer| Arc::new(Checker::new(answer, rules))),
            rules: names(rules),
            counts,
            places: Places::new(rules),
            references: Places::of_references(rules),
            asked: Asked::of(rules),
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
    /// [`Stop::Opaque`] when the rules must read the body and no engine can.
    pub fn body(&self, content_type: Option<&str>, content_encoding: Option<&str>) -> Result<Box<dyn Rewriter>, Stop> {
        if !self.reads_body {
            return Ok(Box::new(Untouched));
        }
        let coding = content_encoding.map_or(Ok(None), Coding::parse)?;
        let media = content_type.map_or(Ok(MediaType::NONE), MediaType::parse)?;
        let engine = if self.treats_body { self.engines.body(&media)? } else { Box::new(Untouched) };
        let engine = match &self.graphql {
            Some(checker) => Box::new(GraphqlBody::new(Arc::clone(checker), Packing::of(&media)?, engine)),
            None => engine,
        };
        Ok(match coding {
            Some(coding) => Box::new(Decoding::new(coding, engine)),
            None => engine,
        })
    }

    /// Judges a request's GraphQL query where it stands in the URL, given without its `?`; `has_body` where it can stand there too.
    ///
    /// # Errors
    /// [`Stop`] when the query goes around the rules of its answer, cannot be judged, or is nowhere.
    pub fn check_query(&self, query: Option<&str>, has_body: bool) -> Result<(), Stop> {
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
        self.engines.media_type(&media)
    }

    /// An `Accept` field narrowed to what these rules, of the answer, read; `None` to leave it as it came.
    pub fn narrow_accept(&self, accept: &str) -> Option<String> {
        if self.reads_body { self.asked.narrow(accept, &self.engines) } else { None }
    }

    /// Whether a URL, header or cookie can need treatment.
    pub fn reads_head(&self) -> bool {
        !self.places.is_empty()
    }

    /// What treats the query, path segments, headers and cookies of one message.
    pub fn scene<'a>(&'a self, watch: &'a mut dyn Watch) -> Scene<'a> {
        Scene { places: &self.places, treat: &*self.engines.treat, watch }
    }

    /// Whether the references of an answer's head can need treatment: see [`Plan::references`].
    pub fn reads_references(&self) -> bool {
        !self.references.is_empty()
    }

    /// What treats the URLs of `Location`, `Content-Location` and `Link` by the rules for a body: a parameter that has the
    /// last name of a field is treated as that field.
    pub fn references<'a>(&'a self, watch: &'a mut dyn Watch) -> Scene<'a> {
        Scene { places: &self.references, treat: &*self.engines.treat, watch }
    }

    /// The names of all rules, by the number that [`Watch::treated`] is told: those that treat, those that reveal, the detectors.
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
struct Both {
    treater: Treater,
    revealer: Revealer,
    first_reveal: usize,
    rest: Option<(usize, Guard)>,
}

impl Treat for Both {
    fn drops(&self, rule: usize) -> bool {
        self.treater.drops(rule)
    }

    fn treat(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>) -> Result<Shape, Stop> {
        match &self.rest {
            Some((rest, guard)) if *rest == rule => Ok(detect(guard, value, out)),
            Some(_) | None if rule < self.first_reveal => self.treater.treat(rule, value, out),
            Some(_) | None => self.revealer.treat(rule, value, out),
        }
    }

    fn pieces(&self, rule: usize) -> Option<Pieces> {
        if rule < self.first_reveal { self.treater.pieces(rule) } else { None }
    }

    fn finish(&self, rule: usize, pieces: Pieces, out: &mut Vec<u8>) {
        self.treater.finish(rule, pieces, out);
    }

    /// What is no token is left as it came, and what detectors find is ASCII.
    fn takes_any_bytes(&self, rule: usize) -> bool {
        rule >= self.first_reveal
    }

    fn defer(&self, rule: usize, value: Value<'_>, out: &mut Vec<u8>, batch: &mut Batch) -> Result<Shape, Stop> {
        if rule < self.first_reveal {
            self.treater.defer(rule, value, out, batch)
        } else {
            self.treat(rule, value, out)
        }
    }

    fn settle(&self, batch: &mut Batch, out: &mut [u8]) {
        self.treater.settle(batch, out);
    }
}

/// What a guard makes of a text that no rule selects.
fn detect(guard: &Guard, value: Value<'_>, out: &mut Vec<u8>) -> Shape {
    let mut any = Any(false);
    let plain;
    let text = match value.kind {
        Kind::Number => match whole_number(value.text) {
            Some(digits) => {
                plain = digits;
                plain.as_bytes()
            }
            None => return Shape::AsItCame { counted: false },
        },
        Kind::String | Kind::Boolean | Kind::Null | Kind::Container => value.text,
    };
    if guard.apply(text, &mut any, out) { Shape::Text } else { Shape::AsItCame { counted: any.0 } }
}

/// Whether anything was found.
struct Any(bool);

impl Watch for Any {
    fn record(&mut self) -> Result<(), Cut> {
        Ok(())
    }

    fn treated(&mut self, _rule: usize) {}

    fn found(&mut self, _sort: Sort) {
        self.0 = true;
    }

    fn subject(&mut self, _value: &[u8]) {}
}

/// The engine of a body that no rule reads.
struct Untouched;

impl Rewriter for Untouched {
    fn feed(&mut self, input: &[u8], _watch: &mut dyn Watch, out: &mut Vec<u8>) -> Result<(), Stop> {
        out.extend_from_slice(input);
        Ok(())
    }

    fn finish(&mut self, _watch: &mut dyn Watch, _out: &mut Vec<u8>) -> Result<(), Stop> {
        Ok(())
    }
}

/// Only strings can be tokens, so a revealed field selects nothing else.
fn json_spec(rules: &Rules) -> Spec<'_> {
    let mut spec = Spec::of(rules);
    let reveal = (rules.treat.len()..).zip(&rules.reveal);
    spec.treat.extend(reveal.map(|(rule, path)| Target {
        path: path.clone(),
        rule,
        only_type: Some(ValueType::String),
    }));
    spec
}

fn names(rules: &Rules) -> Box<[RuleName]> {
    let treat = rules.treat.iter().map(|rule| (rule.place.to_string(), rule.treatment.kind()));
    let reveal = rules.reveal.iter().map(|path| (path.to_string(), TreatmentKind::Reveal));
    let detect = rules.detect.iter().map(|guard| (DETECT.to_owned(), guard.action().kind()));
    treat.chain(reveal).chain(detect).map(|(place, treatment)| RuleName { place: place.into(), treatment }).collect()
}

#[cfg(test)]
mod tests;
