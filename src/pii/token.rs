//! The token that replaces a value: it names its vendor, class and key version, and authenticates all of them.
//!
//! ```text
//! tok1_ kind vendor class kid _ length payload
//!    5    1      4     2   2  1      4       n      bytes
//! tok1_dbvaalzab_aabevE9H2wBSCPvw3gy4NNRvCBFsM5XCa2aRM7YU
//! ```
//! `kind` is `d` for a text and `n` for a number's lexeme, which becomes a bare number again. `vendor`, `class`, `kid`
//! and `length` (the payload's bytes) are lower-case base32 (RFC 4648 section 6), the payload is unpadded base64url of
//! the SIV ciphertext. No byte is one that JSON, a URL, a form, a header or XML must encode. The length says where a
//! token inside other text ends. A token has exactly one spelling; any other text is refused as malformed.
//!
//! The vendor and class fields are short digests of the names, by which the key is found. The ciphertext authenticates
//! the full names, so a token that was moved to another vendor or class never opens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroize;

use super::alphabets::{STEP_BYTES, STEP_CHARACTERS, base32, base32_value, base64_length, encode_48_bytes};
use super::siv::{BLOCK_BYTES, Siv256, SivHeader};

/// The bytes that every token begins with.
pub(super) const TOKEN_PREFIX: &[u8] = b"tok1_";
/// Bytes before the payload.
const HEAD_BYTES: usize = 19;
/// Offset of the length field.
const LENGTH_AT: usize = HEAD_BYTES - 4;
/// Bytes of a value that [`TokenKey::seal`] encrypts in its first step, after the IV.
const FIRST_BYTES: usize = STEP_BYTES - BLOCK_BYTES;

/// Why a token was not opened. Count these, and never tell the sender of the token which it was: the difference helps
/// to forge one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TokenError {
    /// It begins like a token and is not one: it is cut short, or not spelled as tokens are.
    #[error("not a token")]
    Malformed,
    /// It was made for another vendor.
    #[error("a token of another vendor")]
    Foreign,
    /// Its class or key version is not one that this vendor's contract and key file have.
    #[error("a token under an unknown key")]
    UnknownKey,
    /// It does not authenticate.
    #[error("a forged or damaged token")]
    Forged,
}

impl TokenError {
    /// Every reason, in the order of [`TokenError::index`].
    pub(super) const ALL: [Self; 4] = [Self::Malformed, Self::Foreign, Self::UnknownKey, Self::Forged];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Foreign => "foreign",
            Self::UnknownKey => "unknown_key",
            Self::Forged => "forged",
        }
    }

    /// The index in [`TokenError::ALL`].
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// What the value of a token was in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A string.
    Text,
    /// The lexeme of a JSON number.
    Number,
}

impl TokenKind {
    const fn letter(self) -> u8 {
        match self {
            Self::Text => b'd',
            Self::Number => b'n',
        }
    }

    const fn of_letter(letter: u8) -> Option<Self> {
        match letter {
            b'd' => Some(Self::Text),
            b'n' => Some(Self::Number),
            _ => None,
        }
    }
}

/// A token's fields, well formed but not yet opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParsedToken<'a> {
    pub(super) kind: TokenKind,
    pub(super) vendor_tag: u32,
    /// Class and key version: what the key is found by.
    pub(super) key_code: u32,
    /// The payload, whose spelling has not been checked.
    pub(super) payload: &'a [u8],
}

impl<'a> ParsedToken<'a> {
    /// Reads the token at the start of `text`; ignores what follows it.
    pub(super) fn at_start(text: &'a [u8]) -> Result<Self, TokenError> {
        let parsed = (|| {
            let head = text.get(..HEAD_BYTES)?;
            if !head.starts_with(TOKEN_PREFIX) || head[14] != b'_' {
                return None;
            }
            let length = base32_value(&head[15..])? as usize;
            Some(Self {
                kind: TokenKind::of_letter(head[5])?,
                vendor_tag: base32_value(&head[6..10])?,
                key_code: base32_value(&head[10..14])?,
                payload: text[HEAD_BYTES..].get(..length)?,
            })
        })();
        parsed.filter(|token| token.payload.len() >= base64_length(BLOCK_BYTES)).ok_or(TokenError::Malformed)
    }

    /// Bytes of the whole token.
    pub(super) const fn length(&self) -> usize {
        HEAD_BYTES + self.payload.len()
    }
}

/// The digest of a vendor's name that its tokens carry: 20 bits.
pub(super) fn vendor_tag(name: &str) -> u32 {
    digest_bits(b"vendorgate token vendor ", name) >> 12
}

/// The digest of a class's name and a key version, as tokens carry them: 10 bits each.
pub(super) fn key_code(class: &str, version: u16) -> u32 {
    digest_bits(b"vendorgate token class ", class) >> 22 << 10 | u32::from(version & 0x3ff)
}

fn digest_bits(domain: &[u8], name: &str) -> u32 {
    let digest = Sha256::new().chain_update(domain).chain_update(name).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

/// The key of one vendor, class and version: seals values into tokens and opens them.
pub(super) struct TokenKey {
    siv: Siv256,
    text: TokenTemplate,
    number: TokenTemplate,
}

/// The constant parts of all tokens of one kind: the head, whose length field is still to be set, with space for a
/// short payload after it, and the authenticated header.
struct TokenTemplate {
    bytes: [u8; HEAD_BYTES + STEP_CHARACTERS],
    header: SivHeader,
}

impl TokenKey {
    pub(super) fn new(siv: Siv256, vendor: &str, class: &str, version: u16) -> Self {
        let spelling = |kind: TokenKind| {
            let kid = version.to_string();
            let letter = [kind.letter()];
            let bound = [b"tok1|", vendor.as_bytes(), b"|", class.as_bytes(), b"|", kid.as_bytes(), b"|", &letter];
            TokenTemplate {
                bytes: template_bytes(kind, vendor, class, version),
                header: siv.header(&[&bound.concat()]),
            }
        };
        let (text, number) = (spelling(TokenKind::Text), spelling(TokenKind::Number));
        Self { siv, text, number }
    }

    const fn template(&self, kind: TokenKind) -> &TokenTemplate {
        match kind {
            TokenKind::Text => &self.text,
            TokenKind::Number => &self.number,
        }
    }

    /// Appends the token of a value. The value must be shorter than 512 KiB, so that the length field can hold its
    /// size; [`crate::bounds::VALUE_BYTES_MAX`] is lower.
    pub(super) fn seal(&self, kind: TokenKind, value: &[u8], out: &mut Vec<u8>) {
        let spelling = self.template(kind);
        let (start, length) = (out.len(), base64_length(BLOCK_BYTES + value.len()));
        let begun = self.siv.encrypt_start(&spelling.header, value);
        // Copy the template in its constant length, fill it in place, and cut off what the value does not need: a copy
        // of a length that is known at compile time is faster.
        out.extend_from_slice(&spelling.bytes);
        if let Some(room) = out.last_chunk_mut::<{ HEAD_BYTES + STEP_CHARACTERS }>() {
            room[LENGTH_AT..HEAD_BYTES].copy_from_slice(&base32::<4>(length as u32));
            room[HEAD_BYTES..].copy_from_slice(&encode_48_bytes(begun));
        }
        if let Some(rest) = value.get(FIRST_BYTES + 1..).and(value.get(FIRST_BYTES..)) {
            self.seal_rest(begun[0], rest, out);
        }
        out.truncate(start + HEAD_BYTES + length);
    }

    /// Appends the payload after the first step, and up to one step more, which the caller cuts off.
    fn seal_rest(&self, iv: u128, rest: &[u8], out: &mut Vec<u8>) {
        out.reserve(base64_length(rest.len()) + STEP_CHARACTERS);
        for (number, piece) in rest.chunks(STEP_BYTES).enumerate() {
            let mut step = [0; STEP_BYTES];
            let text = &mut step[..piece.len()];
            text.copy_from_slice(piece);
            let first_block = (FIRST_BYTES + number * STEP_BYTES) / BLOCK_BYTES;
            self.siv.apply_keystream(&iv.to_be_bytes(), first_block, text);
            let mut blocks = [0; 3];
            blocks.iter_mut().zip(step.as_chunks().0).for_each(|(block, bytes)| *block = u128::from_be_bytes(*bytes));
            out.extend_from_slice(&encode_48_bytes(blocks));
        }
    }

    /// Appends the value of a token; leaves `out` as it was when the token does not open.
    pub(super) fn open(&self, kind: TokenKind, payload: &[u8], out: &mut Vec<u8>) -> Result<(), TokenError> {
        let start = out.len();
        out.resize(start + payload.len().div_ceil(4) * 3, 0);
        let decoded = URL_SAFE_NO_PAD.decode_slice(payload, &mut out[start..]).unwrap_or(0);
        let Some((iv, text)) = out[start..start + decoded].split_first_chunk_mut::<BLOCK_BYTES>() else {
            out.truncate(start);
            return Err(TokenError::Malformed);
        };
        if !self.siv.open(&self.template(kind).header, iv, text) {
            out.truncate(start);
            return Err(TokenError::Forged);
        }
        let length = text.len();
        out.copy_within(start + BLOCK_BYTES..start + BLOCK_BYTES + length, start);
        out[start + length..].zeroize();
        out.truncate(start + length);
        Ok(())
    }
}

fn template_bytes(kind: TokenKind, vendor: &str, class: &str, version: u16) -> [u8; HEAD_BYTES + STEP_CHARACTERS] {
    let mut room = [b'_'; HEAD_BYTES + STEP_CHARACTERS];
    room[..5].copy_from_slice(TOKEN_PREFIX);
    room[5] = kind.letter();
    room[6..10].copy_from_slice(&base32::<4>(vendor_tag(vendor)));
    room[10..14].copy_from_slice(&base32::<4>(key_code(class, version)));
    room
}

/// Finds tokens in texts. Make it once: that costs more than most searches.
#[derive(Debug, Clone)]
pub(super) struct TokenFinder(memchr::memmem::Finder<'static>);

impl TokenFinder {
    pub(super) fn new() -> Self {
        Self(memchr::memmem::Finder::new(TOKEN_PREFIX))
    }

    /// The offset of the next [`TOKEN_PREFIX`].
    #[inline]
    pub(super) fn find(&self, text: &[u8]) -> Option<usize> {
        if text.starts_with(TOKEN_PREFIX) { Some(0) } else { self.0.find(text) }
    }
}

#[cfg(test)]
mod tests {
    use aes_siv::KeyInit;
    use aes_siv::siv::Aes256Siv;
    use proptest::prelude::*;

    use super::*;

    fn key(vendor: &str, class: &str, version: u16) -> TokenKey {
        TokenKey::new(Siv256::new(&[7; 32], &[8; 32]), vendor, class, version)
    }

    fn sealed(key: &TokenKey, kind: TokenKind, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        key.seal(kind, value, &mut out);
        out
    }

    fn opened(key: &TokenKey, token: &[u8]) -> Result<Vec<u8>, TokenError> {
        let parsed = ParsedToken::at_start(token)?;
        if parsed.length() != token.len() {
            return Err(TokenError::Malformed);
        }
        let mut out = b"before".to_vec();
        let result = key.open(parsed.kind, parsed.payload, &mut out);
        assert!(out.starts_with(b"before") && (result.is_ok() || out.len() == 6), "what does not open leaves nothing");
        result.map(|()| out[6..].to_vec())
    }

    #[test]
    fn the_spelling_of_a_token_never_changes() {
        let token = sealed(&key("acme", "email", 1), TokenKind::Text, b"a@b.example");
        let text = String::from_utf8(token).unwrap();
        assert_eq!(text, "tok1_dbvaalzab_aabevE9H2wBSCPvw3gy4NNRvCBFsM5XCa2aRM7YU");
    }

    #[test]
    fn a_token_is_read_to_its_end_inside_other_text() {
        let token = sealed(&key("acme", "email", 1), TokenKind::Text, b"x");
        let read = |text: &[u8]| ParsedToken::at_start(text).map(|parsed| (parsed.kind, parsed.length()));
        assert_eq!(read(&[&token[..], b"x, tok1_d"].concat()), Ok((TokenKind::Text, token.len())));
        for text in [&b"tok1_ "[..], &token[..20], &token[..token.len() - 1], b"x", b""] {
            assert_eq!(read(text), Err(TokenError::Malformed));
        }
        assert_eq!(TokenFinder::new().find(&[b"Dear ", &token[..]].concat()), Some(5));
    }

    #[test]
    fn values_of_every_length_give_the_tokens_of_the_aes_siv_and_base64_crates() {
        let (mut siv, value) = (Aes256Siv::new_from_slice(&[[7; 32], [8; 32]].concat()).unwrap(), [b'v'; 300]);
        let (key, head) = (key("acme", "email", 1), "tok1_dbvaalzab_");
        for value in (0..=value.len()).map(|length| &value[..length]) {
            let payload = URL_SAFE_NO_PAD.encode(siv.encrypt([b"tok1|acme|email|1|d"], value).unwrap());
            let length = base32::<4>(payload.len() as u32).map(char::from);
            let expected = format!("{head}{}{payload}", String::from_iter(length));
            assert_eq!(String::from_utf8(sealed(&key, TokenKind::Text, value)).unwrap(), expected);
        }
    }

    proptest! {
        #[test]
        fn a_token_is_deterministic_and_opens_to_its_value(value in prop::collection::vec(any::<u8>(), 0..1000)) {
            let key = key("acme", "email", 3);
            for kind in [TokenKind::Text, TokenKind::Number] {
                let token = sealed(&key, kind, &value);
                prop_assert_eq!(&token, &sealed(&key, kind, &value));
                prop_assert!(token.iter().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(b)));
                prop_assert_eq!(opened(&key, &token), Ok(value.clone()));
            }
        }

        #[test]
        fn no_other_vendor_class_version_or_kind_opens_it(value in ".{0,40}") {
            let token = sealed(&key("acme", "email", 1), TokenKind::Text, value.as_bytes());
            for other in [key("acme2", "email", 1), key("acme", "name", 1), key("acme", "email", 2)] {
                prop_assert_eq!(opened(&other, &token), Err(TokenError::Forged));
            }
            let parsed = ParsedToken::at_start(&token).unwrap();
            let result = key("acme", "email", 1).open(TokenKind::Number, parsed.payload, &mut Vec::new());
            prop_assert_eq!(result, Err(TokenError::Forged));
        }
    }
}
