//! Room for many small things that are written once and go in about the order in which they came.

use std::collections::BTreeMap;

/// Bytes of a page. One allocation in place of a hundred: what is kept for a day does not lie between what lives for
/// milliseconds, whose room could then not be given back.
const PAGE: usize = 64 * 1024;

/// Where something lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    page: u32,
    start: u32,
    length: u32,
}

#[derive(Debug)]
struct Page {
    bytes: Vec<u8>,
    /// Things in it that are not given up.
    live: u32,
}

/// A page goes when all that is in it is given up.
#[derive(Debug, Default)]
pub struct Pages {
    pages: BTreeMap<u32, Page>,
    /// The one that is being filled.
    last: u32,
}

impl Pages {
    /// Things larger than a page get one of their own.
    pub fn put(&mut self, thing: &[u8]) -> Place {
        let has_room = |page: &Page| page.bytes.len() + thing.len() <= PAGE;
        if !self.pages.get(&self.last).is_some_and(has_room) {
            if self.pages.get(&self.last).is_some_and(|page| page.live == 0) {
                self.pages.remove(&self.last);
            }
            self.last = self.next_number();
            let page = Page { bytes: Vec::with_capacity(PAGE.max(thing.len())), live: 0 };
            self.pages.insert(self.last, page);
        }
        let page = self.pages.entry(self.last).or_insert_with(|| Page { bytes: Vec::new(), live: 0 });
        let start = u32::try_from(page.bytes.len()).unwrap_or(u32::MAX);
        page.bytes.extend_from_slice(thing);
        page.live += 1;
        Place { page: self.last, start, length: u32::try_from(thing.len()).unwrap_or(u32::MAX) }
    }

    fn next_number(&self) -> u32 {
        let mut next = self.last.wrapping_add(1);
        while self.pages.contains_key(&next) {
            next = next.wrapping_add(1);
        }
        next
    }

    /// Nothing, if it was given up.
    pub fn get(&self, place: Place) -> &[u8] {
        let bytes = || {
            let (start, length) = (usize::try_from(place.start).ok()?, usize::try_from(place.length).ok()?);
            self.pages.get(&place.page)?.bytes.get(start..start.checked_add(length)?)
        };
        bytes().unwrap_or_default()
    }

    /// To be called once for each thing that was put.
    pub fn give_up(&mut self, place: Place) {
        let Some(page) = self.pages.get_mut(&place.page) else { return };
        page.live = page.live.saturating_sub(1);
        if page.live == 0 && place.page != self.last {
            self.pages.remove(&place.page);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn things_are_there_until_they_are_given_up_and_pages_go_with_them(
            things in prop::collection::vec((0..40_000usize, any::<u8>(), any::<prop::sample::Index>()), 1..60),
        ) {
            let mut pages = Pages::default();
            let mut there: Vec<(Place, Vec<u8>)> = Vec::new();
            for (length, byte, index) in things {
                let thing = vec![byte; if byte == 7 { length * 3 } else { length }];
                there.push((pages.put(&thing), thing));
                if byte % 2 == 0 {
                    let (place, _) = there.swap_remove(index.index(there.len()));
                    pages.give_up(place);
                }
                for (place, thing) in &there {
                    prop_assert_eq!(pages.get(*place), thing.as_slice());
                }
            }
            for (place, _) in there {
                pages.give_up(place);
            }
            prop_assert!(pages.pages.len() <= 1);
        }
    }
}
