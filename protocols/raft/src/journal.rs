use std::io;

/// Where what must not be forgotten is written: records, of which the oldest may be let go of. After an error nothing
/// more is taken.
pub trait Journal: Send + 'static {
    /// Takes a record in, in memory. Its position, which is one above that of the record before.
    fn append(&mut self, record: &[u8]) -> io::Result<u64>;

    /// Makes all that was taken in durable.
    fn commit(&mut self) -> io::Result<()>;

    /// No record up to this one is wanted any more. Some of them may still be there the next time.
    fn release(&mut self, upto: u64) -> io::Result<()>;

    /// There is nothing to do for a while.
    fn rest(&mut self) -> io::Result<()>;

    /// Every record that is there, in order, with its position.
    fn replay(&self, visit: &mut dyn FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()>;
}
