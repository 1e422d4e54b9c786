//! Asks a token endpoint for an access token, and reads its answer.
//!
//! The endpoint's name is resolved and its address checked as that of the vendor's API is; redirects are not followed.
//! Of a refusal only the error code is kept, and only one that is registered: the rest of an answer may repeat what was
//! sent.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use serde::Deserialize;
use tokio::sync::OnceCell;
use zeroize::{Zeroize as _, Zeroizing};

use super::CredentialContext;
use super::assertion;
use super::keeper::FetchFailure;
use super::secret::HeldSecret;
use super::settings::{ClientAuthentication, OAuthSettings};
use crate::bounds::{
    ACCESS_TOKEN_BYTES_MAX, CREDENTIAL_ANSWER_BYTES_MAX, CREDENTIAL_RETRY_MIN, TOKEN_END_MARGIN_MAX,
    TOKEN_LIFETIME_MAX, TOKEN_LIFETIME_UNSTATED, TOKEN_RENEWAL_AHEAD_MAX,
};
use crate::http::{ClientOptions, Destination, HttpClient, form_encode};
use crate::model::{ClientId, Moment, Secret, with_causes};

/// The error codes that a token endpoint may give (RFC 6749 section 5.2, RFC 8693, RFC 8707), and whether the same
/// question would be refused again.
const CODES: [(&str, bool); 9] = [
    ("invalid_grant", true),
    ("invalid_client", true),
    ("unauthorized_client", true),
    ("unsupported_grant_type", true),
    ("invalid_scope", true),
    ("invalid_target", true),
    ("invalid_request", true),
    ("temporarily_unavailable", false),
    ("slow_down", false),
];

/// A token endpoint, and by what it knows us.
pub(super) struct TokenEndpoint {
    pub(super) settings: OAuthSettings,
    /// The secret or the private key of the client.
    pub(super) secret: Option<HeldSecret>,
    context: Arc<CredentialContext>,
    client: OnceCell<HttpClient>,
}

/// An access token, as the endpoint gave it.
#[derive(Debug)]
pub(super) struct IssuedToken {
    /// What stands in `Authorization`.
    pub(super) authorization: HeaderValue,
    /// How long it may be used; `None` where the server does not say.
    pub(super) lifetime: Option<Duration>,
    /// The refresh token that takes the place of the one that was used.
    pub(super) refresh_token: Option<Secret<String>>,
}

/// A success answer (RFC 6749 section 5.1).
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Lifetime>,
    refresh_token: Option<String>,
}

/// `expires_in`: a number, which some servers write as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lifetime {
    Number(f64),
    Text(String),
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
}

impl TokenEndpoint {
    pub(super) fn new(settings: OAuthSettings, context: &Arc<CredentialContext>) -> Self {
        let secret = match &settings.client_auth {
            ClientAuthentication::SecretBasic(secret) | ClientAuthentication::SecretPost(secret) => {
                Some(("client secret", secret))
            }
            ClientAuthentication::PrivateKeyJwt(assertion) => Some(("private key", &assertion.key)),
            ClientAuthentication::None | ClientAuthentication::TlsCertificate { .. } => None,
        };
        let secret = secret.map(|(purpose, secret)| HeldSecret::open(purpose, secret, context));
        Self { secret, settings, context: Arc::clone(context), client: OnceCell::new() }
    }

    /// Asks for a token by a grant: the fields of its form beside those that every grant has. `client` is the service
    /// that it is for, where it is for one alone.
    pub(super) async fn ask(
        &self,
        grant: &[(&str, &str)],
        client: Option<&ClientId>,
    ) -> Result<IssuedToken, FetchFailure> {
        let now = self.context.clock.now();
        let mut form = Zeroizing::new(String::with_capacity(512));
        let scope = self.settings.scopes.join(" ");
        let common = [
            ("scope", Some(scope.as_str()).filter(|scope| !scope.is_empty())),
            ("audience", self.settings.audience.as_deref()),
            ("resource", self.settings.resource.as_deref()),
        ];
        let common = common.into_iter().filter_map(|(name, value)| Some((name, value?)));
        grant.iter().copied().chain(common).for_each(|(name, value)| append(&mut form, name, value));
        let mut headers = HeaderMap::new();
        self.authenticate(&mut headers, &mut form, now).await?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let failed = |error: &dyn std::error::Error| FetchFailure::Failed(with_causes(error));
        let mut request = Request::post(self.settings.token_url.target())
            .body(Bytes::copy_from_slice(form.as_bytes()))
            .map_err(|error| failed(&error))?;
        *request.headers_mut() = headers;
        let to = Destination::Url(self.settings.token_url.clone());
        let http = self.client().await?;
        // The permission is asked for last, after everything that may have taken time.
        let answer = match &self.context.permission {
            Some(permission) => {
                permission.guard(client, self.context.clock.now().wall, http.send(&to, request)).await?
            }
            None => http.send(&to, request).await,
        };
        let answer = answer.map_err(|error| failed(&error))?;
        if answer.status == StatusCode::OK {
            return read_token(&answer.body);
        }
        let failure = refusal(answer.status, &answer.body);
        if let (FetchFailure::Refused(_), Some(secret)) = (&failure, &self.secret) {
            secret.look_again(now).await;
        }
        Err(failure)
    }

    /// Whether it may be asked now.
    pub(super) fn may_ask(&self) -> bool {
        self.context.permission.as_ref().is_none_or(|permission| permission.allows(self.context.clock.now().wall))
    }

    /// A number that changes with what is shown to the endpoint.
    pub(super) fn generation(&self, now: Moment) -> u64 {
        self.secret.as_ref().map_or(0, |secret| secret.generation(now))
    }

    /// Says who we are (RFC 6749 section 2.3).
    async fn authenticate(
        &self,
        headers: &mut HeaderMap,
        form: &mut Zeroizing<String>,
        now: Moment,
    ) -> Result<(), FetchFailure> {
        let id = self.settings.client_id.as_str();
        let secret = match &self.secret {
            Some(secret) => Some(secret.value(now).await.map_err(|error| FetchFailure::Failed(error.to_string()))?),
            None => None,
        };
        let text = || {
            let held = secret.as_ref().map_or(Ok(""), |secret| secret.text());
            held.map_err(|error| FetchFailure::Failed(error.to_string()))
        };
        match &self.settings.client_auth {
            ClientAuthentication::None | ClientAuthentication::TlsCertificate { .. } => append(form, "client_id", id),
            ClientAuthentication::SecretBasic(_) => {
                let encode = |text: &str| form_encode(text).to_string();
                let pair = Secret::new(format!("{}:{}", encode(id), encode(text()?)));
                drop(headers.insert(AUTHORIZATION, basic(&pair)?));
            }
            ClientAuthentication::SecretPost(_) => {
                append(form, "client_id", id);
                append(form, "client_secret", text()?);
            }
            ClientAuthentication::PrivateKeyJwt(assertion) => {
                let audience = self.settings.token_url.origin() + self.settings.token_url.path();
                let signed = assertion::sign(assertion, id, &audience, text()?, now)?;
                append(form, "client_id", id);
                append(form, "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                append(form, "client_assertion", signed.expose());
            }
        }
        Ok(())
    }

    /// The client; made anew for each question where it shows a certificate, which may have been replaced.
    async fn client(&self) -> Result<HttpClient, FetchFailure> {
        if matches!(self.settings.client_auth, ClientAuthentication::TlsCertificate { .. }) {
            return self.new_client().await;
        }
        self.client.get_or_try_init(|| self.new_client()).await.cloned()
    }

    async fn new_client(&self) -> Result<HttpClient, FetchFailure> {
        let certificate = match &self.settings.client_auth {
            ClientAuthentication::TlsCertificate { cert, key } => Some((cert.clone(), key.clone())),
            ClientAuthentication::None
            | ClientAuthentication::SecretBasic(_)
            | ClientAuthentication::SecretPost(_)
            | ClientAuthentication::PrivateKeyJwt(_) => None,
        };
        let options = ClientOptions {
            ca_file: self.settings.ca_file.clone(),
            client_certificate: certificate,
            ..ClientOptions::new(self.settings.deadline, CREDENTIAL_ANSWER_BYTES_MAX)
        };
        let made = tokio::task::spawn_blocking(move || HttpClient::new(options)).await;
        let made = made.map_err(|_| FetchFailure::Failed("the client could not be made".to_owned()))?;
        let client = made.map_err(|error| FetchFailure::Failed(with_causes(&error)))?;
        Ok(client.checking_addresses(Arc::clone(&self.context.addresses)))
    }
}

/// `Authorization: Basic`, of a pair that is joined already.
pub(super) fn basic(pair: &Secret<String>) -> Result<HeaderValue, FetchFailure> {
    let text = Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())));
    sensitive(&text)
        .ok_or_else(|| FetchFailure::Failed("the client's id or secret cannot stand in a header".to_owned()))
}

/// A header's value that is never printed; `None` for text that cannot stand there.
pub(super) fn sensitive(text: &Secret<String>) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn append(form: &mut String, name: &str, value: &str) {
    let mark = if form.is_empty() { "" } else { "&" };
    for piece in [mark, name, "="] {
        form.push_str(piece);
    }
    form_encode(value).for_each(|piece| form.push_str(piece));
}

fn read_token(body: &[u8]) -> Result<IssuedToken, FetchFailure> {
    let failed = |why: &str| FetchFailure::Failed(format!("the token endpoint's answer {why}"));
    // The parser's own words could quote the answer.
    let mut answer: TokenAnswer = serde_json::from_slice(body).map_err(|_| failed("holds no access token"))?;
    let token = Secret::new(std::mem::take(&mut answer.access_token));
    let refresh_token = answer.refresh_token.take().filter(|token| !token.is_empty()).map(Secret::new);
    if answer.token_type.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(failed("holds a token of another type than Bearer"));
    }
    let is_token = |byte: u8| byte.is_ascii_graphic();
    if token.expose().is_empty()
        || token.expose().len() > ACCESS_TOKEN_BYTES_MAX
        || !token.expose().bytes().all(is_token)
    {
        return Err(failed("holds a token that cannot stand in a header"));
    }
    let mut text = format!("Bearer {}", token.expose());
    let value = HeaderValue::from_str(&text).map_err(|_| failed("holds a token that cannot stand in a header"));
    text.zeroize();
    let mut authorization = value?;
    authorization.set_sensitive(true);
    Ok(IssuedToken { authorization, lifetime: answer.expires_in.and_then(Lifetime::read), refresh_token })
}

impl Lifetime {
    /// The span; `None` for what is no positive number, as if the server had not said it.
    fn read(self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => seconds,
            Self::Text(text) => text.trim().parse().ok()?,
        };
        (seconds.is_finite() && seconds > 0.0).then(|| Duration::from_secs_f64(seconds.min(1e9)))
    }
}

impl IssuedToken {
    /// How long the token is used, and after how long the next one is fetched.
    pub(super) fn schedule(&self) -> (Option<Duration>, Duration) {
        let Some(lifetime) = self.lifetime else { return (None, TOKEN_LIFETIME_UNSTATED) };
        let lifetime = lifetime.min(TOKEN_LIFETIME_MAX);
        // A server that issues tokens of no time at all is not asked without a pause.
        let renew_after = (lifetime - (lifetime / 5).min(TOKEN_RENEWAL_AHEAD_MAX)).max(CREDENTIAL_RETRY_MIN);
        (Some(lifetime - (lifetime / 10).min(TOKEN_END_MARGIN_MAX)), renew_after)
    }
}

fn refusal(status: StatusCode, body: &[u8]) -> FetchFailure {
    let said: Option<ErrorAnswer> = serde_json::from_slice(body).ok();
    let known = said.and_then(|said| CODES.into_iter().find(|(code, _)| *code == said.error));
    let status = status.as_u16();
    match known {
        Some((code, true)) if status < 500 && status != 429 => {
            FetchFailure::Refused(format!("the token endpoint refused us: {code}"))
        }
        Some((code, _)) => FetchFailure::Failed(format!("the token endpoint answered with status {status}: {code}")),
        None if status == 401 => FetchFailure::Refused("the token endpoint refused us with status 401".to_owned()),
        None => FetchFailure::Failed(format!("the token endpoint answered with status {status}")),
    }
}

impl std::fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenEndpoint").field("url", &self.settings.token_url).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(body: &str) -> Result<IssuedToken, FetchFailure> {
        read_token(body.as_bytes())
    }

    #[test]
    fn a_lifetime_may_be_a_number_a_text_or_absent() {
        for (said, lifetime) in [
            (r#","expires_in":3600"#, Some(3600)),
            (r#","expires_in":"3600""#, Some(3600)),
            (r#","expires_in":3600.9"#, Some(3600)),
            (r#","expires_in":1e300"#, Some(1_000_000_000)),
            ("", None),
            (r#","expires_in":null"#, None),
            (r#","expires_in":0"#, None),
            (r#","expires_in":-5"#, None),
            (r#","expires_in":"soon""#, None),
        ] {
            let issued = token(&format!(r#"{{"access_token":"abc","token_type":"bearer"{said}}}"#)).expect(said);
            assert_eq!(issued.lifetime.map(|span| span.as_secs()), lifetime, "{said}");
            assert_eq!(issued.authorization, "Bearer abc");
            assert!(issued.authorization.is_sensitive());
        }
    }

    #[test]
    fn a_token_is_renewed_well_before_its_end_and_not_used_in_its_last_moments() {
        for (lifetime, used, renewed) in [(3600, 3590, 3300), (600, 590, 480), (10, 9, 8), (1_000_000, 86_390, 86_100)]
        {
            let issued = token(&format!(r#"{{"access_token":"abc","expires_in":{lifetime}}}"#)).expect("a token");
            let (usable_for, renew_after) = issued.schedule();
            assert_eq!((usable_for.expect("an end").as_secs(), renew_after.as_secs()), (used, renewed), "{lifetime}");
        }
    }

    #[test]
    fn an_answer_without_a_usable_token_gives_none_and_is_not_quoted() {
        for body in [
            "",
            "{}",
            "<html>hunter22</html>",
            r#"{"access_token":""}"#,
            r#"{"access_token":"hunter22 x"}"#,
            r#"{"access_token":"hunter22\n"}"#,
            r#"{"access_token":"hunter22","access_token":"hunter22"}"#,
            r#"{"access_token":"hunter22","token_type":"DPoP"}"#,
            r#"{"access_token":["hunter22"]}"#,
        ] {
            let error = token(body).expect_err(body);
            assert!(!format!("{error:?}").contains("hunter22"), "{error:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_from_an_outage_and_only_a_registered_code_is_kept() {
        let refused =
            |status: u16, body: &str| refusal(StatusCode::from_u16(status).expect("a status"), body.as_bytes());
        for (status, body, is_final) in [
            (400, r#"{"error":"invalid_grant","error_description":"hunter22"}"#, true),
            (401, r#"{"error":"invalid_client"}"#, true),
            (401, "hunter22", true),
            (400, r#"{"error":"hunter22"}"#, false),
            (503, r#"{"error":"temporarily_unavailable"}"#, false),
            (429, r#"{"error":"invalid_request"}"#, false),
            (500, r#"{"error":"invalid_client"}"#, false),
            (302, "", false),
        ] {
            let failure = refused(status, body);
            assert_eq!(matches!(failure, FetchFailure::Refused(_)), is_final, "{status} {body}");
            assert!(!format!("{failure:?}").contains("hunter22"), "{failure:?}");
        }
    }

    #[test]
    fn a_form_escapes_what_has_a_meaning_in_it() {
        let mut form = String::new();
        append(&mut form, "a", "b c+d&e=f%é");
        append(&mut form, "g", "");
        assert_eq!(form, "a=b%20c%2Bd%26e%3Df%25%C3%A9&g=");
    }
}
