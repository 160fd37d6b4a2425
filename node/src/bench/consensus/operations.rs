use mesh_proto::agreement::{Operation, Ran};
use mesh_proto::ledger::{
    Body, Command, CommandId, Done, Index, MemoryKey, NameError, Namespace, Outcome, Principal, Query, Row,
};
use mesh_proto::task::Octets;

/// Where all are written.
pub const NAMESPACE: &str = "bench";

/// Makes the operations of one gateway, each with a key and a value of its own.
#[derive(Clone, Debug)]
pub struct Operations {
    namespace: Namespace,
    principal: Principal,
    /// Of all keys: other runs and gateways have others.
    prefix: String,
    /// What values are cut from.
    filling: Vec<u8>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Well,
    Rejected(String),
    Wrong(String),
}

impl Operations {
    pub fn new(payload: usize) -> Result<Self, NameError> {
        let run: u64 = rand::random();
        let filling = (0..payload).map(|_| rand::random()).collect();
        Ok(Self { namespace: NAMESPACE.parse()?, principal: "bench".parse()?, prefix: format!("{run:016x}"), filling })
    }

    /// The write with this number. `born` is what is known to be executed.
    pub fn put(&self, number: u64, born: Index) -> Result<Operation, NameError> {
        let key = self.key(number)?;
        let id = CommandId { principal: self.principal.clone(), key: key.as_str().as_bytes().into(), born };
        let (namespace, value) = (self.namespace.clone(), self.value(number));
        let body = Body::MemoryPut { namespace, key, value, ttl_ms: None };
        Ok(Operation::Command(Box::new(Command { id, body })))
    }

    /// A question for what that wrote.
    pub fn get(&self, number: u64) -> Result<Operation, NameError> {
        Ok(Operation::Query(Query::Get { namespace: self.namespace.clone(), key: self.key(number)? }))
    }

    /// Whether the answer to the question holds what was written.
    pub fn is_there(&self, number: u64, ran: &Ran) -> bool {
        let Ran::Answer(answer) = ran else { return false };
        let value = self.value(number);
        answer.rows.iter().any(|row| matches!(row, Row::Memory { item, .. } if item.value == value))
    }

    fn key(&self, number: u64) -> Result<MemoryKey, NameError> {
        MemoryKey::new(&format!("{}/{number:010}", self.prefix))
    }

    /// No two begin alike, where there is room for a number.
    fn value(&self, number: u64) -> Octets {
        let mut value = self.filling.clone();
        value.iter_mut().zip(number.to_le_bytes()).for_each(|(byte, digit)| *byte = digit);
        value.into()
    }
}

impl End {
    /// Of a write.
    pub fn of(ran: &Ran) -> Self {
        match ran {
            Ran::Outcome(Outcome::Done(Done::Written { .. })) => Self::Well,
            Ran::Outcome(Outcome::Rejected(rejection)) => Self::Rejected(rejection.to_string()),
            Ran::Outcome(Outcome::Done(_)) | Ran::Answer(_) | Ran::Refused => Self::Wrong(format!("{ran:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_proto::ledger::Rejection;

    #[test]
    fn each_write_has_its_key_its_value_and_its_id() {
        let operations = Operations::new(128).unwrap();
        let put = |number| match operations.put(number, Index(9)).unwrap() {
            Operation::Command(command) => *command,
            Operation::Query(_) => unreachable!("a write"),
        };
        let (first, second) = (put(1), put(2));
        assert_ne!(first.id, second.id);
        let (Body::MemoryPut { key, value, .. }, Body::MemoryPut { key: other, value: next, .. }) =
            (&first.body, &second.body)
        else {
            unreachable!("writes")
        };
        assert!(key != other && value != next && value.len() == 128);
        assert_eq!(mesh_ledger::validate(&first), Ok(()));
        assert_eq!(operations.value(1), operations.value(1), "it is known when it is read back");
        assert_eq!(Operations::new(0).unwrap().value(7).len(), 0);
    }

    #[test]
    fn only_a_write_that_was_done_ended_well() {
        assert_eq!(End::of(&Ran::Outcome(Outcome::Done(Done::Written { version: 3 }))), End::Well);
        assert!(matches!(End::of(&Ran::Outcome(Outcome::Rejected(Rejection::Full))), End::Rejected(_)));
        for ran in [Ran::Refused, Ran::Outcome(Outcome::Done(Done::Kept))] {
            assert!(matches!(End::of(&ran), End::Wrong(_)));
        }
    }
}
