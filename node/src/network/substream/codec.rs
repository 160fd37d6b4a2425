//! The frames of a substream: a length of four bytes, most significant first, then as many bytes.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Bytes before each frame.
pub const HEADER: usize = 4;

/// A peer announced a frame above the limit of its class. The substream cannot go on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {announced} bytes, above the limit of {limit}")]
pub struct Oversize {
    pub announced: usize,
    pub limit: usize,
}

/// Writes the header of a frame of `length` bytes. Frames are far below 4 GiB: the queue checks them.
pub fn put_header(buffer: &mut BytesMut, length: usize) {
    buffer.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
}

/// Takes the next whole frame out of what was read; `None` if more must be read first. The limit is checked on the
/// header, before room is made for the frame.
pub fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Oversize> {
    let Some(header) = buffer.first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let announced = u32::from_be_bytes(*header) as usize;
    if announced > limit {
        return Err(Oversize { announced, limit });
    }
    if buffer.len() < HEADER + announced {
        return Ok(None);
    }
    buffer.advance(HEADER);
    Ok(Some(buffer.split_to(announced).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut() {
        let mut wire = BytesMut::new();
        for frame in [&b"one"[..], b"", b"three"] {
            put_header(&mut wire, frame.len());
            wire.extend_from_slice(frame);
        }
        for cut in 1..=wire.len() {
            let (mut buffer, mut frames) = (BytesMut::new(), Vec::new());
            for part in wire.chunks(cut) {
                buffer.extend_from_slice(part);
                while let Some(frame) = take_frame(&mut buffer, 5).unwrap() {
                    frames.push(frame);
                }
            }
            assert_eq!(frames, ["one", "", "three"], "cut into pieces of {cut}");
            assert!(buffer.is_empty());
        }
    }

    #[test]
    fn a_header_above_the_limit_is_refused_before_its_bytes_arrive() {
        let mut buffer = BytesMut::from(&[0xff, 0xff, 0xff, 0xff][..]);
        assert_eq!(take_frame(&mut buffer, 1024), Err(Oversize { announced: 0xffff_ffff, limit: 1024 }));
    }
}
