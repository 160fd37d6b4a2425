//! The node's secret key on disk: 64 hexadecimal digits and a newline.

use std::path::Path;

use data_encoding::HEXLOWER;
use mesh_proto::key::SecretKey;
use zeroize::Zeroizing;

use super::{DataDir, IdentityError, durable};

const NAME: &str = "key";
/// 32 bytes as text, with the newline.
const TEXT_BYTES: usize = 65;

/// The key, or `None` where there is none yet. Refuses one that others can read.
pub(super) fn load(dir: &Path) -> Result<Option<SecretKey>, IdentityError> {
    let path = dir.join(NAME);
    let Some(text) = durable::read_secret(&path, TEXT_BYTES)?.map(Zeroizing::new) else { return Ok(None) };
    let damaged = || IdentityError::damaged(&path, "it is not 64 hexadecimal digits");
    let digits = text.strip_suffix(b"\n").unwrap_or(&text);
    if digits.len() != 64 {
        return Err(damaged());
    }
    let mut bytes = Zeroizing::new([0; 32]);
    HEXLOWER.decode_mut(digits, bytes.as_mut_slice()).map_err(|_| damaged())?;
    Ok(Some(SecretKey::from_bytes(&bytes)))
}

/// The key, made and on disk if there was none.
pub(super) fn load_or_create(dir: &DataDir) -> Result<SecretKey, IdentityError> {
    if let Some(key) = load(dir.path())? {
        return Ok(key);
    }
    let key = SecretKey::from_bytes(&*durable::random()?);
    let mut text = Zeroizing::new(HEXLOWER.encode(key.to_bytes().as_slice()));
    // Room for the newline was not asked for, so push may move the digits; what it leaves behind is freed memory of
    // this process, made before it listens to anybody.
    text.push('\n');
    durable::create(dir.path(), NAME, text.as_bytes(), durable::SECRET)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_closed_to_others() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        assert!(load(dir.path()).unwrap().is_none());
        let made = load_or_create(&dir).unwrap();
        assert_eq!(load_or_create(&dir).unwrap().node_id(), made.node_id());
        assert_eq!(load(dir.path()).unwrap().unwrap().node_id(), made.node_id());
        let mode = std::fs::metadata(dir.file(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        std::fs::set_permissions(dir.file(NAME), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(dir.path()), Err(IdentityError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn a_damaged_key_is_never_replaced() {
        let temp = tempfile::tempdir().unwrap();
        let dir = DataDir::lock(temp.path()).unwrap();
        for text in ["", "abcd", &"x".repeat(64), &"0".repeat(66)] {
            durable::replace(dir.path(), NAME, text.as_bytes(), durable::SECRET).unwrap();
            assert!(matches!(load_or_create(&dir), Err(IdentityError::Damaged { .. })), "{text:?}");
        }
    }
}
