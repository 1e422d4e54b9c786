//! Checks `claims:` of a contract's identity and the form of its tokens, for issuers that do not follow RFC 9068.

use crate::bounds::{CLAIM_NAMES_MAX, CLAIM_PATH_STEPS_MAX, TOKEN_BYTES_DEFAULT, TOKEN_BYTES_MAX};
use crate::config::file::OneOrMore;
use crate::config::file::identity as written;
use crate::config::source::Cursor;
use crate::config::units;
use crate::identity::{Algorithm, AlgorithmError, ClaimNames, ClaimPath, TokenShape};

/// Written where an issuer's tokens have no audience.
pub(super) const NO_AUDIENCE: &str = "none";

/// `claims:`. `asks`: whether the issuer is asked about each token (introspection).
pub(super) fn names(at: &Cursor<'_>, written: Option<&written::ClaimNamesConfig>, asks: bool) -> ClaimNames {
    let Some(written) = written else { return ClaimNames::default() };
    let optional = |presence: Option<written::ClaimPresence>| presence == Some(written::ClaimPresence::Optional);
    if optional(written.expiry) && !asks {
        let wrong = "must be required: a signed token without exp would never end";
        at.key("expiry").fault(wrong, "take it out, or ask the issuer about each token with introspection");
    }
    let audience = written.audience.as_deref().filter(|name| *name != NO_AUDIENCE);
    let required = written.require.iter().flatten();
    ClaimNames {
        client: list(&at.key("client"), written.client.as_ref()),
        scopes: list(&at.key("scopes"), written.scopes.as_ref()),
        audience: audience.and_then(|name| path(&at.key("audience"), name)),
        required: required.filter_map(|(name, text)| required_claim(&at.key("require"), name, text)).collect(),
        issued_at_optional: optional(written.issued_at),
        expiry_optional: optional(written.expiry),
    }
}

/// `audience:`; `None` where tokens have none. `may_lack`: whether the issuer is known for such tokens.
pub(super) fn audience(at: &Cursor<'_>, written: &written::IdentityConfig, may_lack: bool) -> Option<String> {
    let named = written.claims.as_ref().and_then(|claims| claims.audience.as_deref());
    let (own, none) = (written.audience.as_deref(), named == Some(NO_AUDIENCE));
    match own {
        Some(text) if none && text != NO_AUDIENCE => {
            let wrong = "is ignored: claims.audience says that tokens have none";
            at.key("audience").fault(wrong, "take one of them out");
        }
        None if !none && !may_lack => at.key("audience").fault("is missing", "write audience: https://api.example.com"),
        Some(_) | None => {}
    }
    own.filter(|text| *text != NO_AUDIENCE).map(str::to_owned)
}

/// Warns of tokens without an audience where an ID token of the same client would be accepted as an access token.
pub(super) fn check_id_tokens_excluded(at: &Cursor<'_>, names: &ClaimNames, shape: &TokenShape) {
    if names.required.is_empty() && shape.accept_plain_jwt {
        let wrong =
            "lets ID tokens of the same client pass as well: no audience is asked for, and typ: JWT tells nothing";
        at.warning(
            wrong,
            "write claims: { require: { token_use: access } }, or what tells this issuer's access tokens apart",
        );
    }
}

fn list(at: &Cursor<'_>, written: Option<&OneOrMore>) -> Vec<ClaimPath> {
    let Some(OneOrMore(written)) = written else { return Vec::new() };
    if written.is_empty() || written.len() > CLAIM_NAMES_MAX {
        at.fault(format!("must name 1 to {CLAIM_NAMES_MAX} claims"), "write [scp, roles]");
    }
    let single = !matches!(at.node().map(|node| &node.value), Some(crate::config::tree::YamlValue::List(_)));
    let place = |i| if single { at.clone() } else { at.item(i) };
    if let Some(i) = (1..written.len()).find(|i| written[..*i].contains(&written[*i])) {
        place(i).invalid_with_remedy("is listed twice", "take one of them out");
    }
    written.iter().enumerate().filter_map(|(i, text)| path(&place(i), text)).collect()
}

fn path(at: &Cursor<'_>, text: &str) -> Option<ClaimPath> {
    let path = ClaimPath::parse(text);
    if path.is_none() {
        at.invalid_with_remedy(
            format!("must be a claim, or a path of at most {CLAIM_PATH_STEPS_MAX} names to one"),
            "write such as realm_access.roles",
        );
    }
    path
}

fn required_claim(at: &Cursor<'_>, name: &str, text: &str) -> Option<(ClaimPath, String)> {
    let at = at.key(name);
    if text.is_empty() {
        at.fault("must not be empty", "write the text that the claim must have");
    }
    let path = ClaimPath::parse(name);
    if path.is_none() {
        let wrong = format!("{name} is no claim, and no path of at most {CLAIM_PATH_STEPS_MAX} names to one");
        at.fault(wrong, "write such as token_use: access");
    }
    Some((path?, text.to_owned()))
}

/// `typ:`, `ignore_header:` and `token_bytes_max:`
pub(super) fn shape(at: &Cursor<'_>, written: &written::IdentityConfig) -> TokenShape {
    let (accept_plain_jwt, other_types) = types(&at.key("typ"), written.typ.as_deref());
    let bytes_max = written.token_bytes_max.as_ref().and_then(|size| token_bytes(&at.key("token_bytes_max"), &size.0));
    TokenShape {
        accept_plain_jwt,
        other_types,
        ignored: written.ignore_header.clone().unwrap_or_default(),
        bytes_max: bytes_max.unwrap_or(TOKEN_BYTES_DEFAULT),
    }
}

fn token_bytes(at: &Cursor<'_>, text: &str) -> Option<usize> {
    let bytes = at.parsed(units::parse_size(text))?;
    if !(256..=TOKEN_BYTES_MAX as u64).contains(&bytes) {
        let instead = if bytes < 256 { "8KiB" } else { "24KiB" };
        at.invalid("must be 256B to 24KiB: a token is part of a request's head", instead);
        return None;
    }
    usize::try_from(bytes).ok()
}

/// Whether plain JWTs pass, and which other types.
fn types(at: &Cursor<'_>, written: Option<&[String]>) -> (bool, Vec<String>) {
    /// Types of tokens that must never be accepted as access tokens.
    const FOREIGN: [&str; 6] =
        ["dpop+jwt", "logout+jwt", "secevent+jwt", "oauth-authz-req+jwt", "token-introspection+jwt", "kb+jwt"];
    let Some(written) = written else { return (false, Vec::new()) };
    let (mut plain, mut access, mut others) = (false, false, Vec::new());
    for (i, text) in written.iter().enumerate() {
        let lower = text.to_ascii_lowercase();
        let short = lower.strip_prefix("application/").unwrap_or(&lower);
        let graphic = short.bytes().all(|byte| byte.is_ascii_graphic()) && !short.is_empty();
        match short {
            "at+jwt" => access = true,
            "jwt" => plain = true,
            _ if !graphic => at.item(i).invalid_with_remedy("must be a media type", "write such as at+jwt"),
            other if FOREIGN.contains(&other) => {
                at.item(i).invalid_with_remedy(
                    "is the type of a token for something else, never of an access token",
                    "take it out",
                );
            }
            other => others.push(other.to_owned()),
        }
    }
    if !access {
        at.fault("must list at+jwt: RFC 9068 tokens always pass", "write [at+jwt, JWT], or take the key out");
    }
    (plain, others)
}

/// Checks what is written under `algorithms:`.
pub(super) fn algorithms(at: &Cursor<'_>, written: Option<&[written::AlgorithmName]>) -> Vec<Algorithm> {
    let Some(written) = written else { return vec![Algorithm::ES256] };
    if written.is_empty() {
        at.fault("must list at least one algorithm", "write [ES256]");
    }
    let mut algorithms = Vec::new();
    for (i, written::AlgorithmName(name)) in written.iter().enumerate() {
        match Algorithm::parse(name) {
            Ok(known) if algorithms.contains(&known) => {
                at.item(i).invalid_with_remedy("is listed twice", "take one of them out")
            }
            Ok(known) => algorithms.push(known),
            Err(why) => no_algorithm(&at.item(i), name, why),
        }
    }
    algorithms
}

/// Reports an algorithm that is not supported, and why: another one in its place would refuse every token.
fn no_algorithm(at: &Cursor<'_>, name: &str, why: AlgorithmError) {
    if name.is_empty() {
        return;
    }
    let all = Algorithm::ALL.map(Algorithm::as_str).join(", ");
    let slip = Algorithm::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(name));
    match (why, slip) {
        (_, Some(known)) => at.invalid("is not the algorithm's name: case matters", known.as_str()),
        (AlgorithmError::Unsigned, None) => {
            at.invalid_with_remedy("means that tokens are not signed, which is never accepted", "take it out")
        }
        (AlgorithmError::Symmetric, None) => {
            at.invalid_with_remedy(
                "is symmetric: anyone who can verify with it can sign, so it is never accepted",
                "have the issuer sign with ES256 or RS256",
            );
        }
        (AlgorithmError::Unsupported, None) => {
            at.invalid_with_remedy("is not supported", format!("supported are {all}"))
        }
    }
}
