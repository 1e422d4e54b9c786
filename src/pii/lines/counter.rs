//! Counts a document of a sequence as one record, or as many as the JSON rewriter counts in it, when those are more.
//!
//! The path of the records may select nothing in a document of another shape; the document itself still counts. Never
//! counts the first record within a document a second time.

use crate::pii::{RecordBudgetSpent, RewriteError, RewriteObserver, RewriteResult};

/// Counts documents, and the records in them.
#[derive(Debug)]
pub(in crate::pii) struct DocumentCounter {
    counts: bool,
    /// Whether the next record in the open document is already counted, because the document itself is.
    covers: bool,
}

impl DocumentCounter {
    pub(in crate::pii) const fn new(counts: bool) -> Self {
        Self { counts, covers: false }
    }

    /// A document begins: counts it.
    ///
    /// # Errors
    /// [`RecordBudgetSpent`] when the document must not leave.
    pub(in crate::pii) fn document(&mut self, observer: &mut dyn RewriteObserver) -> Result<(), RecordBudgetSpent> {
        self.covers = self.counts;
        if self.counts { observer.on_record() } else { Ok(()) }
    }

    /// The observer of what is in the open document.
    pub(in crate::pii) fn within<'a>(&'a mut self, observer: &'a mut dyn RewriteObserver) -> DocumentWatch<'a> {
        DocumentWatch { observer, covers: &mut self.covers }
    }
}

/// Hands on everything but the first record, which has been counted with its document.
pub(in crate::pii) struct DocumentWatch<'a> {
    observer: &'a mut dyn RewriteObserver,
    covers: &'a mut bool,
}

impl RewriteObserver for DocumentWatch<'_> {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        if std::mem::take(self.covers) { Ok(()) } else { self.observer.on_record() }
    }

    fn on_treated(&mut self, rule: usize) {
        self.observer.on_treated(rule);
    }

    fn on_unexpected_shape(&mut self, why: RewriteError) -> RewriteResult {
        self.observer.on_unexpected_shape(why)
    }

    fn on_subject(&mut self, value: &[u8]) {
        self.observer.on_subject(value);
    }

    fn wants_clear_paths(&self) -> bool {
        self.observer.wants_clear_paths()
    }

    fn on_clear_path(&mut self, path: &str) {
        // The documents of a sequence are reported like the elements of one list.
        self.observer.on_clear_path(&path.replacen('$', "$[*]", 1));
    }
}
