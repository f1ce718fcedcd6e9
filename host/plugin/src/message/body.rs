//! The body of a message as plugins have made it: a list of segments, each a range of what was received or octets that an edit has
//! put there. So a part of a large message is replaced, or taken out, without reading the rest of it.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::{Reading, Received};

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Body {
    segments: Arc<[Segment]>,
    size: u64,
}

#[derive(Clone, Debug)]
enum Segment {
    /// Octets from an offset on in what was received.
    Received(Range<u64>),
    /// Octets of an edit.
    Edited { octets: Arc<Vec<u8>>, range: Range<u64> },
}

impl Segment {
    fn len(&self) -> u64 {
        match self {
            Segment::Received(range) | Segment::Edited { range, .. } => range.end - range.start,
        }
    }

    /// A piece of it, counted from its beginning.
    fn piece(&self, piece: Range<u64>) -> Self {
        let within = |range: &Range<u64>| range.start + piece.start..range.start + piece.end;
        match self {
            Segment::Received(range) => Segment::Received(within(range)),
            Segment::Edited { octets, range } => Segment::Edited { octets: octets.clone(), range: within(range) },
        }
    }
}

impl Body {
    /// What was received between two offsets.
    pub(super) fn received(start: u64, end: u64) -> Self {
        Self::of(vec![Segment::Received(start..end)])
    }

    /// These octets and nothing else.
    pub(super) fn octets(octets: Vec<u8>) -> Self {
        Self::of(vec![edited(octets)])
    }

    fn of(segments: Vec<Segment>) -> Self {
        Self { size: segments.iter().map(Segment::len).sum(), segments: segments.into() }
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn is_in_memory(&self, received: &Received) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Received(range) => range.end <= received.memory_end(),
            Segment::Edited { .. } => true,
        })
    }

    /// Octets of memory that edits have taken. What several segments share is counted for each.
    pub(super) fn edited_bytes(&self) -> usize {
        let bytes = self.segments.iter().map(|segment| match segment {
            Segment::Received(_) => 0,
            Segment::Edited { octets, .. } => octets.len(),
        });
        bytes.sum()
    }

    /// With other octets in the place of a range.
    pub(super) fn spliced(&self, range: Range<u64>, octets: Vec<u8>) -> Self {
        let mut segments: Vec<Segment> = self.pieces(0..range.start).collect();
        segments.push(edited(octets));
        segments.extend(self.pieces(range.end..self.size));
        segments.retain(|segment| segment.len() > 0);
        Self::of(segments)
    }

    pub(super) fn read(
        &self,
        range: Range<u64>,
        received: &Received,
        reading: Reading,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        for piece in self.pieces(range) {
            match piece {
                Segment::Received(range) => received.read(range, reading, out)?,
                Segment::Edited { octets, range } => {
                    out.extend_from_slice(octets.get(range.start as usize..range.end as usize).unwrap_or_default());
                }
            }
        }
        Ok(())
    }

    /// The segments of a range, those at its ends cut to it.
    fn pieces(&self, range: Range<u64>) -> impl Iterator<Item = Segment> {
        let mut begin = 0;
        self.segments.iter().filter_map(move |segment| {
            let start = begin;
            begin += segment.len();
            let from = range.start.max(start);
            let to = range.end.min(begin);
            (from < to).then(|| segment.piece(from - start..to - start))
        })
    }
}

fn edited(octets: Vec<u8>) -> Segment {
    Segment::Edited { range: 0..octets.len() as u64, octets: Arc::new(octets) }
}
