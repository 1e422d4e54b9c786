//! By what a vendor knows us: our services never see it.
//!
//! A [`VendorCredential`] belongs to one contract and outlives a reload that leaves it as it is. It gives each request
//! to the vendor's own API what that asks for, when nothing else of the request changes any more: a header, a query
//! parameter, a signature. A request for which it has nothing is refused and never sent without. Nothing here prints a
//! secret, and no error holds any part of one or of an answer.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `settings` | the kinds of credentials, and where secrets come from |
//! | `secret`, `vault` | secrets that are held: files, variables, Vault; their age |
//! | `keeper` | a fetched value that is kept fresh in the background, one question at a time |
//! | `endpoint`, `assertion` | questions to a token endpoint, and by what it knows us |
//! | `oauth`, `exchange` | tokens of our own client, and tokens that stand for a calling service |
//! | `request_template`, `hmac_signature`, `sigv4` | signatures over what leaves |
//! | `obtained` | what one request is given |
//! | `place` | what a service sends in the place of the credential, and its removal |
//! | `echo` | what a response repeats of the credential, and its removal |
//! | `permission` | whether a token endpoint may be asked now |
//! | `status` | what operators see |

mod assertion;
mod echo;
mod endpoint;
mod error;
mod exchange;
mod hmac_signature;
mod keeper;
mod oauth;
mod obtained;
mod permission;
mod place;
mod request_template;
mod secret;
mod settings;
mod sigv4;
mod status;
mod vault;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::assertion::inspect_private_key;
pub use self::echo::CredentialTrace;
pub use self::error::CredentialError;
pub use self::exchange::ExchangeSubject;
pub use self::obtained::ObtainedCredential;
pub use self::permission::AskPermission;
pub use self::request_template::RequestTemplate;
pub use self::settings::{
    ApiKeyPlace, AssertionSettings, ClientAuthentication, CredentialSettings, HmacSettings, OAuthGrant, OAuthSettings,
    SecretSettings, SecretSource, SigV4Settings, VaultLogin, VaultSettings,
};
pub use self::status::{CredentialStatus, SecretStatus};

use self::endpoint::{TokenEndpoint, basic, sensitive};
use self::exchange::TokenExchange;
use self::keeper::ValueKeeper;
use self::oauth::AccessTokenFetcher;
use self::obtained::Obtained;
use self::secret::{HeldSecret, HeldValue};
use crate::bounds::CREDENTIAL_WAIT_MARGIN;
use crate::http::AddressCheck;
use crate::meter::Calendar;
use crate::model::{Clock, Moment, Secret, VendorId};
use crate::pii::{TokenClass, VendorKeys};

/// What credentials remember across restarts: the age of secrets, and refresh tokens that were replaced.
pub trait CredentialStore: Send + Sync + std::fmt::Debug {
    /// What was stored under a key.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load(&self, key: &str) -> io::Result<Option<Vec<u8>>>;

    /// Stores a value and returns when it is on disk. Blocks.
    ///
    /// # Errors
    /// It is not on disk.
    fn save(&self, key: &str, value: &[u8]) -> io::Result<()>;

    /// Stores a value without waiting for the disk.
    fn remember(&self, key: &str, value: &[u8]);
}

/// What a credential needs from the rest of the program.
pub struct CredentialContext {
    /// The vendor.
    pub vendor: VendorId,
    /// The keys that seal what is stored.
    pub keys: Arc<VendorKeys>,
    /// The key of the fingerprints by which contents are told apart without being kept.
    pub fingerprint_key: Secret<[u8; 32]>,
    /// What survives a restart.
    pub store: Arc<dyn CredentialStore>,
    /// The clock of all decisions.
    pub clock: Clock,
    /// Which addresses a token endpoint may have.
    pub addresses: AddressCheck,
    /// Whether a token endpoint may be asked; `None` for an API of our own, which always may.
    pub permission: Option<AskPermission>,
}

/// The credential by which one vendor knows us.
#[derive(Debug)]
pub struct VendorCredential {
    settings: CredentialSettings,
    context: Arc<CredentialContext>,
    held: HeldCredential,
}

#[derive(Debug)]
enum HeldCredential {
    Secret(HeldSecret),
    Aws(HeldSecret, Option<HeldSecret>),
    Token(Arc<ValueKeeper<HeaderValue>>, Arc<AccessTokenFetcher>),
    Exchange(Arc<TokenExchange>),
}

/// The head of a request that is given its credential.
#[derive(Debug)]
pub struct CredentialedHead<'a> {
    /// The method.
    pub method: &'a Method,
    /// Path and query, as they leave.
    pub uri: &'a mut Uri,
    /// The header fields, as they leave.
    pub headers: &'a mut HeaderMap,
}

impl VendorCredential {
    /// Opens the secrets of a credential. Fetches nothing before [`Self::start`].
    pub fn open(settings: &CredentialSettings, context: CredentialContext) -> Arc<Self> {
        let context = Arc::new(context);
        let open = |purpose, secret: &SecretSettings| HeldSecret::open(purpose, secret, &context);
        let held = match settings {
            CredentialSettings::Bearer(secret) => HeldCredential::Secret(open("token", secret)),
            CredentialSettings::ApiKey(_, secret) => HeldCredential::Secret(open("API key", secret)),
            CredentialSettings::Basic(_, secret) => HeldCredential::Secret(open("password", secret)),
            CredentialSettings::Hmac(hmac) => HeldCredential::Secret(open("signing secret", &hmac.secret)),
            CredentialSettings::AwsSigV4(aws) => {
                let session = aws.session_token.as_ref().map(|secret| open("session token", secret));
                HeldCredential::Aws(open("secret access key", &aws.secret), session)
            }
            CredentialSettings::OAuth2(oauth) => token_source(oauth, &context),
        };
        Arc::new(Self { settings: settings.clone(), context, held })
    }

    /// What the contract says of it.
    pub const fn settings(&self) -> &CredentialSettings {
        &self.settings
    }

    /// Starts what keeps it up to date, once. The dates are those of the contract that is in force from now on.
    pub fn start(&self, runtime: &tokio::runtime::Handle, calendar: Calendar) {
        if let Some(permission) = &self.context.permission {
            permission.renew(calendar);
        }
        self.secrets().for_each(|secret| secret.start(runtime));
        if let HeldCredential::Token(keeper, fetcher) = &self.held {
            keeper.start(runtime, Arc::clone(fetcher) as _);
        }
    }

    /// Whether it signs the body, which must then be held whole.
    pub fn signs_body(&self) -> bool {
        match &self.settings {
            CredentialSettings::Hmac(hmac) => hmac.signed.reads_body(),
            CredentialSettings::AwsSigV4(_) => true,
            CredentialSettings::OAuth2(_)
            | CredentialSettings::Bearer(_)
            | CredentialSettings::ApiKey(..)
            | CredentialSettings::Basic(..) => false,
        }
    }

    /// Whether the token of the calling service is exchanged.
    pub const fn reads_callers_token(&self) -> bool {
        matches!(self.held, HeldCredential::Exchange(_))
    }

    /// What a request is given now. Waits within a bound where it must be fetched first. `subject` is the token of the
    /// calling service, where that is exchanged.
    ///
    /// # Errors
    /// [`CredentialError`]: the request must then not be sent.
    pub async fn obtain(&self, subject: Option<&ExchangeSubject>) -> Result<ObtainedCredential, CredentialError> {
        let now = self.context.clock.now();
        self.secrets().try_for_each(|secret| secret.check_age(now))?;
        Ok(ObtainedCredential(match &self.held {
            HeldCredential::Secret(secret) => Obtained::Secret(secret.value(now).await?),
            HeldCredential::Aws(secret, session) => {
                let session = match session {
                    Some(session) => Some(session.value(now).await?),
                    None => None,
                };
                Obtained::Aws(secret.value(now).await?, session)
            }
            HeldCredential::Token(keeper, _) => Obtained::Token(keeper.obtain().await?),
            HeldCredential::Exchange(exchange) => {
                let subject = subject.cloned().ok_or(CredentialError::SubjectMissing)?;
                Obtained::Exchanged(exchange.obtain(subject).await?)
            }
        }))
    }

    /// Another credential than the one that the vendor has refused with 401; `None` where there is none now, or what
    /// was fetched or read again is the same.
    pub async fn renew(&self, refused: &ObtainedCredential) -> Option<ObtainedCredential> {
        self.obtain_again(refused).await.filter(|renewed| !renewed.is_same(refused))
    }

    async fn obtain_again(&self, refused: &ObtainedCredential) -> Option<ObtainedCredential> {
        match (&self.held, &refused.0) {
            (HeldCredential::Token(keeper, _), Obtained::Token(kept)) => {
                keeper.newer_than(kept.number).await.map(|kept| ObtainedCredential(Obtained::Token(kept)))
            }
            (HeldCredential::Exchange(exchange), Obtained::Exchanged(token)) => {
                exchange.newer_than(token).await.map(|token| ObtainedCredential(Obtained::Exchanged(token)))
            }
            (HeldCredential::Secret(secret), Obtained::Secret(value)) => {
                if secret.reread(value).await {
                    self.obtain(None).await.ok()
                } else {
                    None
                }
            }
            (HeldCredential::Aws(secret, session), Obtained::Aws(value, token)) => {
                let mut is_new = secret.reread(value).await;
                if let (Some(session), Some(token)) = (session, token) {
                    is_new |= session.reread(token).await;
                }
                if is_new { self.obtain(None).await.ok() } else { None }
            }
            (HeldCredential::Secret(_) | HeldCredential::Aws(..), _)
            | (HeldCredential::Token(..) | HeldCredential::Exchange(_), _) => None,
        }
    }

    /// Gives it to a request that nothing changes any more, and returns what of it stands there. `body` is the whole
    /// body, where it is held.
    ///
    /// # Errors
    /// [`CredentialError`]: the request must then not be sent.
    pub fn apply(
        &self,
        obtained: &ObtainedCredential,
        head: CredentialedHead<'_>,
        body: Option<&[u8]>,
        now: Moment,
    ) -> Result<CredentialTrace, CredentialError> {
        let CredentialedHead { method, uri, headers } = head;
        match (&self.settings, &obtained.0) {
            (CredentialSettings::OAuth2(_), Obtained::Token(kept)) => {
                headers.insert(AUTHORIZATION, kept.value.clone());
            }
            (CredentialSettings::OAuth2(_), Obtained::Exchanged(token)) => {
                headers.insert(AUTHORIZATION, token.authorization.clone());
            }
            (CredentialSettings::Bearer(_), Obtained::Secret(secret)) => {
                headers.insert(AUTHORIZATION, header_of("Bearer ", secret)?);
            }
            (CredentialSettings::Basic(username, _), Obtained::Secret(secret)) => {
                let pair = Secret::new(format!("{username}:{}", secret.text()?));
                let unusable = |_| CredentialError::Unusable("the password cannot stand in a header");
                headers.insert(AUTHORIZATION, basic(&pair).map_err(unusable)?);
            }
            (CredentialSettings::ApiKey(ApiKeyPlace::Header(name, prefix), _), Obtained::Secret(secret)) => {
                headers.insert(name.clone(), header_of(prefix, secret)?);
            }
            (CredentialSettings::ApiKey(ApiKeyPlace::Query(name), _), Obtained::Secret(secret)) => {
                let own = Secret::new(format!("{name}={}", utf8_percent_encode(secret.text()?, NON_ALPHANUMERIC)));
                let query = uri.query().filter(|query| !query.is_empty()).map(|query| format!("{query}&"));
                let query = Secret::new(format!("{}{}", query.unwrap_or_default(), own.expose()));
                let unusable = CredentialError::Unusable("the API key makes the target too long");
                *uri = place::with_query(uri, query.expose()).ok_or(unusable)?;
            }
            (CredentialSettings::Hmac(hmac), Obtained::Secret(secret)) => {
                hmac_signature::sign(hmac, secret.bytes(), (method, uri, headers), body, now.wall)?;
            }
            (CredentialSettings::AwsSigV4(aws), Obtained::Aws(secret, session)) => {
                let session_token = session.as_ref().map(HeldValue::text).transpose()?;
                let keys = sigv4::SigningKeys { secret: secret.text()?, session_token };
                sigv4::sign(aws, &keys, sigv4::SignedHead { method, uri, headers }, body, now.wall)?;
            }
            (_, Obtained::Secret(_) | Obtained::Aws(..) | Obtained::Token(_) | Obtained::Exchanged(_)) => {
                return Err(CredentialError::Unusable("the credential is of another kind"));
            }
        }
        Ok(CredentialTrace::of(&self.settings, &obtained.0, headers))
    }

    /// What operators may see of it.
    pub fn status(&self) -> CredentialStatus {
        let now = self.context.clock.now();
        let secrets: Vec<SecretStatus> = self.secrets().map(|secret| secret.status(now)).collect();
        let is_in_time = self.secrets().all(|secret| secret.check_age(now).is_ok());
        let (fetches, last_error) = match &self.held {
            HeldCredential::Token(keeper, _) => {
                let (counts, error) = keeper.status();
                (Some(counts), error)
            }
            HeldCredential::Exchange(exchange) => {
                let (counts, error) = exchange.status();
                (Some(counts), error)
            }
            HeldCredential::Secret(_) | HeldCredential::Aws(..) => (None, None),
        };
        let is_there = match &self.held {
            HeldCredential::Token(keeper, _) => keeper.usable(now).is_some(),
            HeldCredential::Exchange(_) | HeldCredential::Secret(_) | HeldCredential::Aws(..) => {
                secrets.iter().all(|secret| secret.since.is_some())
            }
        };
        CredentialStatus {
            kind: self.settings.kind(),
            does: self.settings.describe(),
            is_ready: is_in_time && is_there,
            fetches,
            last_error,
            secrets,
        }
    }

    /// All secrets that it is made of.
    fn secrets(&self) -> impl Iterator<Item = &HeldSecret> {
        let all = match &self.held {
            HeldCredential::Secret(secret) => [Some(secret), None],
            HeldCredential::Aws(secret, session) => [Some(secret), session.as_ref()],
            HeldCredential::Token(_, fetcher) => [fetcher.endpoint.secret.as_ref(), fetcher.seed.as_ref()],
            HeldCredential::Exchange(exchange) => [exchange.endpoint().secret.as_ref(), None],
        };
        all.into_iter().flatten()
    }
}

/// The classes of tokens that the vendor's keys must have, beside those of its rules.
pub fn token_classes(settings: Option<&CredentialSettings>) -> Option<TokenClass> {
    settings.filter(|settings| settings.needs_master_key()).map(|_| TokenClass::from_name(oauth::REFRESH_TOKEN_CLASS))
}

fn token_source(oauth: &OAuthSettings, context: &Arc<CredentialContext>) -> HeldCredential {
    let endpoint = TokenEndpoint::new(oauth.clone(), context);
    let seed = match &oauth.grant {
        OAuthGrant::TokenExchange { subject_token_type, requested_token_type } => {
            let types = (subject_token_type.clone(), requested_token_type.clone());
            return HeldCredential::Exchange(Arc::new(TokenExchange::new(endpoint, types, Arc::clone(context))));
        }
        OAuthGrant::RefreshToken(secret) => Some(HeldSecret::open("refresh token", secret, context)),
        OAuthGrant::ClientCredentials => None,
    };
    let patience: Duration = oauth.deadline + CREDENTIAL_WAIT_MARGIN;
    let keeper = ValueKeeper::new(context.vendor.as_str(), "access token", context.clock.clone(), patience);
    let fetcher = AccessTokenFetcher { endpoint, context: Arc::clone(context), seed, newest: Mutex::default() };
    HeldCredential::Token(keeper, Arc::new(fetcher))
}

fn header_of(prefix: &str, secret: &HeldValue) -> Result<HeaderValue, CredentialError> {
    let text = Secret::new(format!("{prefix}{}", secret.text()?));
    sensitive(&text).ok_or(CredentialError::Unusable("the secret cannot stand in a header"))
}

impl std::fmt::Debug for CredentialContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialContext").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}
