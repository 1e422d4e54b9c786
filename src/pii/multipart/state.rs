//! Where a form in parts is, and what becomes of the open part.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Before the first boundary.
    Start,
    /// Behind a boundary: a line end, or two hyphens.
    Boundary,
    Head,
    /// Right behind a head, where a boundary would be read in two ways.
    Begin(Fate),
    Body(Fate),
    /// Behind the last boundary.
    End,
}

/// What becomes of a part's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Pass,
    File,
    Skip,
    Json,
    Held {
        rule: Option<usize>,
        subject: bool,
    },
    /// Redacted whole.
    Whole(usize),
}
