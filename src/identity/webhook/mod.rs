//! Vendors that call back without OAuth: a signature over the raw body, with a secret that both sides know.
//!
//! The body is fed as it arrives, so whoever spools it need not hold it here; nothing may be forwarded before
//! [`Check::finish`] said yes. Compared in constant time, under one or two live secrets; a message that was taken is
//! refused when it comes again within the tolerance. Never parses the body.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::bounds::{WEBHOOK_ID_BYTES_MAX, WEBHOOK_SIGNATURES_MAX};
use crate::model::{Caller, ClientId, Denial, Moment, Secret, UnixTime, VendorId};

use super::cache::{Fingerprint, Kind, TokenCache};
use super::flaw::Flaw;
use super::replay::Replays;
use super::revocation::Slot;
use super::watched::Watched;
use super::{WebhookScheme, WebhookSettings};

type HmacSha256 = Hmac<Sha256>;

/// The secrets that are live now.
type Secrets = Vec<Secret<Vec<u8>>>;

/// A vendor that is known by its signatures.
pub struct Webhook {
    vendor: VendorId,
    index: u32,
    settings: WebhookSettings,
    secrets: Arc<Watched<Secrets>>,
    replays: Arc<Replays>,
    revocations: Slot,
    cache: Arc<TokenCache>,
}

/// What the one client of a vendor that signs its bodies is called.
pub const WEBHOOK_CLIENT: &str = "webhook";

impl Webhook {
    pub(super) fn open(
        vendor: VendorId,
        index: u32,
        settings: WebhookSettings,
        replays: Arc<Replays>,
        revocations: Slot,
        cache: Arc<TokenCache>,
    ) -> Self {
        let encoded = settings.scheme == WebhookScheme::StandardWebhooks;
        let files: Vec<PathBuf> = settings.secret_files.clone();
        let secrets = Watched::open(files, Box::new(move |contents| read_secrets(contents, encoded)));
        Self { vendor, index, settings, secrets, replays, revocations, cache }
    }

    /// The vendor's index, as the directory was given it.
    pub const fn vendor_index(&self) -> u32 {
        self.index
    }

    /// Whether a request carries this scheme's signature at all; says nothing about its worth.
    pub fn is_presented(&self, headers: &HeaderMap) -> bool {
        match &self.settings.scheme {
            WebhookScheme::StandardWebhooks => headers.contains_key("webhook-signature"),
            WebhookScheme::Hmac { header, .. } => headers.contains_key(header.as_str()),
        }
    }

    /// Why the secrets' files could not be read at the last look, if they could not.
    pub fn last_error(&self) -> Option<String> {
        self.secrets.last_error()
    }

    /// Reads the signature headers and starts to check; the raw body follows by [`Check::update`].
    ///
    /// # Errors
    /// A denial when a header is missing, repeated or malformed, when the message is too old or too new, or when no
    /// secret is live.
    pub fn begin(self: &Arc<Self>, headers: &HeaderMap, now: Moment) -> Result<Check, Denial> {
        self.start(headers, now).map_err(Denial::from)
    }

    fn start(self: &Arc<Self>, headers: &HeaderMap, now: Moment) -> Result<Check, Flaw> {
        let message = Message::read(&self.settings.scheme, headers)?;
        if let Some(sent_at) = message.sent_at {
            let tolerance = self.settings.tolerance;
            let near = now.wall.since(sent_at) <= tolerance && sent_at.since(now.wall) <= tolerance;
            if !near || !self.replays.covers(sent_at, now) {
                return Err(Flaw::WebhookStale);
            }
        }
        let secrets = self.secrets.current().0.ok_or(Flaw::WebhookSignature)?;
        let keyed = |secret: &Secret<Vec<u8>>| {
            let mut mac = HmacSha256::new_from_slice(secret.expose()).map_err(|_| Flaw::WebhookSignature)?;
            mac.update(message.signed_before_body.as_bytes());
            Ok((self.name(secret)?, mac))
        };
        let macs = secrets.iter().map(keyed).collect::<Result<Vec<_>, Flaw>>()?;
        Ok(Check { webhook: Arc::clone(self), macs, signatures: message.signatures, id: message.id })
    }

    /// Whose it is.
    pub(super) const fn vendor(&self) -> &VendorId {
        &self.vendor
    }

    /// Whether what was let in on a signature may go on: the secret is still live, and nobody has barred the client.
    pub(super) fn still_stands(&self, signed: &Signed) -> Result<(), Flaw> {
        self.revocations.load().bars(&ClientId::new(WEBHOOK_CLIENT))?;
        let live = self.secrets.current().0;
        let live = live.iter().flat_map(|secrets| secrets.iter()).any(|secret| self.name(secret) == Ok(signed.secret));
        if live { Ok(()) } else { Err(Flaw::WebhookSignature) }
    }

    /// A secret's name, which says nothing about it.
    fn name(&self, secret: &Secret<Vec<u8>>) -> Result<Fingerprint, Flaw> {
        self.cache.fingerprint(Kind::Secret, secret.expose())
    }

    pub(super) fn watch(&self, runtime: &tokio::runtime::Handle) {
        self.secrets.start(runtime);
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("vendor", &self.vendor).finish_non_exhaustive()
    }
}

/// A signature being checked while the body arrives.
pub struct Check {
    webhook: Arc<Webhook>,
    /// Each live secret's name, and what it makes of the body.
    macs: Vec<(Fingerprint, HmacSha256)>,
    signatures: Vec<[u8; 32]>,
    id: Option<String>,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("webhook", &self.webhook).finish_non_exhaustive()
    }
}

impl Check {
    /// Takes the next bytes of the raw body.
    pub fn update(&mut self, body: &[u8]) {
        self.macs.iter_mut().for_each(|(_, mac)| mac.update(body));
    }

    /// Says who the caller is, once the whole body was fed, and takes the message so that it cannot come again.
    ///
    /// # Errors
    /// A denial when no live secret gives a signature that was sent, or when the message was taken before.
    pub fn finish(self, now: Moment) -> Result<Taken, Denial> {
        self.end(now).map_err(Denial::from)
    }

    fn end(self, now: Moment) -> Result<Taken, Flaw> {
        let mut matched = None;
        for (secret, mac) in self.macs {
            let digest: [u8; 32] = mac.finalize().into_bytes().into();
            let fits = self.signatures.iter().fold(Choice::from(0), |fits, signature| fits | digest.ct_eq(signature));
            matched = if bool::from(fits) { Some((secret, digest)) } else { matched };
        }
        let (secret, digest) = matched.ok_or(Flaw::WebhookSignature)?;
        let Webhook { vendor, index, settings, replays, revocations, cache, .. } = &*self.webhook;
        let client = ClientId::new(WEBHOOK_CLIENT);
        revocations.load().bars(&client)?;
        // Without an id the message is known by its signature, whichever place its secret has by now.
        let named = self.id.as_deref().map_or(&digest[..], str::as_bytes);
        let message = cache.fingerprint(Kind::Proof, named)?;
        if !replays.take(message, settings.tolerance * 2, now) {
            return Err(Flaw::WebhookReplayed);
        }
        let caller = Caller { vendor: vendor.clone(), client, claims: None };
        let signed = Arc::new(Signed { secret });
        Ok(Taken { caller, vendor_index: *index, signed, message, replays: Arc::clone(replays) })
    }
}

/// By which secret a message was signed. Says nothing about the secret.
#[derive(Debug)]
pub struct Signed {
    secret: Fingerprint,
}

/// A message that was verified and taken.
#[derive(Debug)]
pub struct Taken {
    /// Who sent it.
    pub caller: Caller,
    /// The vendor's index, as the directory was given it.
    pub vendor_index: u32,
    /// By which of the secrets, for [`super::Directory::recheck_signed`].
    pub signed: Arc<Signed>,
    message: Fingerprint,
    replays: Arc<Replays>,
}

impl Taken {
    /// Gives the message back because it could not be delivered, so that the sender's next try is not a replay.
    pub fn give_back(self) {
        self.replays.give_back(&self.message);
    }
}

/// Whether headers read as a signature of this scheme; its worth is not looked at.
pub fn inspect_signature(scheme: &WebhookScheme, headers: &HeaderMap) -> bool {
    Message::read(scheme, headers).is_ok()
}

/// What the headers say.
struct Message {
    id: Option<String>,
    sent_at: Option<UnixTime>,
    signed_before_body: String,
    signatures: Vec<[u8; 32]>,
}

impl Message {
    fn read(scheme: &WebhookScheme, headers: &HeaderMap) -> Result<Self, Flaw> {
        match scheme {
            WebhookScheme::StandardWebhooks => Self::read_standard(headers),
            WebhookScheme::Hmac { header, prefix, timestamp_header } => {
                Self::read_hmac(headers, header, prefix, timestamp_header.as_deref())
            }
        }
    }

    /// Standard Webhooks 1.0: `id.timestamp.body`, and a list of `v1,` signatures; other versions are not ours.
    fn read_standard(headers: &HeaderMap) -> Result<Self, Flaw> {
        let id = single(headers, "webhook-id")?;
        let timestamp = single(headers, "webhook-timestamp")?;
        if id.is_empty() || id.len() > WEBHOOK_ID_BYTES_MAX || id.contains('.') {
            return Err(Flaw::SignatureHeaders);
        }
        let listed = single(headers, "webhook-signature")?.split(' ').filter_map(|one| one.strip_prefix("v1,"));
        let signatures: Vec<[u8; 32]> = listed.take(WEBHOOK_SIGNATURES_MAX).filter_map(digest_of).collect();
        if signatures.is_empty() {
            return Err(Flaw::SignatureHeaders);
        }
        Ok(Self {
            id: Some(id.to_owned()),
            sent_at: Some(seconds(timestamp)?),
            signed_before_body: format!("{id}.{timestamp}."),
            signatures,
        })
    }

    fn read_hmac(
        headers: &HeaderMap,
        header: &str,
        prefix: &str,
        timestamp_header: Option<&str>,
    ) -> Result<Self, Flaw> {
        let text = single(headers, header)?.strip_prefix(prefix).ok_or(Flaw::SignatureHeaders)?;
        let signatures = vec![digest_of(text).ok_or(Flaw::SignatureHeaders)?];
        let timestamp = timestamp_header.map(|name| single(headers, name)).transpose()?;
        Ok(Self {
            id: None,
            sent_at: timestamp.map(seconds).transpose()?,
            signed_before_body: timestamp.map(|text| format!("{text}.")).unwrap_or_default(),
            signatures,
        })
    }
}

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, Flaw> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Flaw::SignatureHeaders) };
    value.to_str().map_err(|_| Flaw::SignatureHeaders)
}

fn seconds(text: &str) -> Result<UnixTime, Flaw> {
    let plain = !text.is_empty() && text.len() <= 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    let secs = if plain { text.parse().ok() } else { None };
    secs.map(UnixTime::from_secs).ok_or(Flaw::SignatureHeaders)
}

/// A SHA-256 digest in hexadecimal or base64, which differ in length.
fn digest_of(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return STANDARD.decode(text).ok()?.try_into().ok();
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = (digit(0)? * 16 + digit(1)?) as u8;
    }
    Some(digest)
}

/// A Standard Webhooks secret is base64 after `whsec_`; any other is the file's bytes less the line's end.
fn read_secrets(contents: &[Vec<u8>], encoded: bool) -> Result<Secrets, String> {
    /// What Standard Webhooks asks for at least, and what HMAC-SHA-256 deserves.
    const SECRET_BYTES_MIN: usize = 24;
    let read = |content: &Vec<u8>| {
        let text = content.trim_ascii_end();
        let secret = match (encoded, text.strip_prefix(b"whsec_")) {
            (true, Some(rest)) => STANDARD.decode(rest).map_err(|_| "a secret is not base64 after whsec_")?,
            (true, None) => return Err("a secret does not start with whsec_".to_owned()),
            (false, _) => text.to_vec(),
        };
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("a secret has less than {SECRET_BYTES_MIN} bytes"));
        }
        Ok(Secret::new(secret))
    };
    if contents.is_empty() { Err("no secret".to_owned()) } else { contents.iter().map(read).collect() }
}

#[cfg(test)]
mod tests;
