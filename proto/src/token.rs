//! The invite token: all that another machine needs to join, as one line of text to paste.
//!
//! `mesh1`, then lower-case base32 of: length (2 bytes, big endian), canonical CBOR, checksum (4 bytes of BLAKE3). The
//! length tells a truncated paste from a damaged one. White space is skipped, as terminals wrap lines, and upper case
//! is taken, as QR codes prefer it.

use crate::{
    address::Addresses,
    certificate::Certificate,
    codec,
    credential::{AnyInviter, Credential, CredentialError, Invitation},
    genesis::Genesis,
    id::Digest,
    key::SecretKey,
    limits,
    role::Role,
    time::Wall,
};
use data_encoding::{Encoding, Specification};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{fmt, sync::LazyLock};
use zeroize::Zeroizing;

/// A parsed token. Whoever has it can join until it expires: it is a secret, wiped when dropped.
pub struct Token {
    pub genesis: Genesis,
    /// Members to dial first.
    pub bootstrap: Addresses,
    invitation: Option<TokenInvitation>,
}

/// The invitation, and the key that it is over.
struct TokenInvitation {
    key: SecretKey,
    certificate: Certificate<Invitation>,
}

/// What is wrong with a text that should be a token, in a line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not an invite token: one begins with `mesh1`; `meshd invite` on a member prints one")]
    Prefix,
    #[error("the token has {size} characters, more than the longest of {limit}: was something else pasted with it?")]
    TooLong { size: usize, limit: usize },
    #[error("the token has the character {character:?} at {at}, which no token has: copy it again")]
    Character { character: char, at: usize },
    #[error("the token is cut short: {size} of {expected} bytes are there; copy all of it, to its last character")]
    Truncated { size: usize, expected: usize },
    #[error("the token goes on after its end: was something else pasted with it?")]
    Trailing,
    #[error("the token is damaged (its checksum does not match): copy it again")]
    Checksum,
    #[error("the token was made by another version of meshd, or not by meshd: {0}")]
    Content(String),
    #[error("the token expired at {expires}, and it is {now}: ask for a new one, or set this machine's clock")]
    Expired { expires: Wall, now: Wall },
    #[error("the token's invitation is not good: {0}; ask for a new one")]
    Invitation(#[source] CredentialError),
    #[error("the token has no invitation, and its network {network} is not open")]
    NoInvitation { network: String },
    #[error("{count} bootstrap addresses, more than the {limit} that fit a token", limit = limits::TOKEN_ADDRESSES)]
    Addresses { count: usize },
}

/// The CBOR form.
#[derive(Serialize, Deserialize)]
struct Fields {
    #[serde(rename = "g")]
    genesis: Genesis,
    #[serde(rename = "a")]
    bootstrap: Addresses,
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    invitation: Option<InvitationFields>,
}

#[derive(Serialize, Deserialize)]
struct InvitationFields {
    #[serde(rename = "k")]
    key: SecretBytes,
    #[serde(rename = "c")]
    certificate: Certificate<Invitation>,
}

/// The secret on its way in or out; a CBOR byte string.
struct SecretBytes(Zeroizing<[u8; 32]>);

impl Serialize for SecretBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_slice())
    }
}

impl<'de> Deserialize<'de> for SecretBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_bytes::ByteArray::<32>::deserialize(deserializer).map(|bytes| Self(Zeroizing::new(bytes.into_array())))
    }
}

/// What an inviter decides.
#[derive(Clone, Copy, Debug)]
pub struct InvitationTerms {
    pub role: Role,
    pub issued: Wall,
    pub expires: Wall,
    /// When memberships by this token end. Default never.
    pub member_until: Option<Wall>,
}

impl Token {
    /// Invites: `inviter` is the network's maker, `key` 32 fresh random bytes.
    pub fn invite(
        inviter: &SecretKey,
        genesis: Genesis,
        bootstrap: Addresses,
        key: SecretKey,
        terms: InvitationTerms,
    ) -> Result<Self, TokenError> {
        let InvitationTerms { role, issued, expires, member_until } = terms;
        let body = Invitation { key: key.node_id(), inviter: inviter.node_id(), role, issued, expires, member_until };
        let certificate = Certificate::issue(inviter, &genesis.network_id(), body);
        Self::new(genesis, bootstrap, Some(TokenInvitation { key, certificate }))
    }

    /// For an open network, where nobody needs an invitation but everybody needs the genesis.
    pub fn to_open_network(genesis: Genesis, bootstrap: Addresses) -> Result<Self, TokenError> {
        Self::new(genesis, bootstrap, None)
    }

    fn new(genesis: Genesis, bootstrap: Addresses, invitation: Option<TokenInvitation>) -> Result<Self, TokenError> {
        if bootstrap.len() > limits::TOKEN_ADDRESSES {
            return Err(TokenError::Addresses { count: bootstrap.len() });
        }
        if invitation.is_none() && !genesis.open {
            return Err(TokenError::NoInvitation { network: genesis.name.to_string() });
        }
        Ok(Self { genesis, bootstrap, invitation })
    }

    /// Reads a pasted token and checks that it can be used now.
    pub fn parse(text: &str, now: Wall) -> Result<Self, TokenError> {
        let token = Self::decode(&unwrap(text)?)?;
        if let Some(invitation) = &token.invitation {
            Invitation::verify(&invitation.certificate, &token.genesis, now).map_err(|error| match error {
                CredentialError::InvitationExpired { expires, now } => TokenError::Expired { expires, now },
                error => TokenError::Invitation(error),
            })?;
        }
        Ok(token)
    }

    /// The line to paste. A secret, like the token.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        wrap(&self.encode())
    }

    /// Makes the credential of the node that joins. `role` is at most the invitation's, which is the default.
    pub fn credential(&self, node: &SecretKey, role: Option<Role>, now: Wall) -> Result<Credential, TokenError> {
        let credential = match &self.invitation {
            Some(TokenInvitation { key, certificate }) => {
                let role = role.unwrap_or(certificate.unverified().role);
                Credential::by_invitation(certificate.clone(), key, &self.genesis, node.node_id(), role, now)
            }
            None => Credential::in_open_network(node, &self.genesis, role.unwrap_or(Role::Worker), now),
        };
        credential.verify(&AnyInviter(&self.genesis), now).map_err(TokenError::Invitation)?;
        Ok(credential)
    }

    /// The invitation that the token carries, without its key.
    #[must_use]
    pub fn invitation(&self) -> Option<&Invitation> {
        self.invitation.as_ref().map(|invitation| invitation.certificate.unverified())
    }

    pub(crate) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let invitation = self.invitation.as_ref().map(|invitation| InvitationFields {
            key: SecretBytes(invitation.key.to_bytes()),
            certificate: invitation.certificate.clone(),
        });
        let fields = Fields { genesis: self.genesis.clone(), bootstrap: self.bootstrap.clone(), invitation };
        // Of full size at once: a vector that grows leaves copies of the secret behind.
        Zeroizing::new(codec::encode_into(Vec::with_capacity(limits::TOKEN_BYTES), &fields))
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, TokenError> {
        let content = |error: &dyn fmt::Display| TokenError::Content(error.to_string());
        let fields: Fields = codec::decode(bytes, limits::TOKEN_BYTES).map_err(|error| content(&error))?;
        let invitation = fields.invitation.map(|fields| TokenInvitation {
            key: SecretKey::from_bytes(&fields.key.0),
            certificate: fields.certificate,
        });
        let token = Self::new(fields.genesis, fields.bootstrap, invitation)?;
        if token.encode().as_slice() != bytes {
            return Err(content(&codec::DecodeError::NotCanonical));
        }
        match &token.invitation {
            Some(invitation) if invitation.key.node_id() != invitation.certificate.unverified().key => {
                Err(content(&"its key is not the one that was invited"))
            }
            Some(_) | None => Ok(token),
        }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("network", &self.genesis.network_id())
            .field("bootstrap", &self.bootstrap)
            .field("invitation", &self.invitation())
            .finish_non_exhaustive()
    }
}

const PREFIX: &str = "mesh1";
const LENGTH_BYTES: usize = 2;
const CHECKSUM_BYTES: usize = 4;

static BASE32: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    // Else a paste cut inside a byte is no encoding at all, instead of a short one.
    specification.check_trailing_bits = false;
    specification.encoding().expect("32 distinct symbols are an encoding")
});

fn wrap(content: &[u8]) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH_BYTES + content.len() + CHECKSUM_BYTES));
    // A token's parts are bounded well below 64 KiB.
    let length = u16::try_from(content.len()).expect("a token is shorter than its length field can say");
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(content);
    bytes.extend_from_slice(&checksum(content));
    let mut text = Zeroizing::new(String::with_capacity(limits::TOKEN_TEXT_BYTES));
    text.push_str(PREFIX);
    BASE32.encode_append(&bytes, &mut text);
    text
}

fn unwrap(text: &str) -> Result<Zeroizing<Vec<u8>>, TokenError> {
    let text = text.trim();
    if text.len() > 2 * limits::TOKEN_TEXT_BYTES {
        return Err(TokenError::TooLong { size: text.len(), limit: limits::TOKEN_TEXT_BYTES });
    }
    let text = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase());
    let symbols = text.strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
    if text.len() > limits::TOKEN_TEXT_BYTES {
        return Err(TokenError::TooLong { size: text.len(), limit: limits::TOKEN_TEXT_BYTES });
    }
    let stray = symbols.chars().enumerate().find(|(_, c)| !matches!(c, 'a'..='z' | '2'..='7'));
    if let Some((at, character)) = stray {
        return Err(TokenError::Character { character, at: PREFIX.len() + at + 1 });
    }
    let mut bytes = whole_bytes(symbols);
    let expected = match bytes.first_chunk::<LENGTH_BYTES>() {
        Some(length) => LENGTH_BYTES + usize::from(u16::from_be_bytes(*length)) + CHECKSUM_BYTES,
        None => return Err(TokenError::Truncated { size: bytes.len(), expected: LENGTH_BYTES + CHECKSUM_BYTES }),
    };
    // The length is not under the checksum, so a damaged one is told apart by being more than any token's.
    if expected > LENGTH_BYTES + limits::TOKEN_BYTES + CHECKSUM_BYTES {
        return Err(TokenError::Checksum);
    }
    if bytes.len() < expected {
        return Err(TokenError::Truncated { size: bytes.len(), expected });
    }
    if bytes.len() > expected || symbols.len() != BASE32.encode_len(bytes.len()) {
        return Err(TokenError::Trailing);
    }
    let (content, sum) = bytes[LENGTH_BYTES..].split_at(expected - LENGTH_BYTES - CHECKSUM_BYTES);
    if checksum(content) != sum {
        return Err(TokenError::Checksum);
    }
    bytes.drain(..LENGTH_BYTES);
    bytes.truncate(expected - LENGTH_BYTES - CHECKSUM_BYTES);
    Ok(bytes)
}

/// Decodes what symbols make whole bytes; the rest (a truncated paste has some) is left out. All are of the alphabet.
fn whole_bytes(symbols: &str) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; symbols.len() * 5 / 8]);
    let whole = &symbols.as_bytes()[..BASE32.encode_len(bytes.len())];
    match BASE32.decode_mut(whole, &mut bytes) {
        Ok(_) => bytes,
        Err(partial) => {
            bytes.truncate(partial.written);
            bytes
        }
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Digest::of("meshd v1 token checksum", &[content]);
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest.as_bytes()[..CHECKSUM_BYTES]);
    sum
}
