//! What an HTTP client must show: a random text in a file that only the node's user can read.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::{DataDir, IdentityError, durable};

const NAME: &str = "api-token";
/// 32 random bytes as text, with the newline, and room for one that an operator wrote.
const LIMIT: usize = 256;
/// Fewer characters can be guessed.
const SHORTEST: usize = 32;

/// The token of this node's API. Not shown by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// Reads the token of the node whose directory is `dir`; `None` if it has none yet.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(NAME);
        let Some(bytes) = durable::read_secret(&path, LIMIT)?.map(Zeroizing::new) else { return Ok(None) };
        let text = std::str::from_utf8(&bytes).map_or("", str::trim);
        if text.len() < SHORTEST || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let what = format!("it is not at least {SHORTEST} printable characters");
            return Err(IdentityError::damaged(&path, what));
        }
        Ok(Some(Self(Zeroizing::new(text.to_owned()))))
    }

    /// The token, made and on disk if there was none.
    pub fn load_or_create(dir: &DataDir) -> Result<Self, IdentityError> {
        if let Some(token) = Self::load(dir.path())? {
            return Ok(token);
        }
        let text = Zeroizing::new(HEXLOWER.encode(durable::random()?.as_slice()));
        durable::create(dir.path(), NAME, format!("{}\n", *text).as_bytes(), durable::SECRET)?;
        Ok(Self(text))
    }

    /// The text that a client sends after `Bearer`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is the token. Takes the same time wherever the two differ, so that nobody can find it letter by
    /// letter.
    pub fn matches(&self, shown: &str) -> bool {
        let differences = self.0.bytes().zip(shown.bytes()).fold(0, |found, (ours, theirs)| found | (ours ^ theirs));
        self.0.len() == shown.len() && std::hint::black_box(differences) == 0
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_matches_itself_only() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        assert!(ApiToken::load(dir.path()).unwrap().is_none());
        let token = ApiToken::load_or_create(&dir).unwrap();
        let text = token.as_str().to_owned();
        assert_eq!(ApiToken::load_or_create(&dir).unwrap().as_str(), text);
        assert!(token.matches(&text));
        for other in ["", &text[1..], &format!("{text}x"), &text.to_uppercase().replace('0', "1")] {
            assert!(!token.matches(other), "{other:?}");
        }
        assert!(!format!("{token:?}").contains(&text));
    }

    #[test]
    fn a_short_token_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        durable::replace(dir.path(), NAME, b"secret\n", durable::SECRET).unwrap();
        assert!(matches!(ApiToken::load(dir.path()), Err(IdentityError::Damaged { .. })));
    }
}
