//! Vendors that send webhooks without OAuth: they sign what they send with a secret that both sides have.
//!
//! The whole body is read before anything is decided, and nothing may be forwarded before [`PendingWebhook::finish`]
//! has accepted it. Signatures are compared in constant time, under one or two live secrets. A message that was
//! delivered and comes again within twice the tolerance is recognised and not delivered a second time. A body is parsed
//! only where its sender signs its fields, or in a handshake.

mod handshake;
mod recipe;
mod secrets;
mod signature;
mod template;

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::hmac;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::identity::caller::cache::{Fingerprint, FingerprintKind, TokenCache};
use crate::identity::error::AuthError;
use crate::identity::files::watched::{FileKind, WatchedFiles};
use crate::identity::replay::{ReplayCache, ReplayOutcome};
use crate::identity::revocation::RevocationSlot;
use crate::model::{Caller, ClientId, Denial, Moment, Secret, VendorId, debug_fields};

use handshake::SharedSecrets;
use secrets::LiveSecrets;
use signature::WebhookHeaders;
use template::TemplateInput;

pub use handshake::HandshakeReply;
pub use recipe::{
    HeaderPart, SignatureEncoding, TimestampFormat, WebhookHandshake, WebhookPreset, WebhookProof, WebhookRecipe,
    WebhookSecretEncoding, WebhookSettings,
};
pub(crate) use secrets::decode_secret;
pub use secrets::inspect_secret;
pub use template::{SignatureTemplate, TemplatePart, WebhookRequest, split_template};

/// Verifies the webhooks of one vendor.
pub struct WebhookVerifier {
    vendor: VendorId,
    index: u32,
    settings: WebhookSettings,
    secrets: Arc<WatchedFiles<LiveSecrets>>,
    verify: Option<Arc<WatchedFiles<LiveSecrets>>>,
    replays: Arc<ReplayCache>,
    revocations: RevocationSlot,
    cache: Arc<TokenCache>,
}

/// The id of the only client of a vendor with webhooks.
pub const WEBHOOK_CLIENT: &str = "webhook";

impl WebhookVerifier {
    pub(crate) fn open(
        vendor: VendorId,
        index: u32,
        settings: WebhookSettings,
        replays: Arc<ReplayCache>,
        revocations: RevocationSlot,
        cache: Arc<TokenCache>,
    ) -> Self {
        let encoding = settings.recipe.secret;
        let files: Vec<PathBuf> = settings.secret_files.clone();
        let secrets = WatchedFiles::open(
            FileKind::WebhookSecrets,
            vendor.as_str(),
            files,
            Box::new(move |contents| Ok((secrets::read(contents, encoding)?, None))),
        );
        let raw = |contents: &[Vec<u8>]| Ok((secrets::read(contents, WebhookSecretEncoding::Raw)?, None));
        let verify = settings.verify_token_file.clone();
        let verify =
            verify.map(|file| WatchedFiles::open(FileKind::VerifyToken, vendor.as_str(), vec![file], Box::new(raw)));
        Self { vendor, index, settings, secrets, verify, replays, revocations, cache }
    }

    /// The vendor's index, as the directory was given it.
    pub const fn vendor_index(&self) -> u32 {
        self.index
    }

    /// Whether a request has this sender's signature header at all; the signature is not checked.
    pub fn is_presented(&self, headers: &HeaderMap) -> bool {
        headers.contains_key(self.settings.recipe.signature.header.as_str())
    }

    /// Whether a request can be an unsigned handshake of this sender, as far as its head tells.
    pub fn may_be_handshake(&self, sent: &WebhookRequest<'_>) -> bool {
        self.settings.handshakes.iter().any(|handshake| !handshake.is_signed() && handshake.fits(sent))
    }

    /// The reply to an unsigned handshake; `None` where the request is none, or the client is revoked.
    pub fn answer_handshake(&self, sent: &WebhookRequest<'_>, body: &[u8]) -> Option<HandshakeReply> {
        self.revocations.load().check_client(&ClientId::new(WEBHOOK_CLIENT)).ok()?;
        self.answer(sent, body, None)
    }

    fn answer(
        &self,
        sent: &WebhookRequest<'_>,
        body: &[u8],
        signer: Option<&Secret<Vec<u8>>>,
    ) -> Option<HandshakeReply> {
        let agreed = self.verify.as_ref().and_then(|file| file.current().0);
        let shared = SharedSecrets { signer, verify: agreed.as_deref().and_then(|secrets| secrets.first()) };
        let fitting = self.settings.handshakes.iter().filter(|handshake| handshake.fits(sent));
        fitting.filter_map(|handshake| handshake.answer(sent, body, shared)).next()
    }

    /// Why the files of the secrets could not be used at the last read, if they could not.
    pub fn last_error(&self) -> Option<String> {
        self.secrets.last_error()
    }

    /// Why the file of the verify token could not be used at the last read, if it could not; `None` without such a
    /// file.
    pub(crate) fn verify_error(&self) -> Option<Option<String>> {
        self.verify.as_ref().map(|verify| verify.last_error())
    }

    /// Reads the signature headers; the whole body follows by [`PendingWebhook::finish`].
    ///
    /// # Errors
    /// A denial when a header is missing, repeated or malformed, when the message is too old or too new, or when no
    /// secret is live.
    pub fn begin(self: &Arc<Self>, headers: &HeaderMap, now: Moment) -> Result<PendingWebhook, Denial> {
        let message = WebhookHeaders::read(&self.settings.recipe, headers)?;
        if let Some(sent_at) = message.sent_at {
            let tolerance = self.settings.tolerance;
            let near = now.wall.since(sent_at) <= tolerance && sent_at.since(now.wall) <= tolerance;
            if !near || !self.replays.covers(sent_at, now) {
                return Err(AuthError::WebhookStale.into());
            }
        }
        let secrets = self.secrets.current().0.ok_or(AuthError::WebhookNoSecret)?;
        Ok(PendingWebhook { webhook: Arc::clone(self), secrets, message })
    }

    /// The vendor.
    pub(crate) const fn vendor(&self) -> &VendorId {
        &self.vendor
    }

    /// Whether a request that was admitted by a signature may continue: its secret is live and its client is not
    /// revoked.
    pub(crate) fn check_still_valid(&self, signed: &SecretFingerprint) -> Result<(), AuthError> {
        self.revocations.load().check_client(&ClientId::new(WEBHOOK_CLIENT))?;
        let live = self.secrets.current().0;
        let live = live.iter().flat_map(|secrets| secrets.iter()).any(|secret| self.name(secret) == Ok(signed.secret));
        if live { Ok(()) } else { Err(AuthError::WebhookSignature) }
    }

    /// A keyed hash of a secret, from which the secret cannot be found.
    fn name(&self, secret: &Secret<Vec<u8>>) -> Result<Fingerprint, AuthError> {
        self.cache.fingerprint(FingerprintKind::Secret, secret.expose())
    }

    pub(crate) fn start_watching(&self, runtime: &tokio::runtime::Handle) {
        self.secrets.start(runtime);
        self.verify.iter().for_each(|file| file.start(runtime));
    }
}

debug_fields!(WebhookVerifier: vendor);

/// A message whose headers were read, and whose body is still to come.
pub struct PendingWebhook {
    webhook: Arc<WebhookVerifier>,
    secrets: Arc<LiveSecrets>,
    message: WebhookHeaders,
}

debug_fields!(PendingWebhook: webhook);

/// What kind of message was verified.
#[derive(Debug)]
pub enum WebhookOutcome {
    /// A message to deliver, unless it was delivered before.
    Message(AcceptedWebhook),
    /// A handshake, to be answered here.
    Greeting(HandshakeReply),
}

impl PendingWebhook {
    /// The vendor's index, as the directory was given it.
    pub fn vendor_index(&self) -> u32 {
        self.webhook.index
    }

    /// Verifies the signature, and records the message so that it is delivered only once.
    ///
    /// # Errors
    /// A denial when no live secret gives one of the signatures sent, when the client is revoked, or while the same
    /// message is being delivered.
    pub fn finish(self, sent: &WebhookRequest<'_>, body: &[u8], now: Moment) -> Result<WebhookOutcome, Denial> {
        let (secret, tag) = self.matching(sent, body)?;
        let WebhookVerifier { vendor, settings, replays, revocations, cache, .. } = &*self.webhook;
        let client = ClientId::new(WEBHOOK_CLIENT);
        revocations.load().check_client(&client)?;
        if let Some(greeting) = self.webhook.answer(sent, body, Some(secret)) {
            return Ok(WebhookOutcome::Greeting(greeting));
        }
        let names = self.names(&tag, body);
        let named = names.iter().map(|name| cache.fingerprint(FingerprintKind::Proof, name));
        let message = named.collect::<Result<Vec<_>, AuthError>>()?;
        let is_known = match replays.take(&message, settings.tolerance * 2, now) {
            ReplayOutcome::First => false,
            ReplayOutcome::Settled => true,
            ReplayOutcome::UnderWay => return Err(AuthError::WebhookUnderWay.into()),
            ReplayOutcome::Full => return Err(AuthError::WebhookFull.into()),
        };
        let caller = Caller { vendor: vendor.clone(), client, claims: None };
        let signed = Arc::new(SecretFingerprint { secret: self.webhook.name(secret)? });
        let replays = Arc::clone(replays);
        Ok(WebhookOutcome::Message(AcceptedWebhook { caller, signed, was_delivered: is_known, message, replays }))
    }

    /// The secret that gives one of the signatures sent, and that signature.
    fn matching(&self, sent: &WebhookRequest<'_>, body: &[u8]) -> Result<(&Secret<Vec<u8>>, Vec<u8>), AuthError> {
        let recipe = &self.webhook.settings.recipe;
        let id = self.message.id.as_deref().unwrap_or_default();
        let timestamp = &self.message.timestamp;
        let signed = recipe.signed.render(&TemplateInput { sent, body, timestamp, id, url: recipe.url.as_deref() })?;
        let signed: Vec<&[u8]> = signed.iter().map(|piece| &**piece).collect();
        let mut matched = None;
        for secret in self.secrets.iter() {
            let tag = signature_of(recipe.proof, secret.expose(), &signed);
            let is_sent = |fits, signature: &Vec<u8>| fits | tag.as_slice().ct_eq(signature);
            let fits = self.message.signatures.iter().fold(Choice::from(0), is_sent);
            matched = if bool::from(fits) { Some((secret, tag)) } else { matched };
        }
        matched.ok_or(AuthError::WebhookSignature)
    }

    /// The names by which a message is recognised when it comes again; one equal name is enough.
    fn names(&self, tag: &[u8], body: &[u8]) -> Vec<Vec<u8>> {
        let recipe = &self.webhook.settings.recipe;
        let digest = || Sha256::digest(body);
        // Without an id the message is known by its signature, also when its secret has become the older of two.
        let by_signature = || [b"s", tag].concat();
        match (self.message.id.as_deref().map(str::as_bytes), recipe.proof) {
            (Some(id), _) if recipe.signed.has(&TemplatePart::Id) => vec![[b"i", id].concat()],
            // An id that is not signed names a message only together with the body. Otherwise an attacker could send an
            // old message again under the id of a new one, so that the new one would count as delivered. Where the time
            // is signed, a copy under another id is recognised by its signature.
            (Some(id), _) => {
                let by_id = [b"b", id, &digest()].concat();
                let dated = recipe.timestamp.as_ref().map(|_| by_signature());
                std::iter::once(by_id).chain(dated).collect()
            }
            (None, WebhookProof::Token) => vec![[b"d", &digest()[..]].concat()],
            (None, WebhookProof::HmacSha1 | WebhookProof::HmacSha256 | WebhookProof::HmacSha512) => {
                vec![by_signature()]
            }
        }
    }
}

/// The bytes of a signature over the pieces, or the secret itself where the sender sends that.
fn signature_of(proof: WebhookProof, secret: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let algorithm = match proof {
        WebhookProof::HmacSha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        WebhookProof::HmacSha256 => hmac::HMAC_SHA256,
        WebhookProof::HmacSha512 => hmac::HMAC_SHA512,
        WebhookProof::Token => return secret.to_vec(),
    };
    let mut mac = hmac::Context::with_key(&hmac::Key::new(algorithm, secret));
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.sign().as_ref().to_vec()
}

/// Which secret signed a message: a keyed hash, from which the secret cannot be found.
#[derive(Debug)]
pub struct SecretFingerprint {
    secret: Fingerprint,
}

/// A message that was verified, and recorded as being delivered.
#[derive(Debug)]
pub struct AcceptedWebhook {
    /// The sender.
    pub caller: Caller,
    /// Which secret signed it, for [`crate::identity::directory::Directory::recheck_signed`].
    pub signed: Arc<SecretFingerprint>,
    /// Whether it was delivered before: then it is answered and not delivered again.
    pub was_delivered: bool,
    message: Vec<Fingerprint>,
    replays: Arc<ReplayCache>,
}

impl AcceptedWebhook {
    /// Records that the message was delivered, so that it is recognised when it comes again.
    pub fn mark_delivered(self) {
        self.replays.settle(&self.message);
    }

    /// Forgets a message that could not be delivered, so that the sender's next try is delivered. One that was
    /// delivered before stays recorded.
    pub fn give_back(self) {
        if !self.was_delivered {
            self.replays.give_back(&self.message);
        }
    }
}

/// Whether headers have a well-formed signature of this sender; the signature is not checked.
#[cfg(feature = "internals")]
pub fn inspect_signature(recipe: &WebhookRecipe, headers: &HeaderMap) -> bool {
    WebhookHeaders::read(recipe, headers).is_ok()
}

#[cfg(test)]
mod tests;
