//! How many records a document of a sequence is: one, or as many as its engine counts in it when those are more.
//!
//! A path that was written for another shape of document counts nothing in this one; the document still counts. Never
//! counts the first record within a document a second time.

use crate::pii::{Cut, Sort, Stop, Watch};

/// Counts documents, and what is in them.
#[derive(Debug)]
pub(in crate::pii) struct Counting {
    counts: bool,
    /// Whether the open document's own count stands for the next record in it.
    covers: bool,
}

impl Counting {
    pub(in crate::pii) const fn new(counts: bool) -> Self {
        Self { counts, covers: false }
    }

    /// A document begins.
    ///
    /// # Errors
    /// [`Cut`] when it must not leave.
    pub(in crate::pii) fn document(&mut self, watch: &mut dyn Watch) -> Result<(), Cut> {
        self.covers = self.counts;
        if self.counts { watch.record() } else { Ok(()) }
    }

    /// Who is told what is in the document.
    pub(in crate::pii) fn within<'a>(&'a mut self, watch: &'a mut dyn Watch) -> Within<'a> {
        Within { watch, covers: &mut self.covers }
    }
}

/// Tells all but the record that the document has been counted for.
pub(in crate::pii) struct Within<'a> {
    watch: &'a mut dyn Watch,
    covers: &'a mut bool,
}

impl Watch for Within<'_> {
    fn record(&mut self) -> Result<(), Cut> {
        if std::mem::take(self.covers) { Ok(()) } else { self.watch.record() }
    }

    fn treated(&mut self, rule: usize) {
        self.watch.treated(rule);
    }

    fn found(&mut self, sort: Sort) {
        self.watch.found(sort);
    }

    /// A row is a record already.
    fn misshapen(&mut self, why: Stop) -> Result<(), Stop> {
        self.watch.misshapen(why)
    }

    fn subject(&mut self, value: &[u8]) {
        self.watch.subject(value);
    }

    fn asks_clear(&self) -> bool {
        self.watch.asks_clear()
    }

    fn clear(&mut self, path: &str) {
        // A row is one of a list of documents.
        self.watch.clear(&path.replacen('$', "$[*]", 1));
    }
}
