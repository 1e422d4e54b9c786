//! How many records a document of a sequence is: one, or as many as its engine counts in it when those are more.
//!
//! A path that was written for another shape of document counts nothing in this one; the document still counts. Never
//! counts the first record within a document a second time.

use crate::pii::{PiiKind, RecordBudgetSpent, RewriteError, RewriteObserver};

/// Counts documents, and what is in them.
#[derive(Debug)]
pub(in crate::pii) struct DocumentCounter {
    counts: bool,
    /// Whether the open document's own count stands for the next record in it.
    covers: bool,
}

impl DocumentCounter {
    pub(in crate::pii) const fn new(counts: bool) -> Self {
        Self { counts, covers: false }
    }

    /// A document begins.
    ///
    /// # Errors
    /// [`RecordBudgetSpent`] when it must not leave.
    pub(in crate::pii) fn document(&mut self, observer: &mut dyn RewriteObserver) -> Result<(), RecordBudgetSpent> {
        self.covers = self.counts;
        if self.counts { observer.on_record() } else { Ok(()) }
    }

    /// Who is told what is in the document.
    pub(in crate::pii) fn within<'a>(&'a mut self, observer: &'a mut dyn RewriteObserver) -> DocumentObserver<'a> {
        DocumentObserver { observer, covers: &mut self.covers }
    }
}

/// Tells all but the record that the document has been counted for.
pub(in crate::pii) struct DocumentObserver<'a> {
    observer: &'a mut dyn RewriteObserver,
    covers: &'a mut bool,
}

impl RewriteObserver for DocumentObserver<'_> {
    fn on_record(&mut self) -> Result<(), RecordBudgetSpent> {
        if std::mem::take(self.covers) { Ok(()) } else { self.observer.on_record() }
    }

    fn on_treated(&mut self, rule: usize) {
        self.observer.on_treated(rule);
    }

    fn on_found(&mut self, sort: PiiKind) {
        self.observer.on_found(sort);
    }

    /// A row is a record already.
    fn on_unexpected_shape(&mut self, why: RewriteError) -> Result<(), RewriteError> {
        self.observer.on_unexpected_shape(why)
    }

    fn on_subject(&mut self, value: &[u8]) {
        self.observer.on_subject(value);
    }

    fn wants_clear_paths(&self) -> bool {
        self.observer.wants_clear_paths()
    }

    fn on_clear_path(&mut self, path: &str) {
        // A row is one of a list of documents.
        self.observer.on_clear_path(&path.replacen('$', "$[*]", 1));
    }
}
