//! Which instructions the fast engine uses: the one room of the JSON engine with `unsafe` in it.
//!
//! Two things are unsafe here, and nothing else: calling a function that is compiled for an instruction set, which
//! is done only through an [`JsonEngine`], and an `JsonEngine` for a set exists only once the processor has been asked; and
//! reading or writing vectors through pointers, always of arrays whose length the type says. Nothing here judges
//! what it reads.

#![expect(unsafe_code, reason = "vector instructions: calls after detection, loads and stores within sized arrays")]

#[cfg(target_arch = "x86_64")]
/// Sets a word of each class, named with its bits.
macro_rules! set {
    ($classes:ident, $word:ident: $($class:ident = $bits:expr;)*) => { $($classes.$class[$word] = $bits;)* };
}

#[cfg(target_arch = "x86_64")]
/// Both ways through a text, compiled for an instruction set.
macro_rules! entries {
    ($features:literal, $lanes:ty) => {
        #[target_feature(enable = $features)]
        pub(super) fn scan(
            window: &[u8],
            entry: Entry,
            names: Option<&Names>,
            scratch: &mut Scratch,
        ) -> Option<Scanned> {
            bits::scan::<$lanes>(window, entry, names, scratch)
        }

        #[target_feature(enable = $features)]
        pub(super) fn skim(text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
            skim::by_blocks::<$lanes>(text, skim)
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::{
    bits,
    names::Names,
    portable::Portable,
    skim::{self, Skim, Skimmed},
    window::{Entry, Scanned, Scratch},
};

/// How a [`super::JsonRewriter`] reads: byte by byte, or with this machine's vector instructions. All put out the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonEngine(EngineKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EngineKind {
    Bytes,
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl JsonEngine {
    /// The plain engine, on any machine.
    pub const BYTES: Self = Self(EngineKind::Bytes);

    /// The engines that this machine can run, the fastest last.
    pub fn available() -> Vec<Self> {
        let mut engines = vec![Self::BYTES, Self(EngineKind::Portable)];
        #[cfg(target_arch = "x86_64")]
        {
            if has_avx2() {
                engines.push(Self(EngineKind::Avx2));
            }
            if has_avx512() {
                engines.push(Self(EngineKind::Avx512));
            }
        }
        engines
    }

    /// The fastest of them. Bits made eight bytes at a time are slower than the plain engine: they are the reference
    /// for the bits that vectors make.
    pub fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        match (has_avx512(), has_avx2()) {
            (true, _) => return Self(EngineKind::Avx512),
            (false, true) => return Self(EngineKind::Avx2),
            (false, false) => {}
        }
        Self::BYTES
    }

    /// Scans a window; never, with [`JsonEngine::BYTES`].
    pub(super) fn scan(
        self,
        window: &[u8],
        entry: Entry,
        names: Option<&Names>,
        scratch: &mut Scratch,
    ) -> Option<Scanned> {
        match self.0 {
            EngineKind::Bytes => None,
            EngineKind::Portable => bits::scan::<Portable>(window, entry, names, scratch),
            // SAFETY: this kind is made only where `has_avx2` said yes.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx2 => unsafe { avx2::scan(window, entry, names, scratch) },
            // SAFETY: this kind is made only where `has_avx512` said yes.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx512 => unsafe { avx512::scan(window, entry, names, scratch) },
        }
    }

    /// Skims what no path reaches: how much of it there was, and why it ended.
    pub(super) fn skim(self, text: &[u8], skim: &mut Skim) -> (usize, Skimmed) {
        match self.0 {
            EngineKind::Bytes => skim::by_bytes(text, skim),
            EngineKind::Portable => skim::by_blocks::<Portable>(text, skim),
            // SAFETY: this kind is made only where `has_avx2` said yes.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx2 => unsafe { avx2::skim(text, skim) },
            // SAFETY: this kind is made only where `has_avx512` said yes.
            #[cfg(target_arch = "x86_64")]
            EngineKind::Avx512 => unsafe { avx512::skim(text, skim) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("pclmulqdq")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2()
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vbmi2")
}
