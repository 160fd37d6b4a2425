//! What is found of a log when it is opened, and the mending of its tail.

use super::{
    Damage, Disk, DiskFile, LogError,
    frame::{ALIGN, FrameHeader, FrameKey, HEADER},
    segment::{Header, Name, RECORDS_AT},
    window::Window,
};
use mesh_proto::id::LogPosition;

/// A log without damage.
#[derive(Debug)]
pub(super) struct Found {
    /// Oldest first, never empty; the last one is the current.
    pub segments: Vec<Header>,
    /// Where the current segment is free from.
    pub tail: u64,
    /// The last record.
    pub last: LogPosition,
    /// Bytes of all frames.
    pub bytes: u64,
    /// The last frame of the current segment.
    last_frame: Option<LastFrame>,
}

#[derive(Debug, Clone, Copy)]
struct LastFrame {
    offset: u64,
    size: usize,
    is_seal: bool,
}

/// Reads everything and changes nothing. `live` are the generations of the live segments, ascending, not empty.
pub(super) fn find<D: Disk>(disk: &D, live: &[u64]) -> Result<Found, LogError> {
    let segments = headers(disk, live)?;
    let (current, sealed) = segments.split_last().expect("a log has a segment");
    let mut bytes = 0;
    for (header, next) in sealed.iter().zip(&segments[1..]) {
        let scan = scan(disk, header, Some(next.first))?;
        bytes += scan.tail - RECORDS_AT;
    }
    let scan = scan(disk, current, None)?;
    bytes += scan.tail - RECORDS_AT;
    let last = LogPosition(scan.next.0 - 1);
    Ok(Found { tail: scan.tail, last, bytes, last_frame: scan.last_frame, segments })
}

/// Makes durable what was found, and durably removes what was cut off; then seals it. Returns the open current
/// segment and where it is free from.
///
/// The last frame is written once more although it reads well: if the sync of it had failed, it may be in the page
/// cache only, marked as clean, and no sync would ever write it.
pub(super) fn mend<D: Disk>(disk: &mut D, found: &Found) -> Result<(D::File, u64), LogError> {
    let header = found.segments.last().expect("a log has a segment");
    let name = Name::Live(header.generation).to_string();
    let mut file = disk.open(&name).map_err(LogError::io("open", &name))?;
    if let Some(last) = found.last_frame {
        let frame = Window::new(&file, &name, header.size).get(last.offset, last.size)?.to_vec();
        file.write_at(&frame, last.offset).map_err(LogError::io("write", &name))?;
    }
    clear_tail(&mut file, &name, found.tail, header.size)?;
    file.sync_data().map_err(LogError::io("sync", &name))?;
    // A rename that the last life did not live to sync.
    disk.sync().map_err(LogError::io("sync the directory of", &name))?;

    let mut tail = found.tail;
    if found.last_frame.is_some_and(|frame| !frame.is_seal) {
        let seal = seal(&header.key(), tail, found.last.next());
        file.write_at(&seal, tail).map_err(LogError::io("write", &name))?;
        file.sync_data().map_err(LogError::io("sync", &name))?;
        tail += HEADER as u64;
    }
    Ok((file, tail))
}

/// A frame without records for `offset`, where the next record would be `next`.
pub(super) fn seal(key: &FrameKey, offset: u64, next: LogPosition) -> [u8; HEADER] {
    let mut frame = [0; HEADER];
    key.finish(&mut frame, offset, next, 0);
    frame
}

/// Calls `f` for each frame of a segment until the one that begins with `end`, and returns the free offset behind.
/// The frames were valid when the log was opened; one that no longer is, is damage.
pub(super) fn frames<F: DiskFile, E: From<LogError>>(
    file: &F,
    header: &Header,
    end: LogPosition,
    mut f: impl FnMut(FrameHeader, &[u8]) -> Result<(), E>,
) -> Result<u64, E> {
    let name = Name::Live(header.generation).to_string();
    let key = header.key();
    let mut window = Window::new(file, &name, header.size);
    let mut next = header.first;
    let mut offset = RECORDS_AT;
    while next < end {
        let Some(frame) = frame_at(&mut window, &key, header.size, offset, next)? else {
            return Err(LogError::damaged(&name, offset, Damage::Record).into());
        };
        f(frame, window.get(offset, frame.size)?)?;
        next = LogPosition(next.0 + u64::from(frame.count));
        offset += frame.size as u64;
    }
    Ok(offset)
}

fn headers<D: Disk>(disk: &D, live: &[u64]) -> Result<Vec<Header>, LogError> {
    let mut headers: Vec<Header> = Vec::with_capacity(live.len());
    for &generation in live {
        let name = Name::Live(generation).to_string();
        let file = disk.open(&name).map_err(LogError::io("open", &name))?;
        let header = Header::read(&file, &name, generation)?;
        if let Some(before) = headers.last() {
            if before.generation + 1 != generation {
                let missing = Name::Live(before.generation + 1).to_string();
                return Err(LogError::damaged(&missing, 0, Damage::MissingSegment));
            }
            if (header.store_id, header.salt) != (before.store_id, before.salt) {
                return Err(LogError::damaged(&name, 0, Damage::Foreign));
            }
            if header.first < before.first {
                return Err(LogError::damaged(&name, 0, Damage::Positions));
            }
        }
        headers.push(header);
    }
    Ok(headers)
}

struct Scan {
    tail: u64,
    /// The position that the next record gets.
    next: LogPosition,
    last_frame: Option<LastFrame>,
}

/// Checks the frames of a segment: of the current one until they end, of another until the record `end`, with which
/// the next segment begins.
fn scan<D: Disk>(disk: &D, header: &Header, end: Option<LogPosition>) -> Result<Scan, LogError> {
    let name = Name::Live(header.generation).to_string();
    let file = disk.open(&name).map_err(LogError::io("open", &name))?;
    let key = header.key();
    let mut window = Window::new(&file, &name, header.size);
    let mut scan = Scan { tail: RECORDS_AT, next: header.first, last_frame: None };
    loop {
        // What is behind the last record of a segment that has a successor is of no interest: a seal, or what a crash
        // left of a frame that was cut off.
        if end == Some(scan.next) {
            return Ok(scan);
        }
        match frame_at(&mut window, &key, header.size, scan.tail, scan.next)? {
            Some(frame) => {
                scan.last_frame = Some(LastFrame { offset: scan.tail, size: frame.size, is_seal: frame.count == 0 });
                scan.tail += frame.size as u64;
                scan.next = LogPosition(scan.next.0 + u64::from(frame.count));
            }
            // The next segment was begun after all of this one was durable.
            None if end.is_some() => return Err(LogError::damaged(&name, scan.tail, Damage::Record)),
            None if frame_behind(&mut window, &key, header.size, scan.tail)? => {
                return Err(LogError::damaged(&name, scan.tail, Damage::Record));
            }
            None => return Ok(scan),
        }
        if end.is_some_and(|end| scan.next > end) {
            return Err(LogError::damaged(&name, scan.tail, Damage::Positions));
        }
    }
}

/// The frame at `offset`, if it is valid and begins with record `next`.
fn frame_at<F: DiskFile>(
    window: &mut Window<'_, F>,
    key: &FrameKey,
    size: u64,
    offset: u64,
    next: LogPosition,
) -> Result<Option<FrameHeader>, LogError> {
    let room = size - offset;
    if room < HEADER as u64 {
        return Ok(None);
    }
    let Some(frame) = key.read_header(window.get(offset, HEADER)?, offset, room) else { return Ok(None) };
    if frame.first != next {
        return Ok(None);
    }
    Ok(key.holds(window.get(offset, frame.size)?).then_some(frame))
}

/// Whether a frame of this generation was begun behind the one at `offset`, which is not valid. A header is proof
/// enough: it was written after the frame at `offset` was durable.
fn frame_behind<F: DiskFile>(
    window: &mut Window<'_, F>,
    key: &FrameKey,
    size: u64,
    offset: u64,
) -> Result<bool, LogError> {
    let mut at = offset + ALIGN as u64;
    while at + HEADER as u64 <= size {
        // Overlaps the next stretch by a header, so that none is missed between them.
        let len = SEARCHED_AT_ONCE.min(size - at) as usize;
        let stretch = window.get(at, len)?;
        for begin in (0..=len - HEADER).step_by(ALIGN) {
            let place = at + begin as u64;
            if key.read_header(&stretch[begin..begin + HEADER], place, size - place).is_some() {
                return Ok(true);
            }
        }
        at += (len - HEADER + ALIGN) as u64;
    }
    Ok(false)
}

/// Zeroes what is not zero behind `tail`: bytes of a torn frame, which must not complete a frame to come, or of an
/// earlier generation, which nothing tells apart from those.
fn clear_tail(file: &mut impl DiskFile, name: &str, tail: u64, size: u64) -> Result<(), LogError> {
    let mut buffer = vec![0; (size - tail).min(CLEARED_AT_ONCE) as usize];
    let mut offset = tail;
    while offset < size {
        // Blocks end at multiples of their size, so that whole pages are written.
        let len = (CLEARED_AT_ONCE - offset % CLEARED_AT_ONCE).min(size - offset) as usize;
        let block = &mut buffer[..len];
        let read = file.read_at(block, offset).map_err(LogError::io("read", name))?;
        if block[..read] != ZEROES[..read] {
            block.fill(0);
            file.write_at(block, offset).map_err(LogError::io("write", name))?;
        }
        offset += len as u64;
    }
    Ok(())
}

impl Header {
    pub(super) fn key(&self) -> FrameKey {
        FrameKey::new(self.store_id, self.salt, self.generation)
    }
}

const SEARCHED_AT_ONCE: u64 = 256 << 10;
const CLEARED_AT_ONCE: u64 = 64 << 10;
/// Compared with at once: a start looks at whole segments.
static ZEROES: [u8; CLEARED_AT_ONCE as usize] = [0; CLEARED_AT_ONCE as usize];
