//! The draft of a contract: YAML that `check` accepts, with what a person must decide as comments.
//!
//! `mode: draft` stands in it, so that nothing passes before a person has read it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::document::{ApiDocument, one_line};
use super::fields::{ApiField, BodyFields};
use super::operation::{ApiOperation, OmittedOperation, OperationFilter, operations, origin, server};
use super::parameter::WrittenForm;
use crate::bounds::ROUTES_MAX;
use crate::model::{Direction, UnixTime, VendorId};
use crate::route::{RoutePattern, RouteTable};

/// What a draft is made for.
#[derive(Debug)]
pub(crate) struct DraftOptions {
    /// The vendor.
    pub(crate) vendor: VendorId,
    /// Who calls: the vendor (ingress), or our services the vendor (egress).
    pub(crate) direction: Direction,
    /// The internal API that the routes of ingress lead to.
    pub(crate) upstream: String,
    /// Which operations.
    pub(crate) filter: OperationFilter,
    /// What the description is called in the draft.
    pub(crate) source: String,
    /// The first day is that of this time.
    pub(crate) now: UnixTime,
}

/// A draft, and the operations that are not in it.
#[derive(Debug)]
pub(crate) struct ContractDraft {
    /// The contract in YAML.
    pub(crate) yaml: String,
    /// How many routes it has.
    pub(crate) routes: usize,
    /// What it leaves out.
    pub(crate) omitted: Vec<OmittedOperation>,
}

/// Drafts a contract.
///
/// # Errors
/// In words: no operation can be a route, or the address of the API is not known.
pub(crate) fn draft(document: &ApiDocument, options: &DraftOptions) -> Result<ContractDraft, String> {
    let (found, mut omitted) = operations(document, &options.filter);
    if found.is_empty() && omitted.is_empty() {
        return Err("has no operation that was asked for; see --tag and --path".to_owned());
    }
    let routes = usable(found, options.direction, &mut omitted);
    if routes.is_empty() {
        let why = omitted.first().map(|it| format!("{}: {}", it.name, it.why)).unwrap_or_default();
        return Err(format!("has no operation that can be a route; the first is {why}"));
    }
    let mut page = DraftPage(String::new());
    page.head(document, options);
    match options.direction {
        Direction::Ingress => page.ingress(document, options, &routes),
        Direction::Egress => page.egress(document, options, &routes)?,
    }
    for OmittedOperation { name, why } in &omitted {
        page.line(&format!("# left out: {name}: {}", one_line(why)));
    }
    Ok(ContractDraft { yaml: page.0, routes: routes.len(), omitted })
}

/// The operations that one contract can have side by side.
fn usable(found: Vec<ApiOperation>, direction: Direction, omitted: &mut Vec<OmittedOperation>) -> Vec<ApiOperation> {
    let mut routes: Vec<(RoutePattern, ApiOperation)> = Vec::new();
    for operation in found {
        let fault = match RoutePattern::parse(&operation.route) {
            Err(error) => Some(error.to_string()),
            Ok(_) if routes.len() >= ROUTES_MAX => Some(format!("a contract has at most {ROUTES_MAX} routes")),
            Ok(pattern) => {
                let scopes = operation.scopes.as_ref().err().filter(|_| direction == Direction::Ingress);
                let fault = scopes.cloned().or_else(|| conflict(&routes, &pattern));
                if fault.is_none() {
                    routes.push((pattern, operation));
                    continue;
                }
                fault
            }
        };
        omitted.extend(fault.map(|why| OmittedOperation { name: operation.route, why }));
    }
    routes.into_iter().map(|(_, operation)| operation).collect()
}

/// The route with which it would be open who takes a request.
fn conflict(routes: &[(RoutePattern, ApiOperation)], pattern: &RoutePattern) -> Option<String> {
    let overlapping = routes.iter().filter(|(other, _)| other.overlaps(pattern));
    let rival = overlapping.map(|(other, _)| other).find(|other| RouteTable::new([*other, pattern]).is_err())?;
    Some(format!("some requests would match {} as well, and neither is more specific", rival.as_str()))
}

struct DraftPage(String);

impl DraftPage {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn head(&mut self, document: &ApiDocument, options: &DraftOptions) {
        let (title, version) = (document.info("title"), document.info("version"));
        self.line(&format!("# A draft made of {} ({title} {version}). Read each line, and take out", options.source));
        self.line("# what the vendor does not need. Nothing passes until `mode: draft` is gone.");
        self.line(&format!("vendor: {}", options.vendor));
        if !title.is_empty() {
            self.line(&format!("name: {}", quoted(&title)));
        }
        self.line("owner: TODO@example.com # TODO: who answers for this vendor");
        self.line("security_contact: TODO@example.com # TODO: whom to reach at the vendor");
        let day = |days: u64| {
            let time = options.now.plus(Duration::from_secs(days * 86_400));
            time.to_string().chars().take(10).collect::<String>()
        };
        self.line(&format!("starts: {}", day(0)));
        self.line(&format!("ends: {} # TODO: the last day of the contract", day(365)));
        self.line("mode: draft");
    }

    fn ingress(&mut self, document: &ApiDocument, options: &DraftOptions, routes: &[ApiOperation]) {
        let all: BTreeSet<&String> = routes.iter().filter_map(|route| route.scopes.as_ref().ok()).flatten().collect();
        self.line(&format!("scopes: [{}]", list(all)));
        self.line("# TODO: who issues the vendor's tokens; issuer_profile settles claims for well-known issuers");
        for hint in schemes(document) {
            self.line(&format!("# {hint}"));
        }
        self.line("identity:");
        self.line("  issuer: https://id.example.com");
        self.line("  audience: https://api.example.com");
        self.line(&format!("  clients: [{}]", options.vendor));
        self.line("  jwks: { discovery: true }");
        self.line("ingress:");
        for route in routes {
            self.route(route, "  ", Direction::Ingress);
            let scopes = route.scopes.as_deref().unwrap_or_default();
            let why = if scopes.is_empty() { " # TODO: any token of this vendor passes" } else { "" };
            self.line(&format!("    scopes: [{}]{why}", list(scopes)));
            self.line(&format!("    upstream: {}", options.upstream));
            self.message("response", &route.response, "    ", &[]);
        }
    }

    fn egress(
        &mut self,
        document: &ApiDocument,
        options: &DraftOptions,
        routes: &[ApiOperation],
    ) -> Result<(), String> {
        let server = server(document, &options.filter).and_then(|server| origin(&server));
        let origin = server.ok_or("names no server with scheme and host; write --server https://api.vendor.example")?;
        // No contract sends data in clear over the network, whatever the description says.
        let is_clear = origin.starts_with("http://");
        let origin = origin.replacen("http://", "https://", 1);
        self.line("egress:");
        if is_clear {
            self.line("  # TODO: the description says http: find out whether the API answers on https");
        }
        for hint in schemes(document) {
            self.line(&format!("  # {hint}"));
        }
        self.line(&format!("  upstream: {{ url: {} }}", quoted(&origin)));
        self.line("  routes:");
        for route in routes {
            self.route(route, "    ", Direction::Egress);
            let rules: Vec<String> = route
                .parameters
                .rules
                .iter()
                .map(|(place, name, rule)| {
                    let category = rule.category.map(|key| format!(", category: {key}")).unwrap_or_default();
                    format!("{{ {place}: {}, as: {}{category} }}", quoted(name), rule.treatment)
                })
                .collect();
            self.message("request", &route.request, "      ", &rules);
        }
        Ok(())
    }

    fn route(&mut self, route: &ApiOperation, indent: &str, direction: Direction) {
        if !route.summary.is_empty() {
            self.line(&format!("{indent}# {}", route.summary));
        }
        for note in &route.parameters.notes {
            self.line(&format!("{indent}# TODO: {note}"));
        }
        if direction == Direction::Ingress && !route.parameters.rules.is_empty() {
            let names: Vec<&str> = route.parameters.rules.iter().map(|(_, name, _)| name.as_str()).collect();
            self.line(&format!("{indent}# classified parameters, which come from the vendor: {}", list(names)));
        }
        self.line(&format!("{indent}- route: {}", quoted(&route.route)));
        let parameters = &route.parameters;
        if let Some(allowed) = &parameters.allowed {
            self.line(&format!("{indent}  query: {{ allow: [{}] }}", list(allowed)));
        }
        if !parameters.forms.is_empty() {
            self.line(&format!("{indent}  params:"));
        }
        for (name, form) in &parameters.forms {
            self.line(&format!("{indent}    {}: {{ {} }}", quoted(name), form_text(form)));
        }
    }

    /// The rules of the message that leaves.
    fn message(&mut self, side: &str, body: &BodyFields, indent: &str, head_rules: &[String]) {
        let listed: Vec<&str> = body.listed.iter().filter(|it| it.is_listed).map(|it| it.path.as_str()).collect();
        let ruled: Vec<&ApiField> = body.listed.iter().filter(|field| field.rule.is_some()).collect();
        for note in &body.notes {
            self.line(&format!("{indent}# TODO: {side}: {}", one_line(note)));
        }
        if let Some(records) = &body.records {
            self.line(&format!("{indent}records: {}", quoted(records)));
        }
        let has_only = !body.is_open && !listed.is_empty();
        if body.is_open {
            self.line(&format!("{indent}# TODO: {side}: the description lets anything pass at its root"));
        }
        if has_only || !ruled.is_empty() || !head_rules.is_empty() {
            self.line(&format!("{indent}{side}:"));
        }
        if has_only {
            self.line(&format!("{indent}  only:"));
            for path in &listed {
                self.line(&format!("{indent}    - {}", quoted(path)));
            }
        }
        if !ruled.is_empty() || !head_rules.is_empty() {
            self.line(&format!("{indent}  pii:"));
        }
        for rule in head_rules {
            self.line(&format!("{indent}    - {rule}"));
        }
        for field in ruled {
            self.rule(field, &format!("{indent}    "));
        }
        self.hints(side, body, indent);
    }

    fn rule(&mut self, field: &ApiField, indent: &str) {
        let Some(rule) = &field.rule else { return };
        let category = rule.category.map(|key| format!(", category: {key}")).unwrap_or_default();
        let note = rule.note.as_ref().map(|note| format!(" # TODO: {note}")).unwrap_or_default();
        self.line(&format!("{indent}- {{ field: {}, as: {}{category} }}{note}", quoted(&field.path), rule.treatment));
    }

    fn hints(&mut self, side: &str, body: &BodyFields, indent: &str) {
        let likely: Vec<&ApiField> = body.listed.iter().filter(|field| !field.hints.is_empty()).collect();
        if likely.is_empty() {
            return;
        }
        self.line(&format!("{indent}# TODO: {side}: likely personal; move what is under pii:"));
        for field in likely {
            let why = field.hints.join(", ");
            self.line(&format!("{indent}# - {{ field: {}, as: tokenize }} # {why}", quoted(&field.path)));
        }
    }
}

fn form_text(form: &WrittenForm) -> String {
    let kind = form.kind.map(|kind| format!("type: {kind}"));
    let pattern = form.pattern.as_ref().map(|pattern| format!("pattern: {}", quoted(pattern)));
    let length = form.max_length.map(|length| format!("max_length: {length}"));
    [kind, pattern, length].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What the description says of how callers prove themselves, in words.
fn schemes(document: &ApiDocument) -> Vec<String> {
    let schemes = document.get("components").and_then(|it| it.get("securitySchemes")).and_then(|it| it.as_object());
    let word = |scheme: &serde_json::Value| {
        let text = |name: &str| scheme.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let flows = scheme.get("flows").and_then(|flows| flows.as_object()).into_iter().flatten();
        let urls = flows.filter_map(|(_, flow)| flow.get("tokenUrl")?.as_str()).map(str::to_owned);
        let more = [text("scheme"), text("in"), text("name"), text("openIdConnectUrl")].into_iter().chain(urls);
        let more: Vec<String> = std::iter::once(text("type")).chain(more).filter(|it| !it.is_empty()).collect();
        more.join(" ")
    };
    let resolved = schemes.into_iter().flatten().filter_map(|(name, it)| Some((name, document.resolve(it).ok()?)));
    resolved
        .take(8)
        .map(|(name, scheme)| one_line(&format!("the description's scheme {name}: {}", word(scheme))))
        .collect()
}

fn list(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    texts.into_iter().map(|text| quoted(text.as_ref())).collect::<Vec<_>>().join(", ")
}

/// A JSON string, which is a YAML scalar. A `$` before a brace would be read as a name of the environment.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace("${", "$${")
}
