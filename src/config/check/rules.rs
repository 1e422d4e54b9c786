//! Checks `request:` and `response:` of a route: which values are treated, and how.

use std::num::NonZeroU64;

use super::{body_format, category, clear, reveal};
use crate::config::file::route::{
    EncryptedFormatConfig as WrittenFormat, GeneralizeConfig, MessageRulesConfig, PiiRuleConfig,
};
use crate::config::nearest::nearest;
use crate::config::source::Cursor;
use crate::config::suggest;
use crate::model::{Direction, FieldPath, PathSelector};
use crate::pii::{
    DigitFormat, FileHandling, Generalization, Rule, Rules, TokenClass, Treatment, TreatmentKind, ValueLocation,
};
use crate::route::RoutePattern;

/// Header fields that the gateway itself reads or writes: a treatment would break the message.
const FRAMING_HEADERS: [&str; 12] = [
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// The message that rules are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RuleSide {
    /// The request of a route in this direction.
    Request(Direction),
    /// The response of a route in this direction.
    Response(Direction),
}

impl RuleSide {
    /// Whether the message comes from a vendor to us, so that tokens in it may become values.
    pub(super) const fn is_inward(self) -> bool {
        matches!(self, Self::Request(Direction::Ingress) | Self::Response(Direction::Egress))
    }
}

/// The rules of one message.
pub(super) fn rules(
    at: &Cursor<'_>,
    written: Option<&MessageRulesConfig>,
    pattern: Option<&RoutePattern>,
    side: RuleSide,
) -> Rules {
    let Some(written) = written else { return Rules::default() };
    let mut rules = Rules { only: only(&at.key("only"), written.only.as_deref()), ..Rules::default() };
    for (i, line) in written.pii.iter().flatten().enumerate() {
        let at = at.key("pii").item(i);
        if let Some(rule) = rule(&at, line, pattern, side) {
            check_reached(&at, &rule, &rules);
            if body_format::is_optional(&at, line.optional, &rule.location) {
                rules.body_settings.optional_rules.push(rules.treat.len());
            }
            rules.treat.push(rule);
        }
    }
    rules.clear = clear::build(&at.key("clear"), written.clear.as_deref(), &rules, side);
    for (text, key) in written.categories.iter().flatten() {
        let at = at.key("categories").key(text);
        rules.categories.extend(category::of_listed(&at, text, key));
    }
    rules.reveal = reveal::reveal(&at.key("reveal"), written.reveal.as_deref(), &rules, side);
    rules.detect = written.detect.as_ref().and_then(|detect| reveal::detect(&at.key("detect"), detect));
    if written.allow_files == Some(true) {
        rules.files = FileHandling::Pass;
        if !rules.reads_body() {
            at.key("allow_files").fault("has no effect: no rule reads the body, so everything passes", "take it out");
        }
    }
    body_format::build(at, written, &mut rules);
    rules
}

/// A path in the body.
pub(super) fn field(at: &Cursor<'_>, text: &str) -> Option<FieldPath> {
    FieldPath::parse(text)
        .map_err(|error| {
            let meant = suggest::field(text).filter(|meant| FieldPath::parse(meant).is_ok());
            at.invalid_with_guess(error.to_string(), meant, "$.customers[*].email");
        })
        .ok()
}

/// A list of paths in the body, each of which `check` checks. Reports repeated ones.
pub(super) fn fields(at: &Cursor<'_>, written: &[String], check: impl Fn(&Cursor<'_>, &FieldPath)) -> Vec<FieldPath> {
    let mut fields: Vec<FieldPath> = Vec::new();
    for (i, text) in written.iter().enumerate() {
        let at = at.item(i);
        let Some(path) = field(&at, text) else { continue };
        if fields.contains(&path) {
            at.fault("is listed twice", "take one of them out");
        }
        check(&at, &path);
        fields.push(path);
    }
    fields
}

/// Whether one path can select a value that the other selects, or one that contains it or is inside it.
pub(super) fn related(left: &FieldPath, right: &FieldPath) -> bool {
    for (left, right) in left.steps().iter().zip(right.steps()) {
        // A step behind `..` matches at any depth: nothing can be excluded from here on.
        if left.descends || right.descends {
            return true;
        }
        match (&left.selector, &right.selector) {
            (PathSelector::Name(left), PathSelector::Name(right)) if left != right => return false,
            (PathSelector::Index(left), PathSelector::Index(right)) if left != right => return false,
            (PathSelector::Name(_), PathSelector::Index(_)) | (PathSelector::Index(_), PathSelector::Name(_)) => {
                return false;
            }
            (PathSelector::Name(_) | PathSelector::Index(_) | PathSelector::Wildcard, _) => {}
        }
    }
    true
}

fn only(at: &Cursor<'_>, written: Option<&[String]>) -> Option<Vec<FieldPath>> {
    let written = written?;
    if written.is_empty() {
        at.fault("must list at least one field: an empty list would drop everything", "write [\"$.id\"]");
    }
    Some(written.iter().enumerate().filter_map(|(i, text)| field(&at.item(i), text)).collect())
}

fn rule(at: &Cursor<'_>, line: &PiiRuleConfig, pattern: Option<&RoutePattern>, side: RuleSide) -> Option<Rule> {
    let place = place(at, line, pattern, side);
    let treatment = treatment(at, line);
    let only_type = line.only_type;
    if only_type.is_some() && !matches!(place, Some(ValueLocation::Field(_)) | None) {
        at.key("type").fault("belongs to a field: other places hold only text", "take it out");
    }
    let (place, treatment) = (place?, treatment?);
    if matches!((&place, &treatment), (ValueLocation::Segment(_), Treatment::Drop)) {
        at.key("as").invalid_with_remedy(
            "would leave a gap in the path",
            "write redact, or tokenize where the value must come back",
        );
    }
    let category = category::of_rule(&at.key("category"), line.category.as_deref(), line.class.as_deref(), &place);
    let class = class(at, line, &place)?;
    Some(Rule { location: place, treatment, class, only_type, category })
}

fn place(
    at: &Cursor<'_>,
    line: &PiiRuleConfig,
    pattern: Option<&RoutePattern>,
    side: RuleSide,
) -> Option<ValueLocation> {
    let written = [
        ("field", &line.field),
        ("query", &line.query),
        ("header", &line.header),
        ("cookie", &line.cookie),
        ("segment", &line.segment),
    ];
    let mut named = written.into_iter().filter_map(|(name, text)| Some((name, text.as_deref()?)));
    let Some((name, text)) = named.next() else {
        at.fault(
            "must say where the value is",
            "write field: \"$.customers[*].email\", or query, header, cookie or segment",
        );
        return None;
    };
    if let Some((other, _)) = named.next() {
        at.key(other).fault(format!("is a second place beside {name}"), "write a rule for each");
        return None;
    }
    let at = at.key(name);
    if text.is_empty() {
        at.fault("must not be empty", "");
        return None;
    }
    match name {
        "field" => field(&at, text).map(ValueLocation::Field),
        "query" => Some(ValueLocation::Query(text.into())),
        "header" => header(&at, text).map(ValueLocation::Header),
        "cookie" => Some(ValueLocation::Cookie(text.into())),
        _ => segment(&at, text, pattern, side).map(ValueLocation::Segment),
    }
}

fn header(at: &Cursor<'_>, text: &str) -> Option<Box<str>> {
    let name = text.to_ascii_lowercase();
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        at.invalid_with_guess("must be the name of a header field", suggest::header(text), "x-customer-email");
        return None;
    }
    if FRAMING_HEADERS.contains(&name.as_str()) {
        at.invalid_with_remedy("is a header that the message cannot be without", "take the rule out");
        return None;
    }
    if name == "cookie" || name == "set-cookie" {
        at.invalid_with_remedy("is treated by the name of each cookie", "write cookie: NAME in the place of header");
        return None;
    }
    Some(name.into())
}

fn segment(at: &Cursor<'_>, text: &str, pattern: Option<&RoutePattern>, side: RuleSide) -> Option<Box<str>> {
    if matches!(side, RuleSide::Response(_)) {
        at.fault("is part of a request: a response has no path", "move the rule to request");
        return None;
    }
    let pattern = pattern?;
    if !pattern.capture_names().any(|name| name == text) {
        let near = nearest(text, pattern.capture_names()).or_else(|| pattern.capture_names().next());
        match near {
            Some(near) => at.invalid(format!("is no capture of {pattern}"), near),
            None => at.invalid_with_remedy(
                format!("is no capture of {pattern}"),
                format!("write {{{text}}} into the route where the value is"),
            ),
        }
        return None;
    }
    Some(text.into())
}

fn class(at: &Cursor<'_>, line: &PiiRuleConfig, place: &ValueLocation) -> Option<TokenClass> {
    let Some(text) = &line.class else { return Some(class_of(place)) };
    let at = at.key("class");
    if line.treatment.is_some_and(|treatment| !treatment.is_keyed()) {
        at.fault("belongs to tokenize, hash and encrypt_format", "take it out");
    }
    TokenClass::parse(text).map_err(|error| at.invalid(error.to_string(), class_of(place).as_str())).ok()
}

fn class_of(place: &ValueLocation) -> TokenClass {
    match place {
        ValueLocation::Field(path) => TokenClass::from_name(path.nearest_name().unwrap_or_default()),
        ValueLocation::Query(name)
        | ValueLocation::Header(name)
        | ValueLocation::Cookie(name)
        | ValueLocation::Segment(name) => TokenClass::from_name(name),
    }
}

fn treatment(at: &Cursor<'_>, line: &PiiRuleConfig) -> Option<Treatment> {
    let written = line.treatment?;
    let card = line.format == Some(WrittenFormat::Card);
    let ends = written == TreatmentKind::Mask || (written == TreatmentKind::EncryptFormat && card);
    let ends_belong = "mask, and to encrypt_format of a card";
    for (name, is_written, belongs, to) in [
        ("keep_first", line.keep_first.is_some(), ends, ends_belong),
        ("keep_last", line.keep_last.is_some(), ends, ends_belong),
        ("format", line.format.is_some(), written == TreatmentKind::EncryptFormat, "encrypt_format"),
        ("to", line.to.is_some(), written == TreatmentKind::Generalize, "generalize"),
        ("size", line.size.is_some(), written == TreatmentKind::Generalize, "generalize"),
    ] {
        if is_written && !belongs {
            at.key(name).fault(format!("belongs to {to}"), "take it out, or write another treatment");
        }
    }
    match written {
        TreatmentKind::Tokenize => Some(Treatment::Tokenize),
        TreatmentKind::Hash => Some(Treatment::Hash),
        TreatmentKind::EncryptFormat => format(at, line).map(Treatment::EncryptFormat),
        TreatmentKind::Mask => {
            let (keep_first, keep_last) = (line.keep_first.unwrap_or(0), line.keep_last.unwrap_or(0));
            Some(Treatment::Mask { keep_first, keep_last })
        }
        TreatmentKind::Redact => Some(Treatment::Redact),
        TreatmentKind::Drop => Some(Treatment::Drop),
        TreatmentKind::Generalize => generalize(at, line).map(Treatment::Generalize),
        // The schema takes neither under `pii`.
        TreatmentKind::Reveal | TreatmentKind::Report => None,
    }
}

/// `format:` of encrypt_format. A card that keeps both ends is refused: 10^5 values remain, and NIST SP 800-38G rev. 1
/// asks for 10^6.
fn format(at: &Cursor<'_>, line: &PiiRuleConfig) -> Option<DigitFormat> {
    match line.format.unwrap_or(WrittenFormat::Digits) {
        WrittenFormat::Digits => Some(DigitFormat::Digits),
        WrittenFormat::Phone => Some(DigitFormat::Phone),
        WrittenFormat::Card => {
            let first = card_end(&at.key("keep_first"), line.keep_first, 6);
            let last = card_end(&at.key("keep_last"), line.keep_last, 4);
            if first == 6 && last == 4 {
                at.fault(
                    "keeps both ends of a card, which leaves 100000 values: anyone could try them all",
                    "keep the first 6 or the last 4, or write as: mask",
                );
            }
            Some(DigitFormat::Card { keep_first: first, keep_last: last })
        }
    }
}

fn card_end(at: &Cursor<'_>, written: Option<u16>, allowed: u8) -> u8 {
    match written {
        None => 0,
        Some(kept) if kept == u16::from(allowed) => allowed,
        Some(_) => {
            at.invalid(format!("of a card must be {allowed}"), allowed.to_string());
            0
        }
    }
}

fn generalize(at: &Cursor<'_>, line: &PiiRuleConfig) -> Option<Generalization> {
    let Some(to) = line.to else {
        at.fault("must say what generalize makes of the value", "write to: year, prefix or bucket");
        return None;
    };
    match (to, line.size) {
        (GeneralizeConfig::Year, None) => Some(Generalization::Year),
        (GeneralizeConfig::Year, Some(_)) => {
            at.key("size").fault("belongs to prefix and bucket", "take it out");
            None
        }
        (GeneralizeConfig::Prefix | GeneralizeConfig::Bucket, None) => {
            at.key("size").fault("must say how many characters, or how wide", "write size: 10");
            None
        }
        (GeneralizeConfig::Prefix, Some(size)) => match u16::try_from(size) {
            Ok(size) => Some(Generalization::Prefix(size)),
            Err(_) => {
                at.key("size").invalid("of a prefix must be at most 65535", "65535");
                None
            }
        },
        (GeneralizeConfig::Bucket, Some(size)) => NonZeroU64::new(size).map(Generalization::Bucket),
    }
}

/// Reports a rule that no value can reach: it would give a false sense of safety.
fn check_reached(at: &Cursor<'_>, rule: &Rule, earlier: &Rules) {
    let same = |other: &Rule| {
        other.location == rule.location && (other.only_type.is_none() || other.only_type == rule.only_type)
    };
    if earlier.treat.iter().any(same) {
        at.fault("is never reached: an earlier rule selects the same values", "take one of them out");
    }
    if let (ValueLocation::Field(path), Some(only)) = (&rule.location, &earlier.only)
        && !only.iter().any(|kept| related(kept, path))
    {
        at.key("field")
            .invalid_with_remedy("is never reached: only drops it", "add the field to only, or take the rule out");
    }
}
