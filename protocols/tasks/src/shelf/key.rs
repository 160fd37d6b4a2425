use mesh_proto::id::TaskId;

/// An entry of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Floor,
    /// A copy under its task's id, as stores before format 3 have them: each new one fell beside an old one in the tree of
    /// the store, which was read and written once more with it.
    Copy(TaskId),
    /// A copy under a number that grows: new ones are appended, and what came together ends and goes about together.
    Entry(u64),
    Promise(TaskId),
    Kept(TaskId, u32),
    Gone(TaskId),
}

impl Key {
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Floor => b"tf".to_vec(),
            Self::Copy(task) => [b"tc", task.as_bytes().as_slice()].concat(),
            Self::Entry(number) => [b"tn", number.to_be_bytes().as_slice()].concat(),
            Self::Promise(task) => [b"tp", task.as_bytes().as_slice()].concat(),
            Self::Gone(task) => [b"tg", task.as_bytes().as_slice()].concat(),
            Self::Kept(task, attempt) => [b"to", task.as_bytes().as_slice(), attempt.to_be_bytes().as_slice()].concat(),
        }
    }

    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_at_checked(2)?;
        let task = |rest: &[u8]| rest.try_into().ok().map(TaskId::from_bytes);
        match kind {
            b"tf" if rest.is_empty() => Some(Self::Floor),
            b"tc" => task(rest).map(Self::Copy),
            b"tn" => rest.try_into().ok().map(u64::from_be_bytes).map(Self::Entry),
            b"tp" => task(rest).map(Self::Promise),
            b"tg" => task(rest).map(Self::Gone),
            b"to" => {
                let (id, attempt) = rest.split_at_checked(32)?;
                Some(Self::Kept(task(id)?, u32::from_be_bytes(attempt.try_into().ok()?)))
            }
            _ => None,
        }
    }
}
