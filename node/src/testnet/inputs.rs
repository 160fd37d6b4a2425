//! Files as the inputs of a job's items: small ones in the item, large ones as blobs put before.

use data_encoding::BASE64;
use futures::{StreamExt as _, TryStreamExt as _};
use mesh_proto::task::INLINE_LIMIT;

use super::Gateways;
use crate::api::submission::{FileSpec, Item};
use crate::client::ClientError;

/// Blobs that are put at once.
const AHEAD: usize = 6;

/// One item for each of `files`, a name and its bytes, as a file in the task's directory under that name.
pub async fn as_items(gateways: &Gateways, files: &[(String, Vec<u8>)]) -> Result<Vec<Item>, ClientError> {
    let items = files.iter().map(|(name, bytes)| async move {
        let mut file = FileSpec { name: name.clone(), ..FileSpec::default() };
        match bytes.len() <= INLINE_LIMIT {
            true => file.b64 = Some(BASE64.encode(bytes)),
            false => {
                file.blob =
                    Some(gateways.client().put_blob(bytes.clone().into(), Some(bytes.len() as u64), false).await?)
            }
        }
        Ok(Item { files: vec![file], ..Item::default() })
    });
    futures::stream::iter(items).buffered(AHEAD).try_collect().await
}
